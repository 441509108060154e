"""Signal models and noise: the physics, written once.

A *separable* model says ``S(t) = m0 * basis(T, t)``: an amplitude that enters linearly, and one parameter that does
not. A :class:`relaxnet.Contrast` carries its model. Whoever adds a model adds one file with its ``basis``; simulation,
fits (the amplitude is eliminated, so only T is searched), standard errors, bounds, losses and networks follow from it.

- :class:`MonoExponential` describes T1rho, T2 and T2*; :class:`MonoExponentialWithOffset` adds a constant, and
  :class:`StretchedExponential` mixes many relaxation times;
- :class:`InversionRecovery`, :class:`SaturationRecovery` and :class:`VariableFlipAngle` describe T1;
- :class:`Diffusion` describes the apparent diffusion coefficient;
- :class:`SignalModel` is the base of all of them, and of yours; :class:`ExponentialDecay` that of those which decay
  exponentially in some coordinate.

:func:`add_noise` adds the noise of magnitude images; :func:`rician_mean` computes what that does to their mean, and
:func:`remove_rician_bias` removes most of it.
"""

from relaxnet.signals._describe import describe_model, restore_model
from relaxnet.signals._diffusion import Diffusion
from relaxnet.signals._exponential_decay import ExponentialDecay, MonoExponential
from relaxnet.signals._flip_angle import VariableFlipAngle
from relaxnet.signals._model import SignalModel, require_model
from relaxnet.signals._noise import Noise, add_noise, remove_rician_bias, rician_mean
from relaxnet.signals._offset import MonoExponentialWithOffset
from relaxnet.signals._parameter import Parameter
from relaxnet.signals._recovery import InversionRecovery, SaturationRecovery
from relaxnet.signals._stretched_exponential import StretchedExponential

__all__ = [
    "Diffusion",
    "ExponentialDecay",
    "InversionRecovery",
    "MonoExponential",
    "MonoExponentialWithOffset",
    "Noise",
    "Parameter",
    "SaturationRecovery",
    "SignalModel",
    "StretchedExponential",
    "VariableFlipAngle",
    "add_noise",
    "describe_model",
    "remove_rician_bias",
    "require_model",
    "restore_model",
    "rician_mean",
]
