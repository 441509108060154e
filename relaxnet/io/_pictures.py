"""Turning volumes the way that pictures of patients are shown."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.errors import require
from relaxnet.io._read import Scan


def as_pictures(volume: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[Any]:
    """Turn a volume into slices as radiologists look at them: from the feet, the front, or the left.

    The slices stay those of the file, along z. Within them the patient's right or front is at the left of the picture,
    and the front or the head at the top, however the file stores them.

    Parameters
    ----------
    volume
        Voxels, (x, y, z).
    affine
        From voxel numbers to mm, (4, 4).

    Returns
    -------
    numpy.ndarray
        A view of the voxels, (slice, row, column), the first row at the top.

    Examples
    --------
    In a file whose axes point to the right, the front and the head, the last voxel is the one at the top left:

    >>> volume = np.arange(6).reshape(3, 2, 1)
    >>> rx.io.as_pictures(volume, np.eye(4))[0]
    array([[5, 3, 1],
           [4, 2, 0]])
    """
    orientations = require("nibabel.orientations", extra="io")
    axes, signs = orientations.io_orientation(affine).T  # which of R, A and S each axis follows
    turned = volume[:: -1 if signs[0] > 0 else 1, :: -1 if signs[1] > 0 else 1]
    columns, rows = (0, 1) if axes[0] < axes[1] else (1, 0)
    return turned.transpose(2, rows, columns)


def as_slices(scan: Scan) -> Tensor:
    """Turn a scan into what networks take, slices as :func:`as_pictures` turns them.

    Parameters
    ----------
    scan
        What :func:`read_nifti` returned.

    Returns
    -------
    Tensor
        Images (slice, image, row, column), float32.

    Examples
    --------
    >>> from pathlib import Path
    >>> scan = rx.io.Scan(Path("scan.nii.gz"), np.ones((4, 3, 2, 7)), np.eye(4), 1)
    >>> rx.io.as_slices(scan).shape
    torch.Size([2, 7, 3, 4])
    """
    images = [as_pictures(scan.data[..., k], scan.affine) for k in range(scan.data.shape[3])]
    return torch.from_numpy(np.stack(images, axis=1).astype(np.float32, copy=False))


def from_slices(values: Tensor, scan: Scan) -> NDArray[Any]:
    """Turn a map (slice, row, column) back onto the grid of the scan, (x, y, z)."""
    turned = values.detach().cpu().numpy()
    volume = np.empty(scan.data.shape[:3], turned.dtype)
    as_pictures(volume, scan.affine)[...] = turned  # a view
    return volume
