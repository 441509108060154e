"""Estimates of relaxation times from smoothed images, which a network starts from."""

import math
from functools import lru_cache

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.protocol import Contrast, Protocol
from relaxnet.signals import ExponentialDecay, SignalModel

Bounds = tuple[float, float]

_DARKEST = 1e-6  # of a subject's scale: the logarithm needs something above zero
_WIDEST = 3.0  # standard deviations of a Gaussian, beyond which it is cut
_GRID = 32  # values of T that are tried for a model without a log-linear fit, and again around the best of them


def initial_estimate(
    protocol: Protocol,
    channels: tuple[int, ...],
    images: Float[Tensor, "batch image *space"],
    mask: Bool[Tensor, "batch image"],
    bounds: tuple[Bounds, ...],
    width: float,
) -> tuple[Float[Tensor, "batch task *space"], Float[Tensor, "batch 1 *space"]]:
    r"""Estimate relaxation times and amplitude from smoothed images, voxel by voxel.

    Of exponential decays it is the log-linear fit, weighted by squared signals; of other models, the best of some
    values of T.

    Parameters
    ----------
    protocol
        What was acquired.
    channels
        Which channels of a stack the images are.
    images
        Images, about 1, zero where they are no inputs.
    mask
        Which are inputs.
    bounds
        Smallest and largest value of each contrast.
    width
        Standard deviation in voxels of the Gaussian by which the images are smoothed; 0 for none.

    Returns
    -------
    tuple
        Logarithms of relaxation times, -1 for the smallest and 1 for the largest; 0 where fewer than two images of a
        contrast are inputs. And the amplitude at time zero, the mean over the other contrasts; 1 where there is none.
    """
    if width > 0:
        images = _smooth(images, width)
    logs, amplitudes, knowns = [], [], []
    for contrast, (low, high) in zip(protocol.contrasts, bounds, strict=True):
        own, times = _own_images(contrast, protocol, channels)
        inputs = mask[:, own]
        known = (inputs.sum(1) > 1).reshape(-1, *(1,) * (images.ndim - 2))
        t, m0 = _fit(contrast.model, images[:, own], inputs.to(images.dtype), images.new_tensor(times), (low, high))
        logs.append(torch.where(known, 2 * torch.log(t / low) / math.log(high / low) - 1, 0))
        amplitudes.append(torch.where(known, m0, 0))
        knowns.append(known)
    n = torch.stack(knowns).sum(0)
    amplitude = torch.where(n > 0, torch.stack(amplitudes).sum(0) / n.clamp(min=1), 1)
    return torch.stack(logs, dim=1), rearrange(amplitude, "batch ... -> batch 1 ...")


def _own_images(contrast: Contrast, protocol: Protocol, channels: tuple[int, ...]) -> tuple[list[int], list[float]]:
    """Find the images of a contrast among some channels, and their times."""
    times = dict(zip(protocol.images_of(contrast.name), contrast.times_ms, strict=True))
    own = [k for k, channel in enumerate(channels) if channel in times]
    return own, [times[channels[k]] for k in own]


def _fit(
    model: SignalModel,
    images: Float[Tensor, "batch image *space"],
    inputs: Float[Tensor, "batch image"],
    times: Float[Tensor, " image"],
    bounds: Bounds,
) -> tuple[Float[Tensor, "batch *space"], Float[Tensor, "batch *space"]]:
    if isinstance(model, ExponentialDecay):
        return _log_linear(model, images, inputs, times, bounds)
    return _best_of_grid(model, images, inputs, times, bounds)


def _log_linear(
    model: ExponentialDecay,
    images: Float[Tensor, "batch image *space"],
    inputs: Float[Tensor, "batch image"],
    times: Float[Tensor, " image"],
    bounds: Bounds,
) -> tuple[Float[Tensor, "batch *space"], Float[Tensor, "batch *space"]]:
    """Fit a line to the logarithms of a decay, weighted by squared signals."""
    signal = images.clamp(min=_DARKEST)
    weight = einsum(signal.square(), inputs, "batch image ..., batch image -> batch image ...")
    total = reduce(weight, "batch image ... -> batch ...", "sum").clamp(min=_DARKEST**2)
    log, u = torch.log(signal), model.coordinate(times)
    mean_u = einsum(weight, u, "batch image ..., image -> batch ...") / total
    mean_log = reduce(weight * log, "batch image ... -> batch ...", "sum") / total
    u = u.reshape(-1, *(1,) * (images.ndim - 2)) - rearrange(mean_u, "batch ... -> batch 1 ...")
    square = reduce(weight * u.square(), "batch image ... -> batch ...", "sum")
    rate = -reduce(weight * u * log, "batch image ... -> batch ...", "sum") / square.clamp(min=_DARKEST**2)
    slowest, fastest = sorted(model.rate(rate.new_tensor(bounds)).tolist())
    rate = rate.clamp(slowest, fastest)
    return model.from_rate(rate), torch.exp(mean_log + rate * mean_u)


def _best_of_grid(
    model: SignalModel,
    images: Float[Tensor, "batch image *space"],
    inputs: Float[Tensor, "batch image"],
    times: Float[Tensor, " image"],
    bounds: Bounds,
) -> tuple[Float[Tensor, "batch *space"], Float[Tensor, "batch *space"]]:
    """Take the best of a grid over log T, its amplitude projected; then the best of a finer one around it."""
    low, high = (math.log(bound) for bound in bounds)
    shape = (images.shape[0], *images.shape[2:])
    x = images.new_full(shape, low)
    most, m0 = torch.zeros_like(x), torch.zeros_like(x)
    moments = rearrange(times, f"image -> image{' 1' * (images.ndim - 2)}")

    def try_out(candidate: Float[Tensor, "batch *space"]) -> None:
        nonlocal x, most, m0
        basis = model.basis(rearrange(torch.exp(candidate), "batch ... -> batch 1 ..."), moments)
        basis = einsum(basis, inputs, "batch image ..., batch image -> batch image ...")
        projection = reduce(images * basis, "batch image ... -> batch ...", "sum")
        square = reduce(basis.square(), "batch image ... -> batch ...", "sum").clamp(min=_DARKEST**2)
        explained = projection.clamp(min=0).square() / square
        better = explained > most
        x, m0 = torch.where(better, candidate, x), torch.where(better, projection / square, m0)
        most = torch.where(better, explained, most)

    step = (high - low) / (_GRID - 1)
    for k in range(_GRID):
        try_out(torch.full_like(x, low + k * step))
    around = x
    for part in (-0.75, -0.5, -0.25, 0.25, 0.5, 0.75):
        try_out((around + part * step).clamp(low, high))
    return torch.exp(x), m0


def _smooth(images: Tensor, width: float) -> Tensor:
    """Smooth along each axis of space, edges repeated."""
    for axis in range(2, images.ndim):
        # A product of matrices: several times faster than a convolution, whose only channel leaves it nothing to do.
        smoothing = _gaussian(images.shape[axis], width).to(images)
        images = (images.movedim(axis, -1) @ smoothing.T).movedim(-1, axis)
    return images


@lru_cache(maxsize=64)
def _gaussian(size: int, width: float) -> Tensor:
    """Make the matrix that smooths a line of so many voxels."""
    reach = math.ceil(_WIDEST * width)
    offsets = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (offsets / width) ** 2)
    targets = (torch.arange(size)[:, None] + offsets).clamp(0, size - 1)
    return torch.zeros(size, size).scatter_add_(1, targets, (kernel / kernel.sum()).expand(size, -1))
