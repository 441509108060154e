"""Voxel-wise fits: relaxation times and an amplitude for every voxel, with a status for each.

:func:`fit` is the front door; every estimator behind it (:data:`METHODS`) is also a function of its own:

- :func:`two_point`: from two images, in closed form where the model has one;
- :func:`log_linear`: a straight line through the logarithms;
- :func:`nlls`: nonlinear least squares over all images, the reference of this field, for any separable model;
- :func:`rician`: maximum likelihood under the noise that magnitude images have, without bias at low signal-to-noise
  ratio. :func:`estimate_sigma` finds the noise level that it needs.

:func:`fit_joint` fits several contrasts with a common first image at once, and :func:`fit_spatial` all voxels, too,
knowing that neighbours are alike. :class:`Estimator` is the base of all of
them, and :func:`run` fits by one of your own.

All voxels are fitted at once, in chunks that fit the processor's cache, by one implementation in torch: NumPy arrays
give NumPy arrays, tensors give tensors on their own device. A voxel that cannot be fitted is NaN, its
:class:`FitStatus` says why, and its neighbours are not affected. The answer is a :class:`FitResult`, and
:func:`doubts` tells whether its input looks like what was meant. The maps of
:func:`nlls` and :func:`fit_joint` are differentiable, so a fit can be a layer of a network.
"""

from typing import TYPE_CHECKING

from relaxnet._choices import Choice
from relaxnet._lazy import lazily

if TYPE_CHECKING:
    from relaxnet.fitting._core.engine import run as run
    from relaxnet.fitting._core.estimator import Estimate as Estimate
    from relaxnet.fitting._core.estimator import Estimator as Estimator
    from relaxnet.fitting._core.samples import Samples as Samples
    from relaxnet.fitting._doubts import doubts as doubts
    from relaxnet.fitting._fit import fit as fit
    from relaxnet.fitting._fit_spatial import fit_spatial as fit_spatial
    from relaxnet.fitting._joint import fit_joint as fit_joint
    from relaxnet.fitting._log_linear import log_linear as log_linear
    from relaxnet.fitting._nlls import nlls as nlls
    from relaxnet.fitting._noise_level import estimate_sigma as estimate_sigma
    from relaxnet.fitting._result import FitResult as FitResult
    from relaxnet.fitting._rician import rician as rician
    from relaxnet.fitting._spatial.result import Mean as Mean
    from relaxnet.fitting._spatial.result import SpatialFit as SpatialFit
    from relaxnet.fitting._spatial.result import SpatialPrior as SpatialPrior
    from relaxnet.fitting._status import FitStatus as FitStatus
    from relaxnet.fitting._two_point import two_point as two_point

METHODS = {
    "nlls": Choice("relaxnet.fitting:nlls", "Nonlinear least squares over all images, by variable projection"),
    "two-point": Choice("relaxnet.fitting:two_point", "From two images, in closed form where there is one"),
    "log-linear": Choice(
        "relaxnet.fitting:log_linear", "Straight line through the logarithms of all images, weighted by squared signal"
    ),
    "rician": Choice("relaxnet.fitting:rician", "Maximum likelihood under Rician noise over all images"),
}
"""The estimators of :func:`fit` by name."""

SPATIAL = {
    "spatial": Choice("relaxnet.fitting:fit_spatial", "Most probable maps with a prior that neighbours are alike")
}
"""The fit of all voxels at once by name: a method wherever it is known which voxels are neighbours, as in files."""

JOINT_METHODS = {
    "nlls": Choice(
        "relaxnet.fitting:fit_joint",
        "Nonlinear least squares over all images of all contrasts with one amplitude, by variable projection",
    ),
    **SPATIAL,
}
"""The fits of several contrasts with a common first image by name."""

__getattr__, __dir__, __all__ = lazily(__name__)
__all__ += ["JOINT_METHODS", "METHODS", "SPATIAL"]
