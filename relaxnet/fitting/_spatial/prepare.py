"""From images to data on a grid, with a place to start from."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from relaxnet.fitting._core.bounds import Bounds, check_bounds
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.engine import enough, fit_voxels
from relaxnet.fitting._core.voxels import Voxels
from relaxnet.fitting._joint import joint_estimator
from relaxnet.fitting._noise_level import from_neighbours, from_residuals
from relaxnet.fitting._result import FitResult
from relaxnet.fitting._spatial.gauss_newton import Data
from relaxnet.fitting._spatial.grid import Grid
from relaxnet.fitting._spatial.guide import guide
from relaxnet.fitting._status import FitStatus
from relaxnet.signals import remove_rician_bias

_RANGE = (1e-6, 1e3)  # of the amplitude, in units of its median


class Prepared(NamedTuple):
    """What a search starts from."""

    data: Data
    start: Float[Tensor, "row batch *space"]
    magnitudes: Float[Tensor, "image batch *space"]
    """The images as they came."""
    signed: Bool[Tensor, " image"]
    """Which images hold the sign of the signal."""
    inside: Bool[Tensor, "batch *space"]
    """The voxels that take part."""
    guide: Float[Tensor, "image batch *space"]
    """The images with little noise, to see borders in."""
    grid: Grid
    sigma: float | None
    """The noise level that was found; None where it was given."""
    status: Shaped[Tensor, " voxel"]
    """Why voxels do not take part; ``CONVERGED`` for those that do."""
    n_used: Shaped[Tensor, " voxel"]

    def with_noise(self, factor: float) -> "Prepared":
        """Change the noise level, and with it what is taken off the magnitudes."""
        root = self.data.root / factor
        samples = _without_bias(self.magnitudes, root, self.signed)
        found = None if self.sigma is None else self.sigma * factor
        return self._replace(data=self.data.with_samples(samples, root), sigma=found)


def prepare(voxels: Voxels, grid: Grid, bounds: Bounds | Mapping[str, Bounds] | None) -> Prepared:
    """Read the images, find what can be used and how noisy it is, and fit each voxel by itself."""
    design = voxels.design.unfold()
    apart: FitResult[Tensor] = fit_voxels(
        joint_estimator(voxels.design), voxels, like=voxels.times, bounds=bounds, chunk_size=None, maps_only=False
    )
    block = (slice(None),) * len(voxels.space)
    samples = voxels.read(block)
    used = voxels.used(samples)
    status, n_used = _takes_part(voxels, samples, used)
    taking = status == FitStatus.CONVERGED
    used &= taking
    samples = torch.where(used, samples, 0)
    weight, given = voxels.weigh(block)
    sigma = _noise(voxels, apart) if given is None else None
    level = torch.full_like(weight[0], cast("float", sigma)) if given is None else given
    noise = (weight.rsqrt() * level).expand(samples.shape)
    grid = grid.crop(grid.enter(taking.view(voxels.space)))

    def enter(rows: Tensor) -> Tensor:
        return grid.enter(rows.reshape(*rows.shape[:-1], *voxels.space))

    values = enter(torch.stack([apart.maps[name].reshape(-1).to(samples) for name in design.names]))
    good = enter(taking & (apart.status.reshape(-1) == FitStatus.CONVERGED))
    signed = torch.zeros(len(samples), dtype=torch.bool, device=samples.device)
    for k, model in enumerate(voxels.design.models):
        signed |= voxels.design.images_of(k) & model.signed
    magnitudes, root = enter(samples), enter(used / noise)
    scale = float(values[0][good].median()) if good.any() else 1.0
    low, high = _limits(design, check_bounds(bounds, design), scale, samples)
    corrected = _without_bias(magnitudes, root, signed)
    data = Data(corrected, root, design, mean=(low + high) / 2, low=low, high=high, offset_scale=scale)
    x = data.from_values(torch.where(good, values, scale))
    if good.any():
        data = data.with_mean(torch.stack([row[good].median() for row in x]))
    start = torch.where(good, x, data.grid(data.mean))
    inside = enter(taking)
    seen = guide(data.filled(start), data.noise(), inside)
    return Prepared(data, start, magnitudes, signed, inside, seen, grid, sigma, status, n_used)


def _limits(
    design: Design, bounds: tuple[Bounds, ...], scale: float, like: Tensor
) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"]]:
    """Return the smallest and the largest coordinate of each map."""
    pairs = [(math.log(low * scale), math.log(high * scale)) for low, high in (_RANGE,)]
    pairs += [(math.log(low), math.log(high)) for low, high in bounds]
    pairs += [(-_RANGE[1], _RANGE[1])] * design.has_offset
    low, high = like.new_tensor(pairs).T
    return low, high


def _without_bias(
    magnitudes: Float[Tensor, "image batch *space"], root: Float[Tensor, "image batch *space"], signed: Tensor
) -> Float[Tensor, "image batch *space"]:
    """Take off what noise adds to magnitudes."""
    noise = torch.where(root > 0, 1 / root, 0)
    biased = (magnitudes > 0) & ~signed.view(-1, *[1] * (root.ndim - 1))
    return torch.where(biased, remove_rician_bias(magnitudes, noise), magnitudes)


def _takes_part(
    voxels: Voxels, samples: Float[Tensor, "image voxel"], used: Bool[Tensor, "image voxel"]
) -> tuple[Shaped[Tensor, " voxel"], Shaped[Tensor, " voxel"]]:
    """Return a status for each voxel, and its number of samples."""
    few = ~enough(voxels.design, used)
    silent = torch.where(used, samples, 0).abs().amax(0) < torch.finfo(samples.dtype).tiny
    fitted = torch.ones(voxels.space, dtype=torch.bool, device=samples.device)
    if voxels.selected is not None:
        fitted.fill_(False)[voxels.selected] = True
    status = torch.full_like(few, FitStatus.CONVERGED, dtype=torch.uint8)
    status[silent] = FitStatus.NO_SIGNAL
    status[few] = FitStatus.TOO_FEW_SAMPLES
    status[~fitted.view(-1)] = FitStatus.MASKED
    return status, torch.where(fitted.view(-1), used.sum(0), 0).to(torch.int16)


def _noise(voxels: Voxels, apart: FitResult[Any]) -> float:
    """Estimate the noise level from neighbours and from residuals: the smaller one, as :func:`estimate_sigma` does."""
    level = from_neighbours(voxels)
    with suppress(ValueError):  # as many images as maps leave no residual
        level = min(level, from_residuals(apart))
    if not 0 < level < math.inf:
        raise ValueError("sigma is needed: the noise level cannot be estimated from so small or so clean images.")
    return level
