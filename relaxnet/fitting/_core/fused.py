"""The compiled fits of mono-exponential decays, for large images: on processors by numba, on GPUs by Triton."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from relaxnet.fitting._core.bounds import Bounds
from relaxnet.fitting._core.decay import certificate, points_of_curve
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.joint_grid import log_grids
from relaxnet.fitting._core.projection import LEAST_SQUARE, grid_of
from relaxnet.fitting._core.quality import quality_names
from relaxnet.signals import MonoExponential, MonoExponentialWithOffset, SignalModel

LEAST_VOXELS = 16_384  # fewer do not pay for loading the compiler

_log = logging.getLogger(__name__)


class FusedDecay(ABC):
    """A fit for voxels of any kind: zeros, noise, missing samples and weights of their own included.

    Parameters
    ----------
    kernel
        The module that holds the kernel.
    design
        Mono-exponential decays, or one above a constant, in single precision.
    bounds
        Smallest and largest value of each T.
    saturation
        Samples at or above this value are not used.
    """

    def __init__(self, kernel: Any, design: Design, bounds: tuple[Bounds, ...], saturation: float | None) -> None:
        self.kernel, self.design, self.bounds = kernel, design, bounds
        self.saturation = math.inf if saturation is None else saturation
        # By NumPy: in a forked process, the threads of torch may be waited for in vain.
        self.time = design.time[:, 0].cpu().numpy().astype(np.float64)

    @property
    def rates(self) -> np.ndarray:
        """The rates of a grid between the bounds of a single T."""
        (bounds,) = self.bounds
        return _rates(bounds, self.design.model.log_step)

    def __call__(
        self,
        samples: Float[Tensor, "time voxel"],
        weight: Float[Tensor, "#time #voxel"],
        noise: Float[Tensor, " #voxel"] | None,
        *,
        maps_only: bool,
    ) -> tuple[Float[Tensor, "row voxel"], Integer[Tensor, " voxel"], Integer[Tensor, " voxel"]]:
        """Return the rows of the estimate, also those of :func:`quality` if asked for, status and number of samples."""
        n, names = samples.shape[1], self.design.names
        table = samples.new_empty(len(names) + (0 if maps_only else len(quality_names(names))), n)
        status, n_used = (samples.new_empty(n, dtype=dtype) for dtype in (torch.uint8, torch.int16))
        self.run(samples, weight, samples.new_zeros(1) if noise is None else noise, (table, status, n_used))
        return table, status, n_used

    @abstractmethod
    def run(self, samples: Tensor, weight: Tensor, noise: Tensor, results: tuple[Tensor, Tensor, Tensor]) -> None:
        """Fit all voxels, and fill in their table, status and number of samples."""


class DecayOnProcessor(FusedDecay):
    """By numba."""

    def run(self, samples: Tensor, weight: Tensor, noise: Tensor, results: tuple[Tensor, Tensor, Tensor]) -> None:
        """Fit all voxels, and fill in their table, status and number of samples."""
        weight, common = weight.expand(len(samples), weight.shape[1]), weight.shape[1] == 1
        weights = tuple(weight[:, 0].tolist()) if common else (1.0,) * len(weight)
        grid, usual = self.grid(weights)
        self.kernel.fit_decays(
            *(rows.numpy() for rows in (samples, weight, noise)),
            np.float32(self.saturation),
            _single(_filled(self.time)),
            np.float32(_common_gap(self.time)),
            np.arange(len(self.time), dtype=np.uint64),
            np.argsort(-self.time).astype(np.uint64)[None],
            usual if common else np.full_like(usual, np.nan),
            _single(self.rates),
            np.array(self.bounds[0], np.float32),
            grid,
            *self.certificate(weights, certain=common and not np.isnan(usual).any()),
            *(rows.numpy() for rows in results),
        )

    def grid(self, weights: tuple[float, ...]) -> tuple[Any, np.ndarray]:
        """Return the decays of a grid, and the weights of most voxels: NaN where these leave nothing of a decay."""
        return _grid(tuple(self.time.tolist()), weights, tuple(self.rates.tolist()))

    def certificate(self, weights: tuple[float, ...], *, certain: bool) -> tuple[Any, ...]:
        """Return what voxels are certified by, if they have common weights, where the kernel does that."""
        del weights, certain
        return ()


class CertifiedOnProcessor(DecayOnProcessor):
    """By numba, most voxels by a quick search that certifies its own result."""

    def certificate(self, weights: tuple[float, ...], *, certain: bool) -> tuple[Any, ...]:
        """Return what voxels are certified by, if they have common weights."""
        *curve, least_explained = _curve(tuple(self.time.tolist()), weights, self.bounds[0])
        return ((*curve, np.float32(least_explained if certain else 2)),)


class OffsetOnProcessor(DecayOnProcessor):
    """Above a constant, by numba."""

    def grid(self, weights: tuple[float, ...]) -> tuple[Any, np.ndarray]:
        """Return the decays of a grid, and the weights of most voxels: NaN where these leave nothing of a decay."""
        return _centred_grid(self.design.model, tuple(self.time.tolist()), weights, self.bounds[0])


class JointOnProcessor(FusedDecay):
    """Several decays with a common amplitude, by numba."""

    def __init__(self, kernel: Any, design: Design, bounds: tuple[Bounds, ...], saturation: float | None) -> None:
        super().__init__(kernel, design, bounds, saturation)
        owner = cast("Tensor", design.owner).numpy()
        # Each T has a block of rows, filled up to the same multiple of four.
        width = -(-int(np.bincount(owner).max()) // 4) * 4
        self.place = owner * width + np.array([(owner[:k] == own).sum() for k, own in enumerate(owner)])
        times = np.zeros((len(bounds), width))
        times.flat[self.place] = self.time
        latest_first = np.argsort(-times, axis=1) + width * np.arange(len(bounds))[:, None]
        grids, typical = log_grids(design, bounds)
        n_grid = -(-max(map(len, grids)) // 4) * 4
        log_t = np.stack([np.pad(grid.numpy(), (0, n_grid - len(grid)), mode="edge") for grid in grids])
        decays = np.exp(-times[:, None] / np.exp(log_t[:, :, None].astype(np.float64)))
        self.basis = np.where(times[:, None] > 0, decays, 0)  # what is the same for all T is apart
        indices = (rows.astype(np.uint64) for rows in (self.place, latest_first))
        numbers = (_single(np.array(rows)) for rows in (bounds, log_t, typical, self.basis, self.basis**2))
        self.prepared = _single(times.ravel()), *indices, *numbers

    def run(self, samples: Tensor, weight: Tensor, noise: Tensor, results: tuple[Tensor, Tensor, Tensor]) -> None:
        """Fit all voxels, and fill in their table, status and number of samples."""
        weight = weight.expand(len(samples), weight.shape[1])
        usual = np.full(self.basis.shape[::2], np.nan)
        if weight.shape[1] == 1:
            usual[:] = 0
            usual.flat[self.place] = weight[:, 0].numpy()
        *prepared, basis, squares = self.prepared
        self.kernel.fit_decays(
            *(rows.numpy() for rows in (samples, weight, noise)),
            np.float32(self.saturation),
            *prepared,
            (basis, squares, _single(usual.ravel()), _single((self.basis**2 * usual[:, None]).sum(2))),
            *(rows.numpy() for rows in results),
        )


@lru_cache(maxsize=64)
def _rates(bounds: Bounds, log_step: float) -> np.ndarray:
    """Return the rates of a grid between the bounds of T, evenly spaced in their logarithms."""
    low, high = bounds
    return 1 / np.geomspace(low, high, max(6, int(math.log(high / low) / log_step) + 2))


@lru_cache(maxsize=64)
def _grid(time: tuple[float, ...], weights: tuple[float, ...], rates: tuple[float, ...]) -> tuple[Any, np.ndarray]:
    """Prepare the decays of a grid, scaled to length 1 with the weights of most voxels, as they are, and squared."""
    times, weight = np.array(time), np.array(weights)
    basis = np.exp(-times * np.array(rates)[:, None])
    squares = basis**2
    floor, norms = LEAST_SQUARE * squares.sum(1), squares @ weight
    directions = basis * weight / np.sqrt(norms)[:, None]
    grid = tuple(_ended(rows) for rows in (directions, basis, squares, floor))
    return grid, _usual(weight, norms > floor)


@lru_cache(maxsize=64)
def _centred_grid(
    model: SignalModel, time: tuple[float, ...], weights: tuple[float, ...], bounds: Bounds
) -> tuple[Any, np.ndarray]:
    """Prepare the decays of a grid about their means, scaled to length 1 with the weights of most voxels, and not.

    They are those of torch to the last digit: that is what chooses among several long T.
    """
    times, weight = torch.tensor(time, dtype=torch.float32)[:, None], np.array(weights)
    grid = grid_of(Design((model,), times, ("t",)), bounds)
    basis = model.basis(torch.exp(grid.x)[:, None], times.T).numpy().astype(np.float64)
    basis /= basis.max(1, keepdims=True)  # a late first image leaves little of a fast decay
    floor = LEAST_SQUARE * (basis**2).sum(1)
    basis -= basis.mean(1, keepdims=True)  # as in torch, without weights
    centred = basis - (basis @ weight / weight.sum())[:, None]
    norms = centred**2 @ weight
    directions = centred * weight / np.sqrt(norms)[:, None]
    return tuple(_ended(rows) for rows in (directions, basis, floor)), _usual(weight, norms > floor)


def _ended(rows: np.ndarray) -> np.ndarray:
    """Repeat the end of a grid, so that it ends in fours and not on the way up, and fill up its times."""
    ended = np.minimum(np.arange(len(rows) + 4 - len(rows) % 4), len(rows) - 1)
    return _single((_filled(rows) if rows.ndim > 1 else rows)[ended])


def _usual(weight: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill up the weights of most voxels: NaN, which none has, where the grid does not hold for them."""
    return _single(_filled(weight if known.all() else np.full_like(weight, np.nan)))


@lru_cache(maxsize=64)
def _curve(time: tuple[float, ...], weights: tuple[float, ...], bounds: Bounds) -> tuple[Any, ...]:
    """Prepare what the quick search starts from, and certifies by, for the weights of most voxels."""
    times, weight = np.array(time), np.array(weights)
    points, log_rates, gap = points_of_curve(time, weights, bounds)
    subspace, least_explained = certificate(time, weights, bounds)
    return (
        _single(_filled(points.numpy())),
        _single(log_rates.numpy() + math.log(bounds[0])),
        np.float32(math.cos(2 * gap)),
        _single(np.pad(_filled(subspace.numpy()), [(0, -len(subspace) % 4), (0, 0)])),
        _single(_filled(times - (weight * times).sum() / weight.sum())),
        least_explained,
    )


def _filled(values: np.ndarray) -> np.ndarray:
    """Fill up the times to a multiple of four."""
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % 4)])


def _single(values: np.ndarray) -> np.ndarray:
    """Convert to single precision."""
    return values.astype(np.float32)


def _common_gap(time: np.ndarray) -> float:
    """Return by how much each time is later than the one before, or 0 where that is not the same for all."""
    gap = (time[-1] - time[0]) / max(1, len(time) - 1)
    rounding = 2 * np.finfo(np.float32).eps * np.abs(time).max()
    return gap if gap > 0 and np.abs(time[0] + gap * np.arange(len(time)) - time).max() <= rounding else 0.0


class DecayOnGpu(FusedDecay):
    """By Triton."""

    def run(self, samples: Tensor, weight: Tensor, noise: Tensor, results: tuple[Tensor, Tensor, Tensor]) -> None:
        """Fit all voxels, and fill in their table, status and number of samples."""
        floor = LEAST_SQUARE * np.exp(-2 * self.time * self.rates[:, None]).sum(1)
        constants = [torch.from_numpy(constant).to(samples) for constant in (self.time, self.rates, floor)]
        weight, noise = weight.expand_as(samples), noise.expand(samples.shape[1])
        self.kernel.fit_decays(samples, weight, noise, constants, self.bounds[0], self.saturation, results)


_KINDS: dict[tuple[str, type[SignalModel], str], tuple[Callable[..., FusedDecay], str, str]] = {
    ("least squares", MonoExponential, "cpu"): (CertifiedOnProcessor, "numba", "kernels.decay"),
    ("least squares", MonoExponential, "cuda"): (DecayOnGpu, "triton", "decay_triton"),
    ("least squares", MonoExponentialWithOffset, "cpu"): (OffsetOnProcessor, "numba", "kernels.offset"),
    ("rician", MonoExponential, "cpu"): (DecayOnProcessor, "numba", "kernels.rician"),
    ("joint", MonoExponential, "cpu"): (JointOnProcessor, "numba", "kernels.joint"),
}
"""By method, model and type of the device: the fit, the package that compiles its kernel, and the module of that."""


def fused_decay(
    method: str, design: Design, bounds: tuple[Bounds, ...], saturation: float | None, n_voxels: int
) -> FusedDecay | None:
    """Prepare the compiled fit, if it can fit this, and it pays."""
    time = design.time
    model, *others = {type(model) for model in design.models}
    known = _KINDS.get((method, model, time.device.type))
    suits = not others and time.dtype == torch.float32
    repeated = design.owner is None and design.repeats_times
    if known is None or not suits or repeated or n_voxels < LEAST_VOXELS:
        return None
    kind, package, module = known
    kernel = _load(package, module)
    return None if kernel is None else kind(kernel, design, bounds, saturation)


@cache
def _load(package: str, module: str) -> Any:
    """Load a kernel, or compile it if this machine has not done so yet; None without the package."""
    if find_spec(package) is None:
        return None
    _log.info("loading the compiled fit; the first time on a machine, it is compiled within half a minute")
    try:
        return import_module(f"relaxnet.fitting._core.{module}")
    except ImportError as error:  # of another version of NumPy, for instance
        _log.warning("%s cannot be loaded, so fits run without it: %s", package, error)
        return None
