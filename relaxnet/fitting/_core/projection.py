"""Least squares by variable projection, for any separable model with one relaxation time."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from relaxnet.fitting._core.bounds import Bounds, end_of_search
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.estimator import Estimate
from relaxnet.fitting._core.newton import tolerance
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._status import FitStatus

MAX_STEPS = 60  # Newton takes 3 to 6; bisection alone needs 40 from a bracket of two grid steps to 1e-12
PEAK_MARGIN = 0.05  # a local maximum of the grid is refined, too, if it is lower by at most this share of the signal
CLOSE = 1e-5  # of the signal: minima that differ by less are equally deep in single precision
NEAR, NEARER = 1e-4, 8  # distance from a bound, in log T and in errors of rounding: it may be inside
VAGUE = 1e-3  # error of log T by rounding that is too much
UPHILL = 32  # units of rounding that a gradient at a bound exceeds, whose sign is sure
LEAST_SQUARE = 1e-9  # of the square of a basis: one that is less with weights, or about its mean, hardly varies


def project(design: Design, samples: Samples, bounds: Bounds) -> Estimate:
    """Minimise the reduced cost over log T between two bounds.

    Where rounding to single precision may decide what is found, it is sought in double precision; but not above an
    offset, where that would be up to half of the voxels.
    """
    problem = Reduced(design, samples)
    found = _search(problem, grid_of(design, bounds))
    x, converged = found.x, found.converged
    if x.dtype == torch.float32 and x.device.type != "mps" and not design.has_offset and found.doubtful.any():
        voxels = found.doubtful.nonzero()[:, 0]
        exactly = design.to(torch.float64)
        again = _search(Reduced(exactly, samples.pick(voxels).to(torch.float64)), grid_of(exactly, bounds))
        x[voxels], converged[voxels] = again.x.to(x), again.converged
    t, status = end_of_search(x[None], converged, (bounds,), design, samples)
    parameters = problem.parameters(t[0])
    known, otherwise = found.has_signal & (parameters[0] > 0), FitStatus.NO_SIGNAL
    if design.has_offset:  # a signal without a decay is still explained, by a constant
        known, otherwise = known & ~samples.variation()[1], FitStatus.NO_DECAY
    return Estimate(parameters, torch.where(known, status, otherwise))


def project_constant(design: Design, samples: Samples, bounds: Bounds) -> Estimate:
    """Minimise the reduced cost of exponential decays for voxels whose samples are all alike.

    What a decay explains of a constant grows as its rate falls, so the optimum lies at the end that is flattest.
    """
    end = torch.tensor(bounds, dtype=samples.values.dtype).log()[1 if design.model.flat_end == "high" else 0]
    x = end.to(samples.values.device).expand(1, samples.values.shape[1])
    t, status = end_of_search(x, torch.ones_like(x[0], dtype=torch.bool), (bounds,), design, samples)
    parameters = Reduced(design, samples).parameters(t[0])
    return Estimate(parameters, torch.where(parameters[0] > 0, status, FitStatus.NO_SIGNAL))


def grid_of(design: Design, bounds: Bounds) -> "Grid":
    """Return the grid of the only T of a design: the same one as long as nothing changes that it depends on."""
    time, model = design.time[:, 0], design.model
    breaks = torch.unique(torch.log(model.non_smooth_points(time))).tolist()
    return _grid(tuple(breaks), model.log_step, bounds, time.dtype, time.device)


class Grid:
    """Points in log T, in pieces within which the model is smooth: no bracket reaches from one piece into the next."""

    def __init__(
        self, breaks: tuple[float, ...], log_step: float, bounds: Bounds, dtype: torch.dtype, device: torch.device
    ) -> None:
        low, high = (torch.tensor(bound, dtype=dtype).log().item() for bound in bounds)
        inner = [x for x in breaks if low < x < high]
        gap = 8 * torch.finfo(dtype).eps * max(abs(low), abs(high))
        pieces = []
        for start, end in pairwise((low, *inner, high)):
            n = max(6, int((end - start) / log_step) + 2)
            first, last = start + gap * (start in inner), end - gap * (end in inner)
            pieces.append(torch.linspace(first, last, n, dtype=torch.float64))
        self.x = torch.cat(pieces).to(device, dtype)
        self.max_other_peaks = 1 if len(pieces) == 1 else 3
        piece = torch.repeat_interleave(torch.tensor([len(points) for points in pieces])).to(device)
        limits = torch.stack([points[[0, -1]] for points in pieces]).to(device, dtype)
        self.first, self.last = limits[piece].T  # of the piece of each point
        adjacent = piece[1:] == piece[:-1]
        self.has_lower, self.has_upper = pad(adjacent, (1, 0)), pad(adjacent, (0, 1))
        place = torch.arange(len(self.x), device=device)
        self.lower, self.upper = self.x[place - self.has_lower.long()], self.x[place + self.has_upper.long()]

    def other_peaks(
        self, explained: Float[Tensor, "grid voxel"], best: Int[Tensor, " voxel"], margin: Float[Tensor, " voxel"]
    ) -> Iterator[tuple[Int[Tensor, " some"], Int[Tensor, " some"]]]:
        """Find local maxima nearly as high as the best point: yield their places on the grid, and their voxels."""
        left = explained.roll(1, 0).masked_fill(~self.has_lower[:, None], -torch.inf)
        right = explained.roll(-1, 0).masked_fill(~self.has_upper[:, None], -torch.inf)
        enough = explained.gather(0, best[None])[0] - margin
        peaks = torch.where((explained > left) & (explained >= right), explained, -torch.inf)
        for _ in range(self.max_other_peaks):
            peaks = peaks.scatter(0, best[None], -torch.inf)
            height, best = peaks.max(0)
            voxels = (height > enough).nonzero()[:, 0]
            if not len(voxels):
                return
            yield best[voxels], voxels


_grid = lru_cache(maxsize=64)(Grid)


class Reduced:
    r"""The reduced problem of some voxels, in which only T is left.

    With the amplitude eliminated, the cost is :math:`\langle S, S \rangle - \langle S, b \rangle^2/\langle b, b
    \rangle`; what is subtracted is the explained sum of squares. An offset is eliminated by subtracting the mean from
    the samples and from the basis.
    """

    def __init__(self, design: Design, samples: Samples) -> None:
        self.design = design
        self.samples = samples
        self.weight = samples.weight
        self.values = self._centre(samples.values)
        self.total = (self.weight * self.values**2).sum(0)

    def pick(self, chosen: Tensor) -> "Reduced":
        """Keep some of the voxels."""
        return Reduced(self.design, self.samples.pick(chosen))

    def _centre(self, values: Float[Tensor, "time voxel"]) -> Float[Tensor, "time voxel"]:
        if not self.design.has_offset:
            return values
        return values - (self.weight * values).sum(0) / self.weight.sum(0)

    def _project(self, basis: Float[Tensor, "time voxel"]) -> tuple[Float[Tensor, " voxel"], Float[Tensor, " voxel"]]:
        """Compute the weighted products of the centred basis with the samples and with itself."""
        return (self.weight * self.values * basis).sum(0), (self.weight * basis**2).sum(0)

    def explained_on(self, grid: Float[Tensor, " grid"]) -> Float[Tensor, "grid voxel"]:
        """Compute the explained sum of squares at all points of a grid in log T; 0 where the amplitude is negative."""
        basis = self.design.model.basis(torch.exp(grid)[:, None], self.design.time.T)
        floor = LEAST_SQUARE * (basis**2).sum(1, keepdim=True)
        if self.design.has_offset:  # any constant may be added to the basis: near its mean, little cancels below
            basis = basis - basis.mean(1, keepdim=True)
        projection = basis @ (self.weight * self.values)
        square = basis**2 @ self.weight
        if self.design.has_offset:  # the values are centred already; with weights, the basis is not quite
            square = square - (basis @ self.weight) ** 2 / self.weight.sum(0)
        return torch.where(square > floor, projection.clamp(min=0) ** 2 / square, 0)

    def explained(self, x: Float[Tensor, " voxel"]) -> Float[Tensor, " voxel"]:
        """Compute the explained sum of squares at the log T of each voxel; 0 where the amplitude is negative."""
        projection, square = self._project(self._centre(self.design.model.basis(torch.exp(x), self.design.time)))
        return projection.clamp(min=0) ** 2 / square

    def parameters(self, t: Float[Tensor, " voxel"]) -> Float[Tensor, "parameter voxel"]:
        """Compute all parameters from the T of each voxel."""
        basis = self.design.model.basis(t, self.design.time)
        projection, square = self._project(self._centre(basis))
        m0 = projection / square
        if not self.design.has_offset:
            return torch.stack((m0, t))
        offset = (self.weight * (self.samples.values - m0 * basis)).sum(0) / self.weight.sum(0)
        return torch.stack((m0, t, offset))

    def derivatives(
        self, x: Float[Tensor, " voxel"]
    ) -> tuple[Float[Tensor, " voxel"], Float[Tensor, " voxel"], Float[Tensor, " voxel"], Float[Tensor, " voxel"]]:
        """Differentiate half the reduced cost twice with respect to log T.

        Also return the sum of the magnitudes of the terms of the gradient, of which its rounding error is a multiple,
        and the amplitude.
        """
        weight, values = self.weight, self.values
        with_derivatives = self.design.model.basis_with_derivatives(torch.exp(x), self.design.time)
        basis, first, second = (self._centre(part) for part in with_derivatives)
        projection, square = self._project(basis)
        m0 = projection / square
        residual = weight * (values - m0 * basis)
        basis_first = (weight * basis * first).sum(0)
        residual_first = (residual * first).sum(0)
        m0_slope = (residual_first - m0 * basis_first) / square
        # The gradient is -m0 <r, b'>; differentiated once more, both m0 and the residual r depend on T.
        by_residual = m0 * (weight * first**2).sum(0) + m0_slope * basis_first - (residual * second).sum(0)
        curvature = m0 * by_residual - m0_slope * residual_first
        scale = m0.abs() * (weight * (values.abs() + m0.abs() * basis.abs()) * first.abs()).sum(0)
        return -m0 * residual_first, curvature, scale, m0


class _Found(NamedTuple):
    """What a search found for some voxels."""

    x: Float[Tensor, " voxel"]
    """Log T."""
    converged: Bool[Tensor, " voxel"]
    doubtful: Bool[Tensor, " voxel"]
    """Whether rounding may have decided it."""
    has_signal: Bool[Tensor, " voxel"]
    """Whether some T explains something with a positive amplitude."""


def _search(problem: Reduced, grid: Grid) -> _Found:
    """Search the deepest minimum of the reduced cost.

    It lies next to the best point of a grid in log T, unless there are minima about equally deep. Then each of them is
    refined, and the deepest is kept.
    """
    explained, rounding = problem.explained_on(grid.x), 0.0
    most, best = explained.max(0)
    if explained.dtype == torch.float64:
        # Of points that are equal within rounding, that where a decay is fastest: it has vanished by the second image.
        rounding = 4 * torch.finfo(explained.dtype).eps
        equal = explained >= most * (1 - rounding)
        fastest_first = problem.design.model.flat_end == "high"
        best = equal.int().argmax(0) if fastest_first else len(equal) - 1 - equal.flip(0).int().argmax(0)
    x, converged, doubtful = _refine(problem, grid, best)
    for start, voxels in grid.other_peaks(explained, best, PEAK_MARGIN * problem.total):
        part = problem.pick(voxels)
        other, *ends = _refine(part, grid, start)
        gain = part.explained(other) - part.explained(x[voxels])
        for now, instead in zip((x, converged, doubtful), (other, *ends), strict=True):
            now[voxels] = torch.where(gain > rounding * part.total, instead, now[voxels])
        doubtful[voxels] |= gain.abs() <= CLOSE * part.total
    return _Found(x, converged, doubtful, most > 0)


def _refine(
    problem: Reduced, grid: Grid, start: Int[Tensor, " voxel"]
) -> tuple[Float[Tensor, " voxel"], Bool[Tensor, " voxel"], Bool[Tensor, " voxel"]]:
    """Run Newton's method on the reduced cost, inside a bracket that shrinks with the sign of each gradient.

    A step that leaves the bracket, or is taken where the cost is not convex, is replaced by a bisection. A voxel has
    converged when its step is below the tolerance, or when its gradient cannot be told from zero in this precision.
    From where the amplitude is negative, the search turns back to its start, whose amplitude is positive.
    Converged voxels are taken out now and then, so that slow ones do not cost time for all.
    Also return which have converged, and for which of them rounding may have decided: those whose gradient is flat at
    an end of the grid, that are within their error of an end or at the end of their bracket, or whose error is large.
    """
    eps, small = torch.finfo(grid.x.dtype).eps, tolerance(grid.x.dtype)
    x = origin = grid.x[start]
    converged = torch.zeros_like(x, dtype=torch.bool)
    doubtful = torch.zeros_like(converged)
    current, lower, upper = x, grid.lower[start], grid.upper[start]
    active = torch.arange(len(x), device=x.device)
    for _ in range(MAX_STEPS):
        gradient, curvature, scale, m0 = problem.derivatives(current)
        gradient = torch.where(m0 < 0, current - origin, gradient)
        lower = torch.where(gradient < 0, current, lower)
        upper = torch.where(gradient > 0, current, upper)
        newton = current - gradient / curvature
        inside = (curvature > 0) & (m0 >= 0) & (newton >= lower) & (newton <= upper)
        following = torch.where(inside, newton, (lower + upper) / 2)
        rounding = eps * scale
        flat = (m0 >= 0) & (gradient.abs() <= 4 * rounding)
        following = torch.where(flat, current, following)
        # A gradient that is not finite does not mean that the search has converged.
        done = ((following - current).abs() <= small) & torch.isfinite(gradient)
        current = following
        n_done = int(done.sum())
        if 4 * n_done > len(done) or n_done == len(done):
            from_end = torch.minimum(current - grid.x[0], grid.x[-1] - current)
            error = 4 * rounding / curvature.abs()
            unsure = (error > VAGUE) | (from_end < torch.clamp(NEARER * error, min=NEAR)) | ~(inside | flat)
            x[active], converged[active] = current, done
            doubtful[active] = torch.where(from_end > 0, unsure, gradient.abs() <= UPHILL * rounding)
            if n_done == len(done):
                break
            keep = (~done).nonzero()[:, 0]
            active, current, lower, upper = active[keep], current[keep], lower[keep], upper[keep]
            origin = origin[keep]
            problem = problem.pick(keep)
    else:
        x[active] = current
    return x, converged, doubtful
