"""The base of all signal models."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.protocol import Contrast, parse_times


class SignalModel(ABC):
    r"""A separable signal model, :math:`S(t) = m_0\, b(T, t)`.

    With :attr:`has_offset` a constant is added, :math:`S(t) = m_0\, b(T, t) + c`; it enters linearly, too.

    A subclass writes :meth:`basis`. It may write :meth:`jet` too, where a closed form is faster than the automatic
    derivative, and :meth:`contradicted_by`, where some signals are plainly not of its kind.

    Examples
    --------
    A model of one's own, fitted and simulated like those that come with relaxnet:

    >>> class GaussianDecay(rx.signals.SignalModel):
    ...     def basis(self, t, time):
    ...         return torch.exp(-((time / t) ** 2))
    >>> times_ms = (0, 20, 40, 80)
    >>> signal = GaussianDecay()(torch.tensor([90.0]), torch.tensor([50.0]), times_ms)
    >>> rx.fitting.nlls(signal, times_ms, model=GaussianDecay()).maps["t"].round(decimals=2)
    tensor([50.])
    """

    has_offset: ClassVar[bool] = False
    """Whether a constant is added to the signal; it is fitted with the other parameters."""
    log_step: ClassVar[float] = 0.25
    """A step in log T over which the signal has no finer structure: fits look for the best T at this distance first."""

    @abstractmethod
    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        """Evaluate the signal of unit amplitude.

        Parameters
        ----------
        t
            Relaxation time in ms, positive.
        time
            Time in ms, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        Tensor
            Signal, of the shape that ``t`` and ``time`` broadcast to.
        """

    def jet(self, t: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
            :math:`b`, :math:`\partial b/\partial \log T` and :math:`\partial^2 b/\partial (\log T)^2`.
        """
        log_t = torch.log(t) + torch.zeros_like(time)
        with torch.enable_grad():  # the basis acts on each element by itself, so the gradient of its sum is its slope
            log_t = log_t.detach().requires_grad_()
            value = self.basis(torch.exp(log_t), time)
            (first,) = torch.autograd.grad(value.sum(), log_t, create_graph=True)
            (second,) = torch.autograd.grad(first.sum(), log_t, materialize_grads=True)
        return value.detach(), first.detach(), second

    def kinks(self, time: Float[Tensor, " time"]) -> Float[Tensor, " kink"]:
        """Tell at which T the signal is not smooth, so that fits can search between them.

        Parameters
        ----------
        time
            Times in ms.

        Returns
        -------
        Tensor
            Relaxation times in ms; none, unless a model has some.
        """
        return time[:0]

    def contradicted_by(
        self,
        signal: Float[Tensor, "time voxel"],
        weight: Float[Tensor, "time #voxel"],
        time: Float[Tensor, "time 1"],
    ) -> Bool[Tensor, " voxel"]:
        """Tell which voxels no relaxation time at all can explain, such as a decay that rises.

        It is asked about voxels whose best fit lies at the longest T that is allowed.

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
            Mask of the voxels; none, unless a model knows better.
        """
        del weight, time
        return torch.zeros(signal.shape[1], dtype=torch.bool, device=signal.device)

    def __call__(
        self,
        m0: Float[Tensor, "batch *space"],
        t: Float[Tensor, "batch *space"],
        times_ms: Contrast | Sequence[float] | Tensor,
        *,
        offset: Float[Tensor, "batch *space"] | None = None,
    ) -> Float[Tensor, "batch time *space"]:
        """Simulate images without noise.

        Parameters
        ----------
        m0
            Amplitude, arbitrary units.
        t
            Relaxation time in ms, positive, on the device of ``m0``.
        times_ms
            Times of the images in ms, or a :class:`~relaxnet.Contrast`.
        offset
            The constant of a model that has one, in the units of ``m0``; 0 by default.

        Returns
        -------
        Tensor
            Images, in the units of ``m0``.

        Raises
        ------
        ValueError
            If an offset is given to a model that has none, or the times make no sense.
        """
        if offset is not None and not self.has_offset:
            raise ValueError(f"offset is given, but {type(self).__name__} has none.")
        time = torch.tensor(parse_times(times_ms, to_fit=False), dtype=t.dtype, device=t.device)
        images = m0.unsqueeze(1) * self.basis(t.unsqueeze(1), time.reshape(1, -1, *(1,) * (t.ndim - 1)))
        return images if offset is None else images + offset.unsqueeze(1)
