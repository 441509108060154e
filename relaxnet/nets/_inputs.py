"""What a network is shown of the images."""

import math
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.protocol import Protocol

_DARKEST = 1e-6  # of a subject's scale: the logarithm needs something above zero
_WIDEST = 3.0  # standard deviations of a Gaussian, beyond which it is cut


def slots(
    protocol: Protocol, images: Float[Tensor, "batch image *space"], mask: Bool[Tensor, "batch image *ones"]
) -> Float[Tensor, "batch slot *space"]:
    """Lay the seen images out in the same way whatever they are.

    An image has a channel by what it is for: the first of its contrast, or a later one. Were it by its number, each
    input set would leave other channels empty, and a network would learn each set from the beginning.

    Parameters
    ----------
    protocol
        What was acquired.
    images
        All images of the protocol, zero where they are not seen.
    mask
        Which are seen.

    Returns
    -------
    Tensor
        The first images (the shared one once); then for each contrast the mean of its later images that are seen, and
        the mean of their times as a part of the longest; zero for what there is not.
    """
    seen = mask.to(images.dtype)
    ones = (1,) * (images.ndim - 2)
    first = sorted({protocol.images_of(name)[0] for name in protocol.names})
    found = [images[:, first]]
    for contrast in protocol.contrasts:
        later = list(protocol.images_of(contrast.name)[1:])
        times = images.new_tensor(contrast.times_ms[1:]).reshape(-1, *ones) / contrast.times_ms[-1]
        n = seen[:, later].sum(1, keepdim=True).clamp(min=1)
        found.append(images[:, later].sum(1, keepdim=True) / n)
        found.append(((seen[:, later] * times).sum(1, keepdim=True) / n).expand_as(found[-1]))
    return torch.cat(found, dim=1)


def hint(
    protocol: Protocol,
    channels: tuple[int, ...],
    images: Float[Tensor, "batch image *space"],
    mask: Bool[Tensor, "batch image *ones"],
    bounds_ms: tuple[float, float],
    width: float,
) -> tuple[Float[Tensor, "batch task *space"], Float[Tensor, "batch 1 *space"]]:
    r"""Read relaxation times and amplitude off the images: noisy ones, but nearer to the answer than images are.

    It is the log-linear fit, weighted by squared signals, of each voxel of smoothed images.

    Parameters
    ----------
    protocol
        What was acquired.
    channels
        Which channels of a stack the images are.
    images
        Images, about 1, zero where they are not seen.
    mask
        Which are seen.
    bounds_ms
        Shortest and longest relaxation time.
    width
        Standard deviation in voxels of the Gaussian by which the images are smoothed; 0 for none.

    Returns
    -------
    tuple
        Logarithms of relaxation times, -1 for the shortest and 1 for the longest; 0 where fewer than two images of a
        contrast are seen. And the amplitude at time zero, the mean over the other contrasts; 1 where there is none.
    """
    low, high = bounds_ms
    if width > 0:
        images = _smoothed(images, width)
    ones = (1,) * (images.ndim - 2)
    logs, amplitudes, knowns = [], [], []
    for contrast in protocol.contrasts:
        times = dict(zip(protocol.images_of(contrast.name), contrast.times_ms, strict=True))
        own = [k for k, channel in enumerate(channels) if channel in times]
        t = images.new_tensor([times[channels[k]] for k in own]).reshape(-1, *ones)
        signal = images[:, own].clamp(min=_DARKEST)
        weight = signal.square() * mask[:, own]
        total = weight.sum(1, keepdim=True).clamp(min=_DARKEST**2)
        log = torch.log(signal)
        mean_t, mean_log = ((weight * x).sum(1, keepdim=True) / total for x in (t, log))
        t = t - mean_t
        square = (weight * t.square()).sum(1, keepdim=True)
        rate = -(weight * t * log).sum(1, keepdim=True) / square.clamp(min=_DARKEST**2)
        rate = rate.clamp(1 / high, 1 / low)
        known = mask[:, own].sum(1, keepdim=True) > 1
        logs.append(torch.where(known, 2 * (-torch.log(rate) - math.log(low)) / math.log(high / low) - 1, 0))
        amplitudes.append(torch.where(known, torch.exp(mean_log + rate * mean_t), 0))
        knowns.append(known)
    n = torch.stack(knowns).sum(0)
    amplitude = torch.where(n > 0, torch.stack(amplitudes).sum(0) / n.clamp(min=1), 1)
    return torch.cat(logs, dim=1), amplitude


def _smoothed(images: Tensor, width: float) -> Tensor:
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
