"""The paper's experiments, and some of our own, on digital subjects whose true maps are known.

One more, ``real``, is judged by real images. An experiment (:data:`EXPERIMENTS`) asks a question; each is a file of
this folder. It plans *steps*, for instance to train one network, or to fit the subjects of one fold. :func:`run`
computes the steps that have not been computed yet, several at a time, and summarises their outcomes: rows of mean
errors with 95 % intervals over subjects. An interrupted run is resumed, and experiments share the networks that they
have in common.

>>> "table2" in rx.experiments.EXPERIMENTS
True

:func:`render` writes results as tables, in Markdown and LaTeX, and as figures.

A :class:`Setting` of :data:`SETTINGS` says how large the experiments are, and how tissue varies: with the texture of
real tissue, or smoothly. They use one cohort, not one of those on which defaults were chosen. Each subject is tested by
networks trained with other subjects.
"""

from typing import TYPE_CHECKING

from relaxnet._choices import Choice
from relaxnet._lazy import lazily

if TYPE_CHECKING:
    from relaxnet.experiments._harness.experiment import Experiment as Experiment
    from relaxnet.experiments._harness.experiment import Setting as Setting
    from relaxnet.experiments._harness.format import Table as Table
    from relaxnet.experiments._harness.render import render as render
    from relaxnet.experiments._harness.run import run as run

EXPERIMENTS = {
    "table2": Choice("relaxnet.experiments.table2:TABLE2", "Which method gives the best maps"),
    "table3": Choice("relaxnet.experiments.table3:TABLE3", "Learnt weights under wrong scales and motion"),
    "table4": Choice("relaxnet.experiments.table4:TABLE4", "How long the maps of a slice take"),
    "fig2": Choice("relaxnet.experiments.fig2:FIG2", "Maps of one subject"),
    "fig3": Choice("relaxnet.experiments.fig3:FIG3", "Fixed weights and learnt weights"),
    "controls": Choice("relaxnet.experiments.controls:CONTROLS", "What can be had without training"),
    "snr": Choice("relaxnet.experiments.snr:SNR", "Errors by noise and number of images"),
    "generalise": Choice("relaxnet.experiments.generalise:GENERALISE", "Networks on other subjects"),
    "losses": Choice("relaxnet.experiments.losses:LOSSES", "Which loss trains the best network"),
    "intervals": Choice("relaxnet.experiments.intervals:INTERVALS", "Whether intervals hold the truth"),
    "ablation": Choice("relaxnet.experiments.ablation:ABLATION", "What each part of the default contributes"),
    "real": Choice("relaxnet.experiments.real:REAL", "Real images as judges"),
}
"""The experiments by name, each with its title; the first five are the paper's."""

_SETTINGS = "relaxnet.experiments._harness.settings"
SETTINGS = {
    "smoke": Choice(f"{_SETTINGS}:SMOKE", "Minutes: it shows that everything runs"),
    "laptop": Choice(f"{_SETTINGS}:LAPTOP", "Hours on two cores: tissue with texture, 2 mm"),
    "laptop-smooth": Choice(f"{_SETTINGS}:LAPTOP_SMOOTH", "Hours on two cores: smooth tissue, 6 mm"),
    "paper": Choice(f"{_SETTINGS}:PAPER", "For a GPU: the size of Huang et al. (2023)"),
}
"""The settings by name, each a :class:`Setting` once it is loaded."""

__getattr__, __dir__, __all__ = lazily(__name__)
__all__ += ["EXPERIMENTS", "SETTINGS"]
