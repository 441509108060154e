"""Least squares by variable projection, for any separable model with one relaxation time."""

from collections.abc import Iterator
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relaxnet.fitting._core.bounds import at_bounds
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.estimator import Bounds, Estimate
from relaxnet.fitting._core.newton import tolerance
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._status import FitStatus

MAX_STEPS = 60  # Newton takes 3 to 6; bisection alone needs 40 from a bracket of two grid steps to 1e-12
RIVAL = 0.05  # a second peak of the grid may be the higher one if it is lower by no more than this share of the signal


def project(design: Design, samples: Samples, bounds: Bounds) -> Estimate:
    """Minimise the reduced cost over log T between two bounds.

    The best point of a grid in log T has the global optimum next to it, unless there are valleys about equally deep.
    Then all of them are followed to their bottom.
    """
    problem = _Reduced(design, samples)
    grid = Grid(design, bounds)
    explained = problem.explained_on(grid.x)
    most, best = explained.max(0)
    x, settled = _descend(problem, grid, best)
    for place, rivals in grid.rivals(explained, best, RIVAL * problem.total):
        of_rivals = problem.pick(rivals)
        other, other_settled = _descend(of_rivals, grid, place)
        better = of_rivals.explained(other) > of_rivals.explained(x[rivals])
        x[rivals] = torch.where(better, other, x[rivals])
        settled[rivals] = torch.where(better, other_settled, settled[rivals])

    t, at_bound, at_flat = at_bounds(x[None], (bounds,), design.models)
    parameters = problem.parameters(t[0])
    status = torch.where(at_bound[0], FitStatus.AT_BOUND, FitStatus.CONVERGED)
    incompatible = design.model.is_incompatible(samples.values, samples.weights(), design.time)
    status = torch.where(at_flat[0] & incompatible, FitStatus.NO_DECAY, status)
    status = torch.where(settled, status, FitStatus.NOT_CONVERGED)
    # A constant explains any signal, but not one that has no decay in it.
    without = FitStatus.NO_DECAY if design.has_offset else FitStatus.NO_SIGNAL
    status = torch.where((most > 0) & (parameters[0] > 0), status, without)
    return Estimate(parameters, status)


class Grid:
    """Points in log T, in pieces within which the model is smooth: no bracket reaches from one into the next."""

    def __init__(self, design: Design, bounds: Bounds) -> None:
        time = design.time[:, 0]
        low, high = (torch.tensor(bound, dtype=time.dtype).log().item() for bound in bounds)
        breaks = torch.unique(torch.log(design.model.non_smooth_points(time))).tolist()
        inner = [x for x in breaks if low < x < high]
        beside = 8 * torch.finfo(time.dtype).eps * max(abs(low), abs(high))
        pieces = []
        for start, end in pairwise((low, *inner, high)):
            n = max(6, int((end - start) / design.model.log_step) + 2)
            first, last_of_piece = start + beside * (start in inner), end - beside * (end in inner)
            pieces.append(torch.linspace(first, last_of_piece, n, dtype=torch.float64))
        self.x = torch.cat(pieces).to(time)
        self.n_rivals = 1 if len(pieces) == 1 else 3
        lengths = torch.tensor([len(piece) for piece in pieces])
        last = torch.cumsum(lengths, 0) - 1
        self.is_first, self.is_last = (torch.zeros(len(self.x), dtype=torch.bool) for _ in range(2))
        self.is_first[last - lengths + 1] = self.is_last[last] = True
        place = torch.arange(len(self.x))
        self.lower = self.x[place - (~self.is_first).long()]
        self.upper = self.x[place + (~self.is_last).long()]

    def rivals(
        self, explained: Float[Tensor, "grid voxel"], best: Int[Tensor, " voxel"], margin: Float[Tensor, " voxel"]
    ) -> Iterator[tuple[Int[Tensor, " rival"], Int[Tensor, " rival"]]]:
        """Find further peaks nearly as high as the best point: where they are, and of which voxels."""
        inner = torch.full_like(explained[:1], -torch.inf)
        left = torch.cat((inner, explained[:-1])).masked_fill(self.is_first.to(explained.device)[:, None], -torch.inf)
        right = torch.cat((explained[1:], inner)).masked_fill(self.is_last.to(explained.device)[:, None], -torch.inf)
        enough = explained.gather(0, best[None])[0] - margin
        peaks = torch.where((explained > left) & (explained >= right), explained, -torch.inf).scatter(
            0, best[None], -torch.inf
        )
        for _ in range(self.n_rivals):
            height, place = peaks.max(0)
            rivals = (height > enough).nonzero()[:, 0]
            if not len(rivals):
                return
            yield place[rivals], rivals
            peaks = peaks.scatter(0, place[None], -torch.inf)


class _Reduced:
    r"""The reduced problem of some voxels: only T is left of it.

    With the amplitude eliminated, the cost is :math:`\langle S, S \rangle - \langle S, b \rangle^2/\langle b, b
    \rangle`; what is subtracted is the part of the signal that is explained. An offset is eliminated by taking the mean
    off the samples and off the basis.
    """

    def __init__(self, design: Design, samples: Samples) -> None:
        self.design = design
        self.samples = samples
        self.weight = samples.weights().expand_as(samples.values)
        self.values = self._centre(samples.values)
        self.total = (self.weight * self.values**2).sum(0)

    def pick(self, chosen: Tensor) -> "_Reduced":
        """Keep some of the voxels."""
        return _Reduced(self.design, self.samples.pick(chosen))

    def _centre(self, values: Float[Tensor, "time #voxel"]) -> Float[Tensor, "time #voxel"]:
        if not self.design.has_offset:
            return values
        return values - (self.weight * values).sum(0) / self.weight.sum(0)

    def explained_on(self, grid: Float[Tensor, " grid"]) -> Float[Tensor, "grid voxel"]:
        """Compute what all points of a grid in log T explain; 0 where the amplitude would be negative."""
        basis = self.design.model.basis(torch.exp(grid)[:, None], self.design.time.T)
        projection = basis @ (self.weight * self.values)
        square = basis**2 @ self.weight
        if self.design.has_offset:  # the values are centred already; the basis is not
            square = square - (basis @ self.weight) ** 2 / self.weight.sum(0)
        floor = 1e-9 * (basis**2).sum(1, keepdim=True)  # a basis that hardly varies
        return torch.where(square > floor, projection.clamp(min=0) ** 2 / square, 0)

    def explained(self, x: Float[Tensor, " voxel"]) -> Float[Tensor, " voxel"]:
        """Compute what each voxel's own log T explains."""
        basis = self._centre(self.design.model.basis(torch.exp(x), self.design.time))
        return (self.weight * self.values * basis).sum(0) ** 2 / (self.weight * basis**2).sum(0)

    def parameters(self, t: Float[Tensor, " voxel"]) -> Float[Tensor, "parameter voxel"]:
        """Return all parameters of each voxel at its own T."""
        plain = self.design.model.basis(t, self.design.time)
        basis = self._centre(plain)
        m0 = (self.weight * self.values * basis).sum(0) / (self.weight * basis**2).sum(0)
        if not self.design.has_offset:
            return torch.stack((m0, t))
        offset = (self.weight * (self.samples.values - m0 * plain)).sum(0) / self.weight.sum(0)
        return torch.stack((m0, t, offset))

    def derivatives(
        self, x: Float[Tensor, " voxel"]
    ) -> tuple[Float[Tensor, " voxel"], Float[Tensor, " voxel"], Float[Tensor, " voxel"]]:
        """Differentiate half the reduced cost twice by log T; also return the size of the terms that cancel in it."""
        weight, values = self.weight, self.values
        basis, first, second = (
            self._centre(j) for j in self.design.model.basis_with_derivatives(torch.exp(x), self.design.time)
        )
        square = (weight * basis**2).sum(0)
        m0 = (weight * values * basis).sum(0) / square
        residual = weight * (values - m0 * basis)
        overlap = (weight * basis * first).sum(0)
        pull = (residual * first).sum(0)
        m0_slope = (pull - m0 * overlap) / square
        gradient = -m0 * pull
        stiffness = m0 * (weight * first**2).sum(0) + m0_slope * overlap - (residual * second).sum(0)
        curvature = m0 * stiffness - m0_slope * pull
        rounding = m0.abs() * (weight * (values.abs() + m0.abs() * basis.abs()) * first.abs()).sum(0)
        return gradient, curvature, rounding


def _descend(
    problem: _Reduced, grid: Grid, start: Int[Tensor, " voxel"]
) -> tuple[Float[Tensor, " voxel"], Bool[Tensor, " voxel"]]:
    """Run Newton's method on the reduced cost, inside a bracket that shrinks with every sign of the gradient.

    A step that leaves the bracket, or meets a cost that is not convex, is replaced by a bisection. A voxel has settled
    when its step is below the tolerance, or when its gradient cannot be told from zero in this precision. Settled
    voxels are taken out now and then, so the slowest ones do not cost time for all.
    """
    eps, small = torch.finfo(grid.x.dtype).eps, tolerance(grid.x.dtype)
    x = grid.x[start]
    settled = torch.zeros_like(x, dtype=torch.bool)
    current, lower, upper = x, grid.lower[start], grid.upper[start]
    active = torch.arange(len(x), device=x.device)
    for _ in range(MAX_STEPS):
        gradient, curvature, rounding = problem.derivatives(current)
        lower = torch.where(gradient < 0, current, lower)
        upper = torch.where(gradient > 0, current, upper)
        step = current - gradient / curvature
        inside = (curvature > 0) & (step >= lower) & (step <= upper)
        following = torch.where(inside, step, (lower + upper) / 2)
        following = torch.where(gradient.abs() <= 4 * eps * rounding, current, following)
        # What is not finite is no reason to stay.
        done = ((following - current).abs() <= small) & torch.isfinite(gradient)
        current = following
        n_done = int(done.sum())
        if n_done == len(done):
            x[active], settled[active] = current, True
            break
        if 4 * n_done > len(done):
            x[active], settled[active] = current, done
            keep = (~done).nonzero()[:, 0]
            active, current, lower, upper = active[keep], current[keep], lower[keep], upper[keep]
            problem = problem.pick(keep)
    else:
        x[active] = current
    return x, settled
