"""How far a map is from another, in ms, over a region of interest, and whether its uncertainty knows.

:func:`rmae`, :func:`bias`, :func:`error_sd` and :func:`limits_of_agreement` take a map, a reference and a region of one
shape, arrays or tensors, and return plain numbers in ms; :func:`roi_mean` needs no reference. A NaN in the region makes
the result NaN, as in NumPy: a map with failed voxels is not silently flattered. Choose the voxels to compare by the
region, for instance ``roi & result.ok``.

With one such number a subject, an experiment says how well its result is known: :func:`bootstrap_mean` gives a mean its
confidence interval, :func:`ratio_of_means` an error relative to that of another method, and :func:`paired_difference`
tells whether two methods differ, for several comparisons with :func:`holm`. :func:`icc` is how well methods agree,
measured by how much the subjects differ. Here a value that is not finite is an error, which counts them.

Where a map comes with a standard deviation and there is a truth to compare with, :mod:`relaxnet.metrics.calibration`
tells whether the one predicts the distance from the other: :func:`coverage`, :func:`ence`, :func:`ause`,
:func:`sharpness` and the scores :func:`crps_laplace` and :func:`crps_gaussian`, all of them for a cohort by
:class:`Calibration`. :func:`calibration_factor` makes an uncertainty that is too small or too large right. Here a value
that is not finite is an error, which counts the voxels: it can be neither covered nor ranked.
"""

from relaxnet.metrics._agreement import icc
from relaxnet.metrics._bootstrap import (
    Interval,
    PairedDifference,
    Ratio,
    bootstrap_mean,
    paired_difference,
    ratio_of_means,
)
from relaxnet.metrics._holm import holm
from relaxnet.metrics._roi import bias, error_sd, limits_of_agreement, rmae, roi_mean
from relaxnet.metrics.calibration import (
    Calibration,
    CalibrationReport,
    CalibrationScores,
    ause,
    calibration_factor,
    coverage,
    crps_gaussian,
    crps_laplace,
    ence,
    interval_factor,
    sharpness,
)

__all__ = [
    "Calibration",
    "CalibrationReport",
    "CalibrationScores",
    "Interval",
    "PairedDifference",
    "Ratio",
    "ause",
    "bias",
    "bootstrap_mean",
    "calibration_factor",
    "coverage",
    "crps_gaussian",
    "crps_laplace",
    "ence",
    "error_sd",
    "holm",
    "icc",
    "interval_factor",
    "limits_of_agreement",
    "paired_difference",
    "ratio_of_means",
    "rmae",
    "roi_mean",
    "sharpness",
]
