"""The paper's experiments, and some more, on digital subjects whose truth is known.

An experiment (:data:`EXPERIMENTS`) is a question, one file of this folder. It plans *steps*: to train one network on
one fold, to fit the subjects of another. :func:`run` computes those that have not been computed yet, several at a time,
keeps what came out, and sums it up as rows of means with 95 % intervals over subjects. An interrupted run is resumed,
and experiments share the networks that they have in common.

>>> "table2" in rx.experiments.EXPERIMENTS
True

Results are small JSON files. :func:`render` writes them as tables, in Markdown and LaTeX, and as figures.

The size of it all is a :class:`Setting` of :data:`SETTINGS`: ``smoke`` shows within minutes that it runs, ``laptop``
takes hours on two cores, and ``paper``, of the size of Huang et al. (2023), is for a GPU. All use one cohort, another
than those on which defaults were chosen. Each subject is tested by networks that were trained with others.
"""

from typing import TYPE_CHECKING

from relaxnet._choices import Choice
from relaxnet._lazy import lazily

if TYPE_CHECKING:
    from relaxnet.experiments._harness.experiment import Experiment as Experiment
    from relaxnet.experiments._harness.experiment import Table as Table
    from relaxnet.experiments._harness.render import render as render
    from relaxnet.experiments._harness.run import run as run
    from relaxnet.experiments._harness.setting import SETTINGS as SETTINGS
    from relaxnet.experiments._harness.setting import Setting as Setting

EXPERIMENTS = {
    "table2": Choice("relaxnet.experiments.table2:TABLE2", "Which method maps best"),
    "table3": Choice("relaxnet.experiments.table3:TABLE3", "Does a learnt weighting withstand wrong scales and motion"),
    "table4": Choice("relaxnet.experiments.table4:TABLE4", "How long a map takes"),
    "fig2": Choice("relaxnet.experiments.fig2:FIG2", "The maps of one subject"),
    "fig3": Choice("relaxnet.experiments.fig3:FIG3", "Fixed weights against learnt ones"),
    "snr": Choice("relaxnet.experiments.snr:SNR", "How good it can get"),
    "generalise": Choice("relaxnet.experiments.generalise:GENERALISE", "Networks on other subjects"),
    "losses": Choice("relaxnet.experiments.losses:LOSSES", "Which loss trains best"),
    "ablation": Choice("relaxnet.experiments.ablation:ABLATION", "What makes a network good"),
}
"""The experiments by name; the first five are the paper's."""

__getattr__, __dir__, __all__ = lazily(__name__)
__all__ += ["EXPERIMENTS"]
