"""The times that measure a range of relaxation times best."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy  # which loads its parts when they are first used
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet._numbers import seed_of
from relaxnet.information._bounds import information_of, invert
from relaxnet.protocol import Contrast
from relaxnet.signals import SignalModel
from relaxnet.times import parse_times

_RANGE_POINTS = 24
_DRAWN, _STARTS = 1000, 6
_USELESS = 1e3  # the cost of times that do not determine T


def optimal_times(
    model: SignalModel,
    t_range_ms: tuple[float, float],
    n: int,
    max_ms: float,
    *,
    min_ms: float = 0.0,
    min_gap_ms: float = 0.0,
    seed: int = 0,
) -> tuple[float, ...]:
    r"""Choose the times that measure a range of relaxation times best.

    What is minimised is the mean over the range (evenly in log T) of the squared Cramér-Rao bound of T relative to T,
    for Gaussian noise alike in all images; times that coincide mean that an image is acquired more than once. The
    times are never worse than the same number of equidistant ones.

    Parameters
    ----------
    model
        The signal model.
    t_range_ms
        Smallest and largest T of interest, in the unit of the model; the same number twice for one T.
    n
        Number of images.
    max_ms
        Largest possible time in ms, or what else the axis of the model is.
    min_ms
        Smallest possible time.
    min_gap_ms
        Smallest possible distance of two times; 0 lets an image be acquired more than once.
    seed
        Of the random beginnings of the search.

    Returns
    -------
    tuple of float
        The times in ms, rising.

    Raises
    ------
    ValueError
        If there are fewer images than parameters, a range is reversed or not positive, or the gaps need more than there
        is between the smallest and the largest time.

    Notes
    -----
    For two images and one T the exact answer is known: the first as early as can be, the second x T later, where
    :math:`x = 1 + e^{-2x} = 1.109`.

    Examples
    --------
    >>> first, second = rx.information.optimal_times(rx.signals.MonoExponential(), (40, 40), n=2, max_ms=100)
    >>> round(first, 2), round(second / 40, 3)
    (0.0, 1.109)
    """
    n_parameters = 2 + model.has_offset
    if n < n_parameters:
        raise ValueError(f"n={n}: {n_parameters} parameters need as many images or more.")
    relaxation = _range(t_range_ms)
    if not 0 <= min_ms < max_ms < math.inf:
        raise ValueError(f"min_ms={min_ms} and max_ms={max_ms}: 0 <= min_ms < max_ms is needed.")
    # Times with gaps are times without, in what the gaps leave of the range, moved apart.
    gaps = min_gap_ms * np.arange(n)
    last = max_ms - gaps[-1]
    if not (min_gap_ms >= 0 and min_ms - last <= 1e-9 * max_ms):
        raise ValueError(
            f"min_gap_ms={min_gap_ms}: {n} times from {min_ms:g} to {max_ms:g} lie at most "
            f"{(max_ms - min_ms) / (n - 1):.4g} apart."
        )
    last, step_ms = max(last, min_ms), 1e-8 * max_ms  # rounding may have put the last time below the first

    def apart(close: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sort(close, axis=-1) + gaps)

    def costs(some: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the logarithm of the mean for each row of times."""
        squared = _squared_bound(model, relaxation, apart(some)).mean(dim=-1)
        return torch.log(squared).nan_to_num(nan=_USELESS, posinf=_USELESS).numpy()

    def cost_and_gradient(times: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        step = np.where(times + step_ms > last, -step_ms, step_ms)
        value, *moved = costs(np.vstack((times, times + np.diag(step))))
        return float(value), (np.array(moved) - value) / step

    drawn = np.random.default_rng(seed_of(seed)).uniform(min_ms, last, (_DRAWN, n))
    equidistant = np.linspace(min_ms, max_ms, n) - gaps
    starts = [equidistant, *drawn[np.argsort(costs(drawn))[:_STARTS]]]
    search = partial(scipy.optimize.minimize, cost_and_gradient, jac=True, method="L-BFGS-B", options={"ftol": 1e-14})
    found = [equidistant, *(search(start, bounds=[(min_ms, last)] * n).x for start in starts)]
    best = min(found, key=lambda close: float(costs(close[None])[0]))
    return tuple(float(time) for time in apart(best).clip(min_ms, max_ms))


def relative_precision(
    model: SignalModel,
    t_range_ms: tuple[float, float],
    times_ms: Contrast | Sequence[float] | NDArray[Any] | Tensor,
    *,
    snr: float = 1.0,
) -> float:
    r"""Compute how precisely times measure a range of relaxation times, relative to these.

    It is what :func:`optimal_times` makes smallest: the root of the mean over the range (evenly in log T) of the
    squared Cramér-Rao bound of T, divided by T.

    Parameters
    ----------
    model
        The signal model.
    t_range_ms
        Smallest and largest T of interest, in the unit of the model; the same number twice for one T.
    times_ms
        Times of the images in ms, or what else the axis of the model is.
    snr
        The amplitude over the standard deviation of the noise.

    Returns
    -------
    float
        Smallest possible standard deviation of T relative to T; infinite if the times do not determine it.

    Raises
    ------
    ValueError
        If a range is reversed or not positive, or ``snr`` is not positive.

    Examples
    --------
    >>> decay = rx.signals.MonoExponential()
    >>> for times in ((0, 20, 40, 60), rx.information.optimal_times(decay, (30, 60), n=4, max_ms=60)):
    ...     print(f"{100 * rx.information.relative_precision(decay, (30, 60), times, snr=20):.1f} %")
    10.5 %
    9.3 %
    """
    if not 0 < snr < math.inf:
        raise ValueError(f"snr={snr}: a positive number is needed.")
    relaxation = _range(t_range_ms)
    times = np.array(parse_times(times_ms, to_fit=False, axis=model.axis))
    return math.sqrt(float(_squared_bound(model, relaxation, times[None]).mean())) / snr


def _range(t_range_ms: tuple[float, float]) -> Tensor:
    """Return points of a range of T, evenly in log T."""
    shortest, longest = t_range_ms
    if not 0 < shortest <= longest < math.inf:
        raise ValueError(f"t_range_ms={t_range_ms}: give the shortest and the longest T, with 0 < shortest <= longest.")
    return torch.logspace(math.log10(shortest), math.log10(longest), _RANGE_POINTS, dtype=torch.float64)


def _squared_bound(model: SignalModel, relaxation: Tensor, times: NDArray[np.float64]) -> Tensor:
    """Compute the squared bound of T relative to T, for an amplitude of 1 and noise of 1: (row of times, T)."""
    time = torch.from_numpy(times.T.copy())[:, :, None]
    basis, slope, _ = model.unfolded.basis_with_derivatives(relaxation.expand(*time.shape[:2], -1), time)
    columns = [basis, slope, *([torch.ones_like(basis)] if model.has_offset else [])]
    bound: Tensor = invert(information_of(columns, basis, torch.ones_like(time), "gaussian"))[1, 1]
    return bound
