"""The paper's experiments, and some more, on digital patients whose truth is known.

An experiment (:data:`EXPERIMENTS`) is a question. It plans *steps*: to train one network on one fold, to fit the
patients of another. :func:`run` computes those that have not been computed yet, several at a time, keeps what came out,
and sums it up as rows of means with 95 % intervals over patients. An interrupted run goes on where it stopped, and
experiments share the networks that they have in common.

>>> sorted(rx.experiments.EXPERIMENTS)
['ablation', 'fig2', 'fig3', 'generalise', 'losses', 'snr', 'table2', 'table3', 'table4']

Results are small JSON files. :func:`render` writes them as tables, in Markdown and LaTeX, and as figures.

How large it all is says a :class:`Setting` of :data:`SETTINGS`: ``smoke`` shows within minutes that it runs, ``laptop``
takes hours on two cores, and ``paper``, of the size of Huang et al. (2023), is for a GPU. All use one cohort, another
than those on which defaults were chosen. Each patient is tested by networks that have learnt from others.
"""

from relaxnet.experiments._experiment import Experiment, Table
from relaxnet.experiments._render import render
from relaxnet.experiments._run import EXPERIMENTS, run
from relaxnet.experiments._setting import SETTINGS, Setting

__all__ = ["EXPERIMENTS", "SETTINGS", "Experiment", "Setting", "Table", "render", "run"]
