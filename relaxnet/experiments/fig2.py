"""Fig. 2 of the paper: what do maps and their errors look like, for each of the three input sets?"""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from relaxnet.experiments._harness.experiment import (
    AGAINST,
    CONTRASTS,
    Experiment,
    Fold,
    Result,
    Setting,
    digital_subjects,
)
from relaxnet.experiments._harness.fits import METHODS
from relaxnet.experiments._harness.format import Table, columns, table
from relaxnet.experiments._harness.networks import with_network
from relaxnet.experiments._harness.rows import ROWS
from relaxnet.experiments._harness.score import score
from relaxnet.experiments._harness.steps import Step
from relaxnet.plots import comparison_figure
from relaxnet.training import load

_LABELS = {
    "truth": "Ground truth",
    "nlls-4": "Least squares, 4 images",
    "two-point": "Two-point fit",
    "sl": "Supervised (SL)",
    "homou": "Baseline + HOMOU",
    "held-out-orthogonal": "Held-out images",
}
_NETWORKS = tuple(name for name in _LABELS if name not in METHODS)


def _steps(setting: Setting) -> list[Step]:
    fold = setting.folds()[0]
    networks = tuple(ROWS[name].plan(name, [fold])[0][0][0] for name in _NETWORKS)
    return [Step("maps of one subject", map_one_subject, {"fold": fold}, needs=networks)]


def map_one_subject(*paths: Path, fold: Fold) -> dict[str, Any]:
    """Map the first subject of a fold by all methods from all input sets.

    Parameters
    ----------
    *paths
        Files of the networks.
    fold
        The fold.

    Returns
    -------
    dict
        The result: ``rows``, the name of the ``subject``, the names of its input ``sets``, and of its middle slice the
        ``maps``, by method, input set and contrast, and the region of interest, ``roi``.
    """
    subject = fold.test()[0]
    middle, sets = len(subject.images) // 2, tuple(subject.protocol.input_sets)
    networks = {name: with_network(load(path).net.predict) for name, path in zip(_NETWORKS, paths, strict=True)}
    rows, maps = dict[str, Any](), dict[str, Any]()
    for name, label in _LABELS.items():
        method = (METHODS | networks)[name]
        scores = score([subject], method, sets)
        entries = [
            {"contrast": c, "against": a, "inputs": s, "mean": scores[s][c][f"{a}_error"][0], "seeds": 1}
            for s, c, a in product(sets, CONTRASTS, AGAINST)
        ]
        rows[name] = {"label": label, "entries": entries}
        found = {s: method(subject, s) for s in sets}
        maps[name] = {s: {c: found[s][c][middle].numpy().round(2).tolist() for c in CONTRASTS} for s in sets}
    return {"rows": rows, "subject": subject.name, "sets": sets, "maps": maps, "roi": subject.roi[middle].tolist()}


def _tables(result: Result) -> list[Table]:
    error = {"{contrast}, {inputs}": lambda entry: f"{entry['mean']:.2f}"}
    shown = columns(error, inputs=tuple(result["sets"]), contrast=CONTRASTS, against="truth")
    return [table(f"Error of the maps of {result['subject']} against the truth (ms)", result["rows"].values(), shown)]


def _figures(result: Result) -> dict[str, Any]:
    if "maps" not in result:  # a committed result without them, whose figures are committed instead
        return {}
    maps = {_LABELS[name]: of for name, of in result["maps"].items()}
    return {
        f"fig2-{inputs}": comparison_figure(
            {c: {label: np.array(of[inputs][c]) for label, of in maps.items()} for c in CONTRASTS},
            truth=_LABELS["truth"],
            roi=np.array(result["roi"]),
            title=f"{result['subject']}, input set {inputs!r}",
            range_ms=(20, 70),
        )
        for inputs in result["sets"]
    }


def _captions(result: Result) -> dict[str, str]:
    about = digital_subjects(result)
    return {
        f"fig2-{inputs}": f"Maps of {result['subject']} from the input set {inputs!r}, with absolute errors below. "
        f"White: the liver without vessels. Grey: air, and where a method found no value. {about}."
        for inputs in result["sets"]
    }


FIG2 = Experiment(
    __doc__, _steps, lambda setting, outcomes: outcomes[_steps(setting)[0].key], _tables, _figures, _captions
)
