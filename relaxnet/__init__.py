"""Relaxation-time maps from a handful of weighted MR images: voxel-wise fits, and self-supervised networks that are
trained on the signal model instead of labels.

The physics is written once, in :mod:`relaxnet.signals`, and a :class:`Contrast` carries it; simulation, losses, fits
and their standard errors follow from it. Everything is loaded when it is first used, so ``import relaxnet`` costs
nothing and needs no extra.
"""

from typing import TYPE_CHECKING

from relaxnet._lazy import lazily
from relaxnet._version import __version__ as __version__

if TYPE_CHECKING:
    from relaxnet import denoise as denoise
    from relaxnet import errors as errors
    from relaxnet import experiments as experiments
    from relaxnet import fitting as fitting
    from relaxnet import information as information
    from relaxnet import io as io
    from relaxnet import losses as losses
    from relaxnet import metrics as metrics
    from relaxnet import nets as nets
    from relaxnet import phantom as phantom
    from relaxnet import plots as plots
    from relaxnet import protocols as protocols
    from relaxnet import signals as signals
    from relaxnet import testing as testing
    from relaxnet import times as times
    from relaxnet import training as training
    from relaxnet import workflows as workflows
    from relaxnet.fitting import FitResult as FitResult
    from relaxnet.fitting import FitStatus as FitStatus
    from relaxnet.fitting import fit as fit
    from relaxnet.fitting import fit_joint as fit_joint
    from relaxnet.fitting import fit_spatial as fit_spatial
    from relaxnet.protocol import Contrast as Contrast
    from relaxnet.protocol import Protocol as Protocol
    from relaxnet.training import load as load

__getattr__, __dir__, __all__ = lazily(__name__)
