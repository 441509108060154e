"""Volumes in the orientation of radiological pictures."""

from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.errors import require
from relaxnet.io._read import Scan


def as_pictures(volume: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[Any]:
    """Turn a volume into slices in radiological orientation: seen from the feet, the front, or the left.

    The slices are those of the file, along z. Within them the patient's right or front is at the left of the picture,
    and the front or the head at the top, in whatever orientation the file stores them.

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
    In a file whose axes point to the right, the front and the head, the last voxel is at the top left:

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
    """Turn a scan into the input of a network: slices in the orientation of :func:`as_pictures`.

    Parameters
    ----------
    scan
        Scan, as :func:`read_nifti` returns it.

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
    slices = rearrange(images, "image slice row column -> slice image row column")
    return torch.from_numpy(slices.astype(np.float32, copy=False))


def from_slices(values: Tensor, scan: Scan) -> NDArray[Any]:
    """Turn a map (slice, row, column) back into the grid of a scan, (x, y, z)."""
    turned = values.detach().cpu().numpy()
    volume = np.empty(scan.data.shape[:3], turned.dtype)
    as_pictures(volume, scan.affine)[...] = turned  # a view
    return volume
