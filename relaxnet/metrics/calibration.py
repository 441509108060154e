"""Whether an uncertainty in ms means what it says.

A map of standard deviations can be wrong in two ways: it may be too small or too large altogether, and it may not know
where the errors are. Given a truth, as the digital patients of :mod:`relaxnet.phantom` have one:

- :func:`coverage`: does an interval of 90 % hold the truth in 90 % of the voxels?
- :func:`ence`: is the error as large as predicted, where it is predicted small and where it is predicted large?
- :func:`ause`: are the voxels with the largest errors those with the largest uncertainty?
- :func:`sharpness`: how small is the uncertainty? Of two that are right, the smaller is the better.
- :func:`crps_laplace`, :func:`crps_gaussian`: one number for all of it, and for the error itself, in ms.

:class:`Calibration` gathers them over a cohort, subject by subject. :func:`calibration_factor` repairs an uncertainty
that is too small or too large altogether. Errors follow a Laplace law by default, as the networks' losses assume; its
standard deviation is the square root of two times its scale.

A value in the region that is not finite is an error: it has no rank among the others.
"""

from relaxnet.metrics._accumulator import Calibration, CalibrationReport, CalibrationScores
from relaxnet.metrics._calibration import ause, coverage, ence, sharpness
from relaxnet.metrics._conformal import calibration_factor
from relaxnet.metrics._error_law import crps_gaussian, crps_laplace, interval_factor

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
