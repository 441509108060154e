"""Subjects whose anatomy is not the phantom's own: that of a real abdomen, segmented."""

from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange

from relaxnet.experiments._harness.data import data_file
from relaxnet.phantom import TOTALSEGMENTATOR_CT, LabelMapCohort, label_map_cohort

_FILE = "totalseg_abdomen_ct_labels.npz"
_FIELD_OF_VIEW_MM = 384.0  # width of the phantom's images
_FINE = 2  # labels along the side of a voxel


def label_map_file() -> Path | None:
    """Find the label map.

    Returns
    -------
    Path or None
        The file; ``None`` where there is none.
    """
    return data_file(_FILE)


def abdomen_cohort(
    *, slices: int, shape: tuple[int, int], pixel_mm: float | None = None, **options: Any
) -> LabelMapCohort:
    """Make a cohort of subjects who share the anatomy of the label map.

    Parameters
    ----------
    slices
        Slices of each subject.
    shape, pixel_mm
        Height and width of the phantom's images, and the side of their pixels, which here is about the same.
    **options
        Other arguments of :func:`~relaxnet.phantom.label_map_cohort`.

    Returns
    -------
    LabelMapCohort
        The cohort.

    Raises
    ------
    FileNotFoundError
        If the label map is not there.
    """
    path = label_map_file()
    if path is None:
        raise FileNotFoundError(f"{_FILE} is not in the folder that RELAXNET_TEST_DATA names, nor in ../shared/data.")
    with np.load(path) as kept:
        labels, (row_mm, column_mm, slice_mm) = kept["labels"], [float(length) for length in kept["zoom_mm"]]
    step = max(round((pixel_mm or _FIELD_OF_VIEW_MM / max(shape)) / _FINE / row_mm), 1)
    chosen = [labels.shape[2] // 2 + 3 * (k - slices // 2) for k in range(slices)]
    some = rearrange(labels[::step, ::step, chosen], "row column slice -> slice row column")
    return label_map_cohort(
        np.ascontiguousarray(some).astype(np.int16),
        (3 * slice_mm, step * row_mm, step * column_mm),
        TOTALSEGMENTATOR_CT,
        partial_volume=True,
        **options,
    )
