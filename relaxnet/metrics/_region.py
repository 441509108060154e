"""Voxels of a region of maps."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Voxels = NDArray[np.float64]
"""Values of the voxels of a region, in one row."""


def voxels(roi: Any, **maps: Any) -> list[Voxels]:
    """Return the values of each map in a binary region, or of all voxels if it is None.

    A ValueError names the maps whose shapes differ, or says that the region is empty or not binary.
    """
    arrays = {name: to_array(values) for name, values in maps.items()}
    if roi is None:
        region = np.ones(next(iter(arrays.values())).shape, dtype=bool)
    else:
        arrays["roi"] = region = to_array(roi)
    if len({array.shape for array in arrays.values()}) > 1:
        *others, last = (f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{', '.join(others)} and {last} differ in shape.")
    inside = region == 1
    if not (inside | (region == 0)).all():
        raise ValueError("roi holds values other than 0 and 1: pass a comparison, as labels == 5.")
    if not inside.any():
        raise ValueError("roi is empty: there is no voxel to compare.")
    return [arrays[name][inside].astype(np.float64) for name in maps]


def finite_voxels(roi: Any, **maps: Any) -> list[Voxels]:
    """Return the values of each map in a region; a ValueError names a map that is not finite there.

    Maps whose names end in ``std_ms`` are standard deviations, which must not be negative.
    """
    values = voxels(roi, **maps)
    for name, inside in zip(maps, values, strict=True):
        count = f"of {inside.size} voxels"
        if failed := np.count_nonzero(~np.isfinite(inside)):
            raise ValueError(f"{name} is not finite in {failed} {count}: leave them out of roi, as roi & result.ok.")
        if name.endswith("std_ms") and (negative := np.count_nonzero(inside < 0)):
            raise ValueError(f"{name} is negative in {negative} {count}: a standard deviation is 0 or more.")
    return values


def to_array(values: Any) -> NDArray[Any]:
    """Convert a tensor on any device, an array or a list to an array."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    array: NDArray[Any] = (values.float() if values.dtype == torch.bfloat16 else values).numpy()  # which NumPy lacks
    return array
