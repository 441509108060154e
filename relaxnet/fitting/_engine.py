"""The walk over blocks of voxels that all estimators share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relaxnet.fitting._design import Design
from relaxnet.fitting._quality import quality, quality_names
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._samples import Samples
from relaxnet.fitting._status import FitStatus
from relaxnet.fitting._voxels import Block, Voxels, n_voxels, positions


class Estimate(NamedTuple):
    """What an estimator finds for some voxels."""

    values: Float[Tensor, "parameter voxel"]
    status: Int[Tensor, " voxel"]


class Estimator(ABC):
    """A way to find the parameters of a design.

    ``estimate`` deals with any voxel. ``shortcut`` may find most of a block's at less cost, leaving the rest to
    ``estimate``.
    """

    def __init__(self, design: Design) -> None:
        self.design = design

    def usable(self, samples: Float[Tensor, "time voxel"]) -> Bool[Tensor, "time voxel"]:
        """Tell which finite samples can be used."""
        return torch.ones_like(samples, dtype=torch.bool)

    @abstractmethod
    def estimate(self, samples: Samples) -> Estimate:
        """Fit voxels whose largest sample is 1, with enough samples each."""

    has_shortcut = False
    """Whether :meth:`shortcut` can be called."""

    def shortcut(
        self,
        samples: Float[Tensor, "time voxel"],
        noise: Float[Tensor, " 1"] | None,
        *,
        maps_only: bool,
        patient: bool,
    ) -> tuple[Float[Tensor, "row voxel"], Bool[Tensor, " voxel"]]:
        """Fit voxels of any scale, all of whose samples are to be used; tell which are certain to have converged.

        If ``patient``, take more steps to get there.

        The rows are those of :meth:`estimate` and, unless ``maps_only``, of :meth:`judge`. They hold until the next
        call.
        """
        raise NotImplementedError

    def judge(self, samples: Samples, values: Float[Tensor, "parameter voxel"]) -> Float[Tensor, "row voxel"]:
        """Compute what :func:`quality_names` lists."""
        return quality(self.design, samples, values)


def run(
    estimator: Estimator, voxels: Voxels, *, like: ArrayT, chunk_size: int | None, maps_only: bool
) -> FitResult[ArrayT]:
    """Fit every voxel and gather the result, as arrays if ``like`` is one, as tensors otherwise."""
    names = estimator.design.names
    rows = [*names, *([] if maps_only else quality_names(names))]
    device, space = voxels.times.device, voxels.space
    with torch.inference_mode(mode=False), torch.no_grad():
        maps = {row: torch.empty(space, dtype=voxels.output_dtype, device=device) for row in rows}
        status = torch.zeros(space, dtype=torch.uint8, device=device)  # FitStatus.CONVERGED
        n_used = torch.full(space, len(voxels.times), dtype=torch.int16, device=device)
        if voxels.selected is not None:  # else every voxel is written to
            for map_ in maps.values():
                map_.fill_(torch.nan)
            n_used.fill_(0)
            status.fill_(FitStatus.MASKED)

        def store_table(block: Block, table: Float[Tensor, "row voxel"]) -> None:
            for map_, row in zip(maps.values(), table, strict=True):
                _store(map_, block, row)

        def quickly(block: Block, *, patient: bool) -> None:
            samples = voxels.read(block)
            table, certain = estimator.shortcut(samples, noise, maps_only=maps_only, patient=patient)
            if voxels.saturation is not None:
                certain &= samples.amax(0) < voxels.saturation
            store_table(block, table)
            if voxels.selected is not None and not patient:
                _store(status, block, torch.zeros_like(certain))
                _store(n_used, block, torch.full_like(certain, len(samples), dtype=torch.int16))
            if not certain.all():
                uncertain.append(positions(block, (~certain).nonzero()[:, 0], space))

        def carefully(block: Block) -> None:
            table, ended, used = _fit_with_care(estimator, voxels, block, maps_only=maps_only)
            store_table(block, table)
            _store(status, block, ended)
            _store(n_used, block, used)

        blocks = voxels.blocks(chunk_size)
        uncertain: list[tuple[Tensor, ...]] = []
        if estimator.has_shortcut and voxels.sample_sigma is None:
            noise = _weigh(voxels.common_sigma)[1]
            # What is left of all blocks is done together: a few voxels cost as many operations as many.
            for patient in (False, True):
                for_each(partial(quickly, patient=patient), blocks, device, space)
                blocks = voxels.only(uncertain).blocks(chunk_size)
                uncertain.clear()
        for_each(carefully, blocks, device, space)
        unknown = torch.full((), torch.nan, dtype=voxels.output_dtype, device=device).expand(space)  # takes no memory

    def out(row: str) -> ArrayT:
        return _as_like(maps.get(row, unknown), like)

    return FitResult(
        maps={name: out(name) for name in names},
        std={name: out(f"{name}_std") for name in names},
        covariances={(a, b): out(f"{a}_{b}_covariance") for a, b in combinations(names, 2)},
        rmse=out("rmse"),
        r2=out("r2"),
        n_used=_as_like(n_used, like),
        status=_as_like(status, like),
    )


def _as_like(tensor: Tensor, like: ArrayT) -> ArrayT:
    return cast("ArrayT", tensor if isinstance(like, Tensor) else tensor.numpy())


def for_each(
    work: Callable[[Block], None], blocks: Sequence[Block], device: torch.device, space: tuple[int, ...]
) -> None:
    """Work on all blocks: one on each processor core at a time; one after another on an accelerator.

    A block is too small to be spread over threads by torch, which would only make them wait for one another, and make
    the last digits depend on how many were free.
    """
    if device.type != "cpu":
        for block in blocks:
            _on_accelerator(work, block, space)
        return
    threads = torch.get_num_threads()
    try:
        if len(blocks) < 2 or threads < 2:
            torch.set_num_threads(1)
            for block in blocks:
                work(block)
            return
        count = min(threads, len(blocks))
        pool = ThreadPoolExecutor(count, "relaxnet-fit", initializer=torch.set_num_threads, initargs=(1,))
        try:
            for future in [pool.submit(_without_gradient, work, block) for block in blocks]:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)
    finally:
        torch.set_num_threads(threads)  # also what threads to come start with


def _on_accelerator(work: Callable[[Block], None], block: Block, space: tuple[int, ...]) -> None:
    """Work on a block; where memory runs out, on quarters of it, once."""
    try:
        work(block)
    except torch.OutOfMemoryError:
        pass  # what it holds is free only after this clause
    else:
        return
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
    axes = positions(block, torch.arange(n_voxels(block, space)), space)
    size = max(1, len(axes[0]) // 4)
    try:
        for part in zip(*(torch.split(axis, size) for axis in axes), strict=True):
            work(part)
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(
            f"The memory of the device is not enough for {size} voxels at once: pass a smaller chunk_size, or leave "
            f"the signal in the memory of the processor, as a NumPy array."
        ) from error


def _without_gradient(work: Callable[[Block], None], block: Block) -> None:
    with torch.no_grad():  # each thread has a switch of its own
        work(block)


def _store(target: Tensor, block: Block, values: Tensor) -> None:
    if block and isinstance(block[0], Tensor):
        target[block] = values.to(target.dtype)
    else:
        region = target[block]
        region.copy_(values.view(region.shape))


def _weigh(sigma: Float[Tensor, "#time #voxel"] | None) -> tuple[Tensor | None, Tensor | None]:
    """Turn noise levels into relative weights, and the noise of a sample of weight 1."""
    if sigma is None:
        return None, None
    least = sigma.amin(0)
    return (None if len(sigma) == 1 else (least / sigma) ** 2), least


def _fit_with_care(
    estimator: Estimator, voxels: Voxels, block: Block, *, maps_only: bool
) -> tuple[Float[Tensor, "row voxel"], Int[Tensor, " voxel"], Int[Tensor, " voxel"]]:
    """Leave out what cannot be used, bring each voxel to a peak of 1, fit it, and say how that ended."""
    samples, sigma = voxels.read(block), voxels.read_sigma(block)
    design = estimator.design
    used = torch.isfinite(samples)
    if voxels.saturation is not None:
        used &= samples < voxels.saturation
    used &= estimator.usable(samples)
    n_used = used.sum(0).to(torch.int16)
    few = ~_enough(design, used)
    samples = torch.where(used, samples, 0)
    peak = samples.abs().amax(0)
    silent = peak < torch.finfo(samples.dtype).tiny
    peak = torch.where(silent, 1, peak)
    weight, noise = _weigh(sigma)
    # Voxels with too few samples go along with all of them, so that nothing is divided by zero on the way.
    used = used | few
    ready = Samples(
        values=samples / peak,
        weight=used * (torch.ones_like(design.time) if weight is None else weight),
        used=used,
        n_used=n_used,
        noise=None if noise is None else noise / peak,
    )
    values, status = estimator.estimate(ready)
    status = torch.where(silent, FitStatus.NO_SIGNAL, status)
    status = torch.where(few, FitStatus.TOO_FEW_SAMPLES, status)
    table = values if maps_only else torch.cat((values, estimator.judge(ready, values)))
    table = table * _scales(design, peak, maps_only=maps_only)
    table = torch.where(status <= FitStatus.AT_BOUND, table, torch.nan)
    if not maps_only:  # at a bound there is no error to speak of
        uncertain = slice(len(design.names), -2)
        table[uncertain] = torch.where(status == FitStatus.CONVERGED, table[uncertain], torch.nan)
    return table, status, n_used


def _enough(design: Design, used: Bool[Tensor, "time voxel"]) -> Bool[Tensor, " voxel"]:
    """Tell which voxels have at least as many samples that differ in time as the design has parameters."""
    n_parameters = len(design.names)
    if design.owner is None:
        times = torch.unique(design.time)
        if len(times) == len(design.time):
            return used.sum(0) >= n_parameters
        return torch.stack([(used & (design.time == time)).any(0) for time in times]).sum(0) >= n_parameters
    # Each relaxation time needs an image of its own, away from time 0.
    late = used & (design.time > 0)
    decays = [late[design.owner == k].any(0) for k in range(len(design.t_names))]
    return torch.stack([used.sum(0) >= n_parameters, *decays]).all(0)


def _scales(design: Design, peak: Float[Tensor, " voxel"], *, maps_only: bool) -> Float[Tensor, "row voxel"]:
    """Tell what each row of a table has to be multiplied with, because amplitudes were found for a peak of 1."""
    one = torch.ones_like(peak)
    of = {name: one if name in design.t_names else peak for name in design.names}
    scales = list(of.values())
    if not maps_only:
        scales += [*of.values(), *(of[a] * of[b] for a, b in combinations(design.names, 2)), peak, one]
    return torch.stack(scales)
