"""Where joint fits start from."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.fitting._core.bounds import Bounds, log_bounds
from relaxnet.fitting._core.design import Design

SWEEPS = 4  # over the relaxation times, on the grid
SURE = 0.97  # of the signal; a start that explains it has no rival


def log_grids(design: Design, bounds: tuple[Bounds, ...]) -> tuple[list[Float[Tensor, " _"]], list[int]]:
    """Return points in log T for each relaxation time, and the place of the typical T among them."""
    grids, typical = [], []
    for low, high, model in zip(*log_bounds(bounds, design.time), design.models, strict=True):
        n = max(3, int((high - low).item() / model.log_step) + 2)
        grids.append(torch.linspace(low.item(), high.item(), n).to(design.time))
        typical.append(int((grids[-1] - math.log(model.parameter.typical)).abs().argmin()))
    return grids, typical
