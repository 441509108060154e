"""Normalisation: the number that the images of a subject are divided by."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def subject_scale(
    images: Float[Tensor, "batch image *space"], counted: Bool[Tensor, "batch image *space"]
) -> Float[Tensor, "batch 1 *_"]:
    """Compute the root mean square over all images and voxels of each subject.

    Parameters
    ----------
    images
        Images, zero where they are not counted.
    counted
        Values that count.

    Returns
    -------
    Tensor
        One number for each subject, positive; 1 where all values are zero.
    """
    over = tuple(range(1, images.ndim))
    tiny = torch.finfo(images.dtype).tiny
    peak = images.abs().amax(over, keepdim=True)
    # Squares of very large or small numbers overflow or underflow; squares of fractions of the peak do not.
    fractions = images / torch.where(peak > 0, peak, 1)
    share = counted.byte().to(images.dtype).mean(over, keepdim=True)
    mean_square = fractions.square().mean(over, keepdim=True) / share.clamp(min=tiny)
    # The gradient of a square root is infinite at zero, so an image of zeros needs the clamp.
    scale = peak * mean_square.clamp(min=tiny).sqrt()
    return torch.where(peak > 0, scale.clamp(min=tiny), 1)
