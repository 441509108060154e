"""Images in which borders are seen: with little noise."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.denoise._low_rank import keep_patterns

_SLICES = {
    1: ("image batch column", "batch image 1 column"),
    2: ("image batch row column", "batch image row column"),
    3: ("image batch depth row column", "(batch depth) image row column"),
}
_WIDTHS = {1: 25, 2: 5, 3: 5}  # patches of 25 voxels


def guide(
    images: Float[Tensor, "image batch *space"],
    noise: Float[Tensor, "image batch *space"],
    inside: Bool[Tensor, "batch *space"],
) -> Float[Tensor, "image batch *space"]:
    """Take most of the noise off images, by local low rank in each slice.

    Parameters
    ----------
    images
        The images, with what is expected where a sample is missing.
    noise
        Standard deviation of their noise.
    inside
        The voxels that take part.

    Returns
    -------
    Tensor
        The images, 0 outside.
    """
    n_axes = inside.ndim - 1
    whole, slices = _SLICES[n_axes]
    white = rearrange(torch.where(inside, images / noise, torch.nan), f"{whole} -> {slices}")
    kept = keep_patterns(white, white.new_ones(len(white)), width=_WIDTHS[n_axes])
    back = rearrange(kept, f"{slices} -> {whole}", batch=images.shape[1])
    return torch.where(inside, back * noise, 0)
