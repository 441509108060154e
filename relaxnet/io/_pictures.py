"""Turning volumes the way that pictures of patients are shown."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._errors import require


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
