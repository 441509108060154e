"""Gaussian smoothing of images."""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

_WIDEST = 3.0  # standard deviations at which a Gaussian is cut off
_BLOCK = 32  # voxels of a line that are smoothed at once


def smooth(images: Float[Tensor, "batch image *space"], width: float) -> Float[Tensor, "batch image *space"]:
    """Smooth along each spatial axis by a Gaussian, with repeated edges.

    Parameters
    ----------
    images
        The images.
    width
        Standard deviation of the Gaussian in voxels, positive.

    Returns
    -------
    Tensor
        The smoothed images.
    """
    reach, last = math.ceil(_WIDEST * width), images.ndim - 1
    for axis in range(2, images.ndim):
        # Products of matrices are several times faster than a convolution of a single channel; those of blocks need
        # not multiply by the zeros beyond the reach of the Gaussian.
        size = images.shape[axis]
        smoothing = _gaussian(size, width).to(images)
        lines = images if axis == last else images.flatten(axis + 1)
        blocks = []
        for first in range(0, size, _BLOCK):
            begin, end = max(first - reach, 0), min(first + _BLOCK + reach, size)
            part = smoothing[first : first + _BLOCK, begin:end]
            blocks.append(lines[..., begin:end] @ part.T if axis == last else part @ lines[..., begin:end, :])
        images = torch.cat(blocks, dim=-1 if axis == last else -2).view(images.shape)
    return images


def _gaussian(size: int, width: float) -> Tensor:
    """Return the matrix that smooths a line of voxels; one that is kept would outlive the tracing of a graph."""
    reach = math.ceil(_WIDEST * width)
    offsets = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (offsets / width) ** 2)
    targets = (rearrange(torch.arange(size), "voxel -> voxel 1") + offsets).clamp(0, size - 1)
    return torch.zeros(size, size).scatter_add_(1, targets, (kernel / kernel.sum()).expand(size, -1))
