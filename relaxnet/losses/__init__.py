"""Losses that need no labels, and the weightings that balance them.

A self-supervised loss has two parts. A *residual* measures how well the predicted maps explain the images, with one map
for each task (each contrast):

- :class:`PairwiseConstraint`: image i must equal image j propagated to the time of image i by the signal model;
- :class:`Reconstruction`: the images must equal those predicted by the maps, which also needs an amplitude.

Both can be restricted to held-out images (``held_out_from``), because a network can learn to reproduce the noise of its
inputs. :func:`supervised` is the loss for data with labels.

A *weighting* (:data:`WEIGHTINGS`) combines the residuals into the loss, the one number that is minimised:

- :class:`FixedWeights`: fixed numbers;
- :class:`HomoscedasticLaplace`: one Laplace scale for each task, learnt with the network; :class:`ProfiledLaplace`:
  the same scales at their optimum, in closed form;
- :class:`HeteroscedasticLaplace`: a scale for each voxel, predicted by the network;
- :class:`CorrelatedLaplace`: a full scale matrix, from signed residuals;
- :class:`SoftOptimalWeighting`: the softmax of the inverse residuals;
- :class:`RandomWeighting` and :class:`DynamicWeightAverage`: controls that a better weighting has to outperform.

Every weighting is a module that is called with a residual and, optionally, a mask. It raises an error if a residual to
use is not finite, and reports in ``count`` how many voxels were used. For methods that balance gradients, pass the
residual of each task to TorchJD.
"""

from typing import TYPE_CHECKING

from relaxnet._choices import Choice
from relaxnet._lazy import lazily

if TYPE_CHECKING:
    from relaxnet.losses._controls import DynamicWeightAverage as DynamicWeightAverage
    from relaxnet.losses._controls import RandomWeighting as RandomWeighting
    from relaxnet.losses._correlated import CorrelatedLaplace as CorrelatedLaplace
    from relaxnet.losses._fixed import FixedWeights as FixedWeights
    from relaxnet.losses._held_out import HeldOutFrom as HeldOutFrom
    from relaxnet.losses._heteroscedastic import HeteroscedasticLaplace as HeteroscedasticLaplace
    from relaxnet.losses._homoscedastic import HomoscedasticLaplace as HomoscedasticLaplace
    from relaxnet.losses._names import Distance as Distance
    from relaxnet.losses._names import Pairs as Pairs
    from relaxnet.losses._pairwise import PairwiseConstraint as PairwiseConstraint
    from relaxnet.losses._pairwise import pairwise_residual as pairwise_residual
    from relaxnet.losses._profiled import ProfiledLaplace as ProfiledLaplace
    from relaxnet.losses._reconstruction import Reconstruction as Reconstruction
    from relaxnet.losses._soft_optimal import SoftOptimalWeighting as SoftOptimalWeighting
    from relaxnet.losses._supervised import supervised as supervised
    from relaxnet.losses._weighting import Count as Count
    from relaxnet.losses._weighting import TaskWeighting as TaskWeighting
    from relaxnet.losses._weighting import Weighting as Weighting

WEIGHTINGS = {
    "fixed": Choice("relaxnet.losses:FixedWeights", "Weights of 1"),
    "homoscedastic": Choice("relaxnet.losses:HomoscedasticLaplace", "One learnt Laplace scale for each task"),
    "heteroscedastic": Choice("relaxnet.losses:HeteroscedasticLaplace", "A predicted Laplace scale for each voxel"),
    "faithful": Choice(
        "relaxnet.losses:HeteroscedasticLaplace", "The same, with maps trained as without scales", {"faithful": True}
    ),
    "profiled": Choice("relaxnet.losses:ProfiledLaplace", "Laplace scales at their optimum"),
    "correlated": Choice("relaxnet.losses:CorrelatedLaplace", "A learnt scale matrix of all tasks"),
    "uw-so": Choice("relaxnet.losses:SoftOptimalWeighting", "The softmax of the inverse residuals"),
    "random": Choice("relaxnet.losses:RandomWeighting", "New random weights in each step"),
    "dynamic": Choice("relaxnet.losses:DynamicWeightAverage", "Larger weights for tasks that improve slowly"),
}
"""The weightings by name, with the settings that a training uses."""

__getattr__, __dir__, __all__ = lazily(__name__)
__all__ += ["WEIGHTINGS"]
