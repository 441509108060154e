"""A damped Newton method for many small problems at once."""

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MAX_STEPS = 100
_DAMPING = 1e-3  # of the first step


def tolerance(dtype: torch.dtype) -> float:
    """Return how small a step in log T is at an end."""
    return 1e-12 if dtype == torch.float64 else 1e-6


@runtime_checkable
class Point(Protocol):
    """A problem at some parameters."""

    @property
    def cost(self) -> Float[Tensor, " voxel"]:
        """What is minimised."""

    @property
    def gradient(self) -> Float[Tensor, "parameter voxel"]:
        """Its derivative by each parameter."""

    @property
    def cancelling(self) -> Float[Tensor, "parameter voxel"]:
        """Size of the terms that cancel in the gradient."""

    def step(
        self, damping: Float[Tensor, " voxel"], held: Bool[Tensor, "parameter voxel"]
    ) -> Float[Tensor, "parameter voxel"]:
        """Compute a damped Newton step; parameters that are held stay."""

    def pick(self, chosen: Tensor) -> Any:
        """Keep some of the voxels."""

    def where(self, better: Bool[Tensor, " voxel"], other: Any) -> Any:
        """Keep the voxels that are better, and take the others from another point."""


@runtime_checkable
class Problem(Protocol):
    """Some voxels, whose parameters are searched."""

    def evaluate(self, x: Float[Tensor, "parameter voxel"]) -> Point:
        """Evaluate the cost and its derivatives at each voxel's own parameters."""

    def pick(self, chosen: Tensor) -> Any:
        """Keep some of the voxels."""


def climb(
    problem: Problem,
    x: Float[Tensor, "parameter voxel"],
    low: Float[Tensor, "parameter #voxel"],
    high: Float[Tensor, "parameter #voxel"],
    *,
    small: float,
) -> tuple[Float[Tensor, "parameter voxel"], Bool[Tensor, " voxel"]]:
    """Run a damped Newton method (Levenberg and Marquardt) until no parameter of a voxel moves any more.

    Parameters are logarithms, so that steps are relative and at most a factor of e. A step that would make the fit
    worse is not taken, and the next one is shorter. A parameter stays at a bound for as long as the fit improves beyond
    it. A voxel has settled, too, when no gradient can be told from zero in this precision. Settled voxels are taken
    out; what is not finite never settles.
    """
    eps = torch.finfo(x.dtype).eps
    result, settled = x.clone(), torch.zeros(x.shape[1], dtype=torch.bool, device=x.device)
    active = torch.arange(x.shape[1], device=x.device)
    damping, blocked = torch.full_like(x[0], _DAMPING), torch.zeros_like(settled)
    here = problem.evaluate(x)
    for _ in range(MAX_STEPS):
        held = ((x <= low) & (here.gradient > 0)) | ((x >= high) & (here.gradient < 0))
        flat = (held | (here.gradient.abs() <= 4 * eps * here.cancelling)).all(0)
        following = torch.minimum(torch.maximum(x + here.step(damping, held).clamp(-1, 1), low), high)
        there = problem.evaluate(following)
        better = there.cost <= here.cost + 8 * eps * here.cost.abs()
        damping = torch.where(better, damping / 10, damping * 8).clamp(1e-12, 1e12)
        # Steps that are short because longer ones end where nothing is finite have not arrived.
        blocked = (blocked | ~torch.isfinite(there.cost)) & (damping > _DAMPING)
        still = ((following - x).abs() <= small).all(0) & ~blocked
        done = (flat | still) & torch.isfinite(there.cost)
        x, here = torch.where(better, following, x), there.where(better, here)
        result[:, active], settled[active] = x, done
        if done.all():
            break
        keep = (~done).nonzero()[:, 0]
        if len(keep) < 0.75 * len(done):
            active, damping, blocked, x = active[keep], damping[keep], blocked[keep], x[:, keep]
            problem, here = problem.pick(keep), here.pick(keep)
            low, high = (limit if limit.shape[1] == 1 else limit[:, keep] for limit in (low, high))
    return result, settled
