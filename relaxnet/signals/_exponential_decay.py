"""Signals that decay exponentially in some coordinate: what relaxation, stretched relaxation and diffusion share."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.signals._model import SignalModel

_VANISHED = 40.0  # e^-40 of the amplitude is nothing, and squares of less leave the range of float32


class ExponentialDecay(SignalModel):
    r"""An exponential decay, :math:`b(T, t) = e^{-u(t)\, R(T)}` with the rate :math:`R = T^{-p}`.

    Its logarithm is linear in the coordinate u. So it has a log-linear fit, a closed form for two images, and rates
    that can be shifted: :math:`e^{-\delta u}` times the signal is that of a rate larger by :math:`\delta`. Subclasses
    set :attr:`power`, and :meth:`coordinate` where u is not t.
    """

    power: float = 1.0
    """The power p, so that the rate is 1/T for p = 1 and T itself for p = -1."""

    @property
    def flat_end(self) -> Literal["low", "high"]:  # type: ignore[override]
        """The end of the range of T at which the rate is smallest."""
        return "high" if self.power > 0 else "low"

    def coordinate(self, time: Tensor) -> Tensor:
        """Return u, in which the decay is exponential.

        Parameters
        ----------
        time
            Times.

        Returns
        -------
        Tensor
            The times themselves, unless a subclass knows better.
        """
        return time

    def rate(self, t: Tensor) -> Tensor:
        """Convert T to the rate of the decay.

        Parameters
        ----------
        t
            The parameter T, positive.

        Returns
        -------
        Tensor
            The rate, in units of 1/u.
        """
        return torch.reciprocal(t) if self.power == 1 else t**-self.power

    def from_rate(self, rate: Tensor) -> Tensor:
        """Convert rates to T.

        Parameters
        ----------
        rate
            Rates, in units of 1/u.

        Returns
        -------
        Tensor
            T; of a rate that is not positive, a number that is not positive or not finite.
        """
        return torch.reciprocal(rate) if self.power == 1 else torch.sign(rate) * rate.abs() ** (-1 / self.power)

    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        """Evaluate :math:`e^{-u R}`.

        Parameters
        ----------
        t
            The parameter T, positive.
        time
            Time, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        Tensor
            Signal of unit amplitude.
        """
        return torch.exp(-self._exponent(t, time))

    def _exponent(self, t: Tensor, time: Tensor) -> Tensor:
        return self.coordinate(time) / (t if self.power == 1 else t**self.power)

    def differentiable_basis(self, t: Tensor, time: Tensor) -> Tensor:
        """Evaluate the basis, whose automatic gradient is finite.

        Parameters
        ----------
        t
            The parameter T, positive.
        time
            Time, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        Tensor
            Signal of unit amplitude.
        """
        return self.basis(t, time)

    def basis_with_derivatives(self, t: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""Evaluate the basis with its first two derivatives with respect to :math:`\log T`.

        With :math:`x = u R` they are :math:`p\, x e^{-x}` and :math:`p^2 (x^2 - x)\, e^{-x}`.

        Parameters
        ----------
        t
            The parameter T, positive.
        time
            Time, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        tuple of Tensor
            Value, first and second derivative.
        """
        x = self._exponent(t, time)
        value = torch.exp(-x)
        first = x * value if self.power == 1 else self.power * x * value
        return value, first, (x - 1) * first if self.power == 1 else self.power * (x - 1) * first

    def is_incompatible(
        self,
        signal: Float[Tensor, "time voxel"],
        weight: Float[Tensor, "time #voxel"],
        time: Float[Tensor, "time 1"],
    ) -> Bool[Tensor, " voxel"]:
        """Find the voxels that rise: their best rate is negative.

        The rate that fits best crosses zero where the slope of the signal over u does, so the slope's sign decides; a
        slope that rounding alone could have made counts as flat.

        Parameters
        ----------
        signal
            Samples of each voxel.
        weight
            Weight of each sample, 0 where it is not to be used.
        time
            Times.

        Returns
        -------
        Tensor
            Mask of the rising voxels.
        """
        u = self.coordinate(time)
        centred = u - (weight * u).sum(0) / weight.sum(0)
        slope = (weight * centred * signal).sum(0)
        rounding = 8 * torch.finfo(signal.dtype).eps * (weight * centred * signal).abs().sum(0)
        return slope > rounding

    def search_bounds(self, bounds: tuple[float, float], first_time: float) -> tuple[float, float]:
        r"""Keep a search where the first image has decayed by less than :math:`e^{-40}`.

        Parameters
        ----------
        bounds
            Smallest and largest T that the user allows.
        first_time
            The first time.

        Returns
        -------
        tuple of float
            Bounds within these.
        """
        low, high = bounds
        u = float(self.coordinate(torch.tensor(first_time, dtype=torch.float64)))
        if not u:
            return bounds
        limit = (u / _VANISHED) ** (1 / self.power)  # T at which u R is 40
        return (max(low, min(limit, high / 2)), high) if self.power > 0 else (low, min(high, max(limit, 2 * low)))

    def solve_pair(
        self,
        first: Float[Tensor, " voxel"],
        second: Float[Tensor, " voxel"],
        times: tuple[float, float],
    ) -> Float[Tensor, " voxel"]:
        r"""Compute T from two positive samples, :math:`R = \log(S_0/S_1) / (u_1 - u_0)`.

        Parameters
        ----------
        first, second
            The samples.
        times
            Their times.

        Returns
        -------
        Tensor
            T of each voxel: negative where the signal rises, infinite or 0 where it does not change.
        """
        start, end = self.coordinate(first.new_tensor(times))
        return self.from_rate(torch.log(first / second) / (end - start))


class MonoExponential(ExponentialDecay):
    r"""Mono-exponential decay, :math:`S(t) = m_0\, e^{-t/T}`.

    It describes T1rho over spin-lock times, T2 over echo or preparation times, and T2* over echo times.

    References
    ----------
    Huang et al. (2023), eq. (3) and (4), state it for two images, in which :math:`m_0` cancels.

    Examples
    --------
    >>> model = rx.signals.MonoExponential()
    >>> model(m0=torch.tensor([100.0]), t=torch.tensor([50.0]), times_ms=(0, 50))
    tensor([[100.0000,  36.7879]])
    """
