"""Coverage of intervals, over subjects: the part of what they should hold that they hold."""

from collections.abc import Callable, Mapping
from typing import Any

from relaxnet.experiments._harness.experiment import CONTRASTS, Outcomes
from relaxnet.experiments._harness.format import Table, columns, table
from relaxnet.experiments._harness.report import Entry, gather, with_interval
from relaxnet.experiments._harness.rows import Plan, Planned
from relaxnet.metrics import bootstrap_mean


def covered(intervals: Planned, outcomes: Outcomes) -> dict[Any, dict[str, Any]]:
    """Summarise the coverage of the voxels by a network over subjects.

    Parameters
    ----------
    intervals
        The steps of :func:`~relaxnet.experiments._harness.intervals.plan_coverage`, by case.
    outcomes
        Outcomes of steps.

    Returns
    -------
    dict
        By case and contrast the ``mean`` part of the voxels, its ``ci95``, and the mean of each seed, ``by_seed``.
    """

    def summary(plan: Plan, contrast: str) -> Entry:
        parts = gather(plan, outcomes, contrast, lambda of: of["intervals"][contrast]["voxels"])
        return with_interval(bootstrap_mean(parts)) | {"by_seed": parts.mean(1).tolist()}

    return {case: {c: summary(plan, c) for c in CONTRASTS} for case, plan in intervals.cases.items()}


def coverage_table(
    title: str, found: Mapping[str, Any], labels: Mapping[str, str], show: Callable[[dict[str, Any]], str], note: str
) -> Table:
    """Write coverage as a table.

    Parameters
    ----------
    title
        Title of the table.
    found
        Return value of :func:`covered`.
    labels
        Names of the cases.
    show
        Function that formats the coverage of a contrast.
    note
        Note below the table.

    Returns
    -------
    Table
        The table.
    """
    rows = [
        {"label": label, "entries": [{"contrast": contrast} | entry for contrast, entry in found[case].items()]}
        for case, label in labels.items()
    ]
    return table(title, rows, columns({"{contrast}": show}, contrast=CONTRASTS), note)
