"""Initial estimates of relaxation times from smoothed or denoised images, which a network corrects."""

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any, Literal, NamedTuple

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet._messages import brief
from relaxnet.denoise._low_rank import keep_patterns
from relaxnet.denoise._noise_level import image_noise
from relaxnet.nets._input_mask import own_images
from relaxnet.nets._space import over_space
from relaxnet.protocol import Protocol
from relaxnet.signals import ExponentialDecay, SignalModel

Bounds = tuple[float, float]
Estimate = tuple[Float[Tensor, "batch *space"], Float[Tensor, "batch *space"]]
"""Relaxation times and amplitudes of one contrast."""
Smoothing = float | Literal["low-rank"]
"""Standard deviation of a Gaussian in voxels, 0 for no smoothing; or local low rank over the input images."""

LOW_RANK: Literal["low-rank"] = "low-rank"
_DARKEST = 1e-6  # of the scale of a subject: smallest signal of which a logarithm is taken
_WIDEST = 3.0  # standard deviations at which a Gaussian is cut off
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

    images: Float[Tensor, "batch image *space"]
    inputs: Float[Tensor, "batch image"]
    """1 for images that are inputs, 0 for others."""
    times: Float[Tensor, " image"]


def initial_estimate(
    protocol: Protocol,
    channels: tuple[int, ...],
    images: Float[Tensor, "batch image *space"],
    mask: Bool[Tensor, "batch image"],
    bounds: tuple[Bounds, ...],
    smoothing: Smoothing,
) -> tuple[Float[Tensor, "batch task *space"], Float[Tensor, "batch 1 *space"]]:
    """Estimate relaxation times and amplitude from smoothed or denoised images, voxel by voxel.

    For exponential decays this is a log-linear fit, weighted by squared signals; for other models a grid search.

    Parameters
    ----------
    protocol
        The acquisition protocol.
    channels
        Channels of the images in a stack.
    images
        Normalised images. What is not finite is missing: there, the contrast has no estimate of its own.
    mask
        Images that are inputs.
    bounds
        Smallest and largest relaxation time of each contrast.
    smoothing
        How the images are smoothed.

    Returns
    -------
    tuple
        Relaxation times on a logarithmic scale, -1 for the smallest and 1 for the largest; 0 for a contrast with fewer
        than two input images. And the amplitude at time zero, the mean over the other contrasts; 1 without any.
    """
    images, width = (_denoise(images, mask), 0.0) if smoothing == LOW_RANK else (images, float(smoothing))
    logs, amplitudes, knowns = [], [], []
    for contrast, (low, high) in zip(protocol.contrasts, bounds, strict=True):
        own, times = own_images(contrast, protocol, channels)
        inputs = over_space(mask[:, own], images.ndim - 2)
        # A voxel with a missing image must not affect the estimates of its neighbours.
        complete = (torch.isfinite(images[:, own]) | ~inputs).all(dim=1, keepdim=True)
        whole = torch.where(complete & inputs, images[:, own], 0)
        whole = _smooth(whole, width) if width > 0 else whole
        samples = Samples(whole, mask[:, own].to(images.dtype), images.new_tensor(times))
        if isinstance(contrast.model, ExponentialDecay):
            t, m0 = _log_linear(contrast.model, samples, (low, high))
        else:
            t, m0 = _best_of_grid(contrast.model, samples, (low, high))
        known = over_space(mask[:, own].sum(1) > 1, images.ndim - 2)
        logs.append(torch.where(known, 2 * torch.log(t / low) / math.log(high / low) - 1, 0))
        amplitudes.append(torch.where(known, m0, 0))
        knowns.append(known)
    n = torch.stack(knowns).sum(0)
    amplitude = torch.where(n > 0, torch.stack(amplitudes).sum(0) / n.clamp(min=1), 1)
    return torch.stack(logs, dim=1), rearrange(amplitude, "batch ... -> batch 1 ...")


def _log_linear(model: ExponentialDecay, samples: Samples, bounds: Bounds) -> Estimate:
    """Fit a line to the logarithms of a decay, weighted by squared signals."""
    images, inputs, times = samples
    signal = images.clamp(min=_DARKEST)
    weight = einsum(signal.square(), inputs, "batch image ..., batch image -> batch image ...")
    total = reduce(weight, "batch image ... -> batch ...", "sum").clamp(min=_DARKEST**2)
    log, u = torch.log(signal), model.coordinate(times)
    mean_u = einsum(weight, u, "batch image ..., image -> batch ...") / total
    mean_log = reduce(weight * log, "batch image ... -> batch ...", "sum") / total
    u = over_space(u, images.ndim - 2) - rearrange(mean_u, "batch ... -> batch 1 ...")
    square = reduce(weight * u.square(), "batch image ... -> batch ...", "sum")
    rate = -reduce(weight * u * log, "batch image ... -> batch ...", "sum") / square.clamp(min=_DARKEST**2)
    slowest, fastest = torch.aminmax(model.rate(rate.new_tensor(bounds)))  # as tensors, to be compiled and exported
    rate = rate.clamp(slowest, fastest)
    return model.from_rate(rate), torch.exp(mean_log + rate * mean_u)


def _best_of_grid(model: SignalModel, samples: Samples, bounds: Bounds) -> Estimate:
    """Search a grid over log T, with projected amplitude; then a finer grid around its best value.

    Candidates are tried one after another, to need the memory of a single one.
    """
    images, inputs, times = samples
    low, high = (math.log(bound) for bound in bounds)
    x = torch.full_like(images[:, 0], low)
    most, m0 = torch.zeros_like(x), torch.zeros_like(x)
    times = over_space(times, images.ndim - 2)

    def keep_if_better(candidate: Float[Tensor, "batch *space"]) -> None:
        nonlocal x, most, m0
        basis = model.basis(rearrange(torch.exp(candidate), "batch ... -> batch 1 ..."), times)
        basis = einsum(basis, inputs, "batch image ..., batch image -> batch image ...")
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
    return torch.exp(x), m0


def _denoise(images: Tensor, mask: Tensor) -> Tensor:
    """Denoise the input images of each sample by local low rank, slice by slice; the noise level is estimated."""
    if torch.compiler.is_compiling():  # a graph is the same for all masks
        whole = over_space(mask, images.ndim - 2)
        return torch.where(whole, _denoise_all(torch.where(whole, images, float("nan"))), images)
    out = images.clone()
    for inputs in torch.unique(mask, dim=0):  # small matrices of the inputs alone are faster than large ones with zeros
        rows, columns = torch.nonzero((mask == inputs).all(1)), torch.nonzero(inputs)[:, 0]
        if len(columns):
            out[rows, columns] = _denoise_all(images[rows, columns])
    return out


def _denoise_all(images: Tensor) -> Tensor:
    """Denoise all images of each sample but those that are NaN everywhere."""
    with torch.no_grad():
        level = image_noise(images) if min(images.shape[-2:]) > 1 else images.new_zeros(len(images))
    volumes = images if images.ndim == 5 else rearrange(images, "batch image ... -> batch image 1 ...")
    slices = rearrange(volumes, "batch image depth ... -> (batch depth) image ...")
    denoised = keep_patterns(slices, level.repeat_interleave(volumes.shape[2]))
    denoised = rearrange(denoised, "(batch depth) image ... -> batch image depth ...", batch=len(images))
    there = torch.isfinite(images)
    acquired = there.flatten(2).any(-1)
    # A voxel without one of its images is not denoised.
    complete = (there | ~over_space(acquired, images.ndim - 2)).all(1, keepdim=True)
    return torch.where(complete, denoised.view_as(images), images)


def _smooth(images: Tensor, width: float) -> Tensor:
    """Smooth along each spatial axis, with repeated edges."""
    for axis in range(2, images.ndim):
        # A matrix product is several times faster than a convolution of a single channel.
        smoothing = _gaussian(images.shape[axis], width).to(images)
        images = (images.movedim(axis, -1) @ smoothing.T).movedim(-1, axis)
    return images


def _gaussian(size: int, width: float) -> Tensor:
    """Return the matrix that smooths a line of voxels; one that is kept would outlive the tracing of a graph."""
    reach = math.ceil(_WIDEST * width)
    offsets = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (offsets / width) ** 2)
    targets = (rearrange(torch.arange(size), "voxel -> voxel 1") + offsets).clamp(0, size - 1)
    return torch.zeros(size, size).scatter_add_(1, targets, (kernel / kernel.sum()).expand(size, -1))
