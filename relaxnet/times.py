"""Times, flip angles and b-values, checked at the door: what the images of a series differ in, and in which unit."""

import warnings
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from relaxnet._axes import AXES, B_VALUE, FLIP_ANGLE, TIME, Axis, CheckedTimes, TimeUnit
from relaxnet._messages import brief
from relaxnet.errors import DtypeError

__all__ = ["AXES", "B_VALUE", "FLIP_ANGLE", "TIME", "Axis", "CheckedTimes", "HasTimes", "TimeUnit", "parse_times"]


@runtime_checkable
class HasTimes(Protocol):
    """Anything that knows its times, as a :class:`~relaxnet.Contrast` does."""

    times_ms: tuple[float, ...]


def parse_times(
    times: object, *, unit: TimeUnit = "ms", name: str = "times_ms", to_fit: bool = True, axis: Axis = TIME
) -> tuple[float, ...]:
    """Convert times of any numeric kind to a tuple of numbers, refusing what cannot be meant.

    Parameters
    ----------
    times
        Times, or values of another axis, finite and not negative: a list, tuple, array or tensor on any device; or a
        :class:`~relaxnet.Contrast`.
    unit
        Their unit; only times can be in ``"s"``. Times in ``"ms"`` that are all below 1 are refused, because they look
        like seconds. A contrast's are taken as they are.
    name
        Name of the argument, for messages.
    to_fit
        Whether a model will be fitted to images at these times, for which two different ones are needed.
    axis
        Kind of the values, for messages.

    Returns
    -------
    tuple of float
        The values in the unit of the axis, in the order given.

    Raises
    ------
    ValueError
        If a value is negative or not finite, if they look like another unit, or if there are not enough to fit.
    TypeError
        If they are not real numbers.

    Warns
    -----
    UserWarning
        If a value is so large that it looks like another unit.

    Examples
    --------
    >>> rx.times.parse_times([0, 10, 30, 50])
    (0.0, 10.0, 30.0, 50.0)
    >>> rx.times.parse_times([0, 0.01], unit="s")
    (0.0, 10.0)
    """
    if unit not in ("ms", "s"):
        raise ValueError(f"unit={unit!r} is not a unit of {name}: use 'ms' or 's'.")
    if unit == "s" and axis != TIME:
        raise ValueError(f"unit='s': {name} are {axis.name}s, in {axis.unit}.")
    if isinstance(times, HasTimes):
        return times.times_ms if isinstance(times.times_ms, CheckedTimes) else CheckedTimes(times.times_ms)
    array = _to_array(times, name)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} axes, shape {array.shape}: pass one {axis.name} for each image.")
    if to_fit and array.size < 2:
        raise ValueError(f"{name} holds {array.size} {axis.name}(s): a fit needs images at 2 {axis.name}s or more.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}={show(array)} holds a {axis.name} that is not finite.")
    if (array < 0).any():
        raise ValueError(f"{name}={show(array)} holds a negative {axis.name}.")
    if to_fit and (array == array[0]).all():
        raise ValueError(f"{name}={show(array)} are all equal: no decay can be seen between them.")
    if unit == "s":
        array = array * 1e3
    elif not isinstance(times, CheckedTimes) and 0 < array.max(initial=0) < axis.least:
        raise ValueError(f"{name}={show(array)} look like {axis.other_unit}. {axis.remedy}")
    if array.max(initial=0) > axis.most:
        warnings.warn(f"{name} reach from {array.min():g} to {array.max():g} {axis.unit}, {axis.doubt}", stacklevel=3)
    return CheckedTimes(float(t) for t in array)


def show(times: Iterable[float]) -> str:
    """Write times for a message, the first ten of many.

    Parameters
    ----------
    times
        Times.

    Returns
    -------
    str
        The times, without more digits than they need.
    """
    numbers = [f"{t:g}" for t in times]
    more = [f"... {len(numbers)} in all"] if len(numbers) > 12 else []
    return f"({', '.join(numbers[:10] + more if more else numbers)})"


def _to_array(times: Any, name: str) -> NDArray[np.float64]:
    if hasattr(times, "detach"):  # a tensor, without importing torch
        times = times.detach().cpu()
    if isinstance(times, (str, bytes)):
        raise DtypeError(f"{name}={brief(repr(times))} is text: pass numbers, such as (0, 10, 30, 50).")
    if isinstance(times, Iterable) and not hasattr(times, "__array__"):
        times = list(times)
    try:
        array = np.asarray(times)
    except ValueError as error:
        raise DtypeError(f"{name}={brief(times)} is ragged: pass one number for each image.") from error
    if array.dtype.kind not in "iuf":
        needed = "pass real numbers, such as (0, 10, 30, 50)"
        raise DtypeError(f"{name} holds {array.dtype} values, {brief(times)}: {needed}.")
    return array.astype(np.float64)
