"""Voxels to fit, in blocks that fit the cache of a processor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.transfer import bring

Array = NDArray[Any] | Tensor
Block = tuple[slice | int, ...] | tuple[Tensor, ...]
"""Position of some voxels: a box of slices, or, within a mask, their indices along each axis."""

_CACHE_SAMPLES = 393_216
_ACCELERATOR_SAMPLES = 16_777_216
_SMALL = 8192  # voxels that are not worth a thread of their own


@dataclass(frozen=True)
class Voxels:
    """A signal whose arguments have been checked, and which of its voxels and samples to use."""

    signal: Array
    """The signal with its time axis first. It is a view: nothing has been copied or converted yet."""
    design: Design
    """The signal model at the times of the images, on the device and with the dtype that the fit computes with."""
    selected: tuple[Tensor, ...] | None
    """Indices of the voxels to fit along each axis, or None for all."""
    common_sigma: Tensor | None
    """Noise level that all voxels share: (1, 1), or (time, 1)."""
    sample_sigma: Array | None
    """Noise level of each sample, with the axes of ``signal``."""
    saturation: float | None
    """Samples at or above this value are not used."""
    output_dtype: torch.dtype
    """Dtype of the maps: that of the signal if it is floating point, else float32."""
    shape: tuple[int, ...]
    """Shape of the maps."""

    @property
    def times(self) -> Tensor:
        """Times of the images, (time,)."""
        return self.design.time[:, 0]

    @property
    def home(self) -> torch.device:
        """The device that the signal is on, and its mask; maps go there, too."""
        return self.signal.device if isinstance(self.signal, Tensor) else torch.device("cpu")

    @property
    def space(self) -> tuple[int, ...]:
        """Shape of the signal without its time axis: that of the maps, or (1,) where the signal is a single curve."""
        return tuple(self.signal.shape[1:])

    @property
    def n(self) -> int:
        """Number of voxels to fit."""
        return prod(self.space) if self.selected is None else len(self.selected[0])

    def at(self, images: Sequence[int]) -> "Voxels":
        """Keep some of the images, by their positions along the time axis."""
        positions = list(images)
        common, each = self.common_sigma, self.sample_sigma
        return replace(
            self,
            signal=self.signal[positions],
            design=self.design.at(torch.tensor(positions)),
            common_sigma=common if common is None or len(common) == 1 else common[positions],
            sample_sigma=None if each is None else each[positions],
        )

    def only(self, chosen: list[tuple[Tensor, ...]]) -> "Voxels":
        """Keep some of the voxels, by pieces of their indices along each axis."""
        return replace(self, selected=tuple(torch.cat(axis) for axis in zip(*chosen, strict=True)))

    def blocks(self, chunk_size: int | None) -> list[Block]:
        """Cut the voxels to fit into blocks of at most ``chunk_size``, without copying anything.

        By default, blocks have the size that is quickest, and each processor core gets about as many as the others.
        """
        n, size = self.n, chunk_size
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
        """Return the samples of a block, (time, voxel), in working precision; a view where that is possible."""
        return _take(self.signal, block, self.times).detach().reshape(len(self.times), -1)

    def used(self, samples: Tensor) -> Tensor:
        """Find the samples that are finite, below saturation and not blanked."""
        used = torch.isfinite(samples)
        if self.saturation is not None:
            used &= samples < self.saturation
        return used & ~self.design.blanked(samples, used)

    def weight_of_first(self) -> Tensor | None:
        """Return the relative weights, (time, 1), of the first voxel to fit, or None where there is no voxel.

        They are those of all voxels, unless each sample has a noise level of its own.
        """
        if self.sample_sigma is None:
            return self.weigh(())[0].expand(len(self.times), 1)
        if self.selected is not None:
            first: Block = tuple(axis[:1] for axis in self.selected)
            return self.weigh(first)[0] if len(self.selected[0]) else None
        return self.weigh((slice(1),) * len(self.space))[0] if prod(self.space) else None

    def weigh(self, block: Block) -> tuple[Tensor, Tensor | None]:
        """Return the relative weights of the samples of a block, and the noise level of a sample of weight 1.

        Weights, (time, voxel), have an axis of length 1 where all times or all voxels share them.
        """
        sigma = self.common_sigma
        if self.sample_sigma is not None:
            sigma = _take(self.sample_sigma, block, self.times).reshape(len(self.times), -1)
        if sigma is None:
            return torch.ones_like(self.design.time[:1]), None
        least = sigma.amin(0)
        return (least / sigma) ** 2, least


def _take(array: Array, block: Block, like: Tensor) -> Tensor:
    """Take the voxels of a block from an array whose time axis is first, as a tensor of the kind of ``like``."""
    if isinstance(array, Tensor):
        if not is_indexed(block) or not _is_flat(array):
            return bring(array[(slice(None), *block)], like)
        # Whole rows are taken quicker than single samples.
        index, flat = flat_index(block, tuple(array.shape[1:])), array.flatten(1)
        by_voxel = flat.stride(0) < flat.stride(1)
        return bring(flat.T.index_select(0, index).T if by_voxel else flat.index_select(1, index), like)
    place = tuple(axis.numpy() if isinstance(axis, Tensor) else axis for axis in block)
    part: Any = array[(slice(None), *place)]
    if isinstance(part, np.ma.MaskedArray):
        part = np.ma.filled(part.astype(np.float64), np.nan)
    floating = np.array(part, dtype=np.float64 if like.dtype == torch.float64 else np.float32)
    return bring(torch.from_numpy(floating), like)


def _is_flat(array: Tensor) -> bool:
    """Say whether all axes but the first can be viewed as one."""
    axes = [(n, stride) for n, stride in zip(array.shape[1:], array.stride()[1:], strict=True) if n != 1]
    return all(stride == n * finer for (_, stride), (n, finer) in pairwise(axes))


def is_indexed(block: Block) -> TypeGuard[tuple[Tensor, ...]]:
    """Say whether a block holds indices rather than slices."""
    return bool(block) and isinstance(block[0], Tensor)


def flat_index(block: tuple[Tensor, ...], space: tuple[int, ...]) -> Tensor:
    """Return the places of indexed voxels where all axes are one."""
    index = block[0]
    for axis, n in zip(block[1:], space[1:], strict=True):
        index = index * n + axis
    return index


def _boxes(space: tuple[int, ...], size: int) -> Iterator[Block]:
    """Cut a shape into runs along one axis, whole along the axes after it, single along those before it."""
    axis = next(k for k in range(len(space)) if prod(space[k + 1 :]) <= size)
    step = max(1, size // max(1, prod(space[axis + 1 :])))
    for index in np.ndindex(space[:axis]):
        for start in range(0, space[axis], step):
            yield (*index, slice(start, start + step))


def n_voxels(block: Block, space: tuple[int, ...]) -> int:
    """Count the voxels of a block."""
    if is_indexed(block):
        return len(block[0])
    return prod(len(span) for span in _spans(block, space))


def positions(block: Block, chosen: Tensor, space: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Return the indices of some voxels of a block along each axis of the maps."""
    if is_indexed(block):
        return tuple(axis[chosen] for axis in block)
    spans = _spans(block, space)
    axes: list[Tensor] = []
    for span in reversed(spans):  # torch.unravel_index would import sympy, which takes longer than a fit
        axes.insert(0, chosen % len(span) + span.start)
        chosen = chosen // len(span)
    return tuple(axes)


def _spans(block: Block, space: tuple[int, ...]) -> list[range]:
    """Return the range of a block along each axis."""
    whole = (*block, *[slice(None)] * (len(space) - len(block)))
    slices = (part if isinstance(part, slice) else slice(part, part + 1) for part in whole)
    return [range(n)[part] for n, part in zip(space, slices, strict=True)]
