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

from relaxnet.errors import DtypeError
from relaxnet.fitting._core.design import Design
from relaxnet.protocol import Contrast
from relaxnet.signals import MonoExponential, SignalModel, require_model
from relaxnet.times import TimeUnit, parse_times

Array = NDArray[Any] | Tensor
Times = Contrast | Sequence[float] | Array
Block = tuple[slice | int, ...] | tuple[Tensor, ...]
"""Where some voxels are: a box of slices, or, within a mask, their positions along each axis."""

_CACHE_SAMPLES = 393_216
_ACCELERATOR_SAMPLES = 16_777_216
_SMALL = 8192  # voxels that are not worth a thread of their own


@dataclass(frozen=True)
class Voxels:
    """A signal that has been checked, with all that is needed to walk through its voxels."""

    signal: Array
    """The signal with its time axis first. It is a view: nothing has been copied or converted yet."""
    times: Tensor
    """Times in ms, on the device and in the precision that the fit computes with."""
    model: SignalModel
    """The signal model of all images, unless a design of several is made."""
    selected: tuple[Tensor, ...] | None
    """Positions of the voxels to fit along each axis, or None for all."""
    common_sigma: Tensor | None
    """Noise level that all voxels share: (1, 1), or (time, 1)."""
    sample_sigma: Array | None
    """Noise level of each sample, laid out as the signal is."""
    saturation: float | None
    """Samples at or above this are not used."""
    t_name: str
    """What the relaxation time is called in results."""
    output_dtype: torch.dtype
    """Dtype of the maps: that of the signal if it is floating point, else float32."""
    shape: tuple[int, ...]
    """Shape of the maps."""

    @property
    def space(self) -> tuple[int, ...]:
        """Shape of the signal without its time axis: that of the maps, or (1,) where the signal is a single curve."""
        return tuple(self.signal.shape[1:])

    @property
    def design(self) -> Design:
        """What is fitted to all images."""
        return Design((self.model,), self.times[:, None], (self.t_name,))

    def at(self, images: Sequence[int]) -> "Voxels":
        """Keep some of the images, by their positions along the time axis."""
        positions = list(images)
        common, each = self.common_sigma, self.sample_sigma
        return replace(
            self,
            signal=self.signal[positions],
            times=self.times[positions],
            common_sigma=common if common is None or len(common) == 1 else common[positions],
            sample_sigma=None if each is None else each[positions],
        )

    def only(self, chosen: list[tuple[Tensor, ...]]) -> "Voxels":
        """Keep the voxels at some positions, given in pieces."""
        nowhere = torch.zeros(0, dtype=torch.long, device=self.times.device)
        axes = zip(*chosen, strict=True) if chosen else [(nowhere,)] * len(self.space)
        return replace(self, selected=tuple(torch.cat(axis) for axis in axes))

    def blocks(self, chunk_size: int | None) -> list[Block]:
        """Cut the voxels to fit into blocks of at most ``chunk_size``, without copying anything.

        By default they are as large as is quickest, and about as many for each core.
        """
        n = prod(self.space) if self.selected is None else len(self.selected[0])
        if chunk_size is not None and chunk_size < 1:
            raise ValueError(f"chunk_size={chunk_size}: a chunk holds one voxel or more.")
        size = chunk_size
        if size is None:
            on_cpu = self.times.device.type == "cpu"
            size = max(1024, (_CACHE_SAMPLES if on_cpu else _ACCELERATOR_SAMPLES) // len(self.times))
            if on_cpu:
                rounds = max(1, -(-n // (size * torch.get_num_threads())))
                size = max(_SMALL, -(-n // (rounds * torch.get_num_threads())))
        if self.selected is None:
            return list(_boxes(self.space, size))
        return list(zip(*(torch.split(axis, size) for axis in self.selected), strict=True)) if n else []

    def read(self, block: Block) -> Tensor:
        """Bring the samples of one block in, (time, voxel), in working precision; a view where that is possible."""
        return _bring(self.signal, block, self.times).detach().reshape(len(self.times), -1)

    def read_sigma(self, block: Block) -> Tensor | None:
        """Bring the noise level of one block in: (1, 1), (time, 1), (time, voxel), or None."""
        if self.sample_sigma is None:
            return self.common_sigma
        return _bring(self.sample_sigma, block, self.times).reshape(len(self.times), -1)


def _bring(array: Array, block: Block, like: Tensor) -> Tensor:
    """Take the voxels of a block out of an array whose time axis is first, as a tensor."""
    if isinstance(array, Tensor):
        return array[(slice(None), *block)].to(like.dtype)
    place = tuple(axis.numpy() if isinstance(axis, Tensor) else axis for axis in block)
    part: Any = array[(slice(None), *place)]
    if isinstance(part, np.ma.MaskedArray):
        part = np.ma.filled(part.astype(np.float64), np.nan)
    return torch.from_numpy(np.array(part, dtype=np.float64 if like.dtype == torch.float64 else np.float32))


def _boxes(space: tuple[int, ...], size: int) -> Iterator[Block]:
    """Cut a shape into runs along one axis, whole along the axes behind it, single along those before it."""
    axis = next(k for k in range(len(space)) if prod(space[k + 1 :]) <= size)
    step = max(1, size // max(1, prod(space[axis + 1 :])))
    for index in np.ndindex(space[:axis]):
        for start in range(0, space[axis], step):
            yield (*index, slice(start, start + step))


def n_voxels(block: Block, space: tuple[int, ...]) -> int:
    """Count the voxels of a block."""
    if block and isinstance(block[0], Tensor):
        return len(block[0])
    return prod(len(span) for span in _spans(block, space))


def positions(block: Block, chosen: Tensor, space: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Tell where some voxels of a block are, along each axis of the maps."""
    if block and isinstance(block[0], Tensor):
        return tuple(axis[chosen] for axis in block)
    spans = _spans(block, space)
    inside = torch.unravel_index(chosen, [len(span) for span in spans])
    return tuple(axis + span.start for axis, span in zip(inside, spans, strict=True))


def _spans(block: Block, space: tuple[int, ...]) -> list[range]:
    spans = [
        range(n)[part] if isinstance(part, slice) else range(part, part + 1)
        for n, part in zip(space, block, strict=False)
    ]
    return spans + [range(n) for n in space[len(block) :]]


def check_voxels(
    signal: object,
    times_ms: Times,
    *,
    model: SignalModel | None = None,
    mask: object,
    sigma: object,
    saturation: float | None,
    unit: TimeUnit,
    dim: int,
) -> Voxels:
    """Check the arguments that all estimators share."""
    array = _check_signal(signal)
    device = array.device if isinstance(array, Tensor) else torch.device("cpu")
    if isinstance(times_ms, Tensor) and times_ms.device != device:
        raise ValueError(f"signal is on {device}, times_ms on {times_ms.device}: bring them to one device.")
    chosen = _check_model(times_ms, model)
    times = parse_times(times_ms, unit=unit, axis=chosen.axis)
    axis = _check_dim(array.shape, len(times), dim)
    moved = _time_first(array, axis)
    shape = tuple(moved.shape[1:])
    if not shape:  # one axis is one voxel
        moved = moved[:, None]
    working, output = _precisions(array)
    clock = torch.tensor(times, dtype=working, device=device)
    common, each = _check_sigma(sigma, tuple(array.shape), axis, clock)
    if saturation is not None and not saturation > 0:
        raise ValueError(f"saturation={saturation}: give the value at which samples are clipped, such as 4095.")
    return Voxels(
        signal=moved,
        times=clock,
        model=chosen,
        selected=_check_mask(mask, shape, device),
        common_sigma=common,
        sample_sigma=each,
        saturation=saturation,
        t_name=times_ms.name if isinstance(times_ms, Contrast) else "t",
        output_dtype=output,
        shape=shape,
    )


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
    return _as_tensor(array)


def _as_tensor(array: NDArray[Any]) -> Array:
    """Look at an array as a tensor, without a copy, if torch can; what it cannot is read block by block."""
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
        if not array.is_floating_point():
            return torch.float32, torch.float32
        return (torch.float64 if array.dtype == torch.float64 else torch.float32), array.dtype
    size = array.dtype.itemsize if array.dtype.kind == "f" else 4
    output = {2: torch.float16, 4: torch.float32}.get(size, torch.float64)
    return (torch.float64 if output == torch.float64 else torch.float32), output


def _time_first(array: Array, axis: int) -> Array:
    if isinstance(array, Tensor):
        return array.movedim(axis, 0)
    return array.transpose((axis, *(k for k in range(array.ndim) if k != axis)))  # a view, of masked arrays too


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


def _check_mask(mask: object, space: tuple[int, ...], device: torch.device) -> tuple[Tensor, ...] | None:
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
    array = array if space else array.reshape(1)
    if array.numel() and not array.any():
        warnings.warn("mask is empty: no voxel will be fitted.", stacklevel=6)
    return array.nonzero(as_tuple=True)


def _check_sigma(sigma: object, shape: tuple[int, ...], axis: int, times: Tensor) -> tuple[Tensor | None, Array | None]:
    """Check a noise level, and tell one that all voxels share from one of each sample."""
    if sigma is None:
        return None, None
    if isinstance(sigma, Tensor) and sigma.ndim and sigma.device != times.device:
        raise ValueError(f"signal is on {times.device}, sigma on {sigma.device}: bring them to one device.")
    noise = sigma if isinstance(sigma, Tensor) else _as_tensor(np.asarray(sigma, dtype=np.float64))
    if noise.ndim and tuple(noise.shape) not in ((len(times),), shape):
        raise ValueError(
            f"sigma has shape {tuple(noise.shape)}: pass one number, one for each of the {len(times)} times, or one "
            f"for each sample, {shape}."
        )
    finite = torch.isfinite(noise) if isinstance(noise, Tensor) else np.isfinite(noise)
    if not (finite & (noise > 0)).all():
        raise ValueError(f"sigma={sigma!r}: a noise level is positive and finite.")
    if noise.ndim > 1:
        return None, _time_first(noise, axis)
    return torch.as_tensor(noise, dtype=times.dtype, device=times.device).reshape(-1, 1), None
