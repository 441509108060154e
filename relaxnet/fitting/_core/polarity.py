"""Least squares for magnitudes of a signal that rises through zero: the sign of each image is found, too."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.fitting._core.bounds import Bounds
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.estimator import Estimate
from relaxnet.fitting._core.projection import PEAK_MARGIN, Grid, Reduced, grid_of, project
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._status import FitStatus

_FEWEST = 4  # any signs of three samples are explained by three parameters


def project_folded(design: Design, samples: Samples, bounds: Bounds) -> Estimate:
    """Minimise the reduced cost over log T and over the time at which the signal becomes positive.

    The signal rises, so there is one way more to give signs to the images than there are times. A grid in log T tells
    which of them may be the best; these are fitted. A constant below zero stands for a pulse that is more than perfect,
    with which wrong signs explain the samples, too; so signs are compared by the cost at a constant of zero or more.
    The parameters are those of least squares with the best signs.
    """
    signed, time = replace(design, folded=False), design.time
    grid, plain = grid_of(signed, bounds), replace(signed, without_offset=True)
    starts = [*torch.unique(time).tolist(), torch.inf]
    candidates = [replace(samples, values=torch.where(time < start, -1, 1) * samples.values) for start in starts]
    least = torch.stack([_least_cost(Reduced(signed, candidate), grid) for candidate in candidates])
    rivals = least <= least.min(0).values + PEAK_MARGIN * samples.dot(samples.values, samples.values)
    lowest = torch.full_like(least[0], torch.inf)
    values = least.new_full((len(design.names), len(lowest)), torch.nan)
    status = torch.full_like(samples.n_used, FitStatus.NO_SIGNAL)
    for candidate, rival in zip(candidates, rivals, strict=True):
        chosen = rival.nonzero()[:, 0]
        part = candidate.pick(chosen)
        found, found_status = project(signed, part, bounds)
        cost = torch.where(found_status == FitStatus.NO_SIGNAL, torch.inf, _cost(signed, part, found))
        perfect = (found[-1] < 0).nonzero()[:, 0]
        cost[perfect] = _cost(plain, part.pick(perfect), project(plain, part.pick(perfect), bounds).values)
        better = cost < lowest[chosen]
        place = chosen[better]
        lowest[place], values[:, place] = cost[better], found[:, better]
        status[place] = found_status[better].to(status.dtype)
    status = torch.where(samples.variation()[1], FitStatus.NO_DECAY, status)
    return Estimate(values, torch.where(samples.n_used < _FEWEST, FitStatus.TOO_FEW_SAMPLES, status))


def _least_cost(problem: Reduced, grid: Grid) -> Float[Tensor, " voxel"]:
    """Compute the least sum of squared residuals on a grid in log T."""
    return problem.total - problem.explained_on(grid.x).amax(0)


def _cost(design: Design, samples: Samples, values: Float[Tensor, "parameter voxel"]) -> Float[Tensor, " voxel"]:
    """Compute the sum of squared residuals; infinite where there is no fit."""
    residual = samples.values - design.linearise(values)[0]
    return samples.dot(residual, residual).nan_to_num(nan=torch.inf)
