"""T1 recovery after an inversion or a saturation."""

import math
from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.signals._model import SignalModel
from relaxnet.signals._parameter import T1

_WIDE = 30.0  # above it, in log T, no null is told from an endless T1
_HALVINGS = 60


class Recovery(SignalModel):
    r"""Recovery of the longitudinal magnetisation after a pulse of efficiency f, repeated after a time TR.

    With k = f after a saturation and k = 2 f after an inversion, and an excitation that leaves no magnetisation,

    .. math:: b(T_1, t) = 1 - k\, e^{-t/T_1} + (k - 1)\, e^{-TR/T_1} .

    The amplitude of any pulse that is not perfect is that of a perfect one and a constant,

    .. math:: S(t) = f M\, b_{f=1}(T_1, t) + (1 - f)\, M \left(1 - e^{-TR/T_1}\right) ,

    so a fit that does not know f is linear in both.
    """

    parameter = T1

    def __init__(self, *, efficiency: float | None = None, tr_ms: float | None = None) -> None:
        if efficiency is not None and not 0 < efficiency <= 1:
            raise ValueError(f"efficiency={efficiency!r}: it lies between 0 and 1, the perfect pulse; None fits it.")
        if tr_ms is not None and not 0 < tr_ms < math.inf:
            raise ValueError(f"tr_ms={tr_ms!r}: the repetition time is positive; None is a long one.")
        self.efficiency = None if efficiency is None else float(efficiency)
        self.tr_ms = None if tr_ms is None else float(tr_ms)

    @classmethod
    def ideal(cls, **settings: Any) -> "Recovery":
        """Make the model of a perfect pulse, whose efficiency is 1, so that a fit has two parameters.

        Parameters
        ----------
        **settings
            The other arguments of the model.

        Returns
        -------
        Recovery
            The model.

        Examples
        --------
        >>> rx.signals.SaturationRecovery.ideal()
        SaturationRecovery(efficiency=1.0, tr_ms=None)
        """
        return cls(efficiency=1.0, **settings)

    @property
    def has_offset(self) -> bool:  # type: ignore[override]
        """Whether fits find the efficiency, for which they add a constant; losses and networks need it given."""
        return self.efficiency is None

    @property
    def without_offset(self) -> str:
        """What to use where the efficiency cannot be found, for messages."""
        name = type(self).__name__
        return f"{name}.ideal(), the perfect pulse, or {name}(efficiency=...)"

    @property
    @abstractmethod
    def depth(self) -> float:
        """How far below equilibrium the recovery begins, k: 1 from a saturation, 2 from an inversion."""

    def efficiency_of(self, m0: Any, t: Any, offset: Any) -> Any:
        r"""Compute the efficiency of the pulse from the maps of a fit that found it.

        It is :math:`m_0 / \left(m_0 + c / (1 - e^{-TR/T_1})\right)`, and the equilibrium signal is the denominator.

        Parameters
        ----------
        m0, t, offset
            The maps, arrays or tensors.

        Returns
        -------
        numpy.ndarray or Tensor
            The efficiency of each voxel.

        Examples
        --------
        >>> model, times_ms = rx.signals.InversionRecovery(), np.array([50.0, 200, 600, 1500, 4000])
        >>> maps = rx.fit(np.abs(1 - 2 * 0.8 * np.exp(-times_ms / 900)), times_ms, model=model).maps
        >>> maps["t"].round(3), model.efficiency_of(**maps).round(3)
        (np.float64(900.0), np.float64(0.8))
        """
        recovered: Any = 1.0 if self.tr_ms is None else 1 - math.e ** (-self.tr_ms / t)
        return m0 / (m0 + offset / recovered)

    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        r"""Evaluate :math:`1 - k\, e^{-t/T_1} + (k - 1)\, e^{-TR/T_1}`; with f = 1 where fits find it.

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
        short = -self.depth * torch.expm1(-time / t)
        return short + (1 - self.depth) * (1 if self.tr_ms is None else -torch.expm1(-self.tr_ms / t))

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
        second = (tau - 1) * first
        if self.tr_ms is not None:
            tau = self.tr_ms / t
            by_tr = (self.depth - 1) * tau * torch.exp(-tau)
            first, second = first + by_tr, second + (tau - 1) * by_tr
        return Recovery.basis(self, t, time), first, second


class InversionRecovery(Recovery):
    r"""Recovery after an inversion, :math:`S(t) = a - b\, e^{-t/T_1}`, or its magnitude.

    No pulse of a scanner inverts perfectly, and few sequences wait until all magnetisation has recovered. So fits find
    both a and b unless the efficiency is given, and of magnitudes also which images come before the null. They need
    three images, of magnitudes four.

    Parameters
    ----------
    magnitude
        Whether the images are magnitudes, as most are, so that the signal falls to zero and rises again; False for real
        images, whose signal begins negative.
    efficiency
        The efficiency f of the inversion, b/2a where TR is long: None to fit it; 1 for a perfect pulse, which is
        ``InversionRecovery.ideal()``.
    tr_ms
        Repetition time in ms of a sequence whose excitation leaves no magnetisation, such as a spin echo; None for a
        long one. A fit of a and b gives the same T1 with any; where the efficiency is given, it matters.

    Raises
    ------
    ValueError
        If ``efficiency`` is not between 0 and 1, or ``tr_ms`` is not positive.

    Notes
    -----
    A fit that finds the efficiency returns :math:`m_0 = b/2` and the constant :math:`a - b/2`, where TR is long; see
    ``efficiency_of``. Where nothing can find it, as in losses and networks, the pulse is taken to be perfect.

    The least-squares fit of magnitudes tries the null between all pairs of images, and keeps the best (Barral et al.).

    References
    ----------
    Barral et al., *A robust methodology for in vivo T1 mapping*, Magn Reson Med 64:1057 (2010).

    Examples
    --------
    >>> times_ms = (50, 400, 1100, 2500)
    >>> model = rx.signals.InversionRecovery.ideal(magnitude=False)
    >>> model(torch.tensor([100.0]), torch.tensor([800.0]), times_ms).round(decimals=1)
    tensor([[-87.9000, -21.3000,  49.4000,  91.2000]])
    """

    def __init__(self, *, magnitude: bool = True, efficiency: float | None = None, tr_ms: float | None = None) -> None:
        super().__init__(efficiency=efficiency, tr_ms=tr_ms)
        self.magnitude = magnitude

    @property
    def depth(self) -> float:
        """How far below equilibrium the recovery begins, 2 f."""
        return 2 * (1.0 if self.efficiency is None else self.efficiency)

    @property
    def unfolded(self) -> SignalModel:
        """The model of real images, where a fit of magnitudes finds the efficiency."""
        return type(self)(magnitude=False, tr_ms=self.tr_ms) if self.magnitude and self.has_offset else self

    @property
    def signed(self) -> bool:  # type: ignore[override]
        """Whether images hold the sign of the signal."""
        return not self.magnitude

    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        r"""Evaluate :math:`1 - 2 f e^{-t/T_1} + (2 f - 1)\, e^{-TR/T_1}`, or its magnitude.

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
        r"""List the T1 at which an image is nulled, :math:`t / \log 2f` where TR is long: its magnitude turns back.

        Parameters
        ----------
        time
            Inversion times in ms.

        Returns
        -------
        Tensor
            T1 in ms, one for each time after 0; none for signed images, nor where the pulse inverts too little to null.
        """
        if not self.magnitude or self.depth <= 1:
            return time[:0]
        low = time[time > 0] / math.log(self.depth)
        if self.tr_ms is None:
            return low
        # Recovery within TR is incomplete: later times are not nulled, and others at a longer T1, which is searched.
        low = low[self.depth * time[time > 0] < (self.depth - 1) * self.tr_ms].double()
        time, low = low * math.log(self.depth), torch.log(low)
        high = low + _WIDE
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            negative = Recovery.basis(self, torch.exp(middle), time) < 0
            low, high = torch.where(negative, low, middle), torch.where(negative, middle, high)
        return torch.exp(low)


class SaturationRecovery(Recovery):
    r"""Recovery after a saturation, :math:`S(t) = a - b\, e^{-t/T_1}`.

    Fits find both a and b unless the efficiency is given. With a perfect pulse it is also the steady state of spin
    echoes over repetition times.

    Parameters
    ----------
    efficiency
        The efficiency f of the saturation, b/a where TR is long: None to fit it; 1 for a perfect pulse, which is
        ``SaturationRecovery.ideal()``.
    tr_ms
        Repetition time in ms; None for a long one. A perfect pulse leaves no trace of it.

    Raises
    ------
    ValueError
        If ``efficiency`` is not between 0 and 1, or ``tr_ms`` is not positive.

    Notes
    -----
    A fit that finds the efficiency returns :math:`m_0 = b` and the constant :math:`a - b`; see ``efficiency_of``.
    Where nothing can find it, as in losses and networks, the pulse is taken to be perfect.

    Examples
    --------
    >>> model = rx.signals.SaturationRecovery.ideal()
    >>> model(torch.tensor([100.0]), torch.tensor([800.0]), times_ms=(100, 800, 3000)).round(decimals=1)
    tensor([[11.8000, 63.2000, 97.6000]])
    """

    @property
    def depth(self) -> float:
        """How far below equilibrium the recovery begins, f."""
        return 1.0 if self.efficiency is None else self.efficiency
