"""Batteries of laws for parts of your own: what every signal model, estimator and weighting of relaxnet obeys.

>>> rx.testing.check_signal_model(rx.signals.StretchedExponential(0.8), times_ms=(0, 10, 30, 50, 80))

A battery returns nothing if all laws hold, and raises an :class:`AssertionError` that says in one line which one does
not.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from relaxnet.fitting import FitStatus, fit, nlls
from relaxnet.information import crlb
from relaxnet.losses import PairwiseConstraint, Reconstruction, Weighting
from relaxnet.protocol import Contrast, Protocol
from relaxnet.signals import SignalModel

__all__ = ["check_estimator", "check_signal_model", "check_weighting"]

_AMPLITUDE, _OFFSET = 100.0, 10.0
_POINTS = 5
_STEP = 1e-5
_SIZE = 4


def check_signal_model(model: SignalModel, times_ms: Sequence[float], *, t: tuple[float, float] | None = None) -> None:
    """Check that a signal model obeys the laws that the rest of the library relies on.

    It returns signals of the right shape and dtype that broadcast; its derivatives are finite and those of finite
    differences; a fit of noise-free signals returns the truth, and the pairwise and the reconstruction residual vanish
    there; gradients pass through both and through the fit; the Cramér-Rao bound is positive.

    Parameters
    ----------
    model
        The model.
    times_ms
        Times that determine its parameter, or what else its axis is.
    t
        Smallest and largest parameter to try; by default around the typical one.

    Raises
    ------
    AssertionError
        If a law does not hold; the message names it.

    Examples
    --------
    >>> class Wrong(rx.signals.SignalModel):
    ...     def basis(self, t, time):
    ...         return torch.exp(-time / t).float()
    >>> rx.testing.check_signal_model(Wrong(), times_ms=(0, 20, 40, 80))
    Traceback (most recent call last):
    AssertionError: Wrong: basis of float64 values is float32: keep the dtype of t.
    """
    _require(isinstance(model, SignalModel), f"{model!r} is no SignalModel.")
    low, high = (model.parameter.typical * factor for factor in (1 / 1.5, 1.5)) if t is None else t
    values = torch.logspace(math.log10(low), math.log10(high), _POINTS, dtype=torch.float64)
    contrast = Contrast("t", tuple(times_ms), model=model)
    checks = {
        "the basis": _check_basis,
        "its derivatives": _check_derivatives,
        "a fit": _check_fit,
        "the Cramér-Rao bound": _check_bound,
        "a loss": _check_losses,
    }
    for what, check in checks.items():
        try:
            check(contrast, values)
        except AssertionError as error:
            raise AssertionError(f"{type(model).__name__}: {error}") from None
        except Exception as error:
            raise AssertionError(
                f"{type(model).__name__}: computing {what} raises {type(error).__name__}: {error}"
            ) from error


def _check_basis(contrast: Contrast, t: Tensor) -> None:
    """Check shapes, dtypes and values."""
    basis, time = contrast.model.basis, torch.tensor(contrast.times_ms, dtype=torch.float64)[:, None]
    for dtype in (torch.float64, torch.float32):
        found = basis(t.to(dtype), time.to(dtype))
        kind, wanted = (str(one).removeprefix("torch.") for one in (found.dtype, dtype))
        _require(found.dtype == dtype, f"basis of {wanted} values is {kind}: keep the dtype of t.")
        shapes = f"basis of t ({_POINTS},) and time (n, 1) is {tuple(found.shape)}: broadcast them."
        _require(found.shape == (len(time), _POINTS), shapes)
        _require(torch.isfinite(found).all(), "basis is not finite at every time.")
    found = basis(t, time)
    _require((found != 0).any(), "basis is zero at all times: it has no signal.")
    _require(torch.allclose(basis(t[2], time[:, 0]), found[:, 2]), "basis of one t depends on the others.")
    known = [contrast.model.constant_at(moment) is not None for moment in contrast.times_ms]
    _require(not all(known), "basis does not depend on t at any of these times.")


def _check_derivatives(contrast: Contrast, t: Tensor) -> None:
    """Compare with finite differences."""
    derivatives, time = contrast.model.basis_with_derivatives, torch.tensor(contrast.times_ms).double()[:, None]
    value, first, second = derivatives(t, time)
    same = torch.allclose(value, contrast.model.basis(t, time))
    _require(same, "basis_with_derivatives has another basis.")
    before, after = (derivatives(t * math.exp(step), time) for step in (-_STEP, _STEP))
    for name, closed, low, high in (("first", first, before[0], after[0]), ("second", second, before[1], after[1])):
        _require(torch.isfinite(closed).all(), f"the {name} derivative is not finite at every time.")
        wrong = (closed - (high - low) / (2 * _STEP)).abs().max()
        right = wrong < 1e-3 * (closed.abs().max() + 1e-12)
        _require(right, f"the {name} derivative by log t is not that of finite differences.")


def _images(contrast: Contrast, t: Tensor) -> Tensor:
    """Compute noise-free signals (voxel, time)."""
    offset = torch.full_like(t, _OFFSET) if contrast.model.has_offset else None
    return contrast.model(torch.full_like(t, _AMPLITUDE), t, contrast, offset=offset)


def _check_fit(contrast: Contrast, t: Tensor) -> None:
    """Check that the truth comes back in both precisions, and that a gradient passes."""
    images = _images(contrast, t)
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.float32, 1e-2)):
        result = nlls(images.to(dtype), contrast)
        status = ", ".join(sorted({FitStatus(int(s)).name for s in result.status}))
        wrong = ((result.maps["t"].double() - t).abs() / t).nan_to_num(math.inf).max()
        _require(wrong < tolerance, f"a fit without noise is off by {wrong:.1%} ({status}).")
    images.requires_grad_()
    (gradient,) = torch.autograd.grad(nlls(images, contrast).maps["t"].sum(), images)
    _require(torch.isfinite(gradient).all(), "the gradient through a fit is not finite.")


def _check_bound(contrast: Contrast, t: Tensor) -> None:
    """Check that there is a bound."""
    bound = crlb(contrast.model, _AMPLITUDE, t, contrast, 1.0)["t"]
    _require((torch.isfinite(bound) & (bound > 0)).all(), "the Cramér-Rao bound is not positive and finite.")


def _check_losses(contrast: Contrast, t: Tensor) -> None:
    """Check that residuals vanish at the truth, and have a gradient elsewhere."""
    if contrast.model.has_offset:
        return  # no residual is made for a constant
    images = contrast.model(torch.full_like(t, _AMPLITUDE), t, contrast)
    protocol, truth = Protocol((contrast,)), t[:, None]
    pairwise = [PairwiseConstraint(protocol, pairs=pairs) for pairs in ("all", "forward", "orthogonal")]
    for residual in (*pairwise, Reconstruction(protocol)):
        name = type(residual).__name__
        largest = residual(truth, images).abs().max()
        _require(largest < 1e-6 * _AMPLITUDE, f"{name} is {largest:.3g} at the truth instead of 0.")
        wrong = (1.1 * truth).requires_grad_()
        (gradient,) = torch.autograd.grad(residual(wrong, images).sum(), wrong)
        _require(torch.isfinite(gradient).all(), f"the gradient of {name} is not finite.")
        _require((gradient != 0).any(), f"the gradient of {name} is zero beside the truth.")


def check_estimator(
    method: Callable[..., Any] | str, times_ms: Sequence[float] = (0, 10, 30, 50), **options: Any
) -> None:
    """Check that an estimator obeys the laws of voxel-wise fits.

    The truth comes back without noise; voxels do not know of each other; a missing sample is one that is not there; a
    voxel that cannot be fitted is NaN; the scale of the signal does not matter; NumPy gives NumPy.

    Parameters
    ----------
    method
        A function with the signature of :func:`relaxnet.fitting.nlls`, or the name of one.
    times_ms
        Times that the estimator can do with.
    **options
        Passed on to it, such as ``sigma``.

    Raises
    ------
    AssertionError
        If a law does not hold; the message names it.

    Examples
    --------
    >>> rx.testing.check_estimator(rx.fitting.log_linear)
    """
    name = method if isinstance(method, str) else getattr(method, "__name__", repr(method))

    def run(signal: Any, times: Any = times_ms, **more: Any) -> Any:
        every = {**options, **more}
        return fit(signal, times, method=method, **every) if isinstance(method, str) else method(signal, times, **every)

    def require(law: Any, message: str) -> None:
        _require(law, f"{name}: {message}")

    times = np.asarray(times_ms, dtype=float)
    t = np.linspace(20.0, 60.0, 7)
    signal = _AMPLITUDE * np.exp(-times / t[:, None])
    sigma = options.get("sigma")
    close = 1e-6 if sigma is None else 0.2  # under Rician noise, a signal without it is not the most likely one
    result = run(signal)
    require(isinstance(result.maps["t"], np.ndarray), "an array gives something else than an array.")
    require(result.ok.all(), "signals without noise do not converge.")
    require((np.abs(result.maps["t"] / t - 1) < close).all(), "signals without noise do not give their T.")
    scaled = run(4.0 * signal, **({} if sigma is None else {"sigma": 4.0 * sigma}))
    require(np.allclose(scaled.maps["t"], result.maps["t"], rtol=1e-4), "T depends on the scale of the signal.")
    alone = np.array([float(run(one[None]).maps["t"][0]) for one in signal])
    require(np.allclose(alone, result.maps["t"], rtol=1e-6), "a voxel depends on others.")
    bad = signal.copy()
    bad[1], bad[3] = np.nan, 0.0
    of_bad = run(bad)
    require(np.isnan(of_bad.maps["t"][[1, 3]]).all(), "a voxel without a signal has a T.")
    require(not of_bad.ok[[1, 3]].any(), "a voxel without a signal converges.")
    good = [0, 2, 4, 5, 6]
    require(np.allclose(of_bad.maps["t"][good], result.maps["t"][good], rtol=1e-6), "a bad voxel harms its neighbours.")
    if len(times) > 2:
        missing = signal.copy()
        missing[:, 1] = np.nan
        left = [0, *range(2, len(times))]
        with_gap, without = run(missing), run(signal[:, left], times[left])
        same = np.allclose(with_gap.maps["t"], without.maps["t"], rtol=1e-4, equal_nan=True)
        require(same, "a missing sample is not one that is not there: see Estimator.obeys_weights.")
    as_tensor = run(torch.from_numpy(signal))
    require(isinstance(as_tensor.maps["t"], Tensor), "a tensor gives something else than a tensor.")


def check_weighting(make: Callable[[int], Weighting]) -> None:
    """Check that a weighting obeys the laws of trainings.

    It returns one finite number with a gradient; the order of voxels does not matter; voxels outside of the mask do not
    matter; scales and weights are positive, one a task; what it learns has a group for the optimiser; its state can be
    saved and loaded.

    Parameters
    ----------
    make
        Makes the weighting for a number of tasks, such as its class.

    Raises
    ------
    AssertionError
        If a law does not hold; the message names it.

    Examples
    --------
    >>> rx.testing.check_weighting(rx.losses.HomoscedasticLaplace)
    """
    weighting = make(2)
    name = type(weighting).__name__

    def require(law: Any, message: str) -> None:
        _require(law, f"{name}: {message}")

    require(isinstance(weighting, Weighting), "it is no relaxnet.losses.Weighting.")
    require(weighting.needs in ("absolute", "signed", "scales"), f"needs={weighting.needs!r} is unknown.")
    generator = torch.Generator().manual_seed(0)
    residual = torch.randn(3, 2, _SIZE, _SIZE, generator=generator)
    residual = residual if weighting.needs == "signed" else residual.abs()
    more = (torch.zeros_like(residual),) if weighting.needs == "scales" else ()
    mask = torch.rand(3, _SIZE, _SIZE, generator=generator) < 0.7

    def loss_of(some: Tensor, where: Tensor | None = None) -> Tensor:
        fresh = make(2).eval()
        value: Tensor = fresh(some, *more, mask=where)
        return value

    leaf = residual.clone().requires_grad_()
    loss = loss_of(leaf)
    require(loss.ndim == 0 and torch.isfinite(loss), "the loss is not one finite number.")
    require(loss.requires_grad, "the residual gets no gradient.")
    (gradient,) = torch.autograd.grad(loss, leaf)
    require(torch.isfinite(gradient).all() and (gradient != 0).any(), "the residual gets no finite gradient.")
    turned = loss_of(residual.flip(0, 2, 3))
    require(torch.allclose(turned, loss, rtol=1e-4), "the loss depends on the order of the voxels.")
    other = torch.where(mask[:, None], residual, torch.nan)
    inside = loss_of(other, mask)
    require(torch.isfinite(inside), "what the mask leaves out matters.")
    require(loss_of(residual, torch.zeros_like(mask)) == 0, "without a voxel to use, the loss is not 0.")
    weighting(residual, *more)
    weighting.step()
    for what in ("weights", "scales"):
        values = getattr(weighting, what)
        require(values.shape == (2,) and (values >= 0).all(), f"{what} are not two numbers, 0 or more.")
    learnt = {id(p) for p in weighting.parameters()}
    listed = {id(p) for group in weighting.parameter_groups(lr=0.1) for p in group["params"]}
    require(learnt == listed, "parameter_groups does not list what is learnt.")
    again = make(2)
    again.load_state_dict(weighting.state_dict())
    same = torch.allclose(again.weights, weighting.weights)
    require(same, "its state is not saved: keep it in parameters and buffers.")
    weighting.reset()


def _require(law: Any, message: str) -> None:
    if not law:
        raise AssertionError(message)
