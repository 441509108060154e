"""Masks of values that are there. Bytes are combined and reduced ten times faster than Booleans on a processor."""

from jaxtyping import Bool, UInt8
from torch import Tensor


def images_with_values(there: Bool[Tensor, "batch image *space"]) -> Bool[Tensor, "batch image"]:
    """Find the images that have a value anywhere.

    Parameters
    ----------
    there
        Values that are there.

    Returns
    -------
    Tensor
        A mask of images.
    """
    return there.byte().flatten(2).amax(-1).bool()


def complete(
    there: Bool[Tensor, "batch image *space"], needed: Bool[Tensor, "batch image"]
) -> UInt8[Tensor, "batch *space"]:
    """Find the voxels where no needed image lacks a value.

    Parameters
    ----------
    there
        Values that are there.
    needed
        Images that are needed.

    Returns
    -------
    Tensor
        1 for these voxels, 0 for others.
    """
    others = (~needed).byte().view(*needed.shape, *(1 for _ in there.shape[2:]))
    return (there.byte() | others).amin(1)
