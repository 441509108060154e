"""Coverage of the intervals of networks: the part of the voxels whose true value lies within them.

:func:`plan_coverage` describes a step, :func:`measure_coverage` does its work.
"""

from collections.abc import Callable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from relaxnet.experiments._harness.experiment import CONTRASTS, Fold, Outcomes
from relaxnet.experiments._harness.format import Table, columns, table
from relaxnet.experiments._harness.report import Entry, gather, with_interval
from relaxnet.experiments._harness.rows import Plan, Planned
from relaxnet.experiments._harness.steps import Step
from relaxnet.metrics import bootstrap_mean, coverage
from relaxnet.training import load

_LEVEL = 0.9
"""The part of the voxels that should lie within their intervals."""


def plan_coverage(trained: Step, fold: Fold) -> Step:
    """Plan to measure which part of the voxels of the liver lies within the intervals of a network.

    Parameters
    ----------
    trained
        The step that trains it.
    fold
        Whom it is tested on.

    Returns
    -------
    Step
        Its outcome holds a number for each subject, by contrast.
    """
    return Step(f"intervals of {trained.title}, on {fold}", measure_coverage, {"fold": fold}, needs=(trained,))


def measure_coverage(path: Path, *, fold: Fold) -> dict[str, list[float]]:
    """Measure which part of the voxels of the liver lies within the central 90 % interval.

    Parameters
    ----------
    path
        File of the network.
    fold
        Whom it is tested on.

    Returns
    -------
    dict
        By contrast, the mean over input sets for each subject.
    """
    trained = load(path)
    found: dict[str, list[float]] = {name: [] for name in trained.calibration.factors}
    for subject in fold.test():
        sets = [trained.predict(subject.images, inputs=inputs) for inputs in subject.protocol.input_sets]
        for name, parts in found.items():
            of: dict[str, Any] = {"roi": subject.roi, "levels": (_LEVEL,), "kind": "gaussian"}
            pairs = [(maps[name], maps[f"{name}_std"]) for maps in sets]
            inside = [coverage(*pair, subject.truth[name], **of)[_LEVEL] for pair in pairs]
            parts.append(float(np.mean(inside)))
    return found


def covered(intervals: Planned, outcomes: Outcomes) -> dict[Any, dict[str, Any]]:
    """Summarise the coverage of a network over subjects.

    Parameters
    ----------
    intervals
        The steps of :func:`plan_coverage`, by case.
    outcomes
        Outcomes of steps.

    Returns
    -------
    dict
        By case and contrast the ``mean`` part of the voxels, its ``ci95``, and the mean of each seed, ``by_seed``.
    """

    def summary(plan: Plan, contrast: str) -> Entry:
        parts = gather(plan, outcomes, contrast, itemgetter(contrast))
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
