"""The bounds of a fit, and the status of an estimate with respect to them."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._status import FitStatus
from relaxnet.signals import SignalModel
from relaxnet.times import TIME

Bounds = tuple[float, float]
"""Smallest and largest T."""


def check_bounds(bounds: Bounds | Mapping[str, Bounds] | None, design: Design) -> tuple[Bounds, ...]:
    """Check the bounds of each T, and narrow them to the range in which its first image has a signal."""
    names = design.t_names
    if isinstance(bounds, Mapping) and not set(bounds) <= set(names):
        raise ValueError(f"bounds has the names {tuple(bounds)}: the contrasts are {names}.")
    checked = []
    for k, (name, model) in enumerate(zip(names, design.models, strict=True)):
        time = design.time if design.owner is None else design.time[design.images_of(k) & design.informative]
        limits = _check_pair(bounds.get(name) if isinstance(bounds, Mapping) else bounds, model, float(time.max()))
        checked.append(model.search_bounds(limits, float(time.min())))
    return tuple(checked)


def _check_pair(bounds: Bounds | None, model: SignalModel, last_time: float) -> Bounds:
    unit = model.parameter.unit
    if bounds is None:
        low, high = model.parameter.bounds
        # Times as short as those of an ultrashort TE are there for a T as short.
        return (min(low, last_time / 10) if model.axis == TIME and last_time > 0 else low), high
    try:
        low, high = map(float, bounds)
    except (TypeError, ValueError):
        raise ValueError(f"bounds={bounds!r}: give two numbers, the smallest and the largest T in {unit}.") from None
    if not 0 < low < high < float("inf"):
        raise ValueError(
            f"bounds={bounds}: give the smallest and the largest T in {unit}, with 0 < smallest < largest."
        )
    if high < 1 <= last_time and unit == "ms":
        raise ValueError(f"bounds={bounds} look like seconds; relaxnet works in milliseconds.")
    return low, high


def log_bounds(bounds: tuple[Bounds, ...], like: Tensor) -> tuple[Float[Tensor, "t 1"], Float[Tensor, "t 1"]]:
    """Return the logarithms of the smallest and of the largest T, with the dtype and device of a tensor."""
    low, high = torch.log(torch.tensor(bounds, dtype=torch.float64)).T[:, :, None].to(like)
    return low, high


def end_of_search(
    log_t: Float[Tensor, "t voxel"],
    converged: Bool[Tensor, " voxel"],
    bounds: tuple[Bounds, ...],
    design: Design,
    samples: Samples,
) -> tuple[Float[Tensor, "t voxel"], Int[Tensor, " voxel"]]:
    """Return T and the status of voxels whose log T was searched.

    T within rounding of a bound is set to the bound. A voxel that ends where its signal is flattest although no T
    explains it is ``NO_DECAY``.
    """
    low, high = log_bounds(bounds, log_t)
    margin = 4 * torch.finfo(log_t.dtype).eps * torch.maximum(low.abs(), high.abs()).clamp(min=1)
    at_low, at_high = log_t <= low + margin, log_t >= high - margin
    smallest, largest = log_t.new_tensor(bounds).T[:, :, None]
    t = torch.where(at_low, smallest, torch.where(at_high, largest, torch.exp(log_t)))
    at_flat = torch.stack([(at_high if m.flat_end == "high" else at_low)[k] for k, m in enumerate(design.models)])
    status = torch.where((at_low | at_high).any(0), FitStatus.AT_BOUND, FitStatus.CONVERGED)
    status = torch.where((at_flat & design.incompatible(samples)).any(0), FitStatus.NO_DECAY, status)
    return t, torch.where(converged, status, FitStatus.NOT_CONVERGED)


def clip_to_bounds(t: Float[Tensor, " voxel"], bounds: Bounds) -> tuple[Float[Tensor, " voxel"], Int[Tensor, " voxel"]]:
    """Clip the T of a closed form to the bounds, and return its status; a T that is negative or NaN is ``NO_DECAY``."""
    low, high = bounds
    within = torch.where(t >= 0, t, high).clamp(low, high)
    status = torch.where((within > low) & (within < high), FitStatus.CONVERGED, FitStatus.AT_BOUND)
    return within, torch.where(t >= 0, status, FitStatus.NO_DECAY)
