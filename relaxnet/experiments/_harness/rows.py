"""The rows of the tables: which methods are compared, and the steps behind each of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from relaxnet._choices import Choice
from relaxnet.experiments._harness.experiment import CONTRASTS, Fold
from relaxnet.experiments._harness.fits import plan_fit
from relaxnet.experiments._harness.intervals import plan_intervals
from relaxnet.experiments._harness.networks import (
    Recipe,
    fixed,
    plan_scoring,
    plan_training,
    plan_untrained,
    plan_zero_shot,
)
from relaxnet.experiments._harness.small_networks import plan_small_network
from relaxnet.experiments._harness.steps import Step
from relaxnet.training import Loss

Plan = list[list[list[Step]]]
"""Steps behind a row: by seed, by fold, one for both contrasts or one for each."""
AS_PAPER = {"initial_estimates": (), "rate_shift": 0.0, "flips": False}
"""The training of the paper's networks: their input is the images alone, and these are rotated and translated."""


_WITHOUT_TRAINING = {
    "untrained": plan_untrained,
    "voxelwise-3": plan_small_network,
    "implicit-3": plan_small_network,
    "spatial-3": plan_intervals,
    "spatial-7": plan_intervals,
}
"""Plans of rows that are neither fits nor networks trained with other subjects."""


@dataclass(frozen=True)
class Row:
    """One method."""

    label: str
    """Name of the method in tables."""
    recipes: tuple[Recipe, ...] = ()
    """How its network is trained; one recipe for each contrast where each has its own network; none for a fit."""
    seeded: bool = False
    """Whether it is trained with all seeds, not with the first one alone."""
    zero_shot: bool = False
    """Whether each subject has a network of its own."""
    ensemble: bool = False
    """Whether the networks of all seeds, two at least, are used together."""

    def plan(self, name: str, folds: Sequence[Fold], *, seeds: int = 1, watch: bool = False) -> Plan:
        """Plan the steps behind the row.

        Parameters
        ----------
        name
            Name of the row; that of a fit says which one it is.
        folds
            Whom it is tested on.
        seeds
            Number of seeds of a row with several.
        watch
            Whether to score networks during their training as well.

        Returns
        -------
        list
            The steps.
        """
        if not self.recipes:
            plan = _WITHOUT_TRAINING.get(name, plan_fit)
            return [[[plan(name, fold)] for fold in folds]]
        if self.zero_shot:
            epochs = folds[0].setting.zero_shot_epochs
            recipe = replace(self.recipes[0], training={"epochs": epochs})
            return [[[plan_zero_shot(name, recipe, fold)] for fold in folds]]
        trained = [
            [[plan_training(name, recipe, fold, seed=seed, watch=watch) for recipe in self.recipes] for fold in folds]
            for seed in range(max(seeds, 2) if self.ensemble else seeds if self.seeded else 1)
        ]
        if not self.ensemble:
            return trained
        first, *others = trained
        return [[[plan_scoring(first[k][0], fold, *(of[k][0] for of in others))] for k, fold in enumerate(folds)]]


@dataclass(frozen=True)
class Planned:
    """A row, and the steps behind each of its cases."""

    label: str
    """Name of the row in tables."""
    cases: Mapping[Any, Plan]
    """The steps by case, such as a signal-to-noise ratio; ``None`` is the case of a row without cases."""


Rows = dict[str, Planned]
"""Planned rows by name."""


def plan_rows(rows: Mapping[str, Row], cases: Mapping[Any, Sequence[Fold]], **options: Any) -> Rows:
    """Plan rows whose cases differ in the subjects alone.

    Parameters
    ----------
    rows
        Rows by name.
    cases
        Whom each case is tested on; ``{None: folds}`` for rows without cases.
    **options
        Other arguments of :meth:`Row.plan`.

    Returns
    -------
    dict
        Planned rows by name.
    """
    return {
        name: Planned(row.label, {case: row.plan(name, folds, **options) for case, folds in cases.items()})
        for name, row in rows.items()
    }


def on_other_subjects(trained: Plan, plan: Callable[[Step, Fold], Step], changes: dict[str, Any]) -> Plan:
    """Plan what is done with trained networks on subjects that differ from those of their folds.

    Parameters
    ----------
    trained
        The steps that train the networks.
    plan
        Plans the step for a network and a fold.
    changes
        Differences of the subjects: arguments of :meth:`Setting.cohort`.

    Returns
    -------
    list
        The steps.
    """

    def step(one: Step) -> Step:
        return plan(one, replace(one.arguments["fold"], changes=changes))

    return [[[step(one) for one in steps] for steps in folds] for folds in trained]


def steps_of(*groups: Rows) -> list[Step]:
    """List all steps behind some rows.

    Parameters
    ----------
    *groups
        Planned rows by name.

    Returns
    -------
    list of Step
        The steps; one that is behind several rows is there several times.
    """
    plans = (plan for rows in groups for row in rows.values() for plan in row.cases.values())
    return [step for plan in plans for folds in plan for steps in folds for step in steps]


def as_paper(weighting: str | Choice | Step = "fixed", loss: str | Loss = "paper", **options: Any) -> Recipe:
    """Train a network as the paper does.

    Parameters
    ----------
    weighting
        The weighting.
    loss
        Training loss, or its name.
    **options
        Other fields of the recipe.

    Returns
    -------
    Recipe
        The recipe.
    """
    return Recipe(loss, weighting, training=AS_PAPER, **options)


OURS = Recipe("held-out-orthogonal", "homoscedastic")
"""How networks are trained by default."""

ROWS: dict[str, Row] = {
    "two-point": Row("Two-point fit, 3 images"),
    "stsm": Row("Single task, single modality (STSM)", tuple(as_paper(fixed(1.0), contrast=c) for c in CONTRASTS)),
    "st": Row("Single task (ST)", (as_paper(fixed(1.0, 0.0)), as_paper(fixed(0.0, 1.0)))),
    "sl": Row("Supervised (SL)", (as_paper(loss="supervised-nlls"),), seeded=True),
    "baseline": Row("Baseline", (as_paper(),), seeded=True),
    "heteu": Row("Baseline + HETEU", (as_paper("heteroscedastic"),)),
    "homou": Row("Baseline + HOMOU", (as_paper("homoscedastic"),), seeded=True),
    "profiled": Row("Baseline, profiled", (as_paper("profiled"),)),
    "correlated": Row("Baseline, correlated", (as_paper("correlated"),)),
    "sl-homou": Row("SL + HOMOU", (as_paper("homoscedastic", "supervised-nlls"),)),
    "sl-truth": Row("Supervised, true maps as labels", (Recipe("supervised-truth", "homoscedastic"),)),
    "held-out-reconstruction": Row("Held-out images, reconstruction", (replace(OURS, loss="held-out-reconstruction"),)),
    "held-out-orthogonal": Row("Held-out images, orthogonal pairs", (OURS,), seeded=True),
    "ensemble": Row("The same, ensemble of the seeds", (OURS,), ensemble=True),
    "held-out-fresh": Row("The same, new noise in each step", (replace(OURS, training={"fresh_noise": True}),)),
    "zero-shot": Row("The same, one network for each subject", (OURS,), zero_shot=True),
    "untrained": Row("A network before its training (its initial estimates)"),
    "one-value": Row("One value for each liver (mean of its images, two-point fit), 3 images"),
    "gaussian-then-fit-3": Row("Gaussian filter, then two-point fit, 3 images"),
    "denoise-then-fit-3": Row("Non-local means, then two-point fit, 3 images"),
    "denoise-then-fit-7": Row("Non-local means, then joint fit, 7 images"),
    "low-rank-then-fit-3": Row("Local low rank, then two-point fit, 3 images"),
    "low-rank-then-fit-7": Row("Local low rank, then joint fit, 7 images"),
    "regression-then-fit-7": Row("Each image from the others (Patch2Self), then joint fit, 7 images"),
    "shrunk-7": Row("Joint fit shrunk to the mean of the liver, 7 images"),
    "voxelwise-3": Row("Network of single voxels (as IVIM-NET) for each subject, 3 images"),
    "implicit-3": Row("Implicit neural representation of each subject, 3 images"),
    "spatial-3": Row("Spatial fit, 3 images"),
    "spatial-7": Row("Spatial fit, 7 images"),
    "nlls-4": Row("Least squares, 4 images each (the reference)"),
    "joint-7": Row("Joint least squares, 7 images"),
    "truth": Row("Ground truth (noise floor of the reference)"),
}
"""Methods by name: those of the paper's Table II in its order, then others."""


def require_network(name: str) -> str:
    """Check the name of a network of Table II.

    Parameters
    ----------
    name
        A name of :data:`ROWS`.

    Returns
    -------
    str
        The name.

    Raises
    ------
    ValueError
        If no network has that name.
    """
    trained = [known for known, row in ROWS.items() if row.recipes]
    if name not in trained:
        raise ValueError(f"networks: {name!r} is none of Table II, whose networks are {', '.join(trained)}.")
    return name
