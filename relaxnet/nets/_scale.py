"""The number that a subject's images are divided by."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def subject_scale(
    images: Float[Tensor, "batch image *space"], counted: Bool[Tensor, "batch image *space"]
) -> Float[Tensor, "batch 1 *_"]:
    """Take the root mean square over all images and voxels of a subject.

    Parameters
    ----------
    images
        Images, zero where they are not counted.
    counted
        Which values count.

    Returns
    -------
    Tensor
        One number a subject, above zero; 1 where all values are zero.
    """
    over = tuple(range(1, images.ndim))
    tiny = torch.finfo(images.dtype).tiny
    peak = images.abs().amax(over, keepdim=True)
    # Squares of large or small numbers overflow or vanish; those of fractions of the largest do neither.
    fractions = images / torch.where(peak > 0, peak, 1)
    share = counted.to(images.dtype).mean(over, keepdim=True)
    mean_square = fractions.square().mean(over, keepdim=True) / share.clamp(min=tiny)
    # The clamp spares an image of zeros the gradient of a root at zero, which is infinite.
    scale = peak * mean_square.clamp(min=tiny).sqrt()
    return torch.where(peak > 0, scale.clamp(min=tiny), 1)
