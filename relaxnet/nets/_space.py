"""The axes of images that are space."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def pad(images: Float[Tensor, "batch channel *space"], multiple: int) -> Float[Tensor, "batch channel *padded"]:
    """Repeat the far edges of images until their sides are multiples of a number.

    Parameters
    ----------
    images
        Images in two or three dimensions.
    multiple
        What the sides become multiples of.

    Returns
    -------
    Tensor
        The padded images, or the images themselves where they fit.
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
    """Name the axes of space, for messages.

    Parameters
    ----------
    dims
        2 or 3.

    Returns
    -------
    str
        Their names, in order.
    """
    return ("depth, " if dims == 3 else "") + "height, width"
