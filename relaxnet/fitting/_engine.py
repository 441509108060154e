"""The walk over blocks of voxels that all estimators share, and what is computed for each once its fit is known."""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._status import FitStatus
from relaxnet.fitting._voxels import Voxels
from relaxnet.signals import SignalModel

N_PARAMETERS = 2  # amplitude and relaxation time


class Estimate(NamedTuple):
    """What an estimator finds for a block of voxels."""

    m0: Float[Tensor, " voxel"]
    t: Float[Tensor, " voxel"]
    status: Int[Tensor, " voxel"]


Estimator = Callable[[Float[Tensor, "time voxel"], Float[Tensor, "time #voxel"], Float[Tensor, "time 1"]], Estimate]
"""From samples (scaled to a peak of 1; 0 where not used), their weights (0 where not used) and times."""


class Quality(NamedTuple):
    """Standard errors, covariance and goodness of a block of fits."""

    m0_std: Float[Tensor, " voxel"]
    t_std: Float[Tensor, " voxel"]
    m0_t_covariance: Float[Tensor, " voxel"]
    rmse: Float[Tensor, " voxel"]
    r2: Float[Tensor, " voxel"]


def run(
    estimator: Estimator,
    voxels: Voxels,
    model: SignalModel,
    *,
    sigma: Tensor | None,
    positive_only: bool,
    chunk_size: int | None,
    like: ArrayT,
) -> FitResult[ArrayT]:
    """Fit every voxel of ``voxels`` and gather the result, as arrays if ``like`` is one, as tensors otherwise.

    ``positive_only`` leaves samples that are zero or negative aside, for estimators that take logarithms.
    """
    device, time = voxels.times.device, voxels.times[:, None]
    weight = torch.ones_like(time) if sigma is None else ((sigma.min() / sigma) ** 2)[:, None]
    floats = {
        name: torch.full(voxels.space, torch.nan, dtype=voxels.output_dtype, device=device)
        for name in ("m0", "t", *Quality._fields)
    }
    n_used = torch.zeros(voxels.space, dtype=torch.int16, device=device)
    status = torch.full(voxels.space, FitStatus.MASKED, dtype=torch.uint8, device=device)
    with torch.no_grad():
        for block in voxels.blocks(chunk_size):
            samples, mask = voxels.read(block)
            if mask is not None:
                samples = samples[:, mask]
            if samples.shape[1] == 0:
                continue
            used = torch.isfinite(samples)
            if voxels.saturation is not None:
                used &= samples < voxels.saturation
            if positive_only:
                used &= samples > 0
            estimate, goodness, used_per_voxel = _fit_block(estimator, model, samples, used, weight, time, sigma)
            _store(n_used, block, mask, used_per_voxel)
            _store(status, block, mask, estimate.status)
            for name, values in zip(floats, (estimate.m0, estimate.t, *goodness), strict=True):
                _store(floats[name], block, mask, values)

    def out(tensor: Tensor) -> ArrayT:
        return cast("ArrayT", tensor if isinstance(like, Tensor) else tensor.numpy())

    return FitResult(
        maps={"m0": out(floats["m0"]), voxels.t_name: out(floats["t"])},
        std={"m0": out(floats["m0_std"]), voxels.t_name: out(floats["t_std"])},
        m0_t_covariance=out(floats["m0_t_covariance"]),
        rmse=out(floats["rmse"]),
        r2=out(floats["r2"]),
        n_used=out(n_used),
        status=out(status),
    )


def _store(target: Tensor, block: tuple[slice | int, ...], mask: Tensor | None, values: Tensor) -> None:
    region = target[block]
    if mask is None:
        region.copy_(values.reshape(region.shape))
    else:
        region[mask.reshape(region.shape)] = values.to(target.dtype)


def _fit_block(
    estimator: Estimator,
    model: SignalModel,
    samples: Float[Tensor, "time voxel"],
    used: Bool[Tensor, "time voxel"],
    weight: Float[Tensor, "time 1"],
    time: Float[Tensor, "time 1"],
    sigma: Float[Tensor, " time"] | None,
) -> tuple[Estimate, Quality, Int[Tensor, " voxel"]]:
    n_used = used.sum(0)
    if used.all():  # the common case needs no weights of its own for each voxel
        few = torch.zeros_like(n_used, dtype=torch.bool)
        weights = weight
    else:
        samples = torch.where(used, samples, 0)
        few = (n_used < N_PARAMETERS) | (_spread(time, used) == 0)
        weights = torch.where(few, 1, used) * weight  # voxels with too few samples must not divide by 0 on their way
    peak = samples.abs().amax(0)
    silent = peak < torch.finfo(samples.dtype).tiny
    peak = torch.where(silent, 1, peak)
    samples = samples / peak
    m0, t, status = estimator(samples, weights, time)
    status = torch.where(silent, FitStatus.NO_SIGNAL, status)
    status = torch.where(few, FitStatus.TOO_FEW_SAMPLES, status)
    quality = _quality(model, samples, weights, used, time, m0, t, None if sigma is None else sigma.min() / peak)
    bad = status > FitStatus.AT_BOUND
    inside = status == FitStatus.CONVERGED
    nan = torch.nan
    return (
        Estimate(torch.where(bad, nan, m0 * peak), torch.where(bad, nan, t), status),
        Quality(
            m0_std=torch.where(inside, quality.m0_std * peak, nan),
            t_std=torch.where(inside, quality.t_std, nan),
            m0_t_covariance=torch.where(inside, quality.m0_t_covariance * peak, nan),
            rmse=torch.where(bad, nan, quality.rmse * peak),
            r2=torch.where(bad, nan, quality.r2),
        ),
        n_used,
    )


def _spread(time: Tensor, used: Tensor) -> Tensor:
    """Distance between the first and the last time at which a voxel has a sample."""
    return torch.where(used, time, -torch.inf).amax(0) - torch.where(used, time, torch.inf).amin(0)


def _quality(
    model: SignalModel,
    samples: Float[Tensor, "time voxel"],
    weight: Float[Tensor, "time #voxel"],
    used: Bool[Tensor, "time voxel"],
    time: Float[Tensor, "time 1"],
    m0: Float[Tensor, " voxel"],
    t: Float[Tensor, " voxel"],
    noise: Float[Tensor, " voxel"] | None,
) -> Quality:
    r"""Linearise the model at the fit: :math:`s^2 (J^T W J)^{-1}`.

    ``noise`` is the known standard deviation of a sample of weight 1; without it, :math:`s^2` is the weighted residual
    sum of squares over the degrees of freedom. The columns of J are the basis b and m0 b', the derivative with respect
    to log T; b' is made orthogonal to b first, so that nearly parallel columns do not cancel.
    """
    basis, slope, _ = model.jet(t, time)
    slope = m0 * slope
    residual = torch.where(used, samples - m0 * basis, 0)
    n_used = used.sum(0)
    basis_square = (weight * basis**2).sum(0)
    overlap = (weight * basis * slope).sum(0) / basis_square
    slope_square = (weight * (slope - overlap * basis) ** 2).sum(0)
    rss = (weight * residual**2).sum(0)
    if noise is None:
        freedom = n_used - N_PARAMETERS
        variance = torch.where(freedom > 0, rss / freedom, torch.nan)
    else:
        variance = noise**2
    mean = (weight * samples).sum(0) / (weight * used).sum(0)
    deviation = torch.where(used, samples - mean, 0)
    tss = (weight * deviation**2).sum(0)
    flat = tss <= (weight * samples**2).sum(0) * (4 * torch.finfo(samples.dtype).eps) ** 2
    return Quality(
        m0_std=torch.sqrt(variance * (1 / basis_square + overlap**2 / slope_square)),
        t_std=t * torch.sqrt(variance / slope_square),
        m0_t_covariance=-t * variance * overlap / slope_square,
        rmse=torch.sqrt((residual**2).sum(0) / n_used),
        r2=torch.where(flat, torch.nan, 1 - rss / tss),
    )
