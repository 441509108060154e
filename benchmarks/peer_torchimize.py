"""Measure torchimize: its fits of all voxels at once, as they come, in double precision."""

from collections.abc import Callable

import numpy as np
import torch
from peer import START_MS, measure
from torchimize.functions import lsq_gna_parallel, lsq_lma_parallel


def fit(signal: np.ndarray, times_ms: np.ndarray, method: Callable[..., list[torch.Tensor]]) -> np.ndarray:
    """Fit with the derivatives given."""
    voxels, times = torch.from_numpy(signal).double(), torch.from_numpy(times_ms).double()

    def residuals(parameters: torch.Tensor) -> torch.Tensor:
        m0, t = parameters[:, :1], parameters[:, 1:]
        return (m0 * torch.exp(-times / t) - voxels)[:, None]

    def jacobian(parameters: torch.Tensor) -> torch.Tensor:
        m0, t = parameters[:, :1], parameters[:, 1:]
        decay = torch.exp(-times / t)
        return torch.stack([decay, m0 * decay * times / t**2], -1)[:, None]

    start = torch.stack([voxels[:, 0], torch.full_like(voxels[:, 0], START_MS)], 1)
    return method(start, residuals, jacobian)[-1][:, 1].numpy()


measure(
    "torchimize",
    {
        "torchimize, Levenberg-Marquardt": lambda *given: fit(*given, lsq_lma_parallel),
        "torchimize, Gauss-Newton": lambda *given: fit(*given, lsq_gna_parallel),
    },
)
