"""Parts of figures that experiments share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relaxnet.experiments._harness.experiment import CONTRASTS
from relaxnet.experiments._harness.format import NAMES
from relaxnet.plots._figure import COLUMN, empty_figure, letter

INTERVALS = "Bands are 95 % intervals of the mean over subjects, by bootstrap."
"""What captions say of bands."""


def panels(height: float, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Make a figure as wide as a column of a journal, with a panel for each contrast, one above the other.

    Parameters
    ----------
    height
        Height in inches.
    **options
        Arguments of :meth:`matplotlib.figure.Figure.subplots`.

    Returns
    -------
    tuple
        The figure, and its axes by contrast.
    """
    figure = empty_figure((COLUMN, height))
    axes = dict(zip(CONTRASTS, figure.subplots(len(CONTRASTS), 1, sharex=True, **options), strict=True))
    for contrast, ax in axes.items():
        ax.set(title=NAMES[contrast], ylabel="mean absolute error (ms)")
    letter(axes.values())
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
