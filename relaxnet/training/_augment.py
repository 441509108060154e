"""Random rotations, translations and reflections of a batch."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


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
