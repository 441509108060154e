"""Random rotations, translations and reflections of a batch, and other relaxation rates."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from relaxnet.protocol import Protocol

_SLOWEST = 1e-3  # rate in 1/ms


def random_affine(
    images: Float[Tensor, "batch image height width"],
    *,
    max_degrees: float,
    max_shift: float,
    generator: torch.Generator,
) -> Float[Tensor, "batch image height width"]:
    """Rotate and translate each subject's images, all of them alike.

    Parameters
    ----------
    images
        Images; those of one subject must stay aligned.
    max_degrees
        Largest rotation either way.
    max_shift
        Largest translation either way, as a fraction of the image.
    generator
        Source of random numbers on the processor.

    Returns
    -------
    Tensor
        Images of the same shape, interpolated bilinearly; what comes in from outside mirrors the border.
    """
    n, _, height, width = images.shape
    angle, down, right = (torch.rand(3, n, generator=generator) * 2 - 1).to(images)
    angle = angle * math.radians(max_degrees)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # In the coordinates of affine_grid both sides have length 2, so a rotation of pixels needs the aspect ratio.
    aspect = width / height
    rows = (cos, -sin / aspect, 2 * max_shift * right, sin * aspect, cos, 2 * max_shift * down)
    matrix = torch.stack(rows, dim=1).reshape(n, 2, 3)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def random_flip(
    images: Float[Tensor, "batch image height width"], *, generator: torch.Generator
) -> Float[Tensor, "batch image height width"]:
    """Mirror half of the subjects left to right, and half of them top to bottom.

    Parameters
    ----------
    images
        Images; those of one subject must stay aligned.
    generator
        Source of random numbers on the processor.

    Returns
    -------
    Tensor
        Images of the same shape, not interpolated.
    """
    for axis in (-1, -2):
        chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
        images = torch.where(chosen.reshape(-1, 1, 1, 1), images.flip(axis), images)
    return images


def faster(
    images: Float[Tensor, "batch image *space"],
    shifts: Float[Tensor, "batch task"],
    protocol: Protocol,
    channels: tuple[int, ...],
) -> Float[Tensor, "batch image *space"]:
    r"""Make images of tissue whose relaxation rates are higher, out of what they are.

    .. math:: S_k e^{-\delta t_k} = M_0 e^{-(R + \delta) t_k}

    This holds for any mono-exponential tissue, so no label is needed. The noise of an image changes with it.

    Parameters
    ----------
    images
        Images.
    shifts
        By how much, in 1/ms, for each contrast.
    protocol
        What was acquired.
    channels
        Which channels of a stack the images are.

    Returns
    -------
    Tensor
        Images of the same shape. An image that contrasts share is at time zero and stays as it is.
    """
    exponent = torch.zeros(images.shape[:2], dtype=images.dtype, device=images.device)
    for task, contrast in enumerate(protocol.contrasts):
        for channel, time in zip(protocol.images_of(contrast.name), contrast.times_ms, strict=True):
            if channel in channels:
                exponent[:, channels.index(channel)] = -shifts[:, task] * time
    return images * torch.exp(exponent).reshape(*exponent.shape, *(1,) * (images.ndim - 2))


def slower(
    maps_ms: Float[Tensor, "batch task *space"], shifts: Float[Tensor, "batch task"]
) -> Float[Tensor, "batch task *space"]:
    """Undo :func:`faster` in maps.

    Parameters
    ----------
    maps_ms
        Relaxation times in ms, of the changed images.
    shifts
        What was given to :func:`faster`.

    Returns
    -------
    Tensor
        Relaxation times of the images as they were; where none is left, the longest, 1 s.
    """
    rates = 1 / maps_ms - shifts.reshape(*shifts.shape, *(1,) * (maps_ms.ndim - 2))
    return 1 / rates.clamp(min=_SLOWEST)
