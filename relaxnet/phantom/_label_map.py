"""From a label map to tissues and a region of interest on the fine grid."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from einops import rearrange, repeat
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.random_fields import Array
from relaxnet.phantom._partial_volume import FINE, whole_voxels
from relaxnet.phantom._simulate import LabelSlice
from relaxnet.phantom._tissues import Tissue

_MARGIN_MM = 5.0

Labels = NDArray[np.integer[Any]]
Table = Mapping[int, Tissue | int]
Millimetres = tuple[float, float, float]


class FineMap:
    """A label map on the fine grid: tissues, region of interest and positions.

    Raises a ValueError if a label is not in the table, a length is not positive, or no liver is left.
    """

    def __init__(self, labels: Labels, voxel_mm: Millimetres, table: Table, *, partial_volume: bool) -> None:
        tissues = _tissues(labels, table)
        if [0 < length < math.inf for length in voxel_mm] != [True] * 3:
            raise ValueError(f"voxel_mm={voxel_mm}: give the distance between slices, rows and columns in mm.")
        between, row, column = (float(length) for length in voxel_mm)
        if partial_volume:
            height, width = (side - side % FINE for side in tissues.shape[1:])
            self.tissues = tissues[:, :height, :width]
            self.voxel_mm = between, FINE * row, FINE * column
        else:
            self.tissues = repeat(tissues, "slice height width -> slice (height a) (width b)", a=FINE, b=FINE)
            self.voxel_mm = between, row, column
        self.step_mm = self.voxel_mm[1] / FINE, self.voxel_mm[2] / FINE  # between rows and columns of points
        from scipy.ndimage import distance_transform_edt  # noqa: PLC0415 (it takes long to import, and files need it not)

        liver = np.pad(self.tissues == Tissue.LIVER, ((0, 0), (1, 1), (1, 1)))
        depth = np.stack([distance_transform_edt(points, sampling=self.step_mm)[1:-1, 1:-1] for points in liver])
        self.roi = depth > _MARGIN_MM
        if not whole_voxels(self.roi).any():
            raise ValueError(
                f"labels hold no liver that is left without a margin of {_MARGIN_MM:g} mm: check the table."
            )

    def slices(self) -> Iterator[LabelSlice]:
        """Yield the slices with their positions in mm from the middle of the body."""
        down = _from_middle(np.any(self.tissues, axis=(0, 2)), self.step_mm[0])
        right = _from_middle(np.any(self.tissues, axis=(0, 1)), self.step_mm[1])
        x, y = rearrange(right, "width -> 1 width"), -rearrange(down, "height -> height 1")  # y is positive in front
        for k, (tissues, roi) in enumerate(zip(self.tissues, self.roi, strict=True)):
            yield LabelSlice(tissues, roi, x, y, (k - (len(self.tissues) - 1) / 2) * self.voxel_mm[0])


def _tissues(labels: Labels, table: Table) -> NDArray[np.uint8]:
    """Look up the tissue of each voxel."""
    if labels.ndim != 3 or labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype} of shape {labels.shape}: whole numbers (slice, row, column).")
    found, where = np.unique(labels, return_inverse=True)
    if unknown := [int(label) for label in found if int(label) not in table]:
        raise ValueError(f"labels hold {unknown}, which table lacks: give each of them a Tissue; 0 is often air.")
    tissue_of_found = np.array([Tissue(table[int(label)]) for label in found], dtype=np.uint8)
    return tissue_of_found[where].reshape(labels.shape)


def _from_middle(inside: NDArray[np.bool_], step_mm: float) -> Array:
    """Return the positions of rows or columns in mm from the middle of the body."""
    body = np.flatnonzero(inside)
    middle = (body[0] + body[-1]) / 2 if body.size else (len(inside) - 1) / 2
    positions: Array = (np.arange(len(inside)) - middle) * step_mm
    return positions
