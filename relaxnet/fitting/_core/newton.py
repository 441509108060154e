"""A damped Newton method for many small problems at once."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.samples import Samples

MAX_STEPS = 100
FIRST_DAMPING = 1e-3
DAMPINGS = (1e-12, 1e12)  # the least and the most


def tolerance(dtype: torch.dtype) -> float:
    """Return the step in log T below which a search has converged."""
    return 1e-12 if dtype == torch.float64 else 1e-6


class Point(NamedTuple):
    """Cost and derivatives of a problem at some parameters."""

    cost: Float[Tensor, " voxel"]
    """The function to minimise."""
    gradient: Float[Tensor, "parameter voxel"]
    """Its derivative with respect to each parameter."""
    gradient_scale: Float[Tensor, "parameter voxel"]
    """Sum of the magnitudes of the terms of the gradient: its rounding error is a multiple of this."""
    hessian: Float[Tensor, "entry voxel"]
    """The second derivatives that :meth:`Problem.step` reads, in an order of its own."""

    def pick(self, chosen: Tensor) -> "Point":
        """Keep some of the voxels."""
        return Point(*(part[..., chosen] for part in self))

    def where(self, better: Bool[Tensor, " voxel"], other: "Point") -> "Point":
        """Keep the voxels that are better, and take the others from another point."""
        return Point(*(torch.where(better, a, b) for a, b in zip(self, other, strict=True)))


class Problem(ABC):
    """A cost of some voxels, as a function of the parameters that are searched."""

    def __init__(self, design: Design, samples: Samples) -> None:
        self.design = design
        self.samples = samples

    def pick(self, chosen: Tensor) -> "Problem":
        """Keep some of the voxels."""
        return type(self)(self.design, self.samples.pick(chosen))

    @abstractmethod
    def evaluate(self, x: Float[Tensor, "parameter voxel"]) -> Point:
        """Compute the cost and its derivatives at the parameters of each voxel."""

    @abstractmethod
    def step(
        self, point: Point, damping: Float[Tensor, " voxel"], held: Bool[Tensor, "parameter voxel"]
    ) -> Float[Tensor, "parameter voxel"]:
        """Compute a damped Newton step from a point; parameters that are held do not move."""


def minimise(
    problem: Problem,
    x: Float[Tensor, "parameter voxel"],
    low: Float[Tensor, "parameter #voxel"],
    high: Float[Tensor, "parameter #voxel"],
    *,
    small: float,
) -> tuple[Float[Tensor, "parameter voxel"], Bool[Tensor, " voxel"]]:
    """Run a damped Newton method (Levenberg and Marquardt) until the parameters of each voxel converge.

    Parameters are logarithms, so that steps are relative; none changes a parameter by more than a factor of e. A step
    that increases the cost is rejected, and the next one is shorter. A parameter is held at a bound as long as the cost
    decreases beyond it. A voxel has converged when its step is at most ``small``, or when no gradient can be told from
    zero in this precision. Converged voxels are taken out of the iteration; what is not finite never converges.
    """
    eps = torch.finfo(x.dtype).eps
    result, converged = x.clone(), torch.zeros(x.shape[1], dtype=torch.bool, device=x.device)
    active = torch.arange(x.shape[1], device=x.device)
    damping, blocked = torch.full_like(x[0], FIRST_DAMPING), torch.zeros_like(converged)
    point = problem.evaluate(x)
    for _ in range(MAX_STEPS):
        held = ((x <= low) & (point.gradient > 0)) | ((x >= high) & (point.gradient < 0))
        flat = (held | (point.gradient.abs() <= 4 * eps * point.gradient_scale)).all(0)
        x_trial = torch.clamp(x + problem.step(point, damping, held).clamp(-1, 1), low, high)
        trial = problem.evaluate(x_trial)
        better = trial.cost <= point.cost + 8 * eps * point.cost.abs()
        damping = torch.where(better, damping / 10, damping * 8).clamp(*DAMPINGS)
        # A step that is short only because longer ones lead to a cost that is not finite is no sign of convergence.
        blocked = (blocked | ~torch.isfinite(trial.cost)) & (damping > FIRST_DAMPING)
        short = ((x_trial - x).abs() <= small).all(0) & ~blocked
        done = (flat | short) & torch.isfinite(trial.cost)
        x, point = torch.where(better, x_trial, x), trial.where(better, point)
        result[:, active], converged[active] = x, done
        if done.all():
            break
        keep = (~done).nonzero()[:, 0]
        if len(keep) < 0.75 * len(done):
            active, damping, blocked, x = active[keep], damping[keep], blocked[keep], x[:, keep]
            problem, point = problem.pick(keep), point.pick(keep)
            low, high = (limit if limit.shape[1] == 1 else limit[:, keep] for limit in (low, high))
    return result, converged
