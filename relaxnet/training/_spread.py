"""Standard deviations of predicted maps, in ms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.denoise._noise_level import image_noise, root_mean_square
from relaxnet.information import crlb
from relaxnet.nets import RelaxationNet, input_mask
from relaxnet.nets._input_mask import own_images
from relaxnet.nets._space import over_space

_FAINTEST = 1e-2  # of the root mean square of the images: smallest amplitude, for voxels without signal
ANY = "any"
"""Key, instead of the name of an input set, for all input sets together, or for the only one."""
Maps = dict[str, Tensor]


@dataclass(frozen=True)
class Spread:
    """Calibration of the standard deviations of predicted maps.

    The standard deviation of a map is the scale of the signal errors, propagated to ms through the derivative of the
    signal model, times a factor. The scale is predicted by the network, or is the noise level of the images. For images
    with r > 1 times the usual noise, the factor is multiplied by a power of r.

    Examples
    --------
    >>> cohort = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(32, 32), snr=20, seed=0)
    >>> trained = rx.training.train(cohort, inputs="any", preset="smoke", progress=False)
    >>> sorted(trained.calibration.factors["t2"])
    ['any', 'long', 'middle', 'short']
    """

    usual_noise: float = 0.0
    """Noise level of the calibration images, as a fraction of their root mean square."""
    factors: dict[str, dict[str, float]] = field(default_factory=dict)
    """By contrast and input set: the factor with which nine of ten voxels lie within the central 90 % interval."""
    growth: dict[str, dict[str, float]] = field(default_factory=dict)
    """By contrast and input set: the power of r by which the factor grows with noise."""

    def require_names(self, names: Sequence[str]) -> None:
        """Check that all numbers are such, and are of known contrasts; those of a file may not be.

        Parameters
        ----------
        names
            Names of the contrasts.

        Raises
        ------
        ValueError
            If a factor or a growth is missing, no number, or of another contrast.
        """
        numbers = [self.usual_noise]
        for name, by_set in self.factors.items():
            if name not in names or ANY not in by_set or self.growth[name].keys() != by_set.keys():
                raise ValueError(f"calibration of {name!r}: a factor and a growth of {ANY!r} are needed for {names}.")
            numbers += [*by_set.values(), *self.growth[name].values()]
        if not all(number >= 0 and math.isfinite(number) for number in numbers):
            raise ValueError(f"calibration has {numbers}: they are finite and not negative.")

    def std_ms(
        self, net: RelaxationNet, images: Float[Tensor, "slice image *space"], maps: Maps, inputs: Any = None
    ) -> Maps:
        """Compute standard deviations of maps.

        Parameters
        ----------
        net
            The network.
        images
            All images of the protocol, or the input images.
        maps
            Predicted maps, with ``"<name>_scale"`` if the network predicts scales.
        inputs
            The input images, for a network of any subset.

        Returns
        -------
        dict
            Standard deviations in ms by the name of the contrast, for contrasts that are calibrated.
        """
        errors, ratio = errors_in_ms(net, images, maps, inputs, usual_noise=self.usual_noise)
        more = over_space(ratio.clamp(min=1), net.dims)
        name_of_set = name_of(net, inputs)
        found = {}
        for name, by_set in self.factors.items():
            chosen = name_of_set if name_of_set in by_set else ANY
            found[name] = by_set[chosen] * more ** self.growth[name][chosen] * errors[name]
        return found


def errors_in_ms(
    net: RelaxationNet,
    images: Float[Tensor, "slice image *space"],
    maps: Maps,
    inputs: Any = None,
    *,
    usual_noise: float = 0.0,
) -> tuple[Maps, Float[Tensor, " slice"]]:
    """Compute the standard deviations of maps up to a factor, by propagating the scale of the signal errors to ms.

    The scale is predicted by the network, or else is the noise level of its input images. It is propagated through the
    derivative of the signal model, as in :func:`~relaxnet.information.crlb`.

    Parameters
    ----------
    net, images, maps, inputs
        As for :meth:`Spread.std_ms`.
    usual_noise
        Noise level of the calibration images, as a fraction of their root mean square. With less noise, the errors of a
        network decrease less than in proportion: half of the variance is assumed to remain.

    Returns
    -------
    tuple
        Standard deviations in ms by the name of the contrast, up to a factor for each; NaN where the map is NaN. And
        the noise level of each slice divided by the usual one; 1 if that is unknown.
    """
    shown, mask = shown_images(net, images, inputs)
    strength = root_mean_square(shown)
    noise = noise_of_inputs(shown, mask)
    usual = usual_noise * strength
    ratio = torch.where(usual > 0, noise / usual, 1)
    noise = torch.where(noise > usual, noise, torch.sqrt((noise**2 + usual**2) / 2))
    faintest = over_space(_FAINTEST * strength, net.dims)
    errors = {}
    for contrast in net.protocol.contrasts:
        t = maps[contrast.name]
        known = torch.isfinite(t)
        usable = torch.where(known, t, contrast.model.parameter.typical)
        own, times = own_images(contrast, net.protocol, net.input_channels)
        time = over_space(t.new_tensor(times), net.dims)
        basis = contrast.model.basis(rearrange(usable, "slice ... -> slice 1 ..."), time)
        basis = basis * over_space(mask[:, own], net.dims)
        projection = reduce(shown[:, own] * basis, "slice image ... -> slice ...", "sum")
        square = reduce(basis * basis, "slice image ... -> slice ...", "sum").clamp(min=torch.finfo(t.dtype).tiny)
        m0 = torch.maximum(projection / square, faintest)
        bound = crlb(contrast.model, m0, usable, contrast, 1.0)["t"].to(t.dtype)
        scale = maps.get(f"{contrast.name}_scale", over_space(noise, net.dims))
        errors[contrast.name] = torch.where(known, bound * scale, torch.nan)
    return errors, ratio


def shown_images(net: RelaxationNet, images: Tensor, inputs: Any) -> tuple[Tensor, Bool[Tensor, "slice image"]]:
    """Select the images of the channels of a network, and set values to zero that are not finite or no inputs.

    Parameters
    ----------
    net, images, inputs
        As for :meth:`Spread.std_ms`.

    Returns
    -------
    tuple
        The images, and a mask of those that are inputs.
    """
    own = (images[:, net.input_channels] if images.shape[1] == net.protocol.n_images else images).float()
    mask = input_mask(net.protocol, inputs, len(own)) if net.any_subset else torch.ones(own.shape[:2], dtype=torch.bool)
    mask = mask.to(own.device)
    known = torch.isfinite(own) & over_space(mask, net.dims)
    return torch.where(known, own, 0), mask


def noise_of_inputs(shown: Tensor, mask: Bool[Tensor, "slice image"]) -> Float[Tensor, " slice"]:
    """Estimate the noise level of the input images of each slice.

    Parameters
    ----------
    shown, mask
        Result of :func:`shown_images`.

    Returns
    -------
    Tensor
        Standard deviation of the noise, in the units of the images.
    """
    return torch.cat([image_noise(one[None, row]) for one, row in zip(shown, mask, strict=True)])


def input_sets(net: RelaxationNet) -> list[str | None]:
    """List the input sets of a network.

    Parameters
    ----------
    net
        The network.

    Returns
    -------
    list
        Names of the input sets for a network of any subset; else None alone, for its fixed inputs.
    """
    return list(net.protocol.input_sets) if net.any_subset else [None]


def name_of(net: RelaxationNet, inputs: Any) -> str:
    """Return the name of an input set, which is its key in the calibration.

    Parameters
    ----------
    net
        The network.
    inputs
        Its input images.

    Returns
    -------
    str
        The name; ``"any"`` for other selections of images, and for a network of fixed inputs.
    """
    if isinstance(inputs, str):
        return inputs
    if not net.any_subset or inputs is None or isinstance(inputs, Tensor):
        return ANY
    same = (name for name, channels in net.protocol.input_sets.items() if channels == tuple(inputs))
    return next(same, ANY)
