"""Losses that need no labels, and the weightings that balance them.

A self-supervised loss has two parts. A *residual* is how far predicted maps are from explaining the images, as a map
for each task (each contrast):

- :class:`PairwiseConstraint`: image i must equal image j, propagated from one time to the other by the signal model;
- :class:`Reconstruction`: the images must equal those that the maps predict, for which an amplitude is needed.

Either can be restricted to held-out images (``held_out_from``), since a network can learn to reproduce the noise of its
inputs. :func:`supervised` is the loss for data with labels.

A *weighting* (:data:`WEIGHTINGS`) turns the residuals into the one number that is minimised:

- :class:`FixedWeights`: fixed numbers;
- :class:`HomoscedasticLaplace`: one Laplace scale for each task, learnt with the network; :class:`ProfiledLaplace`: the
  same at its optimum, with nothing to learn;
- :class:`HeteroscedasticLaplace`: a scale for each voxel, predicted by the network;
- :class:`CorrelatedLaplace`: a full scale matrix, from signed residuals;
- :class:`RandomWeighting` and :class:`DynamicWeightAverage`: controls that these have to beat.

Every weighting is a module that is called with a residual and, optionally, a mask. It refuses residuals that are not
finite where they are used, and reports in ``count`` how many voxels were used. Methods that balance gradients are not
written here: pass the residual of each task to TorchJD.
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
    from relaxnet.losses._supervised import supervised as supervised
    from relaxnet.losses._weighting import Count as Count
    from relaxnet.losses._weighting import TaskWeighting as TaskWeighting
    from relaxnet.losses._weighting import Weighting as Weighting

WEIGHTINGS = {
    "fixed": Choice("relaxnet.losses:FixedWeights", "Weights of 1"),
    "homoscedastic": Choice("relaxnet.losses:HomoscedasticLaplace", "One learnt Laplace scale a task"),
    "heteroscedastic": Choice("relaxnet.losses:HeteroscedasticLaplace", "A Laplace scale for each voxel"),
    "faithful": Choice(
        "relaxnet.losses:HeteroscedasticLaplace", "The same, and maps as without any scales", {"faithful": True}
    ),
    "profiled": Choice("relaxnet.losses:ProfiledLaplace", "Laplace scales at their optimum"),
    "correlated": Choice("relaxnet.losses:CorrelatedLaplace", "A learnt scale matrix of all tasks"),
    "random": Choice("relaxnet.losses:RandomWeighting", "Random weights in each step"),
    "dynamic": Choice("relaxnet.losses:DynamicWeightAverage", "Weights by how slowly each task improves"),
}
"""The weightings by name, as trainings make them."""

__getattr__, __dir__, __all__ = lazily(__name__)
__all__ += ["WEIGHTINGS"]
