"""The walk over blocks of voxels that all estimators share."""

import copy
import math
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from itertools import combinations
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from relaxnet._images import Dim
from relaxnet.fitting._core.arguments import Device, Times, as_voxels, is_whole
from relaxnet.fitting._core.bounds import Bounds, check_bounds
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.estimator import LEFT, Estimate, Estimator, Fused, Shortcut, estimate_apart
from relaxnet.fitting._core.gradient import with_gradient
from relaxnet.fitting._core.quality import quality_names
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._core.threads import for_each, one_thread
from relaxnet.fitting._core.transfer import take_home
from relaxnet.fitting._core.voxels import Block, Voxels, flat_index, is_indexed, positions
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._status import FitStatus
from relaxnet.signals import SignalModel
from relaxnet.times import TimeUnit

_BLOCKS_TOGETHER = 32  # some million voxels, because the indices of those that are left take memory


def run(
    estimator: Callable[[Design, tuple[Bounds, ...]], Estimator],
    signal: ArrayT,
    times_ms: Times,
    *,
    model: SignalModel | None = None,
    mask: Any = None,
    bounds: Bounds | None = None,
    sigma: Any = None,
    saturation: float | None = None,
    unit: TimeUnit = "ms",
    dim: Dim = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
    device: Device = None,
) -> FitResult[ArrayT]:
    """Fit a signal model to every voxel by any estimator.

    Parameters
    ----------
    estimator
        An :class:`Estimator`, or whatever makes one of a design and bounds.
    signal, times_ms, model, mask, bounds, sigma, saturation, unit, dim, chunk_size, maps_only, device
        As for :func:`relaxnet.fit`.

    Returns
    -------
    FitResult
        Maps, standard errors, goodness of fit and status of every voxel.

    Raises
    ------
    ValueError
        If an argument makes no sense; the message says which, and what is needed.
    TypeError
        If the signal is not made of real numbers.

    Examples
    --------
    See :class:`Estimator`.
    """
    voxels = as_voxels(
        signal, times_ms, model=model, mask=mask, sigma=sigma, saturation=saturation, unit=unit, dim=dim, device=device
    )
    return fit_voxels(estimator, voxels, like=signal, bounds=bounds, chunk_size=chunk_size, maps_only=maps_only)


def fit_voxels(
    make: Callable[[Design, tuple[Bounds, ...]], Estimator],
    voxels: Voxels,
    *,
    like: ArrayT,
    bounds: Bounds | Mapping[str, Bounds] | None,
    chunk_size: int | None,
    maps_only: bool,
) -> FitResult[ArrayT]:
    """Fit every voxel, and return the result as arrays if ``like`` is one, as tensors otherwise."""
    estimator = make(voxels.design, check_bounds(bounds, voxels.design))
    if chunk_size is not None and not (is_whole(chunk_size) and chunk_size > 0):
        raise ValueError(f"chunk_size={chunk_size!r}: a chunk holds one voxel or more.")
    names = voxels.design.names
    space = voxels.space
    with torch.inference_mode(mode=False), torch.no_grad():
        with one_thread():
            fits = _Fits(estimator, voxels, maps_only=maps_only)
        every = voxels.blocks(chunk_size)
        for first in range(0, len(every), _BLOCKS_TOGETHER):
            blocks = every[first : first + _BLOCKS_TOGETHER]
            if fits.fused is not None:
                for_each(fits.by_fused, blocks, voxels)
                blocks = voxels.only(fits.left).blocks(chunk_size) if fits.left else []
                fits.left = []
            elif fits.shortcut is not None:
                # What is left of these blocks is fitted together: a few voxels cost as many operations as many.
                for refine in (False, True):
                    for_each(partial(fits.by_shortcut, refine=refine), blocks, voxels)
                    blocks = voxels.only(fits.left).blocks(chunk_size) if fits.left else []
                    fits.left = []
            for_each(fits.by_estimator, blocks, voxels)
        # Rows that were not asked for take no memory.
        unknown = torch.full((), torch.nan, dtype=voxels.output_dtype, device=voxels.home).expand(space)

    def out(tensor: Tensor) -> ArrayT:
        shaped = tensor.reshape(voxels.shape)
        return cast("ArrayT", shaped if isinstance(like, Tensor) else shaped.numpy())

    def row(name: str) -> ArrayT:
        return out(fits.maps.get(name, unknown))

    result = FitResult(
        maps={name: row(name) for name in names},
        std={name: row(f"{name}_std") for name in names},
        covariances={(a, b): row(f"{a}_{b}_covariance") for a, b in combinations(names, 2)},
        rmse=row("rmse"),
        r2=row("r2"),
        n_used=out(fits.n_used),
        status=out(fits.status),
        units=voxels.design.units,
    )
    return with_gradient(result, estimator, voxels) if estimator.differentiable else result


class _Fits:
    """The maps of a fit, and the two ways to fill in a block of their voxels."""

    def __init__(self, estimator: Estimator, voxels: Voxels, *, maps_only: bool) -> None:
        self.estimator, self.voxels, self.maps_only = estimator, voxels, maps_only
        names, device, space = voxels.design.names, voxels.home, voxels.space
        rows = [*names, *([] if maps_only else quality_names(names))]
        self.maps = {row: _new(space, voxels.output_dtype, device) for row in rows}
        self.status, self.n_used = _new(space, torch.uint8, device), _new(space, torch.int16, device)
        if voxels.selected is not None:  # else every voxel is written to
            for map_ in self.maps.values():
                map_.fill_(torch.nan)
            self.status.fill_(FitStatus.MASKED)
            self.n_used.fill_(0)
        self.left: list[tuple[Tensor, ...]] = []
        """Indices of the voxels that a quicker fit has left to the estimator, in pieces."""
        self.fused = estimator.fused(voxels.saturation, voxels.n)
        if self.fused is None:  # what holds for a voxel that the shortcut fits
            chosen = slice(None) if voxels.selected is None else voxels.selected
            self.status[chosen], self.n_used[chosen] = FitStatus.CONVERGED, len(voxels.times)
        self.weight = voxels.weight_of_first()
        # What becomes of a voxel of zeros.
        used = estimator.usable(torch.zeros_like(voxels.design.time))
        enough_used = bool(enough(voxels.design, used).all())
        self.silent = FitStatus.NO_SIGNAL if enough_used else FitStatus.TOO_FEW_SAMPLES, int(used.sum())

    @cached_property
    def shortcut(self) -> Shortcut | None:
        """The shortcut, prepared where a voxel is left to it."""
        with one_thread():
            return None if self.weight is None else self.estimator.shortcut(self.weight[:, 0])

    def by_fused(self, block: Block) -> None:
        """Fit the voxels of a block by the compiled fit, and note those that it leaves."""
        samples, fused = self.voxels.read(block), cast("Fused", self.fused)
        weight, noise = self.voxels.weigh(block)
        if torch.equal(weight, weight[:, :1].expand_as(weight)):  # that all voxels share, takes less time
            weight = weight[:, :1]
        table, status, n_used = fused(samples, weight, noise, maps_only=self.maps_only)
        self._leave(block, status == LEFT)
        self._store(block, table, status, n_used)

    def by_shortcut(self, block: Block, *, refine: bool) -> None:
        """Fit the voxels of a block that the shortcut can fit, and note the others."""
        voxels, samples = self.voxels, self.voxels.read(block)
        shortcut, first = cast("Shortcut", self.shortcut), cast("Tensor", self.weight)
        weight, noise = voxels.weigh(block)
        alike = None
        if voxels.sample_sigma is not None:
            alike = ((weight - first).abs() <= 4 * torch.finfo(weight.dtype).eps).all(0)
            if not alike.any():
                self._leave(block, ~alike)
                return
        table, certain = shortcut(samples, noise, maps_only=self.maps_only, refine=refine)
        if alike is not None:
            certain &= alike
        if voxels.saturation is not None:
            certain &= samples.amax(0) < voxels.saturation
        certain &= samples[voxels.times.argmax()] != 0  # it may have been blanked
        if certain.all():
            self._store(block, table)
            return
        silent = (samples == 0).all(0)
        if silent.any():
            table.masked_fill_(silent, torch.nan)
            found = (FitStatus.CONVERGED, len(samples))
            self._store(block, table, *(torch.where(silent, a, b) for a, b in zip(self.silent, found, strict=True)))
        else:
            self._store(block, table)
        self._leave(block, ~(certain | silent))

    def by_estimator(self, block: Block) -> None:
        """Fit all voxels of a block with the estimator, and derive their status."""
        estimator, voxels, design = self.estimator, self.voxels, self.voxels.design
        samples = voxels.read(block)
        used = voxels.used(samples) & estimator.usable(samples)
        n_used = used.sum(0).to(torch.int16)
        samples = torch.where(used, samples, 0)
        peak = samples.abs().amax(0)
        status = torch.where(peak < torch.finfo(samples.dtype).tiny, FitStatus.NO_SIGNAL, FitStatus.CONVERGED)
        status = torch.where(enough(design, used), status, FitStatus.TOO_FEW_SAMPLES)
        # Only voxels with a signal are searched: many images are zero where there is no tissue.
        alive = status == FitStatus.CONVERGED
        table = samples.new_full((len(self.maps), len(status)), torch.nan)
        if alive.any():
            weight, noise = voxels.weigh(block)
            noise = None if noise is None else (noise / peak).expand_as(peak)
            ready = Samples(samples / peak, used * weight, used, n_used, noise)
            if alive.all():
                table, status = self._estimate(ready, peak)
            else:
                found, how = self._estimate(ready.pick(alive.nonzero()[:, 0]), peak[alive])
                table[:, alive], status[alive] = found, how.to(status.dtype)
        self._store(block, table, status, n_used)

    def _estimate(
        self, samples: Samples, peak: Float[Tensor, " voxel"]
    ) -> tuple[Float[Tensor, "row voxel"], Integer[Tensor, " voxel"]]:
        """Fit voxels with the estimator; return rows in the units of the signal, and their status."""
        estimator, design = self.estimator, self.voxels.design
        values, status = estimator.estimate(samples) if estimator.obeys_weights else _by_pattern(estimator, samples)
        # A parameter that is not finite is no result, whatever status an estimator returns.
        finite = torch.isfinite(values).all(0)
        status = torch.where(finite | (status > FitStatus.AT_BOUND), status, FitStatus.NOT_CONVERGED)
        table = values if self.maps_only else torch.cat((values, estimator.judge(samples, values)))
        table = table * _scales(design, peak)[: len(table)]
        table = torch.where(status <= FitStatus.AT_BOUND, table, torch.nan)
        if not self.maps_only:  # a T at a bound has no standard error
            table[len(design.names) : -2, status != FitStatus.CONVERGED] = torch.nan
        return table, status

    def _leave(self, block: Block, which: Bool[Tensor, " voxel"]) -> None:
        """Note the voxels of a block that are left to the estimator."""
        left = which.nonzero()[:, 0].to(self.voxels.home)
        if len(left):
            self.left.append(positions(block, left, self.voxels.space))

    def _store(self, block: Block, table: Float[Tensor, "row voxel"], *others: Tensor) -> None:
        """Write a table, perhaps with status and number of used samples, to the voxels of a block."""
        rows = [*take_home(table, self.voxels.home), *(take_home(row, self.voxels.home) for row in others)]
        index = flat_index(block, self.voxels.space) if is_indexed(block) else None
        for target, row in zip((*self.maps.values(), self.status, self.n_used), rows, strict=False):
            if index is not None:
                target.view(-1).scatter_(0, index, row.to(target.dtype))  # twice as fast as index_copy_
            else:
                region = target[block]
                region.copy_(row.view(region.shape))


def _new(space: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Reserve memory for a map.

    On the processor by NumPy, which asks for large pages: to touch them first takes a fraction of the time.
    """
    if device.type != "cpu" or 0 in space:
        return torch.empty(space, dtype=dtype, device=device)
    memory = np.empty(math.prod(space) * dtype.itemsize, np.uint8)
    return torch.from_numpy(memory).view(dtype).reshape(space)


def _by_pattern(estimator: Estimator, samples: Samples) -> Estimate:
    """Fit the voxels of each set of missing samples together, without these samples."""
    if samples.used.all():
        return estimator.estimate(samples)
    patterns, of_voxel = torch.unique(samples.used, dim=1, return_inverse=True)
    ways = ((of_voxel == k, partial(_at, estimator, pattern.nonzero()[:, 0])) for k, pattern in enumerate(patterns.T))
    return estimate_apart(samples, ways)


def _at(estimator: Estimator, images: Int[Tensor, " image"], samples: Samples) -> Estimate:
    """Fit voxels at some images alone."""
    part = copy.copy(estimator)
    part.design = estimator.design.at(images)
    return part.estimate(samples.at(images))


def enough(design: Design, used: Bool[Tensor, "time voxel"]) -> Bool[Tensor, " voxel"]:
    """Find the voxels with at least as many samples at different times as the design has parameters."""
    n_parameters = len(design.names)
    if design.owner is None:
        if not design.repeats_times:
            return used.sum(0) >= n_parameters
        times = torch.unique(design.time)
        return torch.stack([(used & (design.time == time)).any(0) for time in times]).sum(0) >= n_parameters
    # Each relaxation time needs an image of its own.
    own = used & design.informative[:, None]
    decays = [own[design.images_of(k)].any(0) for k in range(len(design.t_names))]
    return torch.stack([used.sum(0) >= n_parameters, *decays]).all(0)


def _scales(design: Design, peak: Float[Tensor, " voxel"]) -> Float[Tensor, "row voxel"]:
    """Return the factor of each row of a table that brings it from a peak of 1 to the units of the signal."""
    one = torch.ones_like(peak)
    parameters = [one if name in design.t_names else peak for name in design.names]
    return torch.stack([*parameters, *parameters, *(a * b for a, b in combinations(parameters, 2)), peak, one])
