"""Volumes on another grid: only where it was asked for, since interpolation changes values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet.errors import require


def resampled(
    values: NDArray[Any], affine: NDArray[np.float64], *, to: NDArray[np.float64], shape: tuple[int, ...], nearest: bool
) -> NDArray[Any]:
    """Resample volumes (x, y, z, ...) from the grid of one affine to that of another.

    Images are interpolated linearly and are NaN outside of what was acquired; labels are taken from the ``nearest``
    voxel, and are 0 outside.
    """
    processing = require("nibabel.processing", extra="io")
    image = require("nibabel", extra="io").Nifti1Image
    volumes = values.reshape(*values.shape[:3], -1, order="F")
    out = np.empty((*shape, volumes.shape[3]), values.dtype, order="F")
    for k in range(volumes.shape[3]):
        one = image(np.asarray(volumes[..., k], np.float64), affine)
        outside = 0 if nearest else np.nan
        moved = processing.resample_from_to(one, (shape, to), order=0 if nearest else 1, cval=outside)
        out[..., k] = np.asarray(moved.dataobj)
    return out.reshape((*shape, *values.shape[3:]), order="F")
