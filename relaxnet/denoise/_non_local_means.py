"""Non-local means: the mean of patches that are alike in all images."""

from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from relaxnet._images import Dim, images_like, opens_images
from relaxnet._numbers import real
from relaxnet.denoise._slices import Slices, by_slices
from relaxnet.errors import require


@opens_images(images_like)
def non_local_means(
    images: Any,
    sigma: float | None = None,
    *,
    strength: float = 1.0,
    dim: Dim = 1,
    plane: tuple[int, int] | None = None,
) -> Any:
    """Denoise images by non-local means: patches count as alike where they are alike in all images.

    It is that of scikit-image, with patches of 5 x 5 voxels within a window of 19 x 19.

    Parameters
    ----------
    images
        Real images that were acquired one after another, (batch, image, ..., row, column) by default.
    sigma
        Their noise level; by default that of each slice is estimated from differences between neighbours.
    strength
        How different patches may be, in units of the noise level. The larger, the smoother; 0 changes nothing.
    dim
        The axis of ``images`` along which they follow one another.
    plane
        The axes of a slice, in which patches lie: by default the last two axes, or the first two where ``dim`` is the
        last one, as in NIfTI files.

    Returns
    -------
    array or Tensor
        Images of the same kind and shape; integers become float32. A voxel of which an image is not finite is NaN in
        all of them; its neighbours see the nearest whole voxel in its place.

    Raises
    ------
    ValueError
        If an argument is out of its range, or if the noise level is not given and cannot be estimated.
    DtypeError
        If the images are not made of real numbers.
    MissingExtraError
        If scikit-image is not installed.

    References
    ----------
    Buades, Coll and Morel, *A non-local algorithm for image denoising*, CVPR 2:60 (2005).

    Examples
    --------
    >>> subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=20)[0]
    >>> alike = rx.denoise.non_local_means(subject.images, strength=1.0)
    >>> error, before = ((some - subject.clean)[:, :, subject.roi[0]].std() for some in (alike, subject.images))
    >>> bool(error < 0.7 * before)
    True
    """
    width = real(strength, "strength", lambda number: number >= 0, "give 0 or more, such as 1")
    return by_slices(images, sigma, dim, plane, partial(_denoise, strength=width))


def _denoise(slices: Slices, sigma: Float[Tensor, " slice"], strength: float) -> Slices:
    if strength == 0:
        return slices
    restoration = require("skimage.restoration", extra="experiments")
    out = []
    for images, level in zip(slices.cpu().numpy(), sigma.tolist(), strict=True):
        missing = np.isnan(images[0])
        if missing.all():
            out.append(images)
            continue
        nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
        options = {"patch_size": 5, "patch_distance": 9, "h": strength * level, "sigma": level, "channel_axis": 0}
        out.append(restoration.denoise_nl_means(images[(slice(None), *nearest)], **options))
    return torch.from_numpy(np.stack(out)).to(slices)
