"""Figures as journals want them: as wide as a column or a page, small letters, colours that all can tell apart."""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from relaxnet.errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
T = TypeVar("T")
COLUMN, PAGE = 85 / 25.4, 180 / 25.4
"""Widths in inches of a column of a journal, and of its page."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Colours that the colour-blind can tell apart, seen on light and on dark paper (Okabe and Ito, 2008)."""
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Markers to go with the colours, for those who see no colours, and for print in grey."""
STYLE: Mapping[str, Any] = {
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.prop_cycle": f"cycler('color', {list(COLOURS)})",
    "axes.titlesize": 8,
    "figure.dpi": 200,
    "figure.titlesize": 8,
    "font.size": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}
"""Settings of matplotlib for figures as journals want them. All figures here have them; for your own, pass
them to ``plt.rcParams.update``."""


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Let a function draw in this style, whatever the settings of the user are."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        with require("matplotlib", extra="plot").rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def empty_figure(size: tuple[float, float]) -> "Figure":
    """Make a figure of a size in inches."""
    figure: Figure = require("matplotlib.figure", extra="plot").Figure(figsize=size, layout="constrained")
    return figure


def letter(axes: Iterable["Axes"]) -> None:
    """Write (a), (b), ... before the titles of panels."""
    for axis, sign in zip(axes, ascii_lowercase, strict=False):
        axis.set_title(f"({sign}) {axis.get_title()}".rstrip())
