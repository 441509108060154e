"""Parts of figures that experiments share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relaxnet.errors import require
from relaxnet.experiments._harness.experiment import CONTRASTS
from relaxnet.experiments._harness.format import NAMES


def panels(size: tuple[float, float], **options: Any) -> tuple[Any, dict[str, Any]]:
    """Make a figure with a panel for each contrast.

    Parameters
    ----------
    size
        Width and height in inches.
    **options
        Arguments of :meth:`matplotlib.figure.Figure.subplots`.

    Returns
    -------
    tuple
        The figure, and its axes by contrast.
    """
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=size, layout="constrained")
    axes = dict(zip(CONTRASTS, figure.subplots(1, len(CONTRASTS), **options), strict=True))
    for contrast, ax in axes.items():
        ax.set(title=NAMES[contrast], ylabel="mean absolute error (ms)")
    return figure, axes


def curve(
    ax: Any,
    x: Sequence[float],
    entries: Iterable[Mapping[str, Any] | None],
    style: str,
    *,
    band: bool = True,
    **of: Any,
) -> None:
    """Draw the means of entries as a curve, and their intervals as a band.

    Parameters
    ----------
    ax
        Axes of the figure.
    x
        Where each entry stands.
    entries
        The entries.
    style
        Markers and line, as matplotlib writes them.
    band
        Whether to draw the intervals.
    **of
        ``color`` and ``label``.
    """
    found = [entry for entry in entries if entry is not None]
    ax.plot(x, [entry["mean"] for entry in found], style, **of)
    if band:
        ends = zip(*(entry["ci95"] for entry in found), strict=True)
        ax.fill_between(x, *ends, color=of["color"], alpha=0.15, linewidth=0)
