"""From what a user passes to what an estimator needs: checked arguments, and blocks of voxels that fit the cache."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet._errors import DtypeError
from relaxnet.protocol import Contrast, TimeUnit, parse_times

Array = NDArray[Any] | Tensor
Times = Contrast | Sequence[float] | Array
Block = tuple[slice | int, ...]

DEFAULT_BOUNDS = (1.0, 5000.0)


@dataclass(frozen=True)
class Voxels:
    """A signal that has been checked, with all that is needed to walk through its voxels."""

    signal: Array
    """The signal with its time axis first, as it came: nothing has been copied or converted yet."""
    times: Tensor
    """Times in ms, on the device and in the precision that the fit computes with."""
    mask: Tensor | None
    """Which voxels to fit, or None for all."""
    saturation: float | None
    """Samples at or above this are not used."""
    t_name: str
    """What the relaxation time is called in results."""

    @property
    def space(self) -> tuple[int, ...]:
        """Shape of the maps."""
        return tuple(self.signal.shape[1:])

    @property
    def output_dtype(self) -> torch.dtype:
        """Dtype of the maps: that of the signal if it is floating point, else float32."""
        signal = self.signal
        if isinstance(signal, Tensor):
            return signal.dtype if signal.is_floating_point() else torch.float32
        bytes_of_float = signal.dtype.itemsize if signal.dtype.kind == "f" else 4
        return {2: torch.float16, 4: torch.float32}.get(bytes_of_float, torch.float64)

    def at(self, positions: list[int]) -> "Voxels":
        """Keep the images at some positions along the time axis."""
        return replace(self, signal=self.signal[positions], times=self.times[positions])

    def blocks(self, chunk_size: int | None) -> Iterator[Block]:
        """Cut the voxels into blocks of at most ``chunk_size``, without copying anything."""
        if chunk_size is None:  # in the cache of a processor; large enough to fill an accelerator
            chunk_size = 32_768 if self.times.device.type == "cpu" else 4_194_304
        if chunk_size < 1:
            raise ValueError(f"chunk_size={chunk_size}: a chunk holds one voxel or more.")
        yield from _blocks(self.space, chunk_size)

    def read(self, block: Block) -> tuple[Tensor, Tensor | None]:
        """Bring one block in: samples (time, voxel) in working precision, and the block's mask, if there is one."""
        part: Any = self.signal[(slice(None), *block)]
        if isinstance(part, np.ma.MaskedArray):
            part = np.ma.filled(part.astype(np.float64), np.nan)
        if not isinstance(part, Tensor):
            part = torch.from_numpy(np.array(part, dtype=_NUMPY[self.times.dtype], order="C"))
        samples = part.detach().to(self.times.dtype).reshape(len(self.times), -1)
        return samples, None if self.mask is None else self.mask[block].reshape(-1)


_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


def _blocks(space: tuple[int, ...], size: int) -> Iterator[Block]:
    """Cut a shape into runs along one axis, whole along the axes behind it, single along those before it."""
    axis = next((k for k in range(len(space)) if prod(space[k + 1 :]) <= size), None)
    if axis is None:  # a single voxel has no axes
        yield ()
        return
    step = max(1, size // max(1, prod(space[axis + 1 :])))
    for index in np.ndindex(space[:axis]):
        for start in range(0, space[axis], step):
            yield (*index, slice(start, start + step))


def check_voxels(
    signal: object, times_ms: Times, *, mask: object, saturation: float | None, unit: TimeUnit, dim: int
) -> Voxels:
    """Check the arguments that all estimators share."""
    array = _check_signal(signal)
    device = array.device if isinstance(array, Tensor) else torch.device("cpu")
    if isinstance(times_ms, Tensor) and times_ms.device != device:
        raise ValueError(f"signal is on {device}, times_ms on {times_ms.device}: bring them to one device.")
    t_name = times_ms.name if isinstance(times_ms, Contrast) else "t"
    times = parse_times(times_ms.times_ms if isinstance(times_ms, Contrast) else times_ms, unit=unit)
    axis = _check_dim(array.shape, len(times), dim)
    moved: Array
    if isinstance(array, Tensor):
        double = array.dtype == torch.float64
        moved = array.movedim(axis, 0)
    else:
        double = array.dtype.kind == "f" and array.dtype.itemsize >= 8
        moved = array.transpose((axis, *(k for k in range(array.ndim) if k != axis)))  # a view, of masked arrays too
    clock = torch.tensor(times, dtype=torch.float64 if double else torch.float32, device=device)
    if saturation is not None and not saturation > 0:
        raise ValueError(f"saturation={saturation}: give the value at which samples are clipped, such as 4095.")
    return Voxels(moved, clock, _check_mask(mask, tuple(moved.shape[1:]), device), saturation, t_name)


def _check_signal(signal: object) -> Array:
    if isinstance(signal, Tensor):
        if signal.is_complex():
            raise DtypeError(f"signal is complex ({signal.dtype}): pass its magnitude, signal.abs().")
        return signal
    try:
        array = signal if isinstance(signal, np.ndarray) else np.asarray(signal)
    except ValueError as error:
        raise DtypeError("signal is a ragged list: every voxel needs as many samples as there are times.") from error
    if array.dtype.kind == "c":
        raise DtypeError(f"signal is complex ({array.dtype}): pass its magnitude, numpy.abs(signal).")
    if array.dtype.kind not in "buif":
        raise DtypeError(f"signal holds {array.dtype} values: pass real numbers.")
    return array


def _check_dim(shape: Sequence[int], n_times: int, dim: int) -> int:
    shape = tuple(shape)
    if not shape:
        raise ValueError("signal is a single number: pass an array with one axis for the times, (time,) or more.")
    if len(shape) == 1:
        dim = 0  # the samples of a single voxel
    if not -len(shape) <= dim < len(shape):
        raise ValueError(f"dim={dim}, but signal has {len(shape)} axes, shape {shape}.")
    if shape[dim] != n_times:
        fitting = [str(axis if axis < len(shape) - 1 else -1) for axis, length in enumerate(shape) if length == n_times]
        hint = f"; did you mean dim={' or dim='.join(fitting)}?" if fitting else f"; the shape is {shape}."
        raise ValueError(f"signal: axis dim={dim} has {shape[dim]} images, times_ms has {n_times} times{hint}")
    return dim % len(shape)


def _check_mask(mask: object, space: tuple[int, ...], device: torch.device) -> Tensor | None:
    if mask is None:
        return None
    if isinstance(mask, Tensor) and mask.device != device:
        raise ValueError(f"signal is on {device}, mask on {mask.device}: bring them to one device.")
    array = mask if isinstance(mask, Tensor) else torch.as_tensor(np.array(mask), device=device)
    if tuple(array.shape) != space:
        raise ValueError(f"mask has shape {tuple(array.shape)}, the signal without its time axis {space}.")
    if array.dtype != torch.bool:
        if not ((array == 0) | (array == 1)).all():
            raise ValueError("mask holds values other than 0 and 1: pass a comparison, as labels == 5.")
        array = array == 1
    if array.numel() and not array.any():
        warnings.warn("mask is empty: no voxel will be fitted.", stacklevel=5)
    return array


def check_bounds(bounds: tuple[float, float] | None, times: Tensor) -> tuple[float, float]:
    """Check the bounds of the relaxation time, and keep the search where the signal has not vanished in all images."""
    low, high = DEFAULT_BOUNDS if bounds is None else bounds
    if not 0 < low < high < float("inf"):
        raise ValueError(f"bounds={bounds}: give the shortest and the longest T in ms, with 0 < shortest < longest.")
    if high < 1:
        raise ValueError(f"bounds={bounds} look like seconds; relaxnet works in milliseconds.")
    # Below t_min/40 the first image has decayed by e^-40: nothing is left to fit, and squares leave float32.
    return max(low, min(float(times.min()) / 40, high / 2)), high


def check_sigma(sigma: object, times: Tensor) -> Tensor | None:
    """Check the noise level: None, one number, or one a time."""
    if sigma is None:
        return None
    noise = torch.as_tensor(sigma, dtype=times.dtype, device=times.device)
    if noise.ndim > 1 or (noise.ndim == 1 and len(noise) != len(times)):
        raise ValueError(
            f"sigma has shape {tuple(noise.shape)}: pass one number, or one for each of the {len(times)} times."
        )
    if not (torch.isfinite(noise) & (noise > 0)).all():
        raise ValueError(f"sigma={sigma!r}: a noise level is positive and finite.")
    return noise.expand(len(times))
