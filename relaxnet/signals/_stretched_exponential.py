"""The stretched exponential: a distribution of relaxation times in one parameter."""

from torch import Tensor

from relaxnet.signals._exponential_decay import ExponentialDecay


class StretchedExponential(ExponentialDecay):
    r"""Stretched exponential decay, :math:`S(t) = m_0\, e^{-(t/T)^\alpha}`.

    It describes tissue in which many relaxation times are mixed: the smaller alpha, the wider their distribution.

    Parameters
    ----------
    alpha
        The exponent, positive; 1 for a mono-exponential decay.

    Raises
    ------
    ValueError
        If ``alpha`` is not between 0 and 2.

    References
    ----------
    Bennett et al., *Characterization of continuously distributed cortical water diffusion rates with a stretched-
    exponential model*, Magn Reson Med 50:727 (2003), for diffusion; Johnston, *Stretched exponential relaxation arising
    from a continuous sum of exponential decays*, Phys Rev B 74:184430 (2006).

    Examples
    --------
    >>> model = rx.signals.StretchedExponential(alpha=0.8)
    >>> model(torch.tensor([100.0]), torch.tensor([50.0]), times_ms=(0, 50, 100)).round(decimals=1)
    tensor([[100.0000,  36.8000,  17.5000]])
    """

    def __init__(self, alpha: float) -> None:
        if not 0 < alpha <= 2:
            raise ValueError(f"alpha={alpha!r}: the exponent lies between 0 and 2; 1 is a mono-exponential decay.")
        self.alpha = float(alpha)

    @property
    def power(self) -> float:  # type: ignore[override]
        """The power of T in the rate, which is alpha."""
        return self.alpha

    def coordinate(self, time: Tensor) -> Tensor:
        r"""Return :math:`t^\alpha`, in which the decay is exponential.

        Parameters
        ----------
        time
            Time in ms.

        Returns
        -------
        Tensor
            The coordinate.
        """
        return time**self.alpha
