"""Relaxation-time maps from a handful of weighted MR images: by voxel-wise fits, and by networks that
learn from the decay law.

The physics is written once, in :mod:`relaxnet.signals`; simulation, losses, fits and their standard errors follow from
it. Everything is loaded when it is first used, so ``import relaxnet`` costs nothing and needs no extra.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relaxnet import (
        experiments,
        fitting,
        information,
        io,
        losses,
        metrics,
        nets,
        phantom,
        plots,
        protocols,
        signals,
        training,
    )
    from relaxnet.fitting import FitResult, FitStatus, fit, fit_joint
    from relaxnet.protocol import Contrast, Protocol
    from relaxnet.training import load

__version__ = "0.1.0.dev0"

__all__ = [
    "Contrast",
    "FitResult",
    "FitStatus",
    "Protocol",
    "experiments",
    "fit",
    "fit_joint",
    "fitting",
    "information",
    "io",
    "load",
    "losses",
    "metrics",
    "nets",
    "phantom",
    "plots",
    "protocols",
    "signals",
    "training",
]

_HOMES = {
    "Contrast": "protocol",
    "FitResult": "fitting",
    "FitStatus": "fitting",
    "Protocol": "protocol",
    "fit": "fitting",
    "fit_joint": "fitting",
    "load": "training",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'relaxnet' has no attribute {name!r}")
    if name in _HOMES:
        return getattr(import_module(f"relaxnet.{_HOMES[name]}"), name)
    return import_module(f"relaxnet.{name}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
