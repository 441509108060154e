"""The report of a fit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._contrasts import label
from relaxnet.fitting import FitResult, FitStatus
from relaxnet.io import Scan, as_pictures
from relaxnet.plots import decay_figure, map_figure, residual_figure, status_figure
from relaxnet.signals import SignalModel
from relaxnet.times import CheckedTimes
from relaxnet.workflows._report.page import Page, Picture, Section, Table, provenance_section

_RESIDUAL_VOXELS = 50_000
STANDARD_ERROR = "standard error"
_QUARTILES = (25, 50, 75)


@dataclass(frozen=True)
class Fitted:
    """One contrast of a fit."""

    name: str
    """Its map in the result."""
    times: tuple[float, ...]
    """In ms, or in the unit of the model's axis."""
    model: SignalModel
    channels: Sequence[int]
    """Its images among those that were fitted."""
    since: float = 0.0
    """The time at which the amplitude is the signal."""

    @property
    def counted(self) -> tuple[float, ...]:
        """Times since then, which the decay is a function of."""
        return CheckedTimes(time - self.since for time in self.times)


def fit_page(
    scan: Scan,
    result: FitResult[NDArray[Any]],
    contrasts: Sequence[Fitted],
    *,
    made: Callable[[str], dict[str, Any]],
    regions: Sequence[Mapping[str, Any]] = (),
    warnings: Iterable[str] = (),
) -> Page:
    """Make the report of a fit of a scan; ``made`` takes its outcome and says how it came about."""
    images, affine = scan.data, scan.affine
    told = "; ".join(
        f"{label(one.name)} at {', '.join(f'{t:g}' for t in one.times)} {one.model.axis.unit}" for one in contrasts
    )
    size = " × ".join(map(str, images.shape[:3]))
    return Page(
        f"{' and '.join(label(one.name) for one in contrasts)} of {scan.path.name}",
        f"{told}; {size} voxels",
        (
            overview_section(dict.fromkeys(result.maps, result), f"{converged_share(result.status)}."),
            *(map_section(result, affine, one.name) for one in contrasts),
            Section("Status", tables=(_counts(result),), pictures=(_status(result, affine),)),
            *(decay_section(result, images[..., list(one.channels)], one) for one in contrasts),
            *([_regions(regions)] if regions else []),
            provenance_section(made(converged_share(result.status))),
        ),
        tuple(warnings),
    )


def converged_share(status: NDArray[Any]) -> str:
    """Say how many voxels converged, of those that were fitted."""
    tried, good = int((status != FitStatus.MASKED).sum()), int((status == FitStatus.CONVERGED).sum())
    return f"{good} of {tried} voxels converged" + (f" ({100 * good / tried:.1f} %)" if tried else "")


def sure_voxels(values: NDArray[Any], std: NDArray[Any] | None, ok: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a map is more than noise: its standard error is below half of it, where that is known."""
    sure = ok & np.isfinite(values)
    return sure if std is None else np.asarray(sure & ~(std > values / 2))


def typical_voxels(values: NDArray[Any], where: NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """Return the voxels whose values are nearest to the quartiles of those of a region."""
    positions = np.flatnonzero(where)
    inside = values.ravel()[positions]
    nearest = [int(np.abs(inside - q).argmin()) for q in np.percentile(inside, _QUARTILES)] if inside.size else []
    return [tuple(int(k) for k in np.unravel_index(positions[k], values.shape)) for k in dict.fromkeys(nearest)]


def overview_section(
    results: Mapping[str, FitResult[NDArray[Any]]], outcome: str, error: str = STANDARD_ERROR
) -> Section:
    """Make a table of maps by name, each of a result."""
    rows = []
    for name, result in results.items():
        values, std = (of[name][result.ok & np.isfinite(of[name])] for of in (result.maps, result.std))
        quartiles = np.percentile(values, _QUARTILES).tolist() if values.size else [np.nan] * 3
        rows.append((label(name), result.units[name], *quartiles, float(np.median(std)) if std.size else np.nan))
    header = ("map", "unit", "25 %", "median", "75 %", f"median {error}")
    return Section("Overview", (outcome,), (Table(header, rows, "Quartiles over the voxels with a result."),))


def map_section(
    result: FitResult[NDArray[Any]], affine: NDArray[np.float64], name: str, error: str = STANDARD_ERROR
) -> Section:
    """Show a map and its error."""
    values, std, unit = result.maps[name], result.std[name], result.units[name]
    sure = as_pictures(sure_voxels(values, std, result.ok), affine)
    shown = {"": values, f"{error} of ": std}
    pictures = tuple(
        Picture(
            partial(map_figure, as_pictures(of, affine), name=f"{what}{label(name)}", ok=sure, unit=unit, title=""),
            f"{what or 'map of '}{label(name)} in {unit}.".capitalize().replace(label(name).lower(), label(name)),
            wide=True,
        )
        for what, of in shown.items()
    )
    note = f"Grey voxels have no result, or a {error} above half of their value, as noise and air have."
    return Section(label(name), (note,), (), pictures)


def _counts(result: FitResult[NDArray[Any]]) -> Table:
    n = result.status.size
    counts = [(member, int((result.status == member).sum())) for member in FitStatus]
    rows = [(member.name, count, f"{100 * count / n:.1f} %", member.meaning) for member, count in counts if count]
    return Table(("status", "voxels", "share", "meaning"), rows)


def _status(result: FitResult[NDArray[Any]], affine: NDArray[np.float64]) -> Picture:
    return Picture(
        partial(status_figure, as_pictures(result.status, affine), title=""),
        "How the fit of each voxel ended.",
        wide=True,
    )


def decay_section(result: FitResult[NDArray[Any]], images: NDArray[Any], one: Fitted) -> Section:
    """Show the decays of typical voxels of images (x, y, z, time), and the residuals of all."""
    sure = sure_voxels(result.maps[one.name], result.std[one.name], result.ok)
    title = f"Decays and residuals of {label(one.name)}"
    voxels = typical_voxels(result.maps[one.name], sure)
    if not voxels:
        return Section(title, ("No voxel converged with a standard error below half of its value.",))
    curve = partial(decay_figure, result, images, one.counted, name=one.name, model=one.model)
    chosen = np.flatnonzero(sure)
    chosen = chosen[:: -(-chosen.size // _RESIDUAL_VOXELS)]  # evenly, if they are many
    where = np.zeros(sure.shape, dtype=bool)
    where.ravel()[chosen] = True
    residuals = _residuals(result, images, one, where)
    about = f"The residuals of {chosen.size} voxels; a shift from 0 or a second peak is a sign of another signal model."
    return Section(
        title,
        (
            "The voxels are those nearest to the quartiles of the map; the band is the 95 % confidence band of a fit.",
            *([f"Time counts from the first image, at {one.since:g} ms."] if one.since else []),
        ),
        pictures=(
            *(Picture(partial(curve, voxels=[voxel]), f"Voxel {voxel}, numbers from 0.") for voxel in voxels),
            Picture(partial(residual_figure, residuals), about),
        ),
    )


def _residuals(
    result: FitResult[NDArray[Any]], images: NDArray[Any], one: Fitted, where: NDArray[np.bool_]
) -> NDArray[Any]:
    """Return samples minus fit of the voxels of a region."""
    constant = {"offset": result.maps["offset"][where]} if one.model.has_offset else {}
    fitted = one.model(result.maps["m0"][where], result.maps[one.name][where], one.counted, **constant)
    return np.asarray(images[where] - fitted)


def _regions(rows: Sequence[Mapping[str, Any]]) -> Section:
    kept = [key for key in rows[0] if key not in ("q25", "q75")]
    header = tuple(key.removeprefix("n_").replace("_", " ") for key in kept)
    return Section(
        "Regions",
        tables=(Table(header, [[row[key] for key in kept] for row in rows], "Statistics of the converged voxels."),),
    )
