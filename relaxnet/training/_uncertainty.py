"""How wrong a predicted map may be, in ms."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.fitting import FitStatus, fit
from relaxnet.information import crlb
from relaxnet.metrics import calibration_factor
from relaxnet.nets import RelaxationNet, seen_mask
from relaxnet.signals import MonoExponential
from relaxnet.training._data import Scan, noise_level

LEVEL = 0.9
_MEDIAN = 0.6745  # of the absolute value of a standard normal number
_SURE = 0.2  # a reference whose standard error is a larger part of its T teaches nothing
_FAINTEST = 1e-2  # of the root mean square: below, there is no signal to speak of


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


def spread(
    net: RelaxationNet,
    images: Float[Tensor, "slice image *space"],
    maps: dict[str, Tensor],
    seen: Any = None,
    *,
    usual_noise: float = 0.0,
) -> dict[str, Tensor]:
    r"""Carry the scale of the signal's errors to ms: the standard deviation of a map, but for a factor.

    The scale is what the network predicts, if it does, else the noise of the images that it sees. Through the model's
    derivative, as in :func:`~relaxnet.information.crlb`, it becomes that of the relaxation time.

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
    usual_noise
        Noise of the images that the network was calibrated with, as a fraction of their root mean square. With less
        noise, a network errs less, but not in proportion: half of the variance is taken to stay.

    Returns
    -------
    dict
        Standard deviations in ms by the name of the contrast, but for a factor each; NaN where the map is.
    """
    protocol, channels = net.protocol, net.input_channels
    shown, mask = _shown(net, images, seen)
    strength = shown.square().flatten(1).mean(1).sqrt()
    noise = _noise(shown, mask)
    usual = usual_noise * strength
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
    return spreads


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


def calibrate(net: RelaxationNet, scans: list[Scan]) -> tuple[dict[str, float], float]:
    """Find, for each contrast, the factor with which nine of ten voxels lie within the central 90 % interval.

    Where the subjects are a phantom's, errors are those against the truth, in its region of interest. Otherwise they
    are those against a fit of the images that the network does not see, whose own standard error is taken into account.

    Parameters
    ----------
    net
        The network.
    scans
        Subjects whose reference it has not learnt from.

    Returns
    -------
    tuple
        Factors by the name of the contrast; of a contrast without a reference, none. And the usual noise, for
        :func:`spread`.

    Warns
    -----
    UserWarning
        If a contrast cannot be calibrated.
    """
    if not scans:
        return {}, 0.0
    usual = _usual_noise(net, scans)

    def both(images: Tensor, seen: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        maps = net.predict(images, seen=seen, scales=True)
        return maps, spread(net, images, maps, seen, usual_noise=usual)

    return factors(both, net, scans), usual


def factors(
    both: Callable[[Tensor, Any], tuple[dict[str, Tensor], dict[str, Tensor]]], net: RelaxationNet, scans: list[Scan]
) -> dict[str, float]:
    """Find the factors of standard deviations, however these are made.

    Parameters
    ----------
    both
        Makes maps and their standard deviations in ms, of images and what is seen of them.
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
    protocol = net.protocol
    found: dict[str, list[tuple[Tensor, ...]]] = {name: [] for name in protocol.names}
    for scan in scans:
        for seen in _sets(net):
            maps, spreads = both(scan.images, seen)
            hidden = protocol.channels(seen) if seen else net.input_channels
            for name, references in _references(scan, net, hidden).items():
                found[name].append(tuple(v[references[2]] for v in (maps[name], spreads[name], *references[:2])))
    known = {}
    for name, parts in found.items():
        if not parts:
            warnings.warn(f"no standard deviations for {name}: fewer than two images are unseen.", stacklevel=4)
            continue
        t, std, reference, its_std = (torch.cat(column) for column in zip(*parts, strict=True))
        try:
            known[name] = calibration_factor(
                t, std, reference, level=LEVEL, kind="gaussian", reference_std_ms=its_std if its_std.any() else None
            )
        except ValueError as error:
            warnings.warn(f"no standard deviations for {name}, they cannot be calibrated: {error}", stacklevel=4)
    return known


def _sets(net: RelaxationNet) -> list[Any]:
    return list(net.protocol.input_sets) if net.any_subset else [None]


def _usual_noise(net: RelaxationNet, scans: list[Scan]) -> float:
    fractions = []
    for scan in scans:
        for seen in _sets(net):
            shown, mask = _shown(net, scan.images, seen)
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
