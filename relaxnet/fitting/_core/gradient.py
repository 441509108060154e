"""Gradients through a fit, by the implicit function theorem."""

from dataclasses import replace
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

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
    differentiable = cast("Any", _Fit).apply(signal, estimator, voxels, status, *maps)
    shaped = cast("Any", (values.reshape(voxels.shape) for values in differentiable))
    result.maps.update(zip(result.maps, shaped, strict=True))
    return result


class _Fit(torch.autograd.Function):
    r"""Maps of a fit as a function of the signal.

    At the optimum the gradient of the cost with respect to the parameters is zero, and stays zero when the signal
    changes a little. So :math:`d\theta/dS = H^{-1} J^T W`, where H is half the full second derivative of the cost.
    """

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        """Return the maps, which follow signal, estimator, voxels and status."""
        return tuple(values.clone() for values in arguments[4:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        del output
        signal, ctx.estimator, ctx.voxels, *rest = inputs
        ctx.save_for_backward(signal, *rest)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        signal, status, *maps = ctx.saved_tensors
        by_signal = cast("Any", _Last).apply(signal, ctx.estimator, ctx.voxels, status, len(maps), *maps, *gradients)
        return (by_signal, *[None] * (3 + len(maps)))


class _Last(torch.autograd.Function):
    """The gradient of a fit with respect to the signal, which says so where its own derivative is asked for."""

    @staticmethod
    def forward(
        signal: Tensor, estimator: Estimator, voxels: Voxels, status: Tensor, n_maps: int, *maps_and_gradients: Tensor
    ) -> Tensor:
        maps, gradients = maps_and_gradients[:n_maps], maps_and_gradients[n_maps:]
        voxels = replace(voxels, signal=signal)
        by_signal = torch.zeros_like(signal)

        def work(block: Block) -> None:
            values, by_values = (
                torch.stack([rows[block].reshape(-1) for rows in stack]).to(voxels.times) for stack in (maps, gradients)
            )
            samples, (weight, _) = voxels.read(block), voxels.weigh(block)
            of_block = status[block].reshape(-1).to(samples.device)
            used = voxels.used(samples) & (of_block <= FitStatus.AT_BOUND)
            # Maps of half precision hold the bounds rounded, as they may hold a T near a bound.
            low, high = torch.tensor(estimator.bounds, dtype=maps[0].dtype, device=values.device).T[:, :, None]
            t = values[estimator.design.t_rows]
            fixed = (of_block == FitStatus.AT_BOUND) & ((t <= low) | (t >= high))
            samples = torch.where(used, samples, 0)
            by_samples = _by_samples(estimator, samples, used * weight, values, by_values, fixed)
            target = by_signal[(slice(None), *block)]
            by_signal[(slice(None), *block)] = torch.where(used, by_samples, 0).reshape(target.shape).to(target)

        with torch.no_grad():
            for_each(work, voxels.blocks(None), voxels)
        return by_signal

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        raise NotImplementedError("second derivatives of a fit are not implemented: detach its gradient.")


def _by_samples(
    estimator: Estimator,
    samples: Float[Tensor, "time voxel"],
    weight: Float[Tensor, "time voxel"],
    values: Float[Tensor, "parameter voxel"],
    by_values: Float[Tensor, "parameter voxel"],
    fixed: Bool[Tensor, "t voxel"],
) -> Float[Tensor, "time voxel"]:
    """Turn the gradient with respect to the parameters into the one with respect to the samples. A fixed T has none.

    The parameters are taken as m0 and the offset in units of m0, and log T: so all columns of J are of similar size.
    """
    design = estimator.design
    m0, t = values[0], values[design.t_rows]
    basis, first, second = design.basis_with_derivatives(t)
    columns = [basis, *(design.only(k, first) for k in range(len(t)))]
    prediction, scale = basis, values.clone()
    if design.has_offset:
        columns.append(torch.ones_like(basis))
        prediction, scale[-1] = basis + values[-1] / m0, m0
    sign = design.sign(prediction)
    samples = sign * samples
    residual = weight * (samples / m0 - prediction)
    right_side = (by_values * scale).T.contiguous()
    # J^T W J, from which the products of the residual with the second derivatives of the model are subtracted.
    hessian = torch.stack([torch.stack([(weight * a * b).sum(0) for b in columns], -1) for a in columns], -2)
    identity = torch.eye(len(columns), dtype=samples.dtype, device=samples.device)
    for k, at_bound in enumerate(fixed):
        row = 1 + k
        mixed = (residual * columns[row]).sum(0)
        hessian[:, 0, row] -= mixed
        hessian[:, row, 0] -= mixed
        hessian[:, row, row] -= (residual * design.only(k, second)).sum(0)
        # At a bound T does not follow the signal: its row of the equations becomes x = 0.
        hessian[:, row] = torch.where(at_bound[:, None], identity[row], hessian[:, row])
        hessian[:, :, row] = torch.where(at_bound[:, None], identity[row], hessian[:, :, row])
        right_side[:, row] = torch.where(at_bound, 0, right_side[:, row])
    solution = torch.linalg.solve_ex(hessian, right_side)[0]
    return sign * weight * cast("Tensor", sum(column * solution[:, k] for k, column in enumerate(columns))) / m0
