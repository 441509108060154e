"""Where an estimate lies with respect to the bounds."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relaxnet.fitting._core.estimator import Bounds
from relaxnet.fitting._status import FitStatus
from relaxnet.signals import SignalModel


def log_bounds(bounds: tuple[Bounds, ...], like: Tensor) -> tuple[Float[Tensor, "t 1"], Float[Tensor, "t 1"]]:
    """Return the logarithms of the smallest and the largest T."""
    low, high = torch.log(torch.tensor(bounds, dtype=torch.float64)).T[:, :, None].to(like)
    return low, high


def at_bounds(
    x: Float[Tensor, "t voxel"], bounds: tuple[Bounds, ...], models: tuple[SignalModel, ...]
) -> tuple[Float[Tensor, "t voxel"], Bool[Tensor, "t voxel"], Bool[Tensor, "t voxel"]]:
    """Convert log T to T, exactly a bound where it is one but for rounding.

    Also find where T is at a bound, and where at the one at which its signal is flattest.
    """
    low, high = log_bounds(bounds, x)
    margin = 4 * torch.finfo(x.dtype).eps * torch.maximum(low.abs(), high.abs()).clamp(min=1)
    at_low, at_high = x <= low + margin, x >= high - margin
    smallest, largest = x.new_tensor(bounds).T[:, :, None]
    t = torch.where(at_low, smallest, torch.where(at_high, largest, torch.exp(x)))
    at_flat = torch.stack([(at_high if model.flat_end == "high" else at_low)[k] for k, model in enumerate(models)])
    return t, at_low | at_high, at_flat


def bounded(t: Float[Tensor, " voxel"], bounds: Bounds) -> tuple[Float[Tensor, " voxel"], Int[Tensor, " voxel"]]:
    """Bring the T of a closed form within the bounds, and say where that was not possible.

    A negative T, or one that is not a number, explains no signal.
    """
    low, high = bounds
    within = torch.where(t >= 0, t, high).clamp(low, high)
    status = torch.where((within > low) & (within < high), FitStatus.CONVERGED, FitStatus.AT_BOUND)
    return within, torch.where(t >= 0, status, FitStatus.NO_DECAY)
