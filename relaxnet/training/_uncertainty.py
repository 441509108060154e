"""How wrong a predicted map may be, in ms."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.fitting import FitStatus, fit
from relaxnet.information import crlb
from relaxnet.metrics import calibration_factor
from relaxnet.nets import RelaxationNet, seen_mask
from relaxnet.signals import MonoExponential, add_noise
from relaxnet.training._data import Scan, noise_level

LEVEL = 0.9
_MEDIAN = 0.6745  # of the absolute value of a standard normal number
_SURE = 0.2  # a reference whose standard error is a larger part of its T teaches nothing
_FAINTEST = 1e-2  # of the root mean square: below, there is no signal to speak of
_LOUDER = 2.0  # how much more noise is tried, to see by how much more the network errs
ANY = "any"
"""In the place of the name of an input set: all of them together, or the only one."""

Both = Callable[[Tensor, Any], tuple[dict[str, Tensor], dict[str, Tensor]]]
"""Makes maps and their standard deviations in ms, of images and what is seen of them."""


def image_noise(images: Float[Tensor, "slice image *space"]) -> Float[Tensor, " slice"]:
    r"""Estimate how noisy images are, from how each voxel differs from its neighbours.

    The diagonal Haar coefficient of four neighbours, :math:`(a - b - c + d)/2`, takes away constants, slopes and edges
    along the axes, and leaves the noise as it is. The median of its absolute value is that of tissue, since air, whose
    noise is another, is left out. Fine texture counts as noise.

    Parameters
    ----------
    images
        Images of each slice.

    Returns
    -------
    Tensor
        Standard deviation of the noise: of each slice, that of the image where it is smallest.

    References
    ----------
    Donoho and Johnstone, *Ideal spatial adaptation by wavelet shrinkage*, Biometrika 81:425 (1994).
    """
    above, below = images[..., :-1, :], images[..., 1:, :]
    rough = (above[..., :-1] - above[..., 1:] - below[..., :-1] + below[..., 1:]).abs() / 2
    level = images.square().flatten(1).mean(1).sqrt().reshape(-1, *(1,) * (images.ndim - 1))
    tissue = above[..., :-1] > level
    medians = torch.where(tissue, rough, torch.nan).flatten(2).nanmedian(dim=-1).values
    return medians.nan_to_num(torch.inf).amin(1) / _MEDIAN


@dataclass(frozen=True)
class Spread:
    """What turns the scale of the signal's errors into the standard deviations of a network's maps.

    A standard deviation in ms is the scale of the signal's errors, which the network predicts or the noise of the
    images tells, carried to ms through the derivative of the decay, times a factor. With r times the usual noise, the
    factor is r to a power larger.

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
        self, net: RelaxationNet, images: Float[Tensor, "slice image *space"], maps: dict[str, Tensor], seen: Any = None
    ) -> dict[str, Tensor]:
        """Tell how wrong maps may be.

        Parameters
        ----------
        net
            The network.
        images
            All images of the protocol, or those that the network sees.
        maps
            What the network predicted, with ``"<name>_scale"`` if it predicts scales.
        seen
            The images that it was shown, for a network of any input set.

        Returns
        -------
        dict
            Standard deviations in ms by the name of the contrast, of those that could be calibrated.
        """
        errors, ratio = errors_in_ms(net, images, maps, seen, usual_noise=self.usual_noise)
        more = ratio.clamp(min=1).reshape(-1, *(1,) * net.dims)
        inputs = _name_of(net, seen)
        found = {}
        for name, by_set in self.factors.items():
            chosen = inputs if inputs in by_set else ANY
            found[name] = by_set[chosen] * more ** self.growth[name][chosen] * errors[name]
        return found


def errors_in_ms(
    net: RelaxationNet,
    images: Float[Tensor, "slice image *space"],
    maps: dict[str, Tensor],
    seen: Any = None,
    *,
    usual_noise: float = 0.0,
) -> tuple[dict[str, Tensor], Float[Tensor, " slice"]]:
    r"""Carry the scale of the signal's errors to ms: the standard deviation of a map, but for a factor.

    The scale is what the network predicts, if it does, else the noise of the images that it sees. Through the model's
    derivative, as in :func:`~relaxnet.information.crlb`, it becomes that of the relaxation time.

    Parameters
    ----------
    net, images, maps, seen
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
    shown, mask = _shown(net, images, seen)
    strength = shown.square().flatten(1).mean(1).sqrt()
    noise = _noise(shown, mask)
    usual = usual_noise * strength
    ratio = torch.where(usual > 0, noise / usual, 1)
    noise = torch.where(noise > usual, noise, torch.sqrt((noise**2 + usual**2) / 2))
    faintest = _FAINTEST * strength
    spreads = {}
    model = MonoExponential()
    ones = (1,) * net.dims
    for contrast in protocol.contrasts:
        t = maps[contrast.name]
        projection, square = torch.zeros_like(t), torch.zeros_like(t)
        for channel, time in zip(protocol.images_of(contrast.name), contrast.times_ms, strict=True):
            if channel in channels:
                k = channels.index(channel)
                basis = torch.exp(-time / t) * mask[:, k].reshape(-1, *ones)
                projection, square = projection + shown[:, k] * basis, square + basis * basis
        m0 = torch.maximum(projection / square.clamp(min=torch.finfo(t.dtype).tiny), faintest.reshape(-1, *ones))
        known = torch.isfinite(t)
        bound = crlb(model, torch.where(known, m0, 1), torch.where(known, t, 1), contrast, 1.0)["t"].to(t.dtype)
        scale = maps.get(f"{contrast.name}_scale", noise.reshape(-1, *ones))
        spreads[contrast.name] = torch.where(known, bound * scale, torch.nan)
    return spreads, ratio


def _shown(net: RelaxationNet, images: Tensor, seen: Any) -> tuple[Tensor, Tensor]:
    """Take the images that a network sees, with zeros for what is not finite; and which of its channels they are."""
    inputs = (images[:, net.input_channels] if images.shape[1] == net.protocol.n_images else images).float()
    mask = torch.ones(inputs.shape[:2], dtype=torch.bool)
    if net.any_subset:
        mask = seen_mask(net.protocol, seen, len(inputs))
    mask = mask.to(inputs.device)
    known = torch.isfinite(inputs) & mask.reshape(*mask.shape, *[1] * net.dims)
    return torch.where(known, inputs, 0), mask


def _noise(shown: Tensor, mask: Tensor) -> Float[Tensor, " slice"]:
    return torch.stack([image_noise(one[row][None])[0] for one, row in zip(shown, mask, strict=True)])


def calibrate(net: RelaxationNet, scans: list[Scan]) -> Spread:
    """Find, for each contrast, the factor with which nine of ten voxels lie within the central 90 % interval.

    Where the subjects are a phantom's, errors are those against the truth, in its region of interest. Otherwise they
    are those against a fit of the images that the network does not see, whose own standard error is taken into account.
    A network for any input set has factors for each, as its errors are not in proportion to what an unbiased estimate
    could reach. By how much the factors grow with noise is found by adding as much as doubles it.

    Parameters
    ----------
    net
        The network.
    scans
        Subjects whose reference it has not learnt from.

    Returns
    -------
    Spread
        Factors and their growth; of a contrast without a reference, none.

    Warns
    -----
    UserWarning
        If a contrast cannot be calibrated.
    """
    if not scans:
        return Spread()
    images = [scan.images for scan in scans]
    usual = _usual_noise(net, images)

    def both(some: Tensor, seen: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        maps = net.predict(some, seen=seen, scales=True)
        return maps, errors_in_ms(net, some, maps, seen, usual_noise=usual)[0]

    known = _factors(_compare(both, net, scans, images))
    # A magnitude with complex noise added is what a noisier scan would have shown, whatever its phase was.
    generator = torch.Generator().manual_seed(0)
    added = [noise_level(scan, net.protocol) * math.sqrt(_LOUDER**2 - 1) for scan in scans]
    louder = [add_noise(one, sigma, generator=generator) for one, sigma in zip(images, added, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what could not be calibrated has been said
        noisy = _factors(_compare(both, net, scans, louder))
    more = math.log(max(_usual_noise(net, louder) / usual, 1.0)) if usual > 0 else 0.0
    growth: dict[str, dict[str, float]] = {}
    for name, by_set in known.items():
        growth[name] = dict.fromkeys(by_set, 0.0)
        for inputs, factor in by_set.items():
            if more > 0 and inputs in noisy.get(name, {}):
                growth[name][inputs] = max(math.log(noisy[name][inputs] / factor) / more, 0.0)
    return Spread(usual, known, growth)


def factors(both: Both, net: RelaxationNet, scans: list[Scan]) -> dict[str, float]:
    """Find the factors of standard deviations, however these are made, over all input sets.

    Parameters
    ----------
    both
        Makes maps and their standard deviations.
    net
        Says what was acquired, and which images are seen.
    scans
        As for :func:`calibrate`.

    Returns
    -------
    dict
        Factors by the name of the contrast; of a contrast without a reference, none.

    Warns
    -----
    UserWarning
        If a contrast cannot be calibrated.
    """
    compared = _compare(both, net, scans, [scan.images for scan in scans])
    return {name: by_set[ANY] for name, by_set in _factors(compared).items()}


Comparison = dict[str, dict[str, list[tuple[Tensor, ...]]]]
"""By contrast and input set, for each subject: maps, their standard deviations, references and the standard errors of
these, of the voxels that have a reference."""


def _compare(both: Both, net: RelaxationNet, scans: list[Scan], images: list[Tensor]) -> Comparison:
    """Map images of subjects from all input sets, and find what to compare the maps with."""
    protocol = net.protocol
    found: Comparison = {name: {} for name in protocol.names}
    for scan, some in zip(scans, images, strict=True):
        for seen in _sets(net):
            maps, stds = both(some, seen)
            hidden = protocol.channels(seen) if seen else net.input_channels
            for name, (reference, its_std, where) in _references(scan, net, hidden).items():
                columns = tuple(v[where] for v in (maps[name], stds[name], reference, its_std))
                found[name].setdefault(_name_of(net, seen), []).append(columns)
    return found


def _factors(compared: Comparison) -> dict[str, dict[str, float]]:
    """Find factors by contrast and input set, and those over all input sets."""
    known: dict[str, dict[str, float]] = {}
    for name, by_set in compared.items():
        if not by_set:
            warnings.warn(f"no standard deviations for {name}: fewer than two images are unseen.", stacklevel=4)
        everything = {ANY: [columns for parts in by_set.values() for columns in parts]} if by_set else {}
        for inputs, parts in (by_set | everything).items():
            t, std, reference, its_std = (torch.cat(column) for column in zip(*parts, strict=True))
            try:
                known.setdefault(name, {})[inputs] = calibration_factor(
                    t, std, reference, level=LEVEL, kind="gaussian", reference_std_ms=its_std if its_std.any() else None
                )
            except ValueError as error:
                warnings.warn(f"no standard deviations for {name}, they cannot be calibrated: {error}", stacklevel=4)
    return {name: by_set for name, by_set in known.items() if ANY in by_set}


def _name_of(net: RelaxationNet, seen: Any) -> str:
    """Tell the input set that a network sees, where it has factors of its own for each."""
    if isinstance(seen, str):
        return seen
    if not net.any_subset or seen is None or isinstance(seen, Tensor):
        return ANY
    same = (name for name, channels in net.protocol.input_sets.items() if channels == tuple(seen))
    return next(same, ANY)


def _sets(net: RelaxationNet) -> list[Any]:
    return list(net.protocol.input_sets) if net.any_subset else [None]


def _usual_noise(net: RelaxationNet, images: list[Tensor]) -> float:
    fractions = []
    for some in images:
        for seen in _sets(net):
            shown, mask = _shown(net, some, seen)
            fractions.append(_noise(shown, mask) / shown.square().flatten(1).mean(1).sqrt())
    return float(torch.cat(fractions).median())


def _references(scan: Scan, net: RelaxationNet, seen: tuple[int, ...]) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Find for each contrast what to compare with, its standard error, and where."""
    protocol = net.protocol
    if scan.subject is not None:
        truth, roi = scan.subject.truth, scan.subject.roi
        return {name: (truth[name], torch.zeros_like(truth[name]), roi) for name in protocol.names}
    references = {}
    for contrast in protocol.contrasts:
        channels = protocol.images_of(contrast.name)
        unseen = [k for k, channel in enumerate(channels) if channel not in seen]
        if len(unseen) > 1:
            images, times = scan.images[:, [channels[k] for k in unseen]], [contrast.times_ms[k] for k in unseen]
            result = fit(images, times, sigma=noise_level(scan, protocol))
            t, std = result.maps["t"], result.std["t"]
            references[contrast.name] = (t, std, (result.status == FitStatus.CONVERGED) & (std < _SURE * t))
    return references
