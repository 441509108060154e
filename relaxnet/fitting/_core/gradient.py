"""Gradients through a fit, by the implicit function theorem."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from relaxnet.fitting._core.bounds import Bounds
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.estimator import Estimator
from relaxnet.fitting._core.threads import for_each
from relaxnet.fitting._core.voxels import Block, Voxels
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._status import FitStatus


def with_gradient(result: FitResult[ArrayT], estimator: Estimator, voxels: Voxels) -> FitResult[ArrayT]:
    """Let the maps carry a gradient if the signal requires one."""
    signal = voxels.signal
    if not (isinstance(signal, Tensor) and signal.requires_grad and torch.is_grad_enabled()):
        return result
    status, *maps = (cast("Tensor", values).reshape(voxels.space) for values in (result.status, *result.maps.values()))
    setting = (estimator.design, voxels, estimator.bounds)
    carrying = cast("Any", _Fit).apply(signal, setting, status, *maps)
    shaped = (values.reshape(voxels.shape) for values in carrying)
    result.maps.update(zip(result.maps, cast("Any", shaped), strict=True))
    return result


class _Fit(torch.autograd.Function):
    r"""Maps of a fit as a function of the signal.

    At the optimum the gradient of the cost by the parameters is zero, and stays so when the signal changes a little. So
    :math:`d\theta/dS = H^{-1} J^T W`, where H is half the full second derivative of the cost, curvature included.
    """

    @staticmethod
    def forward(
        ctx: Any, signal: Tensor, setting: tuple[Any, ...], status: Tensor, *maps: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(signal, status, *maps)
        ctx.setting = setting
        return tuple(values.view_as(values) for values in maps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        signal, status, *maps = ctx.saved_tensors
        design, voxels, bounds = ctx.setting
        by_signal = torch.zeros_like(signal)

        def work(block: Block) -> None:
            region = (slice(None), *block)
            values, by_values = (
                torch.stack([rows[block].reshape(-1) for rows in stack]).to(voxels.times.dtype)
                for stack in (maps, gradients)
            )
            found = status[block].reshape(-1) <= FitStatus.AT_BOUND
            samples, sigma = voxels.read(block), voxels.read_sigma(block)
            used = torch.isfinite(samples) & found
            if voxels.saturation is not None:
                used &= samples < voxels.saturation
            weight = used.to(samples.dtype) if sigma is None else used * (sigma.amin(0) / sigma) ** 2
            share = _pull_back(design, torch.where(used, samples, 0), weight, values, by_values, bounds)
            by_signal[region] = torch.where(used, share, 0).reshape(by_signal[region].shape).to(by_signal.dtype)

        for_each(work, voxels.blocks(None), signal.device, voxels.space)
        return (by_signal, None, None, *(None for _ in maps))


def _pull_back(
    design: Design,
    samples: Float[Tensor, "time voxel"],
    weight: Float[Tensor, "time voxel"],
    values: Float[Tensor, "parameter voxel"],
    by_values: Float[Tensor, "parameter voxel"],
    bounds: Sequence[Bounds],
) -> Float[Tensor, "time voxel"]:
    """Carry a gradient by the parameters over to the samples.

    In units of the amplitude, and by the logarithms of the relaxation times, all columns of J are about as large.
    """
    m0, t = values[0], values[design.t_rows]
    basis, first, second = design.basis_with_derivatives(t)
    n_t = len(t)
    columns = [basis, *(design.only(k, first) for k in range(n_t))]
    scale = [m0, *t]
    prediction = basis
    if design.has_offset:
        columns.append(torch.ones_like(basis))
        scale.append(m0)
        prediction = basis + values[-1] / m0
    residual = weight * (samples / m0 - prediction)
    n = len(columns)
    hessian = torch.stack([torch.stack([(weight * a * b).sum(0) for b in columns], -1) for a in columns], -2)
    wanted = torch.stack([g * s for g, s in zip(by_values, scale, strict=True)], -1)
    for k in range(n_t):
        row = 1 + k
        mixed = (residual * design.only(k, first)).sum(0)
        hessian[:, 0, row] -= mixed
        hessian[:, row, 0] -= mixed
        hessian[:, row, row] -= (residual * design.only(k, second)).sum(0)
        # At a bound T does not follow the signal: its equation becomes x = 0.
        fixed = ((t[k] <= bounds[k][0]) | (t[k] >= bounds[k][1]))[:, None]
        unit = torch.zeros(n, dtype=samples.dtype, device=samples.device)
        unit[row] = 1
        hessian[:, row] = torch.where(fixed, unit, hessian[:, row])
        hessian[:, :, row] = torch.where(fixed, unit, hessian[:, :, row])
        wanted[:, row] = torch.where(fixed[:, 0], 0, wanted[:, row])
    solution = torch.linalg.solve_ex(hessian, wanted)[0]
    along = sum(column * solution[:, k] for k, column in enumerate(columns))
    return weight * cast("Tensor", along) / m0
