"""Tables of what intervals hold, and of the error that is left without the least sure voxels."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from relaxnet.experiments._harness.experiment import CONTRASTS, Outcomes
from relaxnet.experiments._harness.format import NAMES, Table, columns, of_entry, table
from relaxnet.experiments._harness.intervals import LEFT_OUT
from relaxnet.experiments._harness.report import gather, with_interval
from relaxnet.experiments._harness.rows import ROWS, Plan
from relaxnet.metrics import bootstrap_mean

_REGIONS = {
    "posterior": "of its posterior",
    "independent": "as if voxels erred independently",
    "common": "as if all voxels erred alike",
}


def interval_row(name: str, plan: Plan, outcomes: Outcomes) -> dict[str, Any]:
    """Summarise the intervals of a method over subjects.

    Parameters
    ----------
    name
        Name of its row.
    plan
        Steps that judge its intervals.
    outcomes
        Outcomes of steps.

    Returns
    -------
    dict
        Its ``label`` and ``entries``, one for each contrast.
    """
    return {"label": ROWS[name].label, "entries": [_entry(plan, outcomes, contrast) for contrast in CONTRASTS]}


def _entry(plan: Plan, outcomes: Outcomes, contrast: str) -> dict[str, Any]:
    def of(column: str) -> Any:
        return gather(plan, outcomes, contrast, lambda outcome: outcome["intervals"][contrast][column])

    risks, voxels = of("risks"), of("voxels")
    known = outcomes[plan[0][0][0].key]["intervals"][contrast]
    regions = {kind: of(f"regions-{kind}") for kind in _REGIONS if f"regions-{kind}" in known}
    return {
        "contrast": contrast,
        "against": "truth",
        "seeds": len(plan),
        **with_interval(bootstrap_mean(risks[..., 0])),
        "risks": risks.mean((0, 1)).tolist(),
        "voxels": with_interval(bootstrap_mean(voxels)),
        "subjects": np.quantile(voxels.mean(0), (0.1, 0.9)).tolist(),
        "regions": {kind: with_interval(bootstrap_mean(parts)) for kind, parts in regions.items()},
    }


def interval_tables(judged: Iterable[dict[str, Any]]) -> list[Table]:
    """Write what intervals hold, and the error without the least sure voxels.

    Parameters
    ----------
    judged
        Rows of :func:`interval_row`.

    Returns
    -------
    list of Table
        A table for each contrast, and one of errors.
    """
    judged = list(judged)
    rows = [
        row | {"label": row["label"] if k == 0 else "", "kind": _REGIONS[kind], "entries": _of_kind(row, kind)}
        for row in judged
        for k, kind in enumerate(row["entries"][0]["regions"])
    ]
    shows = {
        "voxels": lambda entry: of_entry(entry["voxels"], 3),
        "subjects": lambda entry: "{:.2f} to {:.2f}".format(*entry["subjects"]),
        "regions": lambda entry: of_entry(entry["region"], 3),
    }
    note = (
        "Part of the voxels of the liver, and of the means of compact regions of 5 to 500 of its voxels, whose truth "
        "lies in the interval of 90 %; mean over subjects that were not used in training, with its 95 % interval. "
        "Subjects: the part of the voxels in the worst and in the best tenth of them. A posterior knows how the errors "
        "of neighbours depend on one another; other methods do not, and both extremes are shown."
    )
    labels = {"label": "", "kind": "error of a region"}
    return [
        table(f"What intervals of 90 % hold: {NAMES[c]}", rows, columns(shows, contrast=c), note, labels=labels)
        for c in CONTRASTS
    ] + [_risk_table(judged)]


def _of_kind(row: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry | {"region": entry["regions"][kind]} for entry in row["entries"]]


def _risk_table(judged: list[dict[str, Any]]) -> Table:
    shows = {
        f"{{contrast}}, {part:.0%} left out": lambda entry, k=k: f"{entry['risks'][k]:.2f}"
        for k, part in enumerate(LEFT_OUT)
        if part in (0.0, 0.1, 0.3, 0.5)
    }
    note = "Mean absolute error of the voxels that remain when those with the largest standard errors are left out."
    title = "Error after leaving out the least sure voxels (ms)"
    return table(title, judged, columns(shows, contrast=CONTRASTS), note)
