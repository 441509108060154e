"""Volumes on another grid: only where it was asked for, since interpolation changes values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet.errors import require
from relaxnet.io._header import AFFINE_TOLERANCE
from relaxnet.io._image import Image
from relaxnet.io._read import Scan


def same_grid(one: Image | Scan, other: Image | Scan) -> bool:
    """Return whether two images have as many voxels in space, and in the same places."""
    same: bool = np.allclose(one.affine, other.affine, rtol=0, atol=AFFINE_TOLERANCE)
    return same and one.data.shape[:3] == other.data.shape[:3]


def on_grid_of(like: Image | Scan, image: Image | Scan, *, nearest: bool = False) -> NDArray[Any]:
    """Return the voxels (x, y, z, ...) of an image on the grid of another, resampled if its own is another one.

    Images are interpolated linearly and are NaN outside of what was acquired; labels are taken from the ``nearest``
    voxel, and are 0 outside.
    """
    if same_grid(like, image):
        return image.data
    processing = require("nibabel.processing", extra="io")
    nifti = require("nibabel", extra="io").Nifti1Image
    shape, values = like.data.shape[:3], image.data
    volumes = values.reshape(*values.shape[:3], -1, order="F")
    out = np.empty((*shape, volumes.shape[3]), values.dtype, order="F")
    for k in range(volumes.shape[3]):
        one = nifti(np.asarray(volumes[..., k], np.float64), image.affine)
        outside = 0 if nearest else np.nan
        moved = processing.resample_from_to(one, (shape, like.affine), order=0 if nearest else 1, cval=outside)
        out[..., k] = np.asarray(moved.dataobj)
    return out.reshape((*shape, *values.shape[3:]), order="F")
