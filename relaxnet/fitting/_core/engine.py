"""The walk over blocks of voxels that all estimators share."""

import copy
from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relaxnet.fitting._core.bounds import Bounds, check_bounds
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.estimator import Estimate, Estimator, Shortcut
from relaxnet.fitting._core.gradient import with_gradient
from relaxnet.fitting._core.quality import quality_names
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._core.threads import for_each
from relaxnet.fitting._core.voxels import Block, Times, Voxels, check_voxels, positions
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._status import FitStatus
from relaxnet.signals import SignalModel
from relaxnet.times import TimeUnit


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
    dim: int = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
) -> FitResult[ArrayT]:
    """Fit a signal model to every voxel by any estimator.

    Parameters
    ----------
    estimator
        An :class:`Estimator`, or whatever makes one of a design and bounds.
    signal, times_ms, model, mask, bounds, sigma, saturation, unit, dim, chunk_size, maps_only
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
    voxels = check_voxels(
        signal, times_ms, model=model, mask=mask, sigma=sigma, saturation=saturation, unit=unit, dim=dim
    )
    limits = check_bounds(bounds, voxels.model, float(voxels.times.min()))
    made = estimator(voxels.design, (limits,))
    return fit_voxels(made, voxels, like=signal, chunk_size=chunk_size, maps_only=maps_only)


def fit_voxels(
    estimator: Estimator, voxels: Voxels, *, like: ArrayT, chunk_size: int | None, maps_only: bool
) -> FitResult[ArrayT]:
    """Fit every voxel and gather the result, as arrays if ``like`` is one, as tensors otherwise."""
    names = estimator.design.names
    device, space = voxels.times.device, voxels.space
    with torch.inference_mode(mode=False), torch.no_grad():
        walk = _Walk(estimator, voxels, maps_only=maps_only)
        blocks = voxels.blocks(chunk_size)
        if walk.shortcut is not None:
            # What is left of all blocks is done together: a few voxels cost as many operations as many.
            for refine in (False, True):
                for_each(partial(walk.quickly, refine=refine), blocks, device, space)
                blocks = voxels.only(walk.uncertain).blocks(chunk_size)
                walk.uncertain = []
        for_each(walk.carefully, blocks, device, space)
        # Rows that were not asked for take no memory.
        unknown = torch.full((), torch.nan, dtype=voxels.output_dtype, device=device).expand(space)

    def out(tensor: Tensor) -> ArrayT:
        shaped = tensor.reshape(voxels.shape)
        return cast("ArrayT", shaped if isinstance(like, Tensor) else shaped.numpy())

    def row(name: str) -> ArrayT:
        return out(walk.maps.get(name, unknown))

    result = FitResult(
        maps={name: row(name) for name in names},
        std={name: row(f"{name}_std") for name in names},
        covariances={(a, b): row(f"{a}_{b}_covariance") for a, b in combinations(names, 2)},
        rmse=row("rmse"),
        r2=row("r2"),
        n_used=out(walk.n_used),
        status=out(walk.status),
        units=estimator.design.units,
    )
    return with_gradient(result, estimator, voxels) if estimator.differentiable else result


class _Walk:
    """The maps, which blocks of voxels are written into, and the two ways to fit a block."""

    def __init__(self, estimator: Estimator, voxels: Voxels, *, maps_only: bool) -> None:
        self.estimator, self.voxels, self.maps_only = estimator, voxels, maps_only
        names, device, space = estimator.design.names, voxels.times.device, voxels.space
        rows = [*names, *([] if maps_only else quality_names(names))]
        self.maps = {row: torch.empty(space, dtype=voxels.output_dtype, device=device) for row in rows}
        self.status = torch.zeros(space, dtype=torch.uint8, device=device)  # FitStatus.CONVERGED
        self.n_used = torch.full(space, len(voxels.times), dtype=torch.int16, device=device)
        if voxels.selected is not None:  # else every voxel is written to
            for map_ in self.maps.values():
                map_.fill_(torch.nan)
            self.n_used.fill_(0)
            self.status.fill_(FitStatus.MASKED)
        self.uncertain: list[tuple[Tensor, ...]] = []
        """Where the voxels are that the shortcut has left, in pieces."""
        weight, self.noise = _weigh(voxels.common_sigma)
        common = torch.ones_like(voxels.times) if weight is None else weight[:, 0]
        self.shortcut = estimator.shortcut(common) if voxels.sample_sigma is None else None

    def quickly(self, block: Block, *, refine: bool) -> None:
        """Fit what the shortcut can, and remember the rest."""
        voxels, samples = self.voxels, self.voxels.read(block)
        shortcut = cast("Shortcut", self.shortcut)
        table, certain = shortcut(samples, self.noise, maps_only=self.maps_only, refine=refine)
        if voxels.saturation is not None:
            certain &= samples.amax(0) < voxels.saturation
        self._store_table(block, table)
        if voxels.selected is not None and not refine:
            _store(self.status, block, torch.zeros_like(certain))
            _store(self.n_used, block, torch.full_like(certain, len(samples), dtype=torch.int16))
        if not certain.all():
            self.uncertain.append(positions(block, (~certain).nonzero()[:, 0], voxels.space))

    def carefully(self, block: Block) -> None:
        """Fit all voxels of a block, whatever is wrong with them."""
        table, status, n_used = _fit_with_care(self.estimator, self.voxels, block, maps_only=self.maps_only)
        self._store_table(block, table)
        _store(self.status, block, status)
        _store(self.n_used, block, n_used)

    def _store_table(self, block: Block, table: Float[Tensor, "row voxel"]) -> None:
        for map_, row in zip(self.maps.values(), table, strict=True):
            _store(map_, block, row)


def _store(target: Tensor, block: Block, values: Tensor) -> None:
    if isinstance(block[0], Tensor):
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
    values, status = estimator.estimate(ready) if estimator.obeys_weights else _by_pattern(estimator, ready)
    # A number that is none is nobody's result, whatever an estimator says.
    finite = torch.isfinite(values).all(0)
    status = torch.where(finite | (status > FitStatus.AT_BOUND), status, FitStatus.NOT_CONVERGED)
    status = torch.where(silent, FitStatus.NO_SIGNAL, status)
    status = torch.where(few, FitStatus.TOO_FEW_SAMPLES, status)
    table = values if maps_only else torch.cat((values, estimator.judge(ready, values)))
    table = table * _scales(design, peak, maps_only=maps_only)
    table = torch.where(status <= FitStatus.AT_BOUND, table, torch.nan)
    if not maps_only:  # at a bound there is no error to speak of
        uncertain = slice(len(design.names), -2)
        table[uncertain] = torch.where(status == FitStatus.CONVERGED, table[uncertain], torch.nan)
    return table, status, n_used


def _by_pattern(estimator: Estimator, samples: Samples) -> Estimate:
    """Fit the voxels of each set of missing samples together, without these samples."""
    design, used = estimator.design, cast("Tensor", samples.used)
    patterns, of_voxel = torch.unique(used, dim=1, return_inverse=True)
    values = samples.values.new_full((len(design.names), used.shape[1]), torch.nan)
    status = torch.full_like(of_voxel, FitStatus.NOT_CONVERGED)
    for k, pattern in enumerate(patterns.T):
        images, chosen = pattern.nonzero()[:, 0], (of_voxel == k).nonzero()[:, 0]
        part = copy.copy(estimator)
        part.design = design.at(images)
        values[:, chosen], its_status = part.estimate(samples.pick(chosen).at(images))
        status[chosen] = its_status.to(status.dtype)
    return Estimate(values, status)


def _enough(design: Design, used: Bool[Tensor, "time voxel"]) -> Bool[Tensor, " voxel"]:
    """Find the voxels with at least as many samples that differ in time as the design has parameters."""
    n_parameters = len(design.names)
    if design.owner is None:
        times = torch.unique(design.time)
        if len(times) == len(design.time):
            return used.sum(0) >= n_parameters
        return torch.stack([(used & (design.time == time)).any(0) for time in times]).sum(0) >= n_parameters
    # Each relaxation time needs an image of its own.
    own = used & design.informative[:, None]
    decays = [own[design.images_of(k)].any(0) for k in range(len(design.t_names))]
    return torch.stack([used.sum(0) >= n_parameters, *decays]).all(0)


def _scales(design: Design, peak: Float[Tensor, " voxel"], *, maps_only: bool) -> Float[Tensor, "row voxel"]:
    """List what each row of a table has to be multiplied with, because amplitudes were found for a peak of 1."""
    one = torch.ones_like(peak)
    of = {name: one if name in design.t_names else peak for name in design.names}
    scales = list(of.values())
    if not maps_only:
        scales += [*of.values(), *(of[a] * of[b] for a, b in combinations(design.names, 2)), peak, one]
    return torch.stack(scales)
