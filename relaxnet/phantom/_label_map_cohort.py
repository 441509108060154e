"""Digital subjects from a label map: any segmentation of an abdomen, painted like the procedural anatomies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._numbers import whole
from relaxnet.phantom._label_map import FineMap
from relaxnet.phantom._settings import check_settings
from relaxnet.phantom._simulate import LabelSlice, SimulatedSubjects
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._texture import Texture
from relaxnet.phantom._tissues import Tissue
from relaxnet.protocol import Protocol
from relaxnet.protocols import LIVER_T1RHO_T2


@dataclass(frozen=True, eq=False, repr=False)
class LabelMapCohort(SimulatedSubjects):
    """Digital subjects with the anatomy of one label map, simulated on access; none is stored.

    Index it, slice it into smaller cohorts, or iterate over it. Made by :func:`label_map_cohort`.
    """

    labels: NDArray[np.integer[Any]]
    """Integer labels (slice, row, column) in radiological orientation."""
    voxel_mm: tuple[float, float, float]
    """Distance between slices, rows and columns in mm."""
    table: Mapping[int, Tissue | int]
    """Tissue of each label."""
    snr: float
    """Signal-to-noise ratio of the liver in the first image."""
    seed: int
    """Seed of all random numbers."""
    protocol: Protocol
    """Protocol of the images."""
    field_tesla: float = 3.0
    """Field strength in T."""
    partial_volume: bool = False
    """Whether each two by two labels of a slice become one voxel."""
    texture: Texture | None = None
    """Texture of the tissues; None for a smooth one."""

    def _anatomy(self, index: int) -> tuple[Iterator[LabelSlice], tuple[float, float, float]]:
        """Return the slices, which all subjects share, and the distance between slices, rows and columns in mm."""
        del index
        return self._fine_map.slices(), self._fine_map.voxel_mm

    @cached_property
    def _fine_map(self) -> FineMap:
        """The label map on the fine grid."""
        return FineMap(self.labels, self.voxel_mm, self.table, partial_volume=self.partial_volume)


def label_map_cohort(
    labels: NDArray[np.integer[Any]],
    voxel_mm: tuple[float, float, float],
    table: Mapping[int, Tissue | int],
    n_subjects: int = 51,
    *,
    snr: float = 20.0,
    seed: int = 0,
    protocol: Protocol = LIVER_T1RHO_T2,
    field_tesla: float = 3.0,
    partial_volume: bool = False,
    texture: Texture | tuple[float, float] | None = None,
) -> LabelMapCohort:
    """Make a cohort from one label map: one anatomy, with different tissue values, textures, diseases, coils and noise.

    Parameters
    ----------
    labels
        Integer labels (slice, row, column) in radiological orientation: the front of the body up, the liver at the
        left; what :func:`relaxnet.io.read_label_map` returns.
    voxel_mm
        Distance between slices, rows and columns in mm.
    table
        The :class:`Tissue` of each label, such as :data:`TOTALSEGMENTATOR_MR`.
    n_subjects
        Number of subjects, 1 or more.
    snr
        Mean signal of the liver (:attr:`Subject.roi`) in the first image over the standard deviation of the noise.
        ``math.inf`` gives images without noise.
    seed
        Seed of all random numbers, 0 or more.
    protocol
        Protocol of the images, as for :func:`liver_cohort`.
    field_tesla
        Field strength in T, 1.5 or 3.0.
    partial_volume
        Whether each two by two labels of a slice become one voxel, which holds a mixture where they differ. The last
        row or column is left out if their number is odd.
    texture
        Texture as in real tissue, as for :func:`liver_cohort`. Without ``partial_volume`` no label tells small vessels,
        but voxels that they cross in part are mixtures.

    Returns
    -------
    LabelMapCohort
        The cohort. Its subjects are simulated on access. The region of interest is the liver without a margin of 5 mm
        at its edge in the slice and around other labels within it; vessels without a label count as parenchyma.

    Raises
    ------
    ValueError
        If a label is not in the table, no liver is left, or an argument is out of its range.
    TypeError
        If the protocol is not a :class:`relaxnet.Protocol`.

    Examples
    --------
    >>> labels = np.zeros((1, 40, 40), dtype=np.uint8)
    >>> labels[:, 5:35, 5:25], labels[:, 5:35, 25:35] = 5, 1
    >>> cohort = rx.phantom.label_map_cohort(labels, (5.0, 3.0, 3.0), rx.phantom.TOTALSEGMENTATOR_MR, 3)
    >>> cohort[2]
    <Subject sub-003: ...>
    """
    cohort = LabelMapCohort(
        indices=range(whole(n_subjects, "n_subjects", 1)),
        labels=labels,
        voxel_mm=voxel_mm,
        table=dict(table),
        **check_settings(snr, seed, protocol, field_tesla, texture),
        partial_volume=partial_volume,
    )
    cohort._anatomy(0)  # noqa: SLF001 (to refuse a bad label map now)
    return cohort


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
    texture: Texture | tuple[float, float] | None = None,
) -> Subject:
    """Make one digital subject from a label map.

    Parameters
    ----------
    labels
        Integer labels (slice, row, column), as for :func:`label_map_cohort`.
    voxel_mm
        Distance between slices, rows and columns in mm.
    table
        The :class:`Tissue` of each label, such as :data:`TOTALSEGMENTATOR_MR`.
    snr
        Mean signal of the liver in the first image over the standard deviation of the noise.
    seed
        Seed of all random numbers, 0 or more.
    index
        Number of the subject, which sets its name, tissue values, textures, disease, coils and noise.
    protocol
        Protocol of the images.
    field_tesla
        Field strength in T, 1.5 or 3.0.
    partial_volume
        Whether each two by two labels of a slice become one voxel.
    texture
        Texture as in real tissue, as for :func:`liver_cohort`.

    Returns
    -------
    Subject
        Subject ``index`` of the cohort that :func:`label_map_cohort` makes with these settings.

    Raises
    ------
    ValueError
        If a label is not in the table, no liver is left, or an argument is out of its range.
    TypeError
        If the protocol is not a :class:`relaxnet.Protocol`.

    Examples
    --------
    >>> labels = np.zeros((1, 40, 40), dtype=np.uint8)
    >>> labels[:, 5:35, 5:25], labels[:, 5:35, 25:35] = 5, 1
    >>> subject = rx.phantom.label_map_subject(labels, (5.0, 3.0, 3.0), rx.phantom.TOTALSEGMENTATOR_MR)
    >>> subject.images.shape
    torch.Size([1, 7, 40, 40])
    """
    settings = check_settings(snr, seed, protocol, field_tesla, texture)
    n_subjects = whole(index, "index", 0) + 1
    return label_map_cohort(labels, voxel_mm, table, n_subjects, partial_volume=partial_volume, **settings)[index]
