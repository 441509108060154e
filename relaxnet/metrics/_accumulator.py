"""Calibration scores over many subjects, in bounded memory."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from relaxnet.metrics._error_law import Kind, check_kind, crps, interval_factor
from relaxnet.metrics._region import Voxels
from relaxnet.metrics._scores import LEVELS, N_BINS, check_bins, ence_of_groups, errors

# ENCE needs bins of equal counts, whose edges are known only after the last voxel. Voxels are therefore counted in
# narrow bins of standard deviation, which are merged into bins of equal counts at the end. With 50 bins for each decade
# they are 5 % wide, 350 for each subject; values beyond both ends, which no relaxation time has, share the outer bins.
_EDGES_MS = np.geomspace(1e-3, 1e4, 351)


@dataclass(frozen=True)
class CalibrationScores:
    """Calibration and error scores of a map and its standard deviation."""

    coverage: dict[float, float]
    """Fraction of the voxels whose truth lies within the central interval, for each level."""
    sharpness_ms: float
    """Mean standard deviation."""
    crps_ms: float
    """Mean continuous ranked probability score."""
    ence: float
    """Expected normalised calibration error."""
    rmse_ms: float
    """Root mean square error."""


@dataclass(frozen=True)
class CalibrationReport:
    """Scores of each subject, and their mean."""

    mean: CalibrationScores
    """Mean over the subjects, each with the same weight."""
    subjects: dict[str, CalibrationScores]
    """Scores of each subject by its name."""


class Calibration:
    """Accumulate calibration scores of a cohort, slice by slice and subject by subject.

    Only sums are stored, about 10 kB for each subject, so a cohort may have any size.

    Parameters
    ----------
    kind
        Distribution of the errors, ``"laplace"`` or ``"gaussian"``.
    levels
        Nominal probabilities of the central intervals, between 0 and 1.
    n_bins
        Number of bins of :func:`ence`.

    Raises
    ------
    ValueError
        If the distribution is unknown, a level is not between 0 and 1, or the number of bins is below 1.

    See Also
    --------
    coverage, sharpness, ence, crps_laplace, crps_gaussian : Compute the scores of one map.

    Notes
    -----
    The result does not depend on how the voxels are split into updates. All scores equal those of the functions, except
    ENCE, whose bins are rounded to 5 % of the standard deviation.

    Voxels of one subject are not independent: the precision of a mean follows from the scatter between subjects, not
    from the number of voxels.

    Examples
    --------
    >>> calibration = rx.metrics.Calibration(levels=(0.9,))
    >>> calibration.update([40.0, 43.0], [1.0, 1.0], [41.0, 41.0], subject="a")
    >>> calibration.update([40.0], [1.0], [41.0], subject="b")
    >>> report = calibration.compute()
    >>> report.mean.coverage, report.subjects["a"].coverage
    ({0.9: 0.75}, {0.9: 0.5})
    """

    def __init__(self, *, kind: Kind = "laplace", levels: Sequence[float] = LEVELS, n_bins: int = N_BINS) -> None:
        check_kind(kind)
        check_bins(n_bins)
        self.kind, self.levels, self.n_bins = kind, tuple(levels), n_bins
        self._half_widths = [interval_factor(level, kind) for level in self.levels]
        self._sums: dict[str, _Sums] = {}

    def update(self, map_ms: Any, std_ms: Any, truth_ms: Any, roi: Any = None, *, subject: str) -> None:
        """Add voxels of a subject.

        Parameters
        ----------
        map_ms
            Relaxation times in ms, of any shape.
        std_ms
            Their standard deviation in ms, of the same shape.
        truth_ms
            True relaxation times in ms, of the same shape.
        roi
            Binary region of the same shape; by default all voxels.
        subject
            Name of the subject; voxels of several updates are added up.

        Raises
        ------
        ValueError
            If the shapes differ, the region is empty or not binary or holds a value that is not finite, or a standard
            deviation is negative. Nothing is added then.
        """
        self._add(subject, self._sum(*errors(map_ms, std_ms, truth_ms, roi)))

    def merge(self, other: "Calibration") -> None:
        """Add the sums of another accumulator, for instance of another process.

        Parameters
        ----------
        other
            Accumulator with the same settings; it is not changed.

        Raises
        ------
        ValueError
            If its settings differ.
        """
        mine, its = ((c.kind, c.levels, c.n_bins) for c in (self, other))
        if mine != its:
            raise ValueError(f"other has (kind, levels, n_bins) = {its}: {mine} are needed.")
        for subject, sums in list(other._sums.items()):  # noqa: SLF001 (the same class)
            self._add(subject, sums)

    def compute(self) -> CalibrationReport:
        """Compute the scores of all voxels added so far.

        Returns
        -------
        CalibrationReport
            Scores of each subject, and their mean.

        Raises
        ------
        ValueError
            If nothing was added.
        """
        if not self._sums:
            raise ValueError("subjects: none was added; call update first.")
        subjects = {subject: self._scores(sums) for subject, sums in self._sums.items()}
        scores = subjects.values()
        coverage = {level: float(np.mean([s.coverage[level] for s in scores])) for level in self.levels}
        others = {f.name: float(np.mean([getattr(s, f.name) for s in scores])) for f in fields(CalibrationScores)[1:]}
        return CalibrationReport(CalibrationScores(coverage, **others), subjects)

    def _add(self, subject: str, sums: "_Sums") -> None:
        before = self._sums.get(subject)
        self._sums[subject] = _Sums(*(a + b for a, b in zip(before, sums, strict=True))) if before else sums

    def _sum(self, error: Voxels, std: Voxels) -> "_Sums":
        group = np.searchsorted(_EDGES_MS, std)
        voxels, squared_error, variance = (
            np.bincount(group, weights, _EDGES_MS.size + 1).astype(np.float64) for weights in (None, error**2, std**2)
        )
        covered = np.array([np.count_nonzero(error <= width * std) for width in self._half_widths], dtype=np.float64)
        score = crps(error, 0.0, std, self.kind)
        return _Sums(voxels, squared_error, variance, covered, std.sum(keepdims=True), score.sum(keepdims=True))

    def _scores(self, sums: "_Sums") -> CalibrationScores:
        n_voxels = float(sums.voxels.sum())
        filled = sums.voxels > 0
        return CalibrationScores(
            coverage={level: float(n) / n_voxels for level, n in zip(self.levels, sums.covered, strict=True)},
            sharpness_ms=float(sums.std[0]) / n_voxels,
            crps_ms=float(sums.crps[0]) / n_voxels,
            ence=ence_of_groups(sums.voxels[filled], sums.squared_error[filled], sums.variance[filled], self.n_bins),
            rmse_ms=float(np.sqrt(sums.squared_error.sum() / n_voxels)),
        )


class _Sums(NamedTuple):
    """Sums over the voxels of a subject: the first three for each narrow bin, ``covered`` for each level."""

    voxels: Voxels
    squared_error: Voxels
    variance: Voxels
    covered: Voxels
    std: Voxels
    crps: Voxels
