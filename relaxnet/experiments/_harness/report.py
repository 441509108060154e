"""From scores of patients to rows of a table: means with intervals, and differences that are more than chance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet.experiments._harness.fits import ALL
from relaxnet.experiments._harness.score import CONTRASTS
from relaxnet.experiments._harness.steps import Step
from relaxnet.metrics import bootstrap_mean, holm, icc, limits_of_agreement, paired_difference, ratio_of_means

AGAINST = ("truth", "reference")
MEAN_OF_SETS = "mean of input sets"

Values = NDArray[np.float64]
Plan = Sequence[Sequence[Sequence[Step]]]
"""Steps of a row: by seed, by fold, one for both contrasts or one for each."""
Row = dict[str, Any]


def column(outcomes: Mapping[str, Any], plan: Plan, contrast: str, name: str, inputs: str | None = None) -> Values:
    """Gather a score of all patients.

    Parameters
    ----------
    outcomes
        Outcomes of steps.
    plan
        Steps of a row.
    contrast
        Name of the contrast.
    name
        Name of the score, a column of :func:`~relaxnet.experiments._harness.score.score`.
    inputs
        Name of the input set; ``None`` for the mean over all of them.

    Returns
    -------
    numpy.ndarray
        Scores, (seed, patient), in the order of the folds.
    """
    seeds = []
    for folds in plan:
        patients: list[Values] = []
        for steps in folds:
            step = steps[CONTRASTS.index(contrast) if len(steps) > 1 else 0]
            sets = outcomes[step.key]["scores"]
            chosen = sets.values() if inputs is None else [sets[inputs]]
            patients.append(np.mean([scores[contrast][name] for scores in chosen], axis=0))
        seeds.append(np.concatenate(patients))
    return np.array(seeds)


def entries(outcomes: Mapping[str, Any], plan: Plan, *, by_set: bool = True) -> list[Row]:
    """Sum a row up over patients, for each contrast, against truth and reference.

    Parameters
    ----------
    outcomes
        Outcomes of steps.
    plan
        Steps of a row.
    by_set
        Whether to tell the input sets apart as well.

    Returns
    -------
    list of dict
        Entries: ``mean`` is the mean absolute error over patients in ms and ``ci95`` its bootstrap interval, ``bias``
        and ``sd`` those of the voxels, ``limits_of_agreement`` and ``icc`` those of the means over the liver.
    """
    sets = tuple(outcomes[plan[0][0][0].key]["scores"])
    several = len(sets) > 1
    found = []
    for contrast in CONTRASTS:
        for against in AGAINST:
            for inputs in (None, *sets) if several and by_set else (None,):
                means = column(outcomes, plan, contrast, "mean", inputs)
                others = column(outcomes, plan, contrast, f"mean_{against}", inputs)
                errors = column(outcomes, plan, contrast, f"{against}_error", inputs)
                interval = bootstrap_mean(errors)
                n = means.shape[-1]
                found.append({
                    "contrast": contrast,
                    "against": against,
                    "inputs": inputs or (MEAN_OF_SETS if several else sets[0]),
                    "mean": interval.mean,
                    "ci95": [interval.low, interval.high],
                    "seeds": len(plan),
                    "sd_of_seeds": float(errors.mean(1).std(ddof=1)) if len(plan) > 1 else None,
                    "bias": float(column(outcomes, plan, contrast, f"{against}_bias", inputs).mean()),
                    "sd": float(column(outcomes, plan, contrast, f"{against}_sd", inputs).mean()),
                    "liver_mean": float(means.mean()),
                    "limits_of_agreement": list(limits_of_agreement(means.mean(0), others.mean(0), np.ones(n))),
                    "icc": icc(np.stack([means.mean(0), others.mean(0)], axis=1)),
                    "missing": float(column(outcomes, plan, contrast, "missing", inputs).mean()),
                    "patients": errors.mean(0).tolist(),
                })  # fmt: skip
    return found


def compare(rows: Mapping[str, Row], *, baseline: str, ratio: bool = False) -> None:
    """Add to the entries of all rows how they compare with those of one row, patient by patient.

    Parameters
    ----------
    rows
        Rows by name, changed in place.
    baseline
        Name of the row that they are compared with.
    ratio
        Whether to add the ``ratio`` of the means rather than their ``difference``, whose ``p`` is by Holm corrected for
        the number of rows.
    """
    for of in filter(_whole, rows[baseline]["entries"]):
        if ratio and of["mean"] == 0:  # the reference against itself
            continue
        same = {
            name: entry
            for name, row in rows.items()
            for entry in row["entries"]
            if name != baseline and _whole(entry) and all(entry[key] == of[key] for key in ("contrast", "against"))
        }
        if ratio:
            for entry in same.values():
                found = ratio_of_means(entry["patients"], of["patients"])
                entry["ratio"] = {"to": baseline, "mean": found.ratio, "ci95": [found.low, found.high]}
            continue
        differences = {name: paired_difference(entry["patients"], of["patients"]) for name, entry in same.items()}
        corrected = holm({name: difference.p for name, difference in differences.items()})
        for name, entry in same.items():
            interval = [differences[name].low, differences[name].high]
            entry["difference"] = {
                "to": baseline, "mean": differences[name].mean, "ci95": interval, "p": corrected[name]
            }  # fmt: skip


def of_all_sets(row: Row, contrast: str, against: str) -> list[float]:
    """Take the errors of all patients, over all input sets.

    Parameters
    ----------
    row
        A row.
    contrast
        Name of the contrast.
    against
        What it is compared with.

    Returns
    -------
    list of float
        Errors in ms.
    """
    (entry,) = (e for e in filter(_whole, row["entries"]) if (e["contrast"], e["against"]) == (contrast, against))
    errors: list[float] = entry["patients"]
    return errors


def _whole(entry: Row) -> bool:
    """Tell whether an entry is about all input sets, not one of them."""
    return entry["inputs"] in (MEAN_OF_SETS, ALL)
