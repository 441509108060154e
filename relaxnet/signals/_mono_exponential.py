"""The mono-exponential decay, alone and above a constant."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.signals._model import SignalModel


class MonoExponential(SignalModel):
    r"""Mono-exponential decay, :math:`S(t) = m_0\, e^{-t/T}`.

    It describes T1rho over spin-lock times, T2 over echo or preparation times, T2* over echo times, and diffusion over
    b-values in s/mm², where :math:`1/T` is the apparent diffusion coefficient in mm²/s.

    References
    ----------
    Huang et al. (2023), eq. (3) and (4), state it for two images, in which :math:`m_0` cancels.

    Examples
    --------
    >>> model = rx.signals.MonoExponential()
    >>> model(m0=torch.tensor([100.0]), t=torch.tensor([50.0]), times_ms=(0, 50))
    tensor([[100.0000,  36.7879]])
    """

    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        """Evaluate :math:`e^{-t/T}`.

        Parameters
        ----------
        t
            Relaxation time in ms, positive.
        time
            Time in ms, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        Tensor
            Signal of unit amplitude.
        """
        return torch.exp(-time / t)

    def jet(self, t: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""Evaluate the basis with its first two derivatives with respect to :math:`\log T`.

        With :math:`\tau = t/T` they are :math:`\tau e^{-\tau}` and :math:`(\tau^2 - \tau)\, e^{-\tau}`.

        Parameters
        ----------
        t
            Relaxation time in ms, positive.
        time
            Time in ms, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        tuple of Tensor
            Value, first and second derivative.
        """
        tau = time / t
        value = torch.exp(-tau)
        first = tau * value
        return value, first, (tau - 1) * first

    def contradicted_by(
        self,
        signal: Float[Tensor, "time voxel"],
        weight: Float[Tensor, "time #voxel"],
        time: Float[Tensor, "time 1"],
    ) -> Bool[Tensor, " voxel"]:
        """Tell which voxels rise with time: their best rate is negative, beyond even an infinite T.

        The rate that fits best crosses zero where the slope of the signal over time does, so the slope's sign decides;
        a slope that rounding alone could have made counts as flat.

        Parameters
        ----------
        signal
            Samples of each voxel.
        weight
            Weight of each sample, 0 where it is not to be used.
        time
            Times in ms.

        Returns
        -------
        Tensor
            Mask of the rising voxels.
        """
        centred = time - (weight * time).sum(0) / weight.sum(0)
        slope = (weight * centred * signal).sum(0)
        rounding = 8 * torch.finfo(signal.dtype).eps * (weight * centred * signal).abs().sum(0)
        return slope > rounding


class MonoExponentialWithOffset(MonoExponential):
    r"""Mono-exponential decay above a constant, :math:`S(t) = m_0\, e^{-t/T} + c`.

    The constant stands for signal that does not decay within the times, such as fluid, or for the floor that noise
    makes of magnitude images. It costs a degree of freedom and much precision: with four images one is left.

    Notes
    -----
    As a remedy for the noise floor it overestimates the rate, because the slow part it takes for decay is noise
    (Feng et al., Magn Reson Med 70:1765, 2013); :func:`relaxnet.fitting.rician` has no such bias.

    Examples
    --------
    >>> model = rx.signals.MonoExponentialWithOffset()
    >>> m0, t, offset = torch.tensor([100.0]), torch.tensor([50.0]), torch.tensor([10.0])
    >>> model(m0, t, times_ms=(0, 50), offset=offset)
    tensor([[110.0000,  46.7879]])
    """

    has_offset = True

    def contradicted_by(
        self,
        signal: Float[Tensor, "time voxel"],
        weight: Float[Tensor, "time #voxel"],
        time: Float[Tensor, "time 1"],
    ) -> Bool[Tensor, " voxel"]:
        """Tell that no voxel is: a rising signal has a negative amplitude, which is seen without further questions.

        Parameters
        ----------
        signal
            Samples of each voxel.
        weight
            Weight of each sample, 0 where it is not to be used.
        time
            Times in ms.

        Returns
        -------
        Tensor
            Mask of the voxels, none.
        """
        return SignalModel.contradicted_by(self, signal, weight, time)
