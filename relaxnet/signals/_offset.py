"""The mono-exponential decay above a constant."""

from torch import Tensor

from relaxnet.signals._exponential_decay import MonoExponential
from relaxnet.signals._model import SignalModel

_DECAY = MonoExponential()


class MonoExponentialWithOffset(SignalModel):
    r"""Mono-exponential decay above a constant, :math:`S(t) = m_0\, e^{-t/T} + c`.

    The constant stands for signal that does not decay within the times, such as fluid, or for the floor that noise
    makes of magnitude images. It costs a degree of freedom and much precision: with four images one is left. Neither
    two images nor pairs of images determine it, so it has no two-point fit, no pairwise loss and no joint fit.

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
            Signal of unit amplitude, without the constant.
        """
        return _DECAY.basis(t, time)

    def basis_with_derivatives(self, t: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""Evaluate the basis with its first two derivatives with respect to :math:`\log T`.

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
        return _DECAY.basis_with_derivatives(t, time)

    def search_bounds(self, bounds: tuple[float, float], first_time: float) -> tuple[float, float]:
        """Keep a search where the first image has not vanished.

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
        return _DECAY.search_bounds(bounds, first_time)
