"""Patients from label maps: any segmentation of an abdomen, painted with tissues as the procedural ones are."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from relaxnet.phantom._acquire import acquire
from relaxnet.phantom._anatomy.random_fields import Array
from relaxnet.phantom._appearance import Appearance
from relaxnet.phantom._more_values import check_protocol
from relaxnet.phantom._partial_volume import FINE, mix
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._tissues import FIELDS, Tissue
from relaxnet.protocol import Protocol
from relaxnet.protocols import LIVER_T1RHO_T2

_MARGIN_MM = 5.0

_ADDED = {200: Tissue.FAT, 201: Tissue.MUSCLE}  # by threshold, as no network labels them

TOTALSEGMENTATOR_MR: Mapping[int, Tissue] = MappingProxyType(
    {
        0: Tissue.AIR,
        1: Tissue.SPLEEN,
        2: Tissue.KIDNEY_CORTEX,
        3: Tissue.KIDNEY_CORTEX,
        4: Tissue.GALLBLADDER,
        5: Tissue.LIVER,
        6: Tissue.STOMACH_CONTENT,
        7: Tissue.PANCREAS,
        8: Tissue.PANCREAS,  # adrenals, which are glands
        9: Tissue.PANCREAS,
        10: Tissue.LUNG,
        11: Tissue.LUNG,
        13: Tissue.STOMACH,  # small bowel and duodenum, mostly wall
        14: Tissue.STOMACH,
        15: Tissue.BOWEL_CONTENT,
        19: Tissue.BONE_MARROW,
        20: Tissue.SPINAL_CORD,  # discs, whose T2 is nearest to it
        21: Tissue.SPINAL_CORD,
        23: Tissue.BLOOD,
        24: Tissue.BLOOD,
        25: Tissue.BLOOD,
        46: Tissue.MUSCLE,
        47: Tissue.MUSCLE,
        48: Tissue.MUSCLE,
        49: Tissue.MUSCLE,
        **_ADDED,
    }
)
"""Tissues of the labels of TotalSegmentator's task ``total_mr`` in the abdomen, and of 200, fat, and 201, other soft
tissue, which are to be added by threshold. What the phantom does not have is the nearest that it has."""

TOTALSEGMENTATOR_CT: Mapping[int, Tissue] = MappingProxyType(
    {
        0: Tissue.AIR,
        1: Tissue.SPLEEN,
        2: Tissue.KIDNEY_CORTEX,
        3: Tissue.KIDNEY_CORTEX,
        4: Tissue.GALLBLADDER,
        5: Tissue.LIVER,
        6: Tissue.STOMACH_CONTENT,
        7: Tissue.PANCREAS,
        8: Tissue.PANCREAS,  # adrenals
        9: Tissue.PANCREAS,
        **dict.fromkeys(range(10, 15), Tissue.LUNG),
        18: Tissue.STOMACH,  # small bowel and duodenum
        19: Tissue.STOMACH,
        20: Tissue.BOWEL_CONTENT,
        **dict.fromkeys(range(26, 51), Tissue.BONE_MARROW),  # vertebrae
        52: Tissue.BLOOD,
        63: Tissue.BLOOD,
        64: Tissue.BLOOD,
        69: Tissue.BONE_MARROW,
        70: Tissue.BONE_MARROW,
        79: Tissue.SPINAL_CORD,
        86: Tissue.MUSCLE,
        87: Tissue.MUSCLE,
        **dict.fromkeys(range(92, 117), Tissue.BONE_MARROW),  # ribs and sternum
        117: Tissue.MUSCLE,  # cartilage of the ribs
        **_ADDED,
    }
)
"""Tissues of the labels of TotalSegmentator's task ``total`` (CT) in the abdomen, and of 200 and 201, as in
:data:`TOTALSEGMENTATOR_MR`."""


def label_map_subject(
    labels: NDArray[np.integer[Any]],
    voxel_mm: tuple[float, float, float],
    table: Mapping[int, Tissue | int],
    *,
    snr: float = 20.0,
    seed: int = 0,
    index: int = 0,
    protocol: Protocol = LIVER_T1RHO_T2,
    field_tesla: float = 3.0,
    partial_volume: bool = False,
) -> Subject:
    """Make a digital subject of a label map.

    The tissues get their relaxation times, textures, disease and coils from ``seed`` and ``index`` in the way of
    :func:`liver_cohort`. So one label map makes any number of subjects, who have the same anatomy.

    Parameters
    ----------
    labels
        Whole numbers (slice, row, column), seen as radiologists do: the front of the body up, the liver at the left.
    voxel_mm
        Distance between slices, rows and columns in mm.
    table
        The :class:`Tissue` of each label, such as :data:`TOTALSEGMENTATOR_MR`.
    snr
        Mean signal of the liver (:attr:`Subject.roi`) in the first image over the standard deviation of the noise.
        ``math.inf`` gives images without noise.
    seed
        A whole number, 0 or more.
    index
        Number of the subject, which gives the name as well.
    protocol
        What is acquired, as for :func:`liver_cohort`.
    field_tesla
        Field strength in T, 1.5 or 3.0.
    partial_volume
        Whether each two by two labels of a slice become one voxel, which holds a mixture where they differ. A last odd
        row or column is left out.

    Returns
    -------
    Subject
        The subject. The region of interest is the liver without a margin of 5 mm at its edge in the slice and at
        whatever else is labelled within; vessels that nobody labelled are in it as parenchyma.

    Raises
    ------
    ValueError
        If a label is not in the table, no liver is left, or an argument is out of its range.

    Examples
    --------
    >>> labels = np.zeros((1, 40, 40), dtype=np.uint8)
    >>> labels[:, 5:35, 5:25], labels[:, 5:35, 25:35] = 5, 1
    >>> subject = rx.phantom.label_map_subject(labels, (5.0, 3.0, 3.0), rx.phantom.TOTALSEGMENTATOR_MR)
    >>> subject.images.shape
    torch.Size([1, 7, 40, 40])
    """
    check_protocol(protocol)
    fine, roi, step, (between, row, column) = prepare(
        labels, voxel_mm, table, snr=snr, seed=seed, index=index, field_tesla=field_tesla, partial_volume=partial_volume
    )
    # y runs to the front, which is up.
    y, x = (
        -_from_middle(np.any(fine, axis=(0, 2)), step[0])[:, None],
        _from_middle(np.any(fine, axis=(0, 1)), step[1])[None],
    )
    appearance = Appearance.draw(seed, index, field_tesla=field_tesla)
    stack = []
    for k, points in enumerate(fine):
        z = (k - (len(fine) - 1) / 2) * between
        stack.append(mix(points, roi[k], appearance.paint(points, x, y, z, protocol.names), protocol))
    return acquire(
        stack,
        seed=seed,
        index=index,
        snr=snr,
        protocol=protocol,
        disease=appearance.disease,
        field_tesla=field_tesla,
        voxel_mm=(between, row, column),
    )


class Prepared(NamedTuple):
    """A label map on the fine grid."""

    fine: NDArray[np.uint8]
    """Tissue of each point, (slice, 2 height, 2 width)."""
    roi: NDArray[np.bool_]
    """Region of interest, of the same shape."""
    step_mm: tuple[float, float]
    """Distance between rows and columns of points."""
    voxel_mm: tuple[float, float, float]
    """Distance between slices, rows and columns of voxels."""


def prepare(
    labels: NDArray[np.integer[Any]],
    voxel_mm: tuple[float, float, float],
    table: Mapping[int, Tissue | int],
    *,
    snr: float,
    seed: int,
    index: int,
    field_tesla: float,
    partial_volume: bool,
) -> Prepared:
    """Check all that :func:`label_map_subject` is given, and look up tissues and region of interest."""
    tissues = _tissues(labels, table)
    if [0 < length < math.inf for length in voxel_mm] != [True] * 3:
        raise ValueError(f"voxel_mm={voxel_mm}: give the distance between slices, rows and columns in mm.")
    if not snr > 0:
        raise ValueError(f"snr={snr!r}: give a positive number, such as 20, or math.inf for no noise.")
    if seed < 0 or index < 0:
        raise ValueError(f"seed={seed}, index={index}: give whole numbers, 0 or more.")
    if field_tesla not in FIELDS:
        raise ValueError(f"field_tesla={field_tesla!r}: the tissues of the phantom are known at {FIELDS} T.")
    between, row, column = (float(length) for length in voxel_mm)
    if partial_volume:
        even = tuple(n - n % FINE for n in tissues.shape[1:])
        fine = tissues[:, : even[0], : even[1]]
        row, column = FINE * row, FINE * column
    else:
        fine = tissues.repeat(FINE, axis=1).repeat(FINE, axis=2)
    step = row / FINE, column / FINE
    liver = np.pad(fine == Tissue.LIVER, ((0, 0), (1, 1), (1, 1)))
    distance = np.stack([distance_transform_edt(points, sampling=step)[1:-1, 1:-1] for points in liver])
    roi = distance > _MARGIN_MM
    if not _whole_voxels(roi).any():
        raise ValueError(f"labels hold no liver that is left without a margin of {_MARGIN_MM:g} mm: check the table.")
    return Prepared(fine, roi, step, (between, row, column))


def _whole_voxels(points: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which voxels lie in a region with all of their points."""
    whole: NDArray[np.bool_] = np.logical_and.reduce(
        [points[:, a::FINE, b::FINE] for a in range(FINE) for b in range(FINE)]
    )
    return whole


def _tissues(labels: NDArray[np.integer[Any]], table: Mapping[int, Tissue | int]) -> NDArray[np.uint8]:
    """Look up the tissue of each voxel."""
    if labels.ndim != 3 or labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype} of shape {labels.shape}: whole numbers (slice, row, column).")
    found, where = np.unique(labels, return_inverse=True)
    unknown = [int(label) for label in found if int(label) not in table]
    if unknown:
        raise ValueError(f"labels hold {unknown}, which table lacks: give each of them a Tissue; 0 is often air.")
    own = np.array([Tissue(table[int(label)]) for label in found], dtype=np.uint8)
    return own[where].reshape(labels.shape)


def _from_middle(inside: Any, step_mm: float) -> Array:
    """Tell the positions of rows or columns in mm from the middle of the body."""
    body = np.flatnonzero(inside)
    middle = (body[0] + body[-1]) / 2 if body.size else (len(inside) - 1) / 2
    positions: Array = (np.arange(len(inside)) - middle) * step_mm
    return positions
