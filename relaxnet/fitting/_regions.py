"""Tables of maps: a row for each region and map, with what its voxels amount to and how their fits ended."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._messages import brief
from relaxnet.fitting._status import FitStatus

ALL = "all"
"""Label of the only region where no labels are given."""


def spread(values: NDArray[Any]) -> dict[str, float]:
    """Return mean, sample standard deviation, median, quartiles and interquartile range; NaN where there are none."""
    values = np.asarray(values, np.float64)
    low, median, high = np.percentile(values, (25, 50, 75)) if values.size else (np.nan,) * 3
    return {
        "mean": float(values.mean()) if values.size else np.nan,
        "sd": float(values.std(ddof=1)) if values.size > 1 else np.nan,
        "median": float(median),
        "q25": float(low),
        "q75": float(high),
        "iqr": float(high - low),
    }


def region_rows(
    maps: Mapping[str, NDArray[Any]],
    units: Mapping[str, str],
    status: NDArray[Any],
    labels: NDArray[Any] | None,
    names: Mapping[int, str] | None,
) -> list[dict[str, Any]]:
    """Make the rows of :meth:`relaxnet.fitting.FitResult.regions`."""
    if labels is not None and labels.shape != status.shape:
        raise ValueError(f"labels has shape {labels.shape}, the maps {status.shape}: both must agree.")
    regions: dict[Any, NDArray[np.intp]] = {ALL: np.arange(status.size)} if labels is None else _voxels_of(labels)
    rows = []
    for label, voxels in regions.items():
        ends = status.ravel()[voxels]
        good = voxels[ends == FitStatus.CONVERGED]
        at_bound, masked = (int((ends == end).sum()) for end in (FitStatus.AT_BOUND, FitStatus.MASKED))
        counts = {
            "n_voxels": voxels.size,
            "n_converged": good.size,
            "n_at_bound": at_bound,
            "n_failed": voxels.size - good.size - at_bound - masked,
            "n_masked": masked,
        }
        known: dict[str, Any] = {"label": label} if names is None else {"label": label, "name": names.get(label, "")}
        rows += [
            {**known, "map": name, "unit": units[name], **counts, **spread(values.ravel()[good])}
            for name, values in maps.items()
        ]
    return rows


def _voxels_of(labels: NDArray[Any]) -> dict[Any, NDArray[np.intp]]:
    """Return the numbers of the voxels of each label but 0, the background."""
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"labels holds {labels.dtype} values: whole numbers are needed, 0 for the background.")
    whole = labels.ravel()
    if whole.dtype.kind == "f" and not (np.isfinite(whole) & (whole == np.round(whole))).all():
        wrong = whole[~(np.isfinite(whole) & (whole == np.round(whole)))][0]
        raise ValueError(f"labels holds {brief(str(wrong))}: whole numbers are needed, 0 for the background.")
    order = np.argsort(whole, kind="stable")
    values, starts = np.unique(whole[order], return_index=True)
    voxels = zip(values, np.split(order, starts[1:]), strict=True)
    regions = {int(value): of_value for value, of_value in voxels if value != 0}
    if not regions:
        raise ValueError("labels holds nothing but 0, the background: there is no region.")
    return regions
