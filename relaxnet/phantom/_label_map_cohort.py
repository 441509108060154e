"""Cohorts who share the anatomy of one label map."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._cohort import whole
from relaxnet.phantom._label_map import label_map_subject, prepare
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._subjects import Subjects
from relaxnet.phantom._tissues import Tissue
from relaxnet.protocol import Protocol
from relaxnet.protocols import LIVER_T1RHO_T2


@dataclass(frozen=True, eq=False)
class LabelMapCohort(Subjects):
    """Subjects of one label map that are simulated when they are asked for; none is kept.

    Index it, slice it into smaller cohorts, or iterate over it. Made by :func:`label_map_cohort`.
    """

    labels: NDArray[np.integer[Any]]
    """Whole numbers (slice, row, column), seen as radiologists do."""
    voxel_mm: tuple[float, float, float]
    """Distance between slices, rows and columns in mm."""
    table: Mapping[int, Tissue | int]
    """The tissue of each label."""
    snr: float
    """Signal-to-noise ratio of the liver in the first image."""
    seed: int
    """Seed of all random numbers."""
    protocol: Protocol
    """What is acquired."""
    field_tesla: float = 3.0
    """Field strength in T."""
    partial_volume: bool = False
    """Whether each two by two labels of a slice become one voxel."""

    def __repr__(self) -> str:
        return f"<LabelMapCohort of {len(self)} subjects, labels {' x '.join(map(str, self.labels.shape))}>"

    def simulate(self, index: int) -> Subject:
        """Simulate a subject.

        Parameters
        ----------
        index
            Number of the subject.

        Returns
        -------
        Subject
            The subject.
        """
        return label_map_subject(
            self.labels,
            self.voxel_mm,
            self.table,
            snr=self.snr,
            seed=self.seed,
            index=index,
            protocol=self.protocol,
            field_tesla=self.field_tesla,
            partial_volume=self.partial_volume,
        )


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
) -> LabelMapCohort:
    """Make a cohort of one label map: the same anatomy, other tissue values, textures, diseases, coils and noise.

    Parameters
    ----------
    labels
        Whole numbers (slice, row, column), seen as radiologists do: the front of the body up, the liver at the left;
        what :func:`relaxnet.io.read_label_map` reads.
    voxel_mm
        Distance between slices, rows and columns in mm.
    table
        The :class:`Tissue` of each label, such as :data:`TOTALSEGMENTATOR_MR`.
    n_subjects
        How many subjects, 1 or more.
    snr
        Mean signal of the liver (:attr:`Subject.roi`) in the first image over the standard deviation of the noise.
    seed
        A whole number, 0 or more.
    protocol
        What is acquired, as for :func:`liver_cohort`.
    field_tesla
        Field strength in T, 1.5 or 3.0.
    partial_volume
        Whether each two by two labels of a slice become one voxel.

    Returns
    -------
    LabelMapCohort
        The cohort. Subject ``k`` is that of :func:`label_map_subject` with ``index=k``, simulated when asked for.

    Raises
    ------
    ValueError
        If a label is not in the table, no liver is left, or an argument is out of its range.

    Examples
    --------
    >>> labels = np.zeros((1, 40, 40), dtype=np.uint8)
    >>> labels[:, 5:35, 5:25], labels[:, 5:35, 25:35] = 5, 1
    >>> cohort = rx.phantom.label_map_cohort(labels, (5.0, 3.0, 3.0), rx.phantom.TOTALSEGMENTATOR_MR, 3)
    >>> cohort[2]
    <Subject sub-003: ...>
    """
    n_subjects, seed = whole(n_subjects, "n_subjects", 1), whole(seed, "seed", 0)
    prepare(
        labels, voxel_mm, table, snr=snr, seed=seed, index=0, field_tesla=field_tesla, partial_volume=partial_volume
    )
    return LabelMapCohort(
        indices=range(n_subjects),
        labels=labels,
        voxel_mm=voxel_mm,
        table=dict(table),
        snr=float(snr),
        seed=seed,
        protocol=protocol,
        field_tesla=float(field_tesla),
        partial_volume=partial_volume,
    )
