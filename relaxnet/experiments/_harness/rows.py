"""The rows of the tables: who is compared."""

from dataclasses import dataclass, replace
from typing import Any

from relaxnet.experiments._harness.fits import fitting
from relaxnet.experiments._harness.networks import Recipe, learning, learning_alone, trial
from relaxnet.experiments._harness.score import CONTRASTS
from relaxnet.experiments._harness.setting import Setting
from relaxnet.experiments._harness.steps import Step


@dataclass(frozen=True)
class Row:
    """One method."""

    label: str
    """How a table calls it."""
    recipes: tuple[Recipe, ...] = ()
    """How its network is taught; one for each contrast where each has a network of its own; none for a fit."""
    seeded: bool = False
    """Whether it is trained with all seeds; others with the first alone."""
    zero_shot: bool = False
    """Whether each patient has a network of its own."""
    ensemble: bool = False
    """Whether the networks of all seeds are one, two at least."""


AS_PAPER = {"initial_estimates": (), "rate_shift": 0.0, "flips": False}
"""What the paper's networks are not given: images alone, rotated and translated, is all that they see."""


def _paper(weighting: str | tuple[float, ...] = "fixed", **options: Any) -> Recipe:
    return Recipe.of("paper", weighting, training=AS_PAPER, **options)


ROWS: dict[str, Row] = {
    "two-point": Row("Two-point fit, 3 images"),
    "stsm": Row("Single task, single modality (STSM)", tuple(_paper((1.0,), contrast=c) for c in CONTRASTS)),
    "st": Row("Single task (ST)", (_paper((1.0, 0.0)), _paper((0.0, 1.0)))),
    "sl": Row("Supervised (SL)", (Recipe.of("supervised-nlls", training=AS_PAPER),), seeded=True),
    "baseline": Row("Baseline", (_paper(),), seeded=True),
    "heteu": Row("Baseline + HETEU", (_paper("heteroscedastic"),)),
    "homou": Row("Baseline + HOMOU", (_paper("homoscedastic"),), seeded=True),
    "profiled": Row("Baseline, profiled", (_paper("profiled"),)),
    "correlated": Row("Baseline, correlated", (_paper("correlated"),)),
    "sl-homou": Row("SL + HOMOU", (Recipe.of("supervised-nlls", "homoscedastic", training=AS_PAPER),)),
    "sl-truth": Row("Supervised on the truth", (Recipe.of("supervised-truth", "homoscedastic"),)),
    "held-out-reconstruction": Row(
        "Unseen images, reconstruction", (Recipe.of("held-out-reconstruction", "homoscedastic"),)
    ),
    "held-out-orthogonal": Row(
        "Unseen images, orthogonal pairs", (Recipe.of("held-out-orthogonal", "homoscedastic"),), seeded=True
    ),
    "ensemble": Row(
        "The same, ensemble of the seeds", (Recipe.of("held-out-orthogonal", "homoscedastic"),), ensemble=True
    ),
    "held-out-fresh": Row(
        "The same, fresh noise in each step",
        (Recipe.of("held-out-orthogonal", "homoscedastic", training={"fresh_noise": True}),),
    ),
    "zero-shot": Row(
        "The same, a network for each patient", (Recipe.of("held-out-orthogonal", "homoscedastic"),), zero_shot=True
    ),
    "denoise-then-fit-3": Row("Non-local means, then two-point, 3 images"),
    "denoise-then-fit-7": Row("Non-local means, then joint fit, 7 images"),
    "nlls-4": Row("Least squares, 4 images each (the reference)"),
    "joint-7": Row("Joint least squares, 7 images"),
    "floor": Row("The truth itself"),
}
"""Methods by name: those of the paper's Table II in its order, then others. Against the reference, the error of the
truth is the floor: what the noise of the reference alone contributes."""


def plan(setting: Setting, name: str, seeds: int) -> list[list[list[Step]]]:
    """Plan all that a row needs.

    Parameters
    ----------
    setting
        Size of the experiments.
    name
        A name of :data:`ROWS`.
    seeds
        How many seeds rows of several have.

    Returns
    -------
    list
        By seed, by fold: the steps, one for each recipe.
    """
    row = ROWS[name]
    if not row.recipes:
        return [[[fitting(setting, name, fold=fold)] for fold in range(setting.n_folds)]]
    if row.zero_shot:
        recipe = replace(row.recipes[0], training={"epochs": setting.zero_shot_epochs})
        return [[[learning_alone(setting, name, recipe, fold=fold)] for fold in range(setting.n_folds)]]
    if row.ensemble:
        together = []
        for fold in range(setting.n_folds):
            learnt = (learning(setting, name, row.recipes[0], fold=fold, seed=seed) for seed in range(max(seeds, 2)))
            together.append([trial(name, *learnt, fold=fold, subjects={})])
        return [together]
    return [
        [[learning(setting, name, r, fold=fold, seed=seed) for r in row.recipes] for fold in range(setting.n_folds)]
        for seed in range(seeds if row.seeded else 1)
    ]
