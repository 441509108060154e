"""From scores of subjects to rows of a table: means with intervals, and differences with p values."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet.experiments._harness.experiment import AGAINST, CONTRASTS, Outcomes
from relaxnet.experiments._harness.fits import ALL
from relaxnet.experiments._harness.rows import Plan, Rows
from relaxnet.experiments._harness.structure import edge_width
from relaxnet.metrics import bootstrap_mean, holm, icc, limits_of_agreement, paired_difference, ratio_of_means

MEAN_OF_SETS = "mean of input sets"

Values = NDArray[np.float64]
Entry = dict[str, Any]
"""One cell of a table: its mean, interval and more, and what it is about."""


def summarise(
    rows: Rows, outcomes: Outcomes, *, by: str = "", by_set: bool = False, ratio_to: str = "", difference_from: str = ""
) -> dict[str, Any]:
    """Summarise rows over subjects.

    Parameters
    ----------
    rows
        Planned rows by name, all with the same cases.
    outcomes
        Outcomes of their steps.
    by
        Key under which each entry gives its case, such as ``"snr"``.
    by_set
        Whether to make an entry of each input set as well.
    ratio_to
        Name of a row; entries get the ``ratio`` of their mean to that of the row.
    difference_from
        Name of a row; entries get the ``difference`` of their mean from that of the row, with its ``p`` value, which
        :func:`correct` corrects.

    Returns
    -------
    dict
        For each row its ``label`` and ``entries``, one for each contrast, and for truth and reference. In an entry,
        ``mean`` is the mean absolute error over subjects in ms and ``ci95`` its bootstrap interval, ``bias`` and ``sd``
        are those of the voxels, ``limits_of_agreement`` and ``icc`` those of the means over the liver. Against the
        truth, entries also tell how far structure is shown: ``r2``, ``correlation``, ``mean_error``, ``lesion_bias``
        and ``edge_width``.
    """
    summary: dict[str, Any] = {name: {"label": row.label, "entries": []} for name, row in rows.items()}
    for case in next(iter(rows.values())).cases:
        found = {name: _entries(row.cases[case], outcomes, by_set=by_set) for name, row in rows.items()}
        compare(found, ratio_to=ratio_to, difference_from=difference_from)
        for name, some in found.items():
            summary[name]["entries"] += [({by: case} if by else {}) | entry for entry in some]
    return summary


def compare(rows: Mapping[str, list[Entry]], *, ratio_to: str = "", difference_from: str = "") -> None:
    """Compare the entries of rows, which have the same case, with those of one of them.

    Parameters
    ----------
    rows
        Entries by the name of the row, which are changed.
    ratio_to, difference_from
        As for :func:`summarise`.
    """
    if ratio_to:
        _add_ratios(rows, ratio_to)
    if difference_from:
        _add_differences(rows, difference_from)


def correct(result: Any) -> None:
    """Correct all p values of a result for their number, by Holm's method: a page of tables is one family of tests.

    Parameters
    ----------
    result
        The result of an experiment, which is changed.
    """
    tests = list(_tests(result))
    for test, p in zip(tests, holm(dict(enumerate(test["p"] for test in tests))).values(), strict=True):
        test["p"] = p


def with_interval(found: Any) -> Entry:
    """Describe a mean and its interval.

    Parameters
    ----------
    found
        An :class:`~relaxnet.metrics.Interval`.

    Returns
    -------
    dict
        Its ``mean`` and ``ci95``.
    """
    return {"mean": found.mean, "ci95": [found.low, found.high]}


def gather(plan: Plan, outcomes: Outcomes, contrast: str, pick: Callable[[Any], Any]) -> Values:
    """Gather a number for each subject from the outcomes of steps.

    Parameters
    ----------
    plan
        The steps.
    outcomes
        Outcomes of steps.
    contrast
        Name of the contrast.
    pick
        Picks the numbers of the subjects of a fold from the outcome of a step.

    Returns
    -------
    numpy.ndarray
        Numbers, (seed, subject), in the order of the folds.
    """
    k = CONTRASTS.index(contrast)
    steps = [[steps[k if len(steps) > 1 else 0] for steps in folds] for folds in plan]
    return np.array([np.concatenate([pick(outcomes[step.key]) for step in folds]) for folds in steps])


def errors_of(row: Mapping[str, Any], contrast: str, against: str) -> list[float]:
    """Look up the errors of all subjects, over all input sets.

    Parameters
    ----------
    row
        A row of a summary.
    contrast
        Name of the contrast.
    against
        Name of the reference of the errors.

    Returns
    -------
    list of float
        Errors in ms.
    """
    (entry,) = (e for e in row["entries"] if _of_all_sets(e) and _about(e) == (contrast, against))
    errors: list[float] = entry["by_subject"]
    return errors


def _entries(plan: Plan, outcomes: Outcomes, *, by_set: bool) -> list[Entry]:
    """Summarise one case of a row, for each contrast, against truth and reference."""
    sets = tuple(outcomes[plan[0][0][0].key]["scores"])
    groups = {MEAN_OF_SETS: sets} if len(sets) > 1 else {sets[0]: sets}
    if by_set:
        groups |= {inputs: (inputs,) for inputs in sets}
    return [
        {"contrast": contrast, "against": against, "inputs": inputs} | _entry(plan, outcomes, contrast, against, some)
        for contrast in CONTRASTS
        for against in AGAINST
        for inputs, some in groups.items()
    ]


def _entry(plan: Plan, outcomes: Outcomes, contrast: str, against: str, sets: Sequence[str]) -> Entry:
    def scores(name: str) -> Values:
        return gather(
            plan, outcomes, contrast, lambda of: np.mean([of["scores"][inputs][contrast][name] for inputs in sets], 0)
        )

    errors, means, others = scores(f"{against}_error"), scores("mean").mean(0), scores(f"mean_{against}").mean(0)
    structure: Entry = {}
    if against == "truth":
        structure = {name: float(scores(name).mean()) for name in ("r2", "correlation", "mean_error")}
        lesions = scores("lesion_bias")
        structure["lesion_bias"] = None if np.isnan(lesions).all() else float(np.nanmean(lesions))
        width = edge_width(scores("edge_residuals").sum((0, 1)))
        structure["edge_width"] = None if math.isnan(width) else width
    return (
        with_interval(bootstrap_mean(errors))
        | structure
        | {
            "seeds": len(plan),
            "sd_of_seeds": float(errors.mean(1).std(ddof=1)) if len(plan) > 1 else None,
            "bias": float(scores(f"{against}_bias").mean()),
            "sd": float(scores(f"{against}_sd").mean()),
            "liver_mean": float(means.mean()),
            "limits_of_agreement": list(limits_of_agreement(means, others, np.ones(len(means)))),
            "icc": icc(np.stack([means, others], axis=1)),
            "missing": float(scores("missing").mean()),
            "by_subject": errors.mean(0).tolist(),
        }
    )


def _tests(part: Any) -> Iterator[Entry]:
    """Find all that has a p value."""
    if isinstance(part, dict) and "p" in part:
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _tests(inner)


def _add_ratios(rows: Mapping[str, list[Entry]], to: str) -> None:
    for base, others in _to_compare(rows, to):
        for entry in others.values() if base["mean"] else ():  # the reference has no error against itself
            found = ratio_of_means(entry["by_subject"], base["by_subject"])
            entry["ratio"] = {"to": to, "mean": found.ratio, "ci95": [found.low, found.high]}


def _add_differences(rows: Mapping[str, list[Entry]], to: str) -> None:
    for base, others in _to_compare(rows, to):
        for entry in others.values():
            found = paired_difference(entry["by_subject"], base["by_subject"])
            entry["difference"] = {"to": to} | with_interval(found) | {"p": found.p}


def _to_compare(rows: Mapping[str, list[Entry]], to: str) -> Iterator[tuple[Entry, dict[str, Entry]]]:
    """Give each entry of a row over all input sets, and the same entries of all other rows by name."""
    for base in filter(_of_all_sets, rows[to]):
        same = {name: [e for e in some if _of_all_sets(e) and _about(e) == _about(base)] for name, some in rows.items()}
        yield base, {name: entry for name, (entry,) in same.items() if name != to}


def _of_all_sets(entry: Entry) -> bool:
    return entry["inputs"] in (MEAN_OF_SETS, ALL)


def _about(entry: Entry) -> tuple[str, str]:
    return entry["contrast"], entry["against"]
