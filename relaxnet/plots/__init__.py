"""Figures of maps, decays and agreement, with units at their axes and colour bars.

They are as wide as a column of a journal (85 mm) or its page (180 mm), in letters that can be read there, and in
colours that the colour-blind can tell apart: save them with ``figure.savefig("map.pdf")``, or ``"map.png", dpi=300``.
They do not use pyplot's global state, so none stays open. They need the extra ``plot``.

:data:`STYLE` has the settings of matplotlib behind them.
"""

from relaxnet.plots._agreement import bland_altman_figure, calibration_figure
from relaxnet.plots._decays import decay_figure, residual_figure
from relaxnet.plots._figure import STYLE
from relaxnet.plots._maps import comparison_figure, map_figure, status_figure

__all__ = [
    "STYLE",
    "bland_altman_figure",
    "calibration_figure",
    "comparison_figure",
    "decay_figure",
    "map_figure",
    "residual_figure",
    "status_figure",
]
