"""Calibration over many subjects, in bounded memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from relaxnet.metrics._calibration import LEVELS, N_BINS, check_bins, ence_of_groups, errors
from relaxnet.metrics._error_law import Kind, check_kind, crps, interval_factor
from relaxnet.metrics._region import Voxels

# ENCE wants bins of equal counts, whose edges are known only when the last voxel has come. So voxels are first put into
# narrow bins of standard deviation, which are merged at the end, as whole bins, until they hold what they should. 50
# to a decade tell two standard deviations apart that differ by 5 %, in 350 bins a subject; what lies beyond the ends,
# no relaxation time's uncertainty, shares the first or the last.
_EDGES_MS = np.geomspace(1e-3, 1e4, 351)


@dataclass(frozen=True)
class CalibrationScores:
    """How good a map and its uncertainty are."""

    coverage: dict[float, float]
    """Fraction of the voxels whose truth lies in the central interval, for each level."""
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
    """Mean over the subjects, which weigh the same however many voxels they have."""
    subjects: dict[str, CalibrationScores]
    """Scores of each subject by its name."""


class Calibration:
    """Gather how well uncertainty predicts errors, slice by slice, subject by subject.

    Only sums are kept, about 10 kB a subject, so that a cohort of any size can pass through.

    Parameters
    ----------
    kind
        Law of the errors, ``"laplace"`` or ``"gaussian"``.
    levels
        Probabilities that the central intervals should hold, between 0 and 1.
    n_bins
        Number of bins of :func:`ence`.

    Raises
    ------
    ValueError
        If the law is unknown, a level is not between 0 and 1, or there is no bin.

    See Also
    --------
    coverage, sharpness, ence, crps_laplace, crps_gaussian : What is gathered.

    Notes
    -----
    How the voxels are split into updates makes no difference. All scores are those of the functions, but for ENCE,
    whose bins begin at multiples of 5 % of standard deviation.

    Voxels of one subject are not independent: the scatter between the subjects, not the number of voxels, says how
    well a mean is known.

    Examples
    --------
    >>> gathered = rx.metrics.Calibration(levels=(0.9,))
    >>> gathered.update([40.0, 43.0], [1.0, 1.0], [41.0, 41.0], subject="a")
    >>> gathered.update([40.0], [1.0], [41.0], subject="b")
    >>> report = gathered.compute()
    >>> report.mean.coverage, report.subjects["a"].coverage
    ({0.9: 0.75}, {0.9: 0.5})
    """

    def __init__(self, *, kind: Kind = "laplace", levels: Sequence[float] = LEVELS, n_bins: int = N_BINS) -> None:
        check_kind(kind)
        check_bins(n_bins)
        self.kind = kind
        self.levels = tuple(levels)
        self.n_bins = n_bins
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
            Name of the subject; it may come again, with other voxels.

        Raises
        ------
        ValueError
            If the shapes differ, the region is empty or not binary or holds a value that is not finite, or a standard
            deviation is negative. Nothing is added then.
        """
        error, std = errors(map_ms, std_ms, truth_ms, roi)
        self._add(subject, self._sum(error, std))

    def merge(self, other: "Calibration") -> None:
        """Add what another gathered, for instance in another process.

        Parameters
        ----------
        other
            One of the same settings; it stays as it is.

        Raises
        ------
        ValueError
            If its settings differ.
        """
        mine, its = ((c.kind, c.levels, c.n_bins) for c in (self, other))
        if mine != its:
            raise ValueError(f"other has (kind, levels, n_bins) = {its}: {mine} are needed to add up.")
        for subject, sums in list(other._sums.items()):  # noqa: SLF001 (one of its own kind)
            self._add(subject, sums)

    def compute(self) -> CalibrationReport:
        """Compute the scores of all that was added so far.

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
        mean = CalibrationScores(
            coverage={level: _mean(s.coverage[level] for s in scores) for level in self.levels},
            sharpness_ms=_mean(s.sharpness_ms for s in scores),
            crps_ms=_mean(s.crps_ms for s in scores),
            ence=_mean(s.ence for s in scores),
            rmse_ms=_mean(s.rmse_ms for s in scores),
        )
        return CalibrationReport(mean, subjects)

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
        present = sums.voxels > 0
        groups = (sums.voxels[present], sums.squared_error[present], sums.variance[present])
        return CalibrationScores(
            coverage={level: float(n) / n_voxels for level, n in zip(self.levels, sums.covered, strict=True)},
            sharpness_ms=float(sums.std[0]) / n_voxels,
            crps_ms=float(sums.crps[0]) / n_voxels,
            ence=ence_of_groups(*groups, self.n_bins),
            rmse_ms=float(np.sqrt(sums.squared_error.sum() / n_voxels)),
        )


class _Sums(NamedTuple):
    """Sums over the voxels of a subject: the first three for each narrow bin, the covered for each level."""

    voxels: Voxels
    squared_error: Voxels
    variance: Voxels
    covered: Voxels
    std: Voxels
    crps: Voxels


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
