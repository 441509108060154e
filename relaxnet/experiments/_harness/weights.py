"""Fixed weights chosen by hand: those that are best for subjects that nothing is trained or tested with."""

import json
from pathlib import Path
from typing import Any

from relaxnet._files import write_text
from relaxnet.experiments._harness.experiment import Fold, Setting
from relaxnet.experiments._harness.networks import error_of, fixed, plan_training
from relaxnet.experiments._harness.rows import as_paper
from relaxnet.experiments._harness.steps import Step

_N_SUBJECTS = 8
_OTHER_SEED = 1  # added to that of the cohort


def weightings(setting: Setting) -> dict[float, Any]:
    """List the fixed weightings that a setting tries.

    Parameters
    ----------
    setting
        The setting.

    Returns
    -------
    dict
        By the weight of T1rho.
    """
    return {weight: fixed(weight, round(1 - weight, 4)) for weight in setting.weights}


def plan_choice(setting: Setting) -> Step:
    """Plan to choose weights, by networks that were trained for the first fold.

    Parameters
    ----------
    setting
        The setting.

    Returns
    -------
    Step
        Its outcome holds the ``weights``; so does its file.
    """
    first, found = setting.folds()[0], weightings(setting)
    trained = tuple(plan_training(f"fixed-{weight:g}", as_paper(one), first) for weight, one in found.items())
    others = Fold(setting, 0, {"seed": setting.seed + _OTHER_SEED, "n_subjects": _N_SUBJECTS * setting.n_folds})
    pairs = [one.options["weights"] for one in found.values()]
    return Step("weights by hand", choose_weights, {"weights": pairs, "others": others}, needs=trained, keeps=".txt")


def choose_weights(path: Path, *networks: Path, weights: list[list[float]], others: Fold) -> dict[str, Any]:
    """Choose the weights whose network has the smallest error against the truth, over both contrasts.

    Parameters
    ----------
    path
        File to keep them in.
    *networks
        Files of the networks.
    weights
        Weights of each network.
    others
        Subjects of another cohort.

    Returns
    -------
    dict
        The ``weights``, and the ``errors`` of all networks in ms.
    """
    subjects = others.test()
    errors = [error_of(network, subjects) for network in networks]
    best = list(weights[errors.index(min(errors))])
    write_text(path, json.dumps(best))
    return {"weights": best, "errors": errors}
