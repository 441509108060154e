"""Standard deviations of predicted maps, in ms."""

from dataclasses import dataclass, field
from typing import Any

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.information import crlb
from relaxnet.nets import RelaxationNet, input_mask
from relaxnet.training._noise import image_noise, root_mean_square

_FAINTEST = 1e-2  # of the root mean square: below, there is no signal to speak of
ANY = "any"
"""In the place of the name of an input set: all of them together, or the only one."""
Maps = dict[str, Tensor]


@dataclass(frozen=True)
class Spread:
    """What turns the scale of the signal's errors into the standard deviations of a network's maps.

    A standard deviation in ms is the scale of the signal's errors, which the network predicts or the noise of the
    images gives, propagated to ms through the derivative of the signal model, times a factor. With r times the usual
    noise, the factor is r to a power larger.

    Examples
    --------
    >>> cohort = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(32, 32), snr=20, seed=0)
    >>> trained = rx.training.train(cohort, inputs="any", preset="smoke", progress=False)
    >>> sorted(trained.calibration.factors["t2"])
    ['any', 'long', 'middle', 'short']
    """

    usual_noise: float = 0.0
    """Noise of the images that the rest was found with, as a fraction of their root mean square."""
    factors: dict[str, dict[str, float]] = field(default_factory=dict)
    """By contrast and input set: with this factor, nine of ten voxels lie within the central 90 % interval."""
    growth: dict[str, dict[str, float]] = field(default_factory=dict)
    """By contrast and input set: by which power of the noise the factor grows, where there is more than usual."""

    def std_ms(
        self, net: RelaxationNet, images: Float[Tensor, "slice image *space"], maps: Maps, inputs: Any = None
    ) -> Maps:
        """Compute standard deviations.

        Parameters
        ----------
        net
            The network.
        images
            All images of the protocol, or the input images.
        maps
            What the network predicted, with ``"<name>_scale"`` if it predicts scales.
        inputs
            The input images, for a network of any input set.

        Returns
        -------
        dict
            Standard deviations in ms by the name of the contrast, of those that could be calibrated.
        """
        errors, ratio = errors_in_ms(net, images, maps, inputs, usual_noise=self.usual_noise)
        more = _on_voxels(ratio.clamp(min=1), net)
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
    r"""Propagate the scale of the signal's errors to ms: the standard deviation of a map, but for a factor.

    The scale is what the network predicts, if it does, else the noise of its input images. Through the derivative of
    the signal model, as in :func:`~relaxnet.information.crlb`, it becomes that of the relaxation time.

    Parameters
    ----------
    net, images, maps, inputs
        As for :meth:`Spread.std_ms`.
    usual_noise
        Noise of the images that the network was calibrated with, as a fraction of their root mean square. With less
        noise, a network errs less, but not in proportion: half of the variance is taken to stay.

    Returns
    -------
    tuple
        Standard deviations in ms by the name of the contrast, but for a factor each; NaN where the map is. And the
        noise of each slice, in units of the usual one; 1 where that is not known.
    """
    protocol, channels = net.protocol, net.input_channels
    shown, mask = shown_images(net, images, inputs)
    strength = root_mean_square(shown)
    noise = noise_of_inputs(shown, mask)
    usual = usual_noise * strength
    ratio = torch.where(usual > 0, noise / usual, 1)
    noise = torch.where(noise > usual, noise, torch.sqrt((noise**2 + usual**2) / 2))
    faintest = _on_voxels(_FAINTEST * strength, net)
    errors = {}
    for contrast in protocol.contrasts:
        t = maps[contrast.name]
        known = torch.isfinite(t)
        usable = torch.where(known, t, contrast.model.parameter.typical)
        times = dict(zip(protocol.images_of(contrast.name), contrast.times_ms, strict=True))
        own = [k for k, channel in enumerate(channels) if channel in times]
        moments = rearrange(t.new_tensor([times[channels[k]] for k in own]), f"image -> image{' 1' * net.dims}")
        basis = contrast.model.basis(rearrange(usable, "slice ... -> slice 1 ..."), moments)
        basis = basis * rearrange(mask[:, own], f"slice image -> slice image{' 1' * net.dims}")
        projection = reduce(shown[:, own] * basis, "slice image ... -> slice ...", "sum")
        square = reduce(basis * basis, "slice image ... -> slice ...", "sum").clamp(min=torch.finfo(t.dtype).tiny)
        m0 = torch.maximum(projection / square, faintest)
        bound = crlb(contrast.model, m0, usable, contrast, 1.0)["t"].to(t.dtype)
        scale = maps.get(f"{contrast.name}_scale", _on_voxels(noise, net))
        errors[contrast.name] = torch.where(known, bound * scale, torch.nan)
    return errors, ratio


def shown_images(net: RelaxationNet, images: Tensor, inputs: Any) -> tuple[Tensor, Bool[Tensor, "slice image"]]:
    """Take the images of a network's channels, zero where they are no inputs or not finite; and which are inputs.

    Parameters
    ----------
    net, images, inputs
        As for :meth:`Spread.std_ms`.

    Returns
    -------
    tuple
        Images, and a mask of the inputs.
    """
    own = (images[:, net.input_channels] if images.shape[1] == net.protocol.n_images else images).float()
    mask = torch.ones(own.shape[:2], dtype=torch.bool)
    if net.any_subset:
        mask = input_mask(net.protocol, inputs, len(own))
    mask = mask.to(own.device)
    known = torch.isfinite(own) & rearrange(mask, f"slice image -> slice image{' 1' * net.dims}")
    return torch.where(known, own, 0), mask


def noise_of_inputs(shown: Tensor, mask: Bool[Tensor, "slice image"]) -> Float[Tensor, " slice"]:
    """Estimate the noise of the input images of each slice.

    Parameters
    ----------
    shown, mask
        What :func:`shown_images` returned.

    Returns
    -------
    Tensor
        Standard deviations, in the units of the images.
    """
    return torch.stack([image_noise(one[row][None])[0] for one, row in zip(shown, mask, strict=True)])


def name_of(net: RelaxationNet, inputs: Any) -> str:
    """Return the name of an input set, where a network has factors of its own for each.

    Parameters
    ----------
    net
        The network.
    inputs
        Its input images.

    Returns
    -------
    str
        The name, or ``"any"``.
    """
    if isinstance(inputs, str):
        return inputs
    if not net.any_subset or inputs is None or isinstance(inputs, Tensor):
        return ANY
    same = (name for name, channels in net.protocol.input_sets.items() if channels == tuple(inputs))
    return next(same, ANY)


def _on_voxels(of_slice: Float[Tensor, " slice"], net: RelaxationNet) -> Float[Tensor, "slice *ones"]:
    return rearrange(of_slice, f"slice -> slice{' 1' * net.dims}")
