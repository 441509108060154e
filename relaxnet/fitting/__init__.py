"""Voxel-wise fits: a relaxation time and an amplitude for every voxel, and an honest word on each.

:func:`fit` is the front door; every estimator behind it is also a function of its own:

- :func:`two_point`: closed form from two images;
- :func:`nlls`: nonlinear least squares over all images, the reference of this field.

All voxels are fitted at once, in chunks that fit the processor's cache, by one implementation in torch: NumPy arrays
give NumPy arrays, tensors give tensors on their own device. A voxel that cannot be fitted is NaN, its
:class:`FitStatus` says why, and its neighbours do not notice. The answer is a :class:`FitResult`.
"""

from relaxnet.fitting._fit import fit
from relaxnet.fitting._nlls import nlls
from relaxnet.fitting._result import FitResult
from relaxnet.fitting._status import FitStatus
from relaxnet.fitting._two_point import two_point

__all__ = ["FitResult", "FitStatus", "fit", "nlls", "two_point"]
