"""Error, agreement and calibration metrics for relaxation-time maps.

- **Error**: :func:`rmae`, :func:`bias`, :func:`error_sd` and :func:`limits_of_agreement` compare a map with a reference
  within a region, and :func:`roi_mean` needs no reference. They take arrays or tensors of one shape and return plain
  numbers in ms. A NaN in the region makes the result NaN, as in NumPy, so that failed voxels are never ignored
  silently. Restrict the region to compare valid voxels only, for instance ``roi & result.ok``; or take
  :func:`roi_statistics` or :func:`agreement`, which leave failed voxels out and count them.
- **Statistics over subjects**, from one such number for each subject: :func:`bootstrap_mean` computes a mean with its
  confidence interval, :func:`ratio_of_means` an error relative to that of another method, and
  :func:`paired_difference` tests whether two methods differ; :func:`holm` corrects for several comparisons. :func:`icc`
  measures the agreement of methods relative to the differences between subjects. A value that is not finite is an error
  here.
- **Calibration** of standard deviations, where a ground truth is known: :func:`coverage`, :func:`ence`, :func:`ause`,
  :func:`sharpness`, and the scores :func:`crps_laplace` and :func:`crps_gaussian`; :class:`Calibration` computes them
  for a cohort, and :func:`calibration_factor` corrects standard deviations that are too small or too large. A voxel
  that is not finite is an error here. ``relaxnet.metrics.calibration`` explains these metrics.
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
from relaxnet.metrics._compare import Agreement, agreement
from relaxnet.metrics._holm import holm
from relaxnet.metrics._roi import RoiStatistics, bias, error_sd, limits_of_agreement, rmae, roi_mean, roi_statistics
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
    "Agreement",
    "Calibration",
    "CalibrationReport",
    "CalibrationScores",
    "Interval",
    "PairedDifference",
    "Ratio",
    "RoiStatistics",
    "agreement",
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
    "roi_statistics",
    "sharpness",
]
