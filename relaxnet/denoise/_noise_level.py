"""Noise level of images, from differences of neighbouring voxels."""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

_MEDIAN = 0.6745  # of the absolute value of a standard normal number


def image_noise(images: Float[Tensor, "slice image *space"]) -> Float[Tensor, " slice"]:
    r"""Estimate the noise level of images from differences of neighbouring voxels.

    The diagonal Haar coefficient of four neighbours, :math:`(a - b - c + d)/2`, removes constants, slopes and edges
    along the axes, and has the standard deviation of the noise. The median of its absolute value is taken over tissue,
    because magnitude noise is smaller in air. Fine texture counts as noise.

    Parameters
    ----------
    images
        Images of each slice. What is NaN is left out.

    Returns
    -------
    Tensor
        Standard deviation of the noise of each slice: the smallest one among its images; infinite where
        there is no signal.

    References
    ----------
    Donoho and Johnstone, *Ideal spatial adaptation by wavelet shrinkage*, Biometrika 81:425 (1994).
    """
    falls = images[..., :-1, :] - images[..., 1:, :]
    rough = (falls[..., :-1] - falls[..., 1:]).abs()
    level = rearrange(root_mean_square(images), f"slice -> slice{' 1' * (images.ndim - 1)}")
    rough = rough.where(images[..., :-1, :-1].abs() > level, float("nan"))
    medians = rearrange(rough, "slice image ... -> slice image (...)").nanmedian(dim=-1)
    return medians.values.nan_to_num(float("inf")).amin(1) / (2 * _MEDIAN)


def root_mean_square(images: Float[Tensor, "slice image *space"]) -> Float[Tensor, " slice"]:
    """Compute the root mean square of all images of each slice.

    Parameters
    ----------
    images
        Images of each slice. What is NaN is left out.

    Returns
    -------
    Tensor
        One number for each slice.
    """
    return rearrange(images, "slice ... -> slice (...)").square().nanmean(1).sqrt()
