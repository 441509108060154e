"""Signal models and noise: the physics, written once.

A *separable* model says ``S(t) = m0 * basis(T, t)``: an amplitude that enters linearly, and one relaxation time that
does not. Whoever adds a model adds one file with its ``basis``; simulation, voxel-wise fits (the amplitude is
eliminated, so only T is searched), standard errors and losses follow from it.

:class:`MonoExponential` describes T1rho, T2 and T2* decays, and diffusion with b-values in the place of times;
:class:`MonoExponentialWithOffset` adds a constant. :class:`InversionRecovery` and :class:`SaturationRecovery` describe
T1. :func:`add_noise` makes a simulated image as noisy as a magnitude image is; :func:`rician_mean` tells what that does
to its mean, and :func:`remove_rician_bias` undoes most of it.
"""

from relaxnet.signals._model import SignalModel
from relaxnet.signals._mono_exponential import MonoExponential, MonoExponentialWithOffset
from relaxnet.signals._noise import add_noise, remove_rician_bias, rician_mean
from relaxnet.signals._recovery import InversionRecovery, SaturationRecovery

__all__ = [
    "InversionRecovery",
    "MonoExponential",
    "MonoExponentialWithOffset",
    "SaturationRecovery",
    "SignalModel",
    "add_noise",
    "remove_rician_bias",
    "rician_mean",
]
