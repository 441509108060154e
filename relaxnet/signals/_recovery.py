"""Recovery of the longitudinal magnetisation: T1 is what it is all about."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.signals._model import SignalModel


class InversionRecovery(SignalModel):
    r"""Recovery after an inversion, :math:`S(t) = m_0 \left(1 - 2 e^{-t/T_1}\right)`, or its magnitude.

    Parameters
    ----------
    magnitude
        Whether the images are magnitudes, as most are, so that the signal falls to zero and rises again; False for real
        images, whose signal begins negative.

    Notes
    -----
    The repetition time is taken to be long, and the inversion to be perfect.

    Examples
    --------
    >>> times_ms = (50, 400, 1100, 2500)
    >>> model = rx.signals.InversionRecovery(magnitude=False)
    >>> model(torch.tensor([100.0]), torch.tensor([800.0]), times_ms).round(decimals=1)
    tensor([[-87.9000, -21.3000,  49.4000,  91.2000]])
    """

    def __init__(self, *, magnitude: bool = True) -> None:
        self.magnitude = magnitude

    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        """Evaluate :math:`1 - 2 e^{-t/T_1}`, or its magnitude.

        Parameters
        ----------
        t
            T1 in ms, positive.
        time
            Inversion time in ms, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        Tensor
            Signal of unit amplitude.
        """
        signed = 1 - 2 * torch.exp(-time / t)
        return signed.abs() if self.magnitude else signed

    def kinks(self, time: Float[Tensor, " time"]) -> Float[Tensor, " kink"]:
        r"""Tell at which T1 an image is nulled, :math:`t / \log 2`: there its magnitude turns back.

        Parameters
        ----------
        time
            Inversion times in ms.

        Returns
        -------
        Tensor
            T1 in ms, one for each time after 0; none for signed images.
        """
        return time[time > 0] / math.log(2) if self.magnitude else time[:0]

    def jet(self, t: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""Evaluate the basis with its first two derivatives with respect to :math:`\log T_1`.

        Parameters
        ----------
        t
            T1 in ms, positive.
        time
            Inversion time in ms, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        tuple of Tensor
            Value, first and second derivative.
        """
        tau = time / t
        decay = -2 * torch.exp(-tau)
        value = 1 + decay
        first = tau * decay
        second = (tau - 1) * first
        if self.magnitude:
            sign = torch.where(value < 0, -1, 1).to(value.dtype)
            return sign * value, sign * first, sign * second
        return value, first, second


class SaturationRecovery(SignalModel):
    r"""Recovery after a saturation, :math:`S(t) = m_0 \left(1 - e^{-t/T_1}\right)`.

    It is also the steady state of spin echoes over repetition times.

    Examples
    --------
    >>> model = rx.signals.SaturationRecovery()
    >>> model(torch.tensor([100.0]), torch.tensor([800.0]), times_ms=(100, 800, 3000)).round(decimals=1)
    tensor([[11.8000, 63.2000, 97.6000]])
    """

    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        """Evaluate :math:`1 - e^{-t/T_1}`.

        Parameters
        ----------
        t
            T1 in ms, positive.
        time
            Recovery time in ms, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        Tensor
            Signal of unit amplitude.
        """
        return -torch.expm1(-time / t)

    def jet(self, t: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""Evaluate the basis with its first two derivatives with respect to :math:`\log T_1`.

        Parameters
        ----------
        t
            T1 in ms, positive.
        time
            Recovery time in ms, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        tuple of Tensor
            Value, first and second derivative.
        """
        tau = time / t
        first = -tau * torch.exp(-tau)
        return -torch.expm1(-tau), first, (tau - 1) * first
