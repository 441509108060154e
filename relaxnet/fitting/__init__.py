"""Voxel-wise fits: relaxation times and an amplitude for every voxel, and an honest word on each.

:func:`fit` is the front door; every estimator behind it is also a function of its own:

- :func:`two_point`: closed form from two images;
- :func:`log_linear`: a straight line through the logarithms;
- :func:`nlls`: nonlinear least squares over all images, the reference of this field, for any separable model;
- :func:`rician`: maximum likelihood under the noise that magnitude images have, without bias at low signal-to-noise
  ratio. :func:`estimate_sigma` finds the noise level that it needs.

:func:`fit_joint` fits several contrasts with a common first image at once.

All voxels are fitted at once, in chunks that fit the processor's cache, by one implementation in torch: NumPy arrays
give NumPy arrays, tensors give tensors on their own device. A voxel that cannot be fitted is NaN, its
:class:`FitStatus` says why, and its neighbours do not notice. The answer is a :class:`FitResult`. The maps of
:func:`nlls` and :func:`fit_joint` are differentiable, so a fit can be a layer of a network.
"""

from relaxnet.fitting._fit import Method, fit
from relaxnet.fitting._joint import fit_joint
from relaxnet.fitting._log_linear import log_linear
from relaxnet.fitting._nlls import nlls
from relaxnet.fitting._noise_level import estimate_sigma
from relaxnet.fitting._result import FitResult
from relaxnet.fitting._rician import rician
from relaxnet.fitting._status import FitStatus
from relaxnet.fitting._two_point import two_point

__all__ = [
    "FitResult",
    "FitStatus",
    "Method",
    "estimate_sigma",
    "fit",
    "fit_joint",
    "log_linear",
    "nlls",
    "rician",
    "two_point",
]
