"""Initial estimates of relaxation times from smoothed or denoised images, which a network corrects."""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from numbers import Real
from typing import Any, Literal, NamedTuple

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet._masks import complete, images_with_values
from relaxnet._messages import brief
from relaxnet.denoise._low_rank import keep_patterns
from relaxnet.denoise._noise_level import image_noise
from relaxnet.nets._input_mask import own_images
from relaxnet.nets._smooth import smooth
from relaxnet.nets._space import over_space
from relaxnet.protocol import Protocol
from relaxnet.signals import ExponentialDecay, SignalModel

Bounds = tuple[float, float]
Estimate = tuple[Float[Tensor, "batch *space"], Float[Tensor, "batch *space"] | None]
"""Logarithms of the relaxation times of one contrast, and amplitudes where they are needed."""
Smoothing = float | Literal["low-rank"]
"""Standard deviation of a Gaussian in voxels, 0 for no smoothing; or local low rank over the input images."""

LOW_RANK: Literal["low-rank"] = "low-rank"
_DARKEST = 1e-6  # of the scale of a subject: smallest signal of which a logarithm is taken
_GRID = 32  # values of T that are tried for a model without a log-linear fit
_FINER = (-0.75, -0.5, -0.25, 0.25, 0.5, 0.75)  # steps of the grid around its best value, tried afterwards


def check_smoothings(given: Any) -> tuple[Smoothing, ...]:
    """Check what initial estimates are made from.

    Parameters
    ----------
    given
        A sequence of numbers and of ``"low-rank"``.

    Returns
    -------
    tuple
        The sequence; numbers become floats.

    Raises
    ------
    ValueError
        If there is anything else in it.
    """
    if not isinstance(given, Iterable) or isinstance(given, str) or not all(map(_is_smoothing, given)):
        raise ValueError(
            f"initial_estimates={brief(repr(given))}: a width is a number of voxels, 0 or more; give a sequence of "
            f"these and of {LOW_RANK!r}."
        )
    return tuple(LOW_RANK if one == LOW_RANK else float(one) for one in given)


def _is_smoothing(one: Any) -> bool:
    return one == LOW_RANK if isinstance(one, str) else isinstance(one, Real) and 0 <= float(one) < math.inf


class Samples(NamedTuple):
    """Images of one contrast."""

    images: list[Float[Tensor, "batch *space"]]
    inputs: Float[Tensor, "batch image *ones"]
    """1 for images that are inputs, 0 for others."""
    times: Float[Tensor, " image"]


def initial_estimates(
    protocol: Protocol,
    channels: tuple[int, ...],
    images: Float[Tensor, "batch image *space"],
    counted: Bool[Tensor, "batch image *space"],
    bounds: Sequence[Bounds],
    smoothings: Sequence[Smoothing],
    *,
    amplitude: bool,
) -> tuple[list[Float[Tensor, "batch 1 *space"]], Float[Tensor, "batch estimate 1 *space"] | None]:
    """Estimate relaxation times and amplitudes from smoothed or denoised images, voxel by voxel.

    For exponential decays this is a log-linear fit, weighted by squared signals; for other models a grid search.

    Parameters
    ----------
    protocol
        The acquisition protocol.
    channels
        Channels of the images in a stack.
    images
        Normalised images, zero where they are not counted.
    counted
        The finite values of input images. Where one is missing, the contrast has no estimate of its own.
    bounds
        Smallest and largest relaxation time of each contrast.
    smoothings
        How the images are smoothed, one or more.
    amplitude
        Whether amplitudes are needed.

    Returns
    -------
    tuple
        Relaxation times on a logarithmic scale, those of all contrasts from one smoothing after another: -1 for the
        smallest and 1 for the largest; 0 for a contrast with fewer than two input images. And the amplitude at time
        zero, the mean over the other contrasts; 1 without any; None where it is not needed.
    """
    dims = images.ndim - 2
    mask = images_with_values(counted)
    owns, times = zip(*(own_images(contrast, protocol, channels) for contrast in protocol.contrasts), strict=True)
    inputs = [over_space(mask[:, own], dims).to(images.dtype) for own in owns]
    known = [over_space(mask[:, own].sum(1) > 1, dims).to(images.dtype) for own in owns]
    nothing = torch.zeros_like(images[:, 0])
    # A voxel with a missing image must not affect the estimates of its neighbours: each contrast has its own stack.
    usable = [complete(counted[:, own], mask[:, own]).to(images) if own else nothing for own in owns]
    of_all = [k for own in owns for k in own]
    given = torch.stack([images[:, k] * whole for own, whole in zip(owns, usable, strict=True) for k in own], dim=1)
    logs, amplitudes, n = [], [], torch.stack(known).sum(0)
    for smoothing in smoothings:
        if smoothing == LOW_RANK:
            # A voxel without one of its images is zero when denoised, and stays what it was.
            denoised, lacking = _denoise(images, counted, mask), 1 - complete(counted, mask).to(images)
            raw = zip(of_all, given.unbind(1), strict=True)
            planes = [torch.addcmul(denoised[:, k], image, lacking) for k, image in raw]
        else:
            planes = list((smooth(given, float(smoothing)) if smoothing else given).unbind(1))
        total = nothing
        for k, (contrast, (low, high)) in enumerate(zip(protocol.contrasts, bounds, strict=True)):
            own, planes = planes[: len(owns[k])], planes[len(owns[k]) :]
            if len(own) < 2:
                logs.append(nothing)
                continue
            samples = Samples(own, inputs[k], images.new_tensor(times[k]))
            log_t, m0 = _estimate(contrast.model, samples, (low, high), amplitude=amplitude)
            slope = 2 / math.log(high / low)
            logs.append(log_t.mul_(slope).sub_(1 + slope * math.log(low)).mul_(known[k]))
            total = total if m0 is None else total + m0 * known[k]
        if amplitude:
            amplitudes.append(torch.where(n > 0, total / n.clamp(min=1), 1))
    found = [rearrange(log, "batch ... -> batch 1 ...") for log in logs]
    return found, rearrange(amplitudes, "estimate batch ... -> batch estimate 1 ...") if amplitude else None


def _estimate(model: SignalModel, samples: Samples, bounds: Bounds, *, amplitude: bool) -> Estimate:
    if isinstance(model, ExponentialDecay):
        return _log_linear(model, samples, bounds, amplitude=amplitude)
    return _best_of_grid(model, samples, bounds)


def _log_linear(model: ExponentialDecay, samples: Samples, bounds: Bounds, *, amplitude: bool) -> Estimate:
    r"""Fit a line to the logarithms of a decay, weighted by squared signals.

    Its slope is the mean of the slopes between any two images, with the weights :math:`S_i^2 S_j^2 (u_j - u_i)^2`. In
    this form nothing cancels, and the first image needs no logarithm.
    """
    signals, u = [image.clamp(min=_DARKEST) for image in samples.images], model.coordinate(samples.times)
    falls = [u.new_zeros(()), *(torch.log(signals[0] / other) for other in signals[1:])]
    slowest, fastest = sorted(bound**-model.power for bound in bounds)
    if len(signals) == 2 and not amplitude:
        return torch.log(falls[1].div_(u[1] - u[0]).clamp(slowest, fastest)).div_(-model.power), None
    weights = [signal.square() * own for signal, own in zip(signals, samples.inputs.unbind(1), strict=True)]
    rate = total = torch.zeros_like(weights[0])
    for i, j in combinations(range(len(signals)), 2):
        weight = weights[i] * weights[j] * (u[j] - u[i])
        rate, total = torch.addcmul(rate, weight, falls[j] - falls[i]), torch.addcmul(total, weight, u[j] - u[i])
    rate = (rate / total.clamp(min=_DARKEST**4)).clamp(slowest, fastest)
    log_t = torch.log(rate) / -model.power
    if not amplitude:
        return log_t, None
    behind = whole = torch.zeros_like(rate)
    for weight, at, fall in zip(weights, u, falls, strict=True):
        behind, whole = torch.addcmul(behind, weight, rate * at - fall), whole + weight
    return log_t, signals[0] * torch.exp(behind / whole.clamp(min=_DARKEST**2))


def _best_of_grid(model: SignalModel, samples: Samples, bounds: Bounds) -> Estimate:
    """Search a grid over log T, with projected amplitude; then a finer grid around its best value.

    Candidates are tried one after another, to need the memory of a single one.
    """
    images, inputs, times = torch.stack(samples.images, dim=1), samples.inputs, samples.times
    low, high = (math.log(bound) for bound in bounds)
    x = torch.full_like(images[:, 0], low)
    most, m0 = torch.zeros_like(x), torch.zeros_like(x)
    times = over_space(times, images.ndim - 2)

    def keep_if_better(candidate: Float[Tensor, "batch *space"]) -> None:
        nonlocal x, most, m0
        basis = model.basis(rearrange(torch.exp(candidate), "batch ... -> batch 1 ..."), times)
        basis = basis * inputs
        projection = reduce(images * basis, "batch image ... -> batch ...", "sum")
        square = reduce(basis.square(), "batch image ... -> batch ...", "sum").clamp(min=_DARKEST**2)
        explained = projection.clamp(min=0).square() / square
        better = explained > most
        x, m0 = torch.where(better, candidate, x), torch.where(better, projection / square, m0)
        most = torch.where(better, explained, most)

    step = (high - low) / (_GRID - 1)
    for k in range(_GRID):
        keep_if_better(torch.full_like(x, low + k * step))
    best = x
    for part in _FINER:
        keep_if_better((best + part * step).clamp(low, high))
    return x, m0


def _denoise(images: Tensor, counted: Tensor, mask: Tensor) -> Tensor:
    """Denoise the input images of each sample by local low rank, slice by slice; the noise level is estimated."""
    present = torch.where(counted, images, torch.nan)
    if torch.compiler.is_compiling() or mask.all():  # a graph is the same for all masks
        return _denoise_all(present)
    out = images.clone()
    for inputs in torch.unique(mask, dim=0):  # small matrices of the inputs alone are faster than large ones with zeros
        rows, columns = torch.nonzero((mask == inputs).all(1)), torch.nonzero(inputs)[:, 0]
        if len(columns):
            out[rows, columns] = _denoise_all(present[rows, columns])
    return out


def _denoise_all(images: Tensor) -> Tensor:
    """Denoise all images of each sample but those that are NaN everywhere."""
    with torch.no_grad():
        level = image_noise(images) if min(images.shape[-2:]) > 1 else images.new_zeros(len(images))
    volumes = images if images.ndim == 5 else rearrange(images, "batch image ... -> batch image 1 ...")
    slices = rearrange(volumes, "batch image depth ... -> (batch depth) image ...")
    denoised = keep_patterns(slices, level.repeat_interleave(volumes.shape[2]))
    denoised = rearrange(denoised, "(batch depth) image ... -> batch image depth ...", batch=len(images))
    return denoised.view_as(images)
