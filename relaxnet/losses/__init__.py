"""Losses that need no labels, and the weightings that balance them.

Learning without labels has two parts. A *residual* says how far predicted maps are from explaining the images, as a map
for each task (each contrast):

- :class:`PairwiseConstraint` takes the decay law at its word: image i must equal image j carried from one time to the
  other;
- :class:`Reconstruction` compares the images with those that the maps predict, for which an amplitude is needed.

Either can leave out the images that the network receives (``unseen_by``), whose noise it could learn to reproduce.
:func:`supervised` is the loss of those who have labels.

A *weighting* turns the residuals into the one number that is minimised:

- :class:`FixedWeights`: weights chosen by hand;
- :class:`HomoscedasticLaplace`: one Laplace scale for each task, learnt with the network; :class:`ProfiledLaplace`: the
  same at its optimum, with nothing to learn;
- :class:`HeteroscedasticLaplace`: a scale for each voxel, predicted by the network;
- :class:`CorrelatedLaplace`: a full scale matrix, from signed residuals;
- :class:`RandomWeighting` and :class:`DynamicWeightAverage`: what these have to beat.

Every weighting is a module that is called with a residual and, optionally, a mask. It refuses residuals that are not
finite where they are used, and tells in ``count`` how many voxels went in. Methods that balance gradients are not
written here: pass the residual of each task to TorchJD.
"""

from relaxnet.losses._controls import DynamicWeightAverage, RandomWeighting
from relaxnet.losses._correlated import CorrelatedLaplace
from relaxnet.losses._fixed import FixedWeights
from relaxnet.losses._heteroscedastic import HeteroscedasticLaplace
from relaxnet.losses._homoscedastic import HomoscedasticLaplace
from relaxnet.losses._pairwise import Pairs, PairwiseConstraint, pairwise_residual
from relaxnet.losses._profiled import ProfiledLaplace
from relaxnet.losses._reconstruction import Distance, Reconstruction
from relaxnet.losses._supervised import supervised
from relaxnet.losses._unseen import UnseenBy
from relaxnet.losses._weighting import Count, TaskWeighting, Weighting

__all__ = [
    "CorrelatedLaplace",
    "Count",
    "Distance",
    "DynamicWeightAverage",
    "FixedWeights",
    "HeteroscedasticLaplace",
    "HomoscedasticLaplace",
    "Pairs",
    "PairwiseConstraint",
    "ProfiledLaplace",
    "RandomWeighting",
    "Reconstruction",
    "TaskWeighting",
    "UnseenBy",
    "Weighting",
    "pairwise_residual",
    "supervised",
]
