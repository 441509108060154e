r"""Calibration of uncertainty maps in ms.

A map of standard deviations can be wrong in two ways: its overall size may be too small or too large, and it may not
follow the errors from voxel to voxel. These metrics need a ground truth, such as that of the digital subjects of
:mod:`relaxnet.phantom`:

- :func:`coverage`: does an interval of 90 % contain the truth in 90 % of the voxels?
- :func:`ence`: are the errors as large as predicted, for small and for large standard deviations?
- :func:`ause`: do the voxels with the largest errors have the largest standard deviations?
- :func:`sharpness`: how small are the standard deviations? Of two calibrated maps, the one with smaller ones is better.
- :func:`crps_laplace`, :func:`crps_gaussian`: one score in ms for all of these, and for the error itself.

:class:`Calibration` accumulates them over a cohort, subject by subject. :func:`calibration_factor` corrects the overall
size. Errors are assumed to follow a Laplace distribution by default, as in the losses of the networks; its standard
deviation is :math:`\sqrt2` times its scale.

A value in the region that is not finite is an error, because it has no rank among the others.
"""

from relaxnet.metrics._accumulator import Calibration, CalibrationReport, CalibrationScores
from relaxnet.metrics._conformal import calibration_factor
from relaxnet.metrics._error_law import crps_gaussian, crps_laplace, interval_factor
from relaxnet.metrics._scores import ause, coverage, ence, sharpness

__all__ = [
    "Calibration",
    "CalibrationReport",
    "CalibrationScores",
    "ause",
    "calibration_factor",
    "coverage",
    "crps_gaussian",
    "crps_laplace",
    "ence",
    "interval_factor",
    "sharpness",
]
