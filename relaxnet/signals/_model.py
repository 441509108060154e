"""The base of all signal models."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, cast, overload

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.errors import DtypeError
from relaxnet.signals._arrays import Values, to_tensor
from relaxnet.signals._parameter import Parameter
from relaxnet.signals._precision import in_double
from relaxnet.times import TIME, Axis, parse_times

_STEP = 1e-3  # of finite differences in log T, in double precision: their error is about 1e-7
_SCAN = 9  # values of T that tell whether a signal depends on it


class SignalModel(ABC):
    r"""A separable signal model, :math:`S(t) = m_0\, b(T, t)`.

    With :attr:`has_offset` a constant is added, :math:`S(t) = m_0\, b(T, t) + c`; it enters linearly, too. What is
    called T here is the one parameter that enters nonlinearly, and t is what the images differ in: see
    :attr:`parameter` and :attr:`axis`.

    A subclass writes :meth:`basis`, element by element, for T and t that broadcast. Everything else follows. It may
    write :meth:`basis_with_derivatives` where a closed form is faster than the automatic derivative, and the other
    methods where it knows more of its signals. Models are equal if they are of one class and have equal attributes.
    :func:`relaxnet.testing.check_signal_model` says what is wrong with a model, if anything is.

    Examples
    --------
    A model of one's own, simulated and fitted like those that come with relaxnet:

    >>> class GaussianDecay(rx.signals.SignalModel):
    ...     def basis(self, t, time):
    ...         return torch.exp(-((time / t) ** 2))
    >>> contrast = rx.Contrast("t2", times_ms=(0, 20, 40, 80), model=GaussianDecay())
    >>> signal = contrast.model(torch.tensor([90.0]), torch.tensor([50.0]), contrast)
    >>> rx.fit(signal, contrast).maps["t2"].round(decimals=2)
    tensor([50.])
    """

    axis: ClassVar[Axis] = TIME
    """What the images differ in."""
    parameter: ClassVar[Parameter] = Parameter()
    """Name, unit and range of T."""
    has_offset: bool = False
    """Whether a constant is added to the signal; it is fitted with the other parameters."""
    signed: bool = False
    """Whether images hold the sign of the signal, so that their noise is Gaussian; else they are magnitudes."""
    log_step: ClassVar[float] = 0.25
    """A step in log T over which the signal has no finer structure: fits look for the best T at this distance first."""

    flat_end: Literal["low", "high"] = "high"
    """The end of the range of T at which the signal is flattest, where a fit of a signal that no T explains ends."""

    @abstractmethod
    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        """Evaluate the signal of unit amplitude.

        Parameters
        ----------
        t
            The parameter, a relaxation time in ms for most models, positive.
        time
            Time in ms, or what else :attr:`axis` is, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        Tensor
            Signal, of the shape that ``t`` and ``time`` broadcast to.
        """

    def basis_with_derivatives(self, t: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""Evaluate the basis with its first two derivatives with respect to :math:`\log T`.

        By default they are automatic, and by finite differences where these are not finite, such as that of
        :math:`(t/T)^{0.8}` at t = 0.

        Parameters
        ----------
        t
            The parameter, positive.
        time
            Time, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        tuple of Tensor
            :math:`b`, :math:`\partial b/\partial \log T` and :math:`\partial^2 b/\partial (\log T)^2`, detached.
        """
        with torch.inference_mode(mode=False), torch.enable_grad():
            time = time.detach().clone()
            log_t = (torch.log(t.detach()) + torch.zeros_like(time)).clone().requires_grad_()
            # The basis acts on each element by itself, so the gradient of its sum is its slope.
            value = self.basis(torch.exp(log_t), time)
            (first,) = torch.autograd.grad(value.sum(), log_t, create_graph=True)
            (second,) = torch.autograd.grad(first.sum(), log_t, materialize_grads=True)
        value, first, log_t = value.detach(), first.detach(), log_t.detach()
        missing = torch.isfinite(value) & ~(torch.isfinite(first) & torch.isfinite(second))
        if missing.any():
            x, wide = in_double(log_t), in_double(time)
            low, middle, high = (self.basis(torch.exp(x + step), wide) for step in (-_STEP, 0.0, _STEP))
            first = torch.where(missing, ((high - low) / (2 * _STEP)).to(first), first)
            second = torch.where(missing, ((high - 2 * middle + low) / _STEP**2).to(second), second)
        return value, first, second

    def differentiable_basis(self, t: Tensor, time: Tensor) -> Tensor:
        """Evaluate the basis so that its gradient with respect to T is that of :meth:`basis_with_derivatives`.

        Parameters
        ----------
        t
            The parameter, positive.
        time
            Time, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        Tensor
            The basis, twice differentiable by T. Its gradient is finite at all times at which the signal is smooth.
        """
        return cast("Tensor", _Basis.apply(t, time, self, 0))  # type: ignore[no-untyped-call]

    def non_smooth_points(self, time: Float[Tensor, " time"]) -> Float[Tensor, " point"]:
        """List the T at which the signal is not smooth, so that fits can search between them.

        Parameters
        ----------
        time
            Times.

        Returns
        -------
        Tensor
            Values of T; none, unless a model has some.
        """
        return time[:0]

    def is_incompatible(
        self,
        signal: Float[Tensor, "time voxel"],
        weight: Float[Tensor, "time #voxel"],
        time: Float[Tensor, "time 1"],
    ) -> Bool[Tensor, " voxel"]:
        """Find the voxels that no T at all can explain, such as a decay that rises.

        It is asked about voxels whose best fit lies at the bound where the signal is flattest.

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
            Mask of the voxels; none, unless a model knows better.
        """
        del weight, time
        return torch.zeros(signal.shape[1], dtype=torch.bool, device=signal.device)

    def search_bounds(self, bounds: tuple[float, float], first_time: float) -> tuple[float, float]:
        """Keep a search where the signal has not vanished in all images.

        Parameters
        ----------
        bounds
            Smallest and largest T that the user allows.
        first_time
            The first time.

        Returns
        -------
        tuple of float
            Bounds within these; the same, unless a model knows better.
        """
        del first_time
        return bounds

    def solve_pair(
        self,
        first: Float[Tensor, " voxel"],
        second: Float[Tensor, " voxel"],
        times: tuple[float, float],
    ) -> Float[Tensor, " voxel"] | None:
        """Compute T from two samples, where there is a closed form.

        Parameters
        ----------
        first, second
            The samples.
        times
            Their times.

        Returns
        -------
        Tensor or None
            T of each voxel; negative or NaN where none explains the samples. None from models without a closed form,
            whose T is then searched.
        """
        del first, second, times
        return None

    @property
    def without_offset(self) -> str:
        """What to use where no constant can be found, for messages."""
        return "a model without one"

    @property
    def unfolded(self) -> "SignalModel":
        """The model whose magnitude this one is, where a constant is added before the magnitude is taken; else itself.

        It rises with time, so that the sign of the images changes once.
        """
        return self

    def constant_at(self, time: float) -> float | None:
        """Return the basis at a time at which it does not depend on T.

        Images of contrasts with different T can be one and the same image there only.

        Parameters
        ----------
        time
            The time.

        Returns
        -------
        float or None
            The basis, such as 1 for a decay at time 0; None where it depends on T.

        Examples
        --------
        >>> rx.signals.MonoExponential().constant_at(0.0), rx.signals.MonoExponential().constant_at(10.0)
        (1.0, None)
        """
        low, high = self.parameter.bounds
        t = torch.logspace(0, 1, _SCAN, base=high / low, dtype=torch.float64) * low
        values = self.basis(t, torch.full_like(t, time))
        return float(values[0]) if torch.allclose(values, values[:1], rtol=1e-9, atol=1e-12) else None

    @property
    def settings(self) -> dict[str, Any]:
        """The public attributes of this model, which its constructor takes: what files say of it."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.settings == other.settings

    def __hash__(self) -> int:
        return hash((type(self), *self.settings))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.settings.items())})"

    @overload
    def __call__(self, m0: Tensor, t: Tensor, times_ms: Any, *, offset: Tensor | None = None) -> Tensor: ...
    @overload
    def __call__(
        self, m0: NDArray[Any] | float, t: NDArray[Any] | float, times_ms: Any, *, offset: Any = None
    ) -> NDArray[Any]: ...
    def __call__(self, m0: Values, t: Values, times_ms: Any, *, offset: Values | None = None) -> Any:
        """Simulate images without noise.

        Parameters
        ----------
        m0
            Amplitude, arbitrary units: (batch, ...). Numbers and arrays are taken, too.
        t
            Relaxation time in ms, or what else :attr:`parameter` is, positive, on the device of ``m0``.
        times_ms
            Times of the images in ms, or what else :attr:`axis` is; or a :class:`~relaxnet.Contrast`.
        offset
            The constant of a model that has one, in the units of ``m0``; 0 by default.

        Returns
        -------
        Tensor or numpy.ndarray
            Images, in the units of ``m0``: (batch, time, ...), or (time,) of numbers.

        Raises
        ------
        ValueError
            If an offset is given to a model that has none, or the times make no sense.
        """
        if offset is not None and not self.has_offset:
            raise ValueError(f"offset is given, but {type(self).__name__} has none.")
        if not any(isinstance(value, Tensor) for value in (m0, t, offset)):
            given = np.broadcast_arrays(*(m0, t, *(() if offset is None else (offset,))))
            maps = [to_tensor(np.atleast_1d(values)) for values in given]
            images = self._simulate(maps[0], maps[1], times_ms, maps[2] if offset is not None else None).numpy()
            return images if given[0].ndim else images[0]
        return self._simulate(to_tensor(m0), to_tensor(t), times_ms, None if offset is None else to_tensor(offset))

    def _simulate(
        self,
        m0: Float[Tensor, "batch *space"],
        t: Float[Tensor, "batch *space"],
        times_ms: Any,
        offset: Float[Tensor, "batch *space"] | None,
    ) -> Float[Tensor, "batch time *space"]:
        times = parse_times(times_ms, to_fit=False, axis=self.axis)
        time = rearrange(torch.tensor(times, dtype=t.dtype, device=t.device), f"time -> time{' 1' * (t.ndim - 1)}")
        basis = self.unfolded.basis(rearrange(t, "batch ... -> batch 1 ..."), time)
        images = rearrange(m0, "batch ... -> batch 1 ...") * basis
        if offset is not None:
            images = images + rearrange(offset, "batch ... -> batch 1 ...")
        return images if self.unfolded is self else images.abs()


def require_model(model: object, name: str) -> None:
    """Refuse what is no signal model.

    Parameters
    ----------
    model
        The given value.
    name
        Name of the argument, for the message.

    Raises
    ------
    TypeError
        If it is something else, such as the class of a model.
    """
    if not isinstance(model, SignalModel):
        given = f"the class {model.__name__}" if isinstance(model, type) else repr(model)
        raise DtypeError(f"{name}={given}: pass a signal model, such as relaxnet.signals.MonoExponential().")


class _Basis(torch.autograd.Function):
    """The basis, or its derivative by log T of some order, whose gradient is the next order's."""

    @staticmethod
    def forward(ctx: Any, t: Tensor, time: Tensor, model: SignalModel, order: int) -> Tensor:
        ctx.save_for_backward(t, time)
        ctx.model, ctx.order = model, order
        return model.basis(t, time) if order == 0 else model.basis_with_derivatives(t, time)[order]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        t, time = ctx.saved_tensors
        if ctx.order == 2:
            raise NotImplementedError(f"{type(ctx.model).__name__}: third derivatives of a signal are not implemented.")
        slope = cast("Tensor", _Basis.apply(t, time, ctx.model, ctx.order + 1))  # type: ignore[no-untyped-call]
        return (gradient * slope / t).sum_to_size(t.shape), None, None, None
