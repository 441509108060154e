"""The Bayes floor of a phantom as rows of a table: no method can have a smaller error."""

from functools import partial
from itertools import product
from typing import Any

import numpy as np

from relaxnet.experiments._harness.experiment import CONTRASTS, Fold, Outcomes, Setting
from relaxnet.experiments._harness.fits import ALL
from relaxnet.experiments._harness.report import MEAN_OF_SETS, errors_of, gather, with_interval
from relaxnet.experiments._harness.steps import Step
from relaxnet.metrics import bootstrap_mean, ratio_of_means
from relaxnet.phantom import bayes_floor

FLOORS = ("floor-3", "floor-7")
"""Names of the rows: of three images, and of all."""


def plan_floor(setting: Setting) -> list[Step]:
    """Plan to compute the floor of the subjects of each fold.

    Parameters
    ----------
    setting
        The setting.

    Returns
    -------
    list of Step
        A step for each fold.
    """
    n = setting.floor_voxels
    return [Step(f"floor, {fold}", compute_floor, {"fold": fold, "n_voxels": n}) for fold in setting.folds()]


def compute_floor(*, fold: Fold, n_voxels: int) -> dict[str, dict[str, list[float]]]:
    """Compute the floor of each subject of a fold.

    Parameters
    ----------
    fold
        The fold.
    n_voxels
        Voxels of each subject over which the floor is averaged.

    Returns
    -------
    dict
        By input set, and for all images, the errors of the subjects in ms by contrast.
    """
    texture = (fold.setting.subjects | fold.changes)["texture"]
    found: dict[str, dict[str, list[float]]] = {}
    for subject in fold.test():
        for inputs in (*subject.protocol.input_sets, ALL):
            some = None if inputs == ALL else inputs
            errors = bayes_floor(subject, texture, inputs=some, n_voxels=n_voxels, seed=subject.index)
            for name, error in errors.items():
                found.setdefault(inputs, {}).setdefault(name, []).append(round(error, 4))
    return found


def floor_rows(setting: Setting, outcomes: Outcomes, fit: dict[str, Any]) -> dict[str, Any]:
    """Summarise the floor over subjects.

    Parameters
    ----------
    setting
        The setting.
    outcomes
        Outcomes of the steps.
    fit
        The row to whose error that of the floor is compared.

    Returns
    -------
    dict
        Rows by name.
    """
    plan = [[[step] for step in plan_floor(setting)]]
    sets = tuple(name for name in outcomes[plan[0][0][0].key] if name != ALL)
    of_three = {MEAN_OF_SETS: sets} | {name: (name,) for name in sets}
    rows: dict[str, Any] = {}
    kinds = ("3 images", of_three), ("7 images", {ALL: (ALL,)})
    for name, (label, groups) in zip(FLOORS, kinds, strict=True):
        rows[name] = {"label": f"Bayes floor of the phantom, {label}", "entries": []}
        for contrast, (inputs, some) in product(CONTRASTS, groups.items()):
            by_set = [gather(plan, outcomes, contrast, partial(_pick, inputs=one, contrast=contrast)) for one in some]
            errors = np.mean(by_set, axis=0)
            ratio = ratio_of_means(errors[0], errors_of(fit, contrast, "truth"))
            about = {"contrast": contrast, "against": "truth", "inputs": inputs, "seeds": 1}
            compared = {"to": "nlls-4", "mean": ratio.ratio, "ci95": [ratio.low, ratio.high]}
            rows[name]["entries"].append(about | with_interval(bootstrap_mean(errors)) | {"ratio": compared})
    return rows


def _pick(outcome: dict[str, Any], inputs: str, contrast: str) -> Any:
    return outcome[inputs][contrast]
