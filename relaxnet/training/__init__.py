"""Training without labels, and what comes out of it.

:func:`train` takes a cohort and returns a :class:`Trained` network, ready to map new images, to be saved, and to be
loaded again with :func:`load`. What it is taught by stands in a :class:`Loss`, how large the network is and how long it
trains in a :class:`Preset`.

An :class:`Ensemble` of such networks maps better than each of them. How wrong maps may be, in ms, a :class:`Spread`
says.

Lightning runs the training and is imported by :func:`train` alone (extra ``train``).
"""

from relaxnet.training._ensemble import Ensemble
from relaxnet.training._objectives import LOSSES, Loss, LossName
from relaxnet.training._presets import PRESETS, Preset, PresetName
from relaxnet.training._train import train
from relaxnet.training._trained import Trained, load
from relaxnet.training._uncertainty import Spread

__all__ = [
    "LOSSES",
    "PRESETS",
    "Ensemble",
    "Loss",
    "LossName",
    "Preset",
    "PresetName",
    "Spread",
    "Trained",
    "load",
    "train",
]
