"""Spatial axes of images."""

from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional


def over_space(values: Shaped[Tensor, "*axes"], dims: int) -> Shaped[Tensor, "*axes_ones"]:
    """Append spatial axes of length 1, so that values broadcast against images.

    Parameters
    ----------
    values
        Values without spatial axes.
    dims
        Number of spatial axes.

    Returns
    -------
    Tensor
        The values with spatial axes.
    """
    return rearrange(values, f"... -> ...{' 1' * dims}")


def pad(images: Float[Tensor, "batch channel *space"], multiple: int) -> Float[Tensor, "batch channel *padded"]:
    """Pad images at the far edges, by repeating the edge, until their sides are multiples of a number.

    Parameters
    ----------
    images
        Images in two or three dimensions.
    multiple
        The number.

    Returns
    -------
    Tensor
        The padded images; the images themselves if no padding is needed.
    """
    missing = [-side % multiple for side in images.shape[2:]]
    if not any(missing):
        return images
    ends = [end for lacking in reversed(missing) for end in (0, lacking)]
    return functional.pad(images, ends, mode="replicate")


def crop(images: Float[Tensor, "batch channel *padded"], sides: tuple[int, ...]) -> Float[Tensor, "batch channel *_"]:
    """Undo :func:`pad`.

    Parameters
    ----------
    images
        Padded images.
    sides
        Sides before the padding.

    Returns
    -------
    Tensor
        Images of these sides.
    """
    return images[tuple(slice(side) for side in (*images.shape[:2], *sides))]


def axes(dims: int) -> str:
    """Return the names of the spatial axes, for messages.

    Parameters
    ----------
    dims
        Number of spatial axes, 2 or 3.

    Returns
    -------
    str
        Their names, in order.
    """
    return ("depth, " if dims == 3 else "") + "height, width"
