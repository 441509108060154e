"""Maps as pictures, each with a colour bar in ms.

The figures are made without pyplot's global state: they can be saved or shown in a notebook, and none stays open. They
need the extra ``plot``.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["comparison_figure", "map_figure"]

MAP_COLOURS = "viridis"
ERROR_COLOURS = "inferno"
MISSING_COLOUR = "0.75"
MAX_TILES = 12

_LABELS = {"t1rho": "T1rho", "t2": "T2", "t2star": "T2*", "t1": "T1"}


def label(name: str) -> str:
    """Write the name of a contrast as the field does.

    Parameters
    ----------
    name
        Name of a contrast.

    Returns
    -------
    The name for a title or an axis.

    Examples
    --------
    >>> rx.plots.label("t1rho")
    'T1rho'
    """
    return _LABELS.get(name, name)


def map_figure(map_ms: NDArray[Any], *, name: str, ok: NDArray[Any] | None = None) -> "Figure":
    """Draw a map, slice by slice.

    Parameters
    ----------
    map_ms
        Map in ms: (row, column) or (slice, row, column), the first row at the top. Of many slices, twelve are shown.
    name
        Name of the contrast, for the title and the colour bar.
    ok
        Which voxels to show, of the shape of the map; by default those that are finite.

    Returns
    -------
    The figure. Voxels that are not shown are grey.

    Raises
    ------
    ValueError
        If the map has neither two nor three axes.
    MissingExtraError
        If matplotlib is not installed.
    """
    volume = np.asarray(map_ms, dtype=float)
    if volume.ndim not in (2, 3):
        raise ValueError(
            f"map_ms has {volume.ndim} axes, shape {volume.shape}: pass (row, column) or (slice, row, column)."
        )
    shown = np.isfinite(volume) if ok is None else np.isfinite(volume) & np.asarray(ok, dtype=bool)
    volume = np.where(shown, volume, np.nan).reshape(-1, *volume.shape[-2:])
    slices = np.unique(np.linspace(0, len(volume) - 1, min(len(volume), MAX_TILES)).round().astype(int))
    columns = int(np.ceil(np.sqrt(len(slices))))
    rows = int(np.ceil(len(slices) / columns))
    height = 8 / columns * volume.shape[1] / volume.shape[2]
    figure = _figure((9, max(2.0, rows * height + 0.6)))
    axes = figure.subplots(rows, columns, squeeze=False)
    low, high = _range([volume[slices]])
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, k in zip(axes.flat, slices, strict=False):
        image = _draw(axis, volume[k], MAP_COLOURS, low, high)
        if len(volume) > 1:
            axis.set_title(f"slice {k}", fontsize=8)
    figure.colorbar(image, ax=axes, label=f"{label(name)} (ms)", shrink=0.9, extend="both")
    figure.suptitle(f"{label(name)} map", fontsize=11)
    return figure


def comparison_figure(
    maps_ms: Mapping[str, Mapping[str, NDArray[Any]]],
    *,
    truth: str = "truth",
    roi: NDArray[Any] | None = None,
    title: str | None = None,
) -> "Figure":
    """Draw maps of several methods side by side, and under each its absolute error against the truth.

    Parameters
    ----------
    maps_ms
        For each contrast, maps in ms (row, column) by the name of the method; the one named ``truth`` is compared with.
    truth
        Which of the maps is the truth.
    roi
        Region to outline, (row, column).
    title
        Title of the figure.

    Returns
    -------
    The figure: for each contrast a row of maps with one colour bar in ms, and a row of errors with another.

    Raises
    ------
    ValueError
        If a contrast has no map named ``truth``.
    MissingExtraError
        If matplotlib is not installed.
    """
    for name, methods in maps_ms.items():
        if truth not in methods:
            raise ValueError(
                f"maps_ms[{name!r}] has {tuple(methods)}: the map named {truth!r} to compare with is missing."
            )
    n_columns = max(len(methods) for methods in maps_ms.values())
    first = next(iter(next(iter(maps_ms.values())).values()))
    height = 2.2 * first.shape[0] / first.shape[1]
    figure = _figure((2.2 * n_columns + 1.0, 2 * len(maps_ms) * (height + 0.3) + 0.3))
    axes = figure.subplots(2 * len(maps_ms), n_columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for k, (name, methods) in enumerate(maps_ms.items()):
        low, high = _range([np.where(roi, methods[truth], np.nan) if roi is not None else methods[truth]], margin=0.6)
        errors = {method: np.abs(values - methods[truth]) for method, values in methods.items() if method != truth}
        for axis, (method, values) in zip(axes[2 * k], methods.items(), strict=False):
            image = _draw(axis, values, MAP_COLOURS, low, high, roi=roi)
            axis.set_title(method, fontsize=9)
        figure.colorbar(image, ax=axes[2 * k], label=f"{label(name)} (ms)", extend="both", pad=0.01)
        for axis, (method, values) in zip(axes[2 * k + 1], methods.items(), strict=False):
            if method in errors:
                image = _draw(axis, np.abs(values - methods[truth]), ERROR_COLOURS, 0, (high - low) / 2, roi=roi)
        figure.colorbar(image, ax=axes[2 * k + 1], label="absolute error (ms)", extend="max", pad=0.01)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _figure(size: tuple[float, float]) -> "Figure":
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(figsize=size, dpi=120, layout="constrained")
    return figure


def _draw(
    axis: "Axes", values: NDArray[Any], colours: str, low: float, high: float, *, roi: NDArray[Any] | None = None
) -> Any:
    axis.set_facecolor(MISSING_COLOUR)
    axis.set_axis_on()
    axis.set(xticks=[], yticks=[])
    image = axis.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    if roi is not None:
        axis.contour(roi, levels=[0.5], colors="white", linewidths=0.6)
    return image


def _range(maps: Sequence[NDArray[Any]], *, margin: float = 0.0) -> tuple[float, float]:
    """Colour range from the 2nd to the 98th percentile of all finite values, widened by a fraction of itself."""
    values = np.concatenate([m[np.isfinite(m)] for m in maps])
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, (2, 98))
    widening = margin * (high - low) or 0.5 * (high == low)
    return max(0.0, float(low - widening)), float(high + widening)
