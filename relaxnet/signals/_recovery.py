"""T1 recovery after an inversion or a saturation."""

import math
from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.signals._model import SignalModel
from relaxnet.signals._parameter import T1


class Recovery(SignalModel):
    r"""Recovery of the longitudinal magnetisation, :math:`b(T_1, t) = 1 - k\, e^{-t/T_1}`."""

    parameter = T1

    def __init__(self, *, efficiency: float = 1.0) -> None:
        if not 0 < efficiency <= 1:
            raise ValueError(f"efficiency={efficiency!r}: it lies between 0 and 1, the perfect pulse.")
        self.efficiency = float(efficiency)

    @property
    @abstractmethod
    def depth(self) -> float:
        """How far below equilibrium the recovery begins, k: 1 from a saturation, 2 from an inversion."""

    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        r"""Evaluate :math:`1 - k\, e^{-t/T_1}`.

        Parameters
        ----------
        t
            T1 in ms, positive.
        time
            Time in ms, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        Tensor
            Signal of unit amplitude.
        """
        # expm1 does not cancel where the time is short.
        return (1 - self.depth) - self.depth * torch.expm1(-time / t)

    def basis_with_derivatives(self, t: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""Evaluate the basis with its first two derivatives with respect to :math:`\log T_1`.

        Parameters
        ----------
        t
            T1 in ms, positive.
        time
            Time in ms, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        tuple of Tensor
            Value, first and second derivative.
        """
        tau = time / t
        first = -self.depth * tau * torch.exp(-tau)
        return Recovery.basis(self, t, time), first, (tau - 1) * first


class InversionRecovery(Recovery):
    r"""Recovery after an inversion, :math:`S(t) = m_0 \left(1 - 2 f e^{-t/T_1}\right)`, or its magnitude.

    Parameters
    ----------
    magnitude
        Whether the images are magnitudes, as most are, so that the signal falls to zero and rises again; False for real
        images, whose signal begins negative.
    efficiency
        The efficiency f of the inversion, 1 for a perfect pulse.

    Raises
    ------
    ValueError
        If ``efficiency`` is not between 0 and 1.

    Notes
    -----
    The repetition time is taken to be long.

    Examples
    --------
    >>> times_ms = (50, 400, 1100, 2500)
    >>> model = rx.signals.InversionRecovery(magnitude=False)
    >>> model(torch.tensor([100.0]), torch.tensor([800.0]), times_ms).round(decimals=1)
    tensor([[-87.9000, -21.3000,  49.4000,  91.2000]])
    """

    def __init__(self, *, magnitude: bool = True, efficiency: float = 1.0) -> None:
        super().__init__(efficiency=efficiency)
        self.magnitude = magnitude

    @property
    def depth(self) -> float:
        """How far below equilibrium the recovery begins, 2 f."""
        return 2 * self.efficiency

    @property
    def signed(self) -> bool:  # type: ignore[override]
        """Whether images hold the sign of the signal."""
        return not self.magnitude

    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        r"""Evaluate :math:`1 - 2 f e^{-t/T_1}`, or its magnitude.

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
        signed = super().basis(t, time)
        return signed.abs() if self.magnitude else signed

    def basis_with_derivatives(self, t: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
        value, first, second = super().basis_with_derivatives(t, time)
        if not self.magnitude:
            return value, first, second
        sign = torch.where(value < 0, -1, 1).to(value.dtype)
        return sign * value, sign * first, sign * second

    def non_smooth_points(self, time: Float[Tensor, " time"]) -> Float[Tensor, " point"]:
        r"""List the T1 at which an image is nulled, :math:`t / \log 2f`: there its magnitude turns back.

        Parameters
        ----------
        time
            Inversion times in ms.

        Returns
        -------
        Tensor
            T1 in ms, one for each time after 0; none for signed images, nor where the pulse inverts too little to null.
        """
        return time[time > 0] / math.log(self.depth) if self.magnitude and self.depth > 1 else time[:0]


class SaturationRecovery(Recovery):
    r"""Recovery after a saturation, :math:`S(t) = m_0 \left(1 - f e^{-t/T_1}\right)`.

    It is also the steady state of spin echoes over repetition times.

    Parameters
    ----------
    efficiency
        The efficiency f of the saturation, 1 for a perfect pulse.

    Raises
    ------
    ValueError
        If ``efficiency`` is not between 0 and 1.

    Examples
    --------
    >>> model = rx.signals.SaturationRecovery()
    >>> model(torch.tensor([100.0]), torch.tensor([800.0]), times_ms=(100, 800, 3000)).round(decimals=1)
    tensor([[11.8000, 63.2000, 97.6000]])
    """

    @property
    def depth(self) -> float:
        """How far below equilibrium the recovery begins, f."""
        return self.efficiency
