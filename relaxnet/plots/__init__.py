"""Figures of maps, decays and agreement, with units at their axes and colour bars.

The figures do not use pyplot's global state: they can be saved or shown in a notebook, and none stays open. They need
the extra ``plot``.
"""

from relaxnet.plots._agreement import bland_altman_figure, calibration_figure
from relaxnet.plots._decays import decay_figure, residual_figure
from relaxnet.plots._maps import comparison_figure, map_figure, status_figure

__all__ = [
    "bland_altman_figure",
    "calibration_figure",
    "comparison_figure",
    "decay_figure",
    "map_figure",
    "residual_figure",
    "status_figure",
]
