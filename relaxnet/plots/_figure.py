"""Figures that do not use pyplot's global state."""

from typing import TYPE_CHECKING

from relaxnet.errors import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def empty_figure(size: tuple[float, float]) -> "Figure":
    """Make a figure of a size in inches."""
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(figsize=size, dpi=120, layout="constrained")
    return figure
