"""Pictures of maps, slice by slice, and of maps of several methods side by side."""

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._contrasts import label
from relaxnet.errors import require
from relaxnet.fitting import FitStatus
from relaxnet.plots._figure import COLUMN, PAGE, empty_figure, letter, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAP_COLOURS = "viridis"
ERROR_COLOURS = "inferno"
MISSING_COLOUR = "0.75"
MAX_TILES = 12
_BAR = 0.7  # inches that a colour bar with its label takes
_LETTER = 0.062  # inches that a letter of a title takes
STATUS_COLOURS = {
    FitStatus.CONVERGED: "#009e73",
    FitStatus.AT_BOUND: "#f0e442",
    FitStatus.TOO_FEW_SAMPLES: "#cc79a7",
    FitStatus.NO_DECAY: "#d55e00",
    FitStatus.NO_SIGNAL: "#4a5568",
    FitStatus.NOT_CONVERGED: "#0072b2",
    FitStatus.MASKED: "#c9ced6",
}


@styled
def map_figure(
    map_ms: NDArray[Any],
    *,
    name: str,
    ok: NDArray[Any] | None = None,
    unit: str = "ms",
    title: str | None = None,
    range_ms: tuple[float, float] | None = None,
) -> "Figure":
    """Draw a map, slice by slice.

    Parameters
    ----------
    map_ms
        Map in ms: (row, column) or (slice, row, column), the first row at the top. At most twelve slices are shown.
    name
        Name of the contrast, for the title and the colour bar.
    ok
        Voxels to show, of the shape of the map; by default those that are finite.
    unit
        Unit of the map, for the colour bar.
    title
        Title of the figure; by default that it is a map of ``name``.
    range_ms
        Values of the first and the last colour, in the unit of the map, such as ``(20, 70)`` for livers; by default 0
        and twice the median.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. All other voxels are grey.

    Raises
    ------
    ValueError
        If the map has neither two nor three axes.
    MissingExtraError
        If matplotlib is not installed.
    """
    volume = _slices(map_ms, "map_ms")
    shown = np.isfinite(volume) if ok is None else np.isfinite(volume) & _slices(ok, "ok").astype(bool)
    volume = np.where(shown, volume, np.nan)
    figure, tiles = _tiles(volume)
    low, high = _range(np.stack([volume[k] for _, k in tiles])) if range_ms is None else range_ms
    for axis, k in tiles:
        image = _draw(axis, volume[k], MAP_COLOURS, low, high)
    figure.colorbar(image, ax=figure.axes, label=f"{label(name)} ({unit})", shrink=0.9, extend=_beyond(low))
    figure.suptitle(f"{label(name)} map" if title is None else title)
    return figure


@styled
def status_figure(status: NDArray[Any], *, title: str | None = None) -> "Figure":
    """Draw how the fit of each voxel ended, slice by slice.

    Parameters
    ----------
    status
        The :class:`~relaxnet.FitStatus` of each voxel: (row, column) or (slice, row, column), the first row at the top.
        At most twelve slices are shown.
    title
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, with the colours of the statuses that occur.

    Raises
    ------
    ValueError
        If the map has neither two nor three axes.
    MissingExtraError
        If matplotlib is not installed.
    """
    volume = _slices(status, "status")
    figure, tiles = _tiles(volume)
    matplotlib = require("matplotlib.colors", extra="plot")
    colours = matplotlib.ListedColormap([STATUS_COLOURS[member] for member in FitStatus])
    for axis, k in tiles:
        _draw(axis, volume[k], colours, -0.5, len(FitStatus) - 0.5)
    patch = require("matplotlib.patches", extra="plot").Patch
    there = [member for member in FitStatus if (volume == member).any()]
    handles = [patch(facecolor=STATUS_COLOURS[member], edgecolor="0.5", label=member.name) for member in there]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3))
    figure.suptitle("Status" if title is None else title)
    return figure


@styled
def comparison_figure(
    maps_ms: Mapping[str, Mapping[str, NDArray[Any]]],
    *,
    truth: str = "truth",
    roi: NDArray[Any] | None = None,
    title: str | None = None,
    range_ms: tuple[float, float] | None = None,
) -> "Figure":
    """Draw the maps of several methods side by side, with their absolute errors against the truth below.

    Parameters
    ----------
    maps_ms
        For each contrast, maps in ms (row, column) by the name of the method; one of them is the truth.
    truth
        Name of the map that is the truth.
    roi
        Region to outline, (row, column).
    title
        Title of the figure.
    range_ms
        Values of the first and the last colour of all maps in ms, such as ``(20, 70)`` for livers; by default 0 and
        twice the median. Errors are shown up to a fifth of the last one.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, as wide as a page: for each contrast a row of maps and a row of errors, each with a colour bar in
        ms. Voxels without a truth, such as air, are grey.

    Raises
    ------
    ValueError
        If a contrast has no map named ``truth``, or no other map.
    MissingExtraError
        If matplotlib is not installed.
    """
    for name, methods in maps_ms.items():
        if truth not in methods or len(methods) < 2:
            raise ValueError(
                f"maps_ms[{name!r}] has {tuple(methods)}: {truth!r} and another to compare with it are needed."
            )
    # The margins outside the body are cut off.
    body = np.logical_or.reduce([np.isfinite(methods[truth]) for methods in maps_ms.values()])
    box = np.ix_(_run(body.any(1)), _run(body.any(0)))
    outline = None if roi is None else roi[box]
    n_columns = max(len(methods) for methods in maps_ms.values())
    width = (PAGE - _BAR) / n_columns
    height = width * box[0].size / box[1].size + 0.08
    titles = {method: _wrapped(method, width) for methods in maps_ms.values() for method in methods}
    lines = 1 + max(text.count("\n") for text in titles.values())
    figure = empty_figure((PAGE, len(maps_ms) * (2 * height + 0.16 * lines) + (0.2 if title else 0)))
    axes = figure.subplots(2 * len(maps_ms), n_columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for k, (name, methods) in enumerate(maps_ms.items()):
        reference = methods[truth]
        low, high = range_ms or _range(reference if roi is None else reference[roi])
        for above, below, (method, values) in zip(axes[2 * k], axes[2 * k + 1], methods.items(), strict=False):
            shown = np.where(np.isfinite(reference), values, np.nan)
            image = _draw(above, shown[box], MAP_COLOURS, low, high, roi=outline)
            above.set_title(titles[method])
            if method != truth:
                error = _draw(below, np.abs(values - reference)[box], ERROR_COLOURS, 0, high / 5, roi=outline)
        figure.colorbar(image, ax=axes[2 * k], label=f"{label(name)} (ms)", extend=_beyond(low), pad=0.01)
        figure.colorbar(error, ax=axes[2 * k + 1], label="|error| (ms)", extend="max", pad=0.01)
    letter([axis for row in axes[::2] for axis in row if axis.images])
    if title:
        figure.suptitle(title)
    return figure


def _slices(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return a volume of slices; a ValueError names a map that has none."""
    volume = np.asarray(values, dtype=float)
    if volume.ndim not in (2, 3):
        raise ValueError(
            f"{name} has {volume.ndim} axes, shape {volume.shape}: pass (row, column) or (slice, row, column)."
        )
    return volume.reshape(-1, *volume.shape[-2:])


def _tiles(volume: NDArray[Any]) -> tuple["Figure", list[tuple["Axes", int]]]:
    """Make a figure with axes for the slices of a volume, evenly chosen if they are many."""
    slices = np.unique(np.linspace(0, len(volume) - 1, min(len(volume), MAX_TILES)).round().astype(int))
    columns = int(np.ceil(np.sqrt(len(slices))))
    rows = int(np.ceil(len(slices) / columns))
    whole = COLUMN if len(slices) == 1 else PAGE
    height = (whole - _BAR) / columns * volume.shape[1] / volume.shape[2]
    figure = empty_figure((whole, max(1.6, rows * (height + 0.15) + 0.4)))
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    tiles = [(axis, int(k)) for axis, k in zip(axes.flat, slices, strict=False)]
    if len(volume) > 1:
        for axis, k in tiles:
            axis.set_title(f"slice {k}", fontsize=7)
    return figure, tiles


def _draw(
    axis: "Axes", values: NDArray[Any], colours: Any, low: float, high: float, *, roi: NDArray[Any] | None = None
) -> Any:
    axis.set_facecolor(MISSING_COLOUR)
    axis.set_axis_on()
    axis.set(xticks=[], yticks=[])
    image = axis.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    if roi is not None:
        axis.contour(roi, levels=[0.5], colors="white", linewidths=0.6)
    return image


def _run(present: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the positions from the first to the last that is present, with a margin; all if none is."""
    found = np.flatnonzero(present)
    if found.size == 0:
        return np.arange(present.size)
    return np.arange(max(found[0] - 2, 0), min(found[-1] + 3, present.size))


def _wrapped(title: str, width: float) -> str:
    """Break a title into lines of a width in inches, with room for the letter of its panel."""
    return fill(title, max(8, int(width / _LETTER)), initial_indent=" " * 4, break_long_words=False).strip()


def _beyond(low: float) -> str:
    """Return at which ends of a colour bar there are values beyond."""
    return "both" if low > 0 else "max"


def _range(values: NDArray[Any]) -> tuple[float, float]:
    """Return the colour range from 0 to twice the median, so that fluid does not compress all other colours."""
    finite = values[np.isfinite(values)]
    return 0.0, 2.0 * float(np.median(finite)) if finite.size else 1.0
