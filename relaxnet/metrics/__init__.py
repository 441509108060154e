"""How far a map is from another, in ms, over a region of interest, and whether its uncertainty knows.

:func:`rmae`, :func:`bias` and :func:`limits_of_agreement` take a map, a reference and a region of one shape, arrays or
tensors, and return plain numbers in ms. A NaN in the region makes the result NaN, as in NumPy: a map with failed voxels
is not silently flattered. Choose the voxels to compare by the region, for instance ``roi & result.ok``.

Where a map comes with a standard deviation and there is a truth to compare with, :mod:`relaxnet.metrics.calibration`
tells whether the one predicts the distance from the other: :func:`coverage`, :func:`ence`, :func:`ause`,
:func:`sharpness` and the scores :func:`crps_laplace` and :func:`crps_gaussian`, all of them for a cohort by
:class:`Calibration`. :func:`calibration_factor` makes an uncertainty that is too small or too large right. Here a value
that is not finite is an error, which counts the voxels: it can be neither covered nor ranked.
"""

from relaxnet.metrics._roi import bias, limits_of_agreement, rmae
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
    "ause",
    "bias",
    "calibration_factor",
    "coverage",
    "crps_gaussian",
    "crps_laplace",
    "ence",
    "interval_factor",
    "limits_of_agreement",
    "rmae",
    "sharpness",
]
