"""Checks of the arguments that all estimators share."""

import math
import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, TypeGuard, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad

from relaxnet._device import known_device
from relaxnet._images import Dim, array_of
from relaxnet.errors import DtypeError
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.voxels import Array, Voxels
from relaxnet.protocol import Contrast
from relaxnet.signals import MonoExponential, SignalModel, require_model
from relaxnet.times import TimeUnit, parse_times

Times = Contrast | Sequence[float] | Array
Device = str | torch.device | None


def as_voxels(
    signal: object,
    times_ms: Times,
    *,
    model: SignalModel | None = None,
    mask: object,
    sigma: object,
    saturation: float | None,
    unit: TimeUnit,
    dim: Dim,
    device: Device = None,
) -> Voxels:
    """Check the arguments that all estimators share, and return them as voxels to fit."""
    array = _real_numbers("signal", signal)
    if isinstance(array, Tensor) and cast("Any", forward_ad.unpack_dual)(array).tangent is not None:
        raise NotImplementedError(
            "signal has a forward-mode tangent, which fits do not carry: use torch.autograd.grad."
        )
    home = array.device if isinstance(array, Tensor) else torch.device("cpu")
    for name, given in (("times_ms", times_ms), ("mask", mask), ("sigma", sigma)):
        if isinstance(given, Tensor) and given.ndim and given.device != home:
            raise ValueError(f"signal is on {home}, {name} on {given.device}: bring them to one device.")
    chosen = _check_model(times_ms, model)
    times = parse_times(times_ms, unit=unit, axis=chosen.axis)
    axis = check_dim(array.shape, len(times), dim)
    moved = _time_first(array, axis)
    shape = tuple(moved.shape[1:])
    working, output = _precisions(array)
    time = torch.tensor(times, dtype=working, device=home if device is None else known_device(device))
    common, each = _check_sigma(sigma, tuple(array.shape), axis, time)
    if saturation is not None and not _is_positive(saturation):
        raise ValueError(f"saturation={saturation!r}: give the value at which samples are clipped, such as 4095.")
    return Voxels(
        signal=moved if shape else moved[:, None],  # one axis is one voxel
        design=Design((chosen,), time[:, None], (times_ms.name if isinstance(times_ms, Contrast) else "t",)),
        selected=_check_mask(mask, shape, home),
        common_sigma=common,
        sample_sigma=each,
        saturation=saturation,
        output_dtype=output,
        shape=shape,
    )


def is_whole(number: object) -> TypeGuard[int]:
    """Say whether something is a whole number, of Python or NumPy."""
    return isinstance(number, Integral) and not isinstance(number, bool)


def _is_positive(number: object) -> bool:
    return isinstance(number, Real) and float(number) > 0


def _check_model(times_ms: Times, model: SignalModel | None) -> SignalModel:
    """Choose the model: the one given with plain times, or that of the contrast."""
    if model is not None:
        require_model(model, "model")
    if not isinstance(times_ms, Contrast):
        return MonoExponential() if model is None else model
    if model not in (None, times_ms.model):
        raise ValueError(
            f"model={model!r}, but times_ms is the contrast {times_ms.name!r} of model {times_ms.model!r}: pass "
            f"plain times, or dataclasses.replace(contrast, model=...)."
        )
    return times_ms.model


def _real_numbers(name: str, given: object) -> Array:
    """Return an argument as an array or a tensor, without a copy, if it is made of real numbers."""
    given = array_of(given)
    if isinstance(given, Tensor):
        if given.is_complex():
            raise DtypeError(f"{name} is complex ({given.dtype}): pass its magnitude, {name}.abs().")
        return given
    try:
        array = np.asanyarray(given)
    except ValueError as error:
        raise DtypeError(f"{name} is a ragged list: its rows must be of one length.") from error
    if array.dtype.kind == "c":
        raise DtypeError(f"{name} is complex ({array.dtype}): pass its magnitude, numpy.abs({name}).")
    if array.dtype.kind not in "buif":
        raise DtypeError(f"{name} holds {array.dtype} values: pass real numbers.")
    if name != "signal" and np.ma.is_masked(array):
        raise DtypeError(f"{name} has masked entries: fill them, as numpy.ma.filled({name}, 1).")
    return _as_tensor(array)


def _as_tensor(array: NDArray[Any]) -> Array:
    """View an array as a tensor, without a copy, if torch can; what it cannot is read block by block."""
    if isinstance(array, np.ma.MaskedArray) or not array.dtype.isnative or array.dtype.itemsize > 8 or not array.size:
        return array
    if any(stride < 0 or stride % array.dtype.itemsize for stride in array.strides):
        return array
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nor is it written to
        return torch.from_numpy(array)


def _precisions(array: Array) -> tuple[torch.dtype, torch.dtype]:
    """Choose the dtype to compute in and that of the maps."""
    if isinstance(array, Tensor):
        output = array.dtype if array.is_floating_point() else torch.float32
    else:
        size = array.dtype.itemsize if array.dtype.kind == "f" else 4
        output = {2: torch.float16, 4: torch.float32}.get(size, torch.float64)
    return (torch.float64 if output == torch.float64 else torch.float32), output


def _time_first(array: Array, axis: int) -> Array:
    if isinstance(array, Tensor):
        return array.movedim(axis, 0)
    return array.transpose((axis, *(k for k in range(array.ndim) if k != axis)))  # a view, of masked arrays too


def check_dim(shape: Sequence[int], n_times: int, dim: Dim) -> int:
    """Check the time axis of a signal, and return its number."""
    shape = tuple(shape)
    if not shape:
        raise ValueError("signal is a single number: pass an array with one axis for the times, (time,) or more.")
    if len(shape) == 1:
        dim = 0  # the samples of a single voxel
    if not (is_whole(dim) and -len(shape) <= dim < len(shape)):
        raise ValueError(f"dim={dim!r}, but signal has {len(shape)} axes, shape {shape}.")
    if shape[dim] != n_times:
        fitting = [str(axis if axis < len(shape) - 1 else -1) for axis, length in enumerate(shape) if length == n_times]
        hint = f"; did you mean dim={' or dim='.join(fitting)}?" if fitting else f"; the shape is {shape}."
        raise ValueError(f"signal: axis dim={dim} has {shape[dim]} images, times_ms has {n_times} times{hint}")
    return dim % len(shape)


def _check_mask(mask: object, space: tuple[int, ...], device: torch.device) -> tuple[Tensor, ...] | None:
    if mask is None:
        return None
    array = _real_numbers("mask", mask)
    if tuple(array.shape) != space:
        raise ValueError(f"mask has shape {tuple(array.shape)}, the signal without its time axis {space}.")
    is_boolean = array.dtype in (torch.bool, np.bool_)
    chosen = array if is_boolean else array == 1
    if not (is_boolean or (chosen | (array == 0)).all()):
        raise ValueError("mask holds values other than 0 and 1: pass a comparison, as labels == 5.")
    selected = torch.as_tensor(chosen, device=device).reshape(space or (1,)).nonzero(as_tuple=True)
    if math.prod(space) and not len(selected[0]):
        warnings.warn("mask is empty: no voxel will be fitted.", stacklevel=5)
    return selected


def _check_sigma(sigma: object, shape: tuple[int, ...], axis: int, time: Tensor) -> tuple[Tensor | None, Array | None]:
    """Check a noise level, and return it as one that all voxels share, or as one for each sample."""
    if sigma is None:
        return None, None
    noise = _real_numbers("sigma", sigma)
    if noise.ndim and tuple(noise.shape) not in ((len(time),), shape):
        raise ValueError(
            f"sigma has shape {tuple(noise.shape)}: pass one number, one for each of the {len(time)} times, or one "
            f"for each sample, {shape}."
        )
    if not ((noise > 0) & (noise < float("inf"))).all():
        raise ValueError(f"sigma={noise}: a noise level is positive and finite.")
    if noise.ndim > 1:
        return None, _time_first(noise, axis)
    common = noise if isinstance(noise, Tensor) else torch.from_numpy(noise.astype(np.float64))
    return common.to(time).reshape(-1, 1), None
