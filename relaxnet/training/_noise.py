"""The noise level of images, from how each voxel differs from its neighbours."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

_MEDIAN = 0.6745  # of the absolute value of a standard normal number


def image_noise(images: Float[Tensor, "slice image *space"]) -> Float[Tensor, " slice"]:
    r"""Estimate how noisy images are, from how each voxel differs from its neighbours.

    The diagonal Haar coefficient of four neighbours, :math:`(a - b - c + d)/2`, takes away constants, slopes and edges
    along the axes, and leaves the noise as it is. The median of its absolute value is that of tissue, since air, whose
    noise is another, is left out. Fine texture counts as noise.

    Parameters
    ----------
    images
        Images of each slice.

    Returns
    -------
    Tensor
        Standard deviation of the noise: of each slice, that of the image where it is smallest.

    References
    ----------
    Donoho and Johnstone, *Ideal spatial adaptation by wavelet shrinkage*, Biometrika 81:425 (1994).
    """
    above, below = images[..., :-1, :], images[..., 1:, :]
    rough = (above[..., :-1] - above[..., 1:] - below[..., :-1] + below[..., 1:]).abs() / 2
    level = rearrange(root_mean_square(images), f"slice -> slice{' 1' * (images.ndim - 1)}")
    tissue = above[..., :-1].abs() > level
    medians = rearrange(torch.where(tissue, rough, torch.nan), "slice image ... -> slice image (...)").nanmedian(dim=-1)
    return medians.values.nan_to_num(torch.inf).amin(1) / _MEDIAN


def root_mean_square(images: Float[Tensor, "slice image *space"]) -> Float[Tensor, " slice"]:
    """Compute the root mean square of all images of each slice.

    Parameters
    ----------
    images
        Images of each slice.

    Returns
    -------
    Tensor
        One number a slice.
    """
    return rearrange(images, "slice ... -> slice (...)").square().mean(1).sqrt()
