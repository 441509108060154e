"""The voxels of a region."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Voxels = NDArray[np.float64]
"""Values of the voxels of a region, one after the other."""


def voxels(roi: Any, **maps: Any) -> list[Voxels]:
    """Take the voxels of a region out of maps.

    Parameters
    ----------
    roi
        Binary region, or None for all voxels.
    **maps
        Maps of the shape of the region, by the names that errors call them.

    Returns
    -------
    list of numpy.ndarray
        Values in the region, for each map.

    Raises
    ------
    ValueError
        If the shapes differ, or the region is empty or not binary.
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
    """Take the voxels of a region out of maps that have no gaps there.

    Parameters
    ----------
    roi
        Binary region, or None for all voxels.
    **maps
        Maps of the shape of the region, by the names that errors call them. Those whose name ends in ``std_ms`` are
        standard deviations.

    Returns
    -------
    list of numpy.ndarray
        Values in the region, for each map.

    Raises
    ------
    ValueError
        As :func:`voxels` does, and if a value in the region is not finite or a standard deviation is negative.
    """
    values = voxels(roi, **maps)
    for name, inside in zip(maps, values, strict=True):
        if failed := np.count_nonzero(~np.isfinite(inside)):
            raise ValueError(
                f"{name} is not finite in {failed} of {inside.size} voxels: leave them out of roi, as roi & result.ok."
            )
        if name.endswith("std_ms") and (inside < 0).any():
            raise ValueError(
                f"{name} is negative in {np.count_nonzero(inside < 0)} of {inside.size} voxels: a standard deviation "
                "is 0 or more."
            )
    return values


def to_array(values: Any) -> NDArray[Any]:
    """Make an array of values, wherever they are.

    Parameters
    ----------
    values
        Tensor on any device, array or list.

    Returns
    -------
    numpy.ndarray
        The same values.
    """
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
