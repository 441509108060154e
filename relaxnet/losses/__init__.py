"""Losses that need no labels, and the weightings that balance them.

Learning without labels has two parts. A *residual* says how far predicted maps are from explaining the images:
:class:`PairwiseConstraint` takes the decay law at its word, image i must equal image j carried from one time to the
other. It returns a map for each task (each contrast). A *weighting* turns these into the one number that is minimised:

- :class:`FixedWeights`: weights chosen by hand;
- :class:`HomoscedasticLaplace`: one Laplace scale for each task, learnt with the network.

Every weighting is a module that is called with a residual and, optionally, a mask.
"""

from relaxnet.losses._fixed import FixedWeights
from relaxnet.losses._homoscedastic import HomoscedasticLaplace
from relaxnet.losses._pairwise import PairwiseConstraint, pairwise_residual
from relaxnet.losses._weighting import Weighting

__all__ = ["FixedWeights", "HomoscedasticLaplace", "PairwiseConstraint", "Weighting", "pairwise_residual"]
