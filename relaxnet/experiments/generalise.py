"""Ours: networks on patients other than those that they have learnt from."""

from typing import Any

import numpy as np

from relaxnet.experiments._harness.anatomies import label_maps
from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Table
from relaxnet.experiments._harness.fits import fitting
from relaxnet.experiments._harness.format import NAMES, find, of_entry, with_interval
from relaxnet.experiments._harness.intervals import covering
from relaxnet.experiments._harness.networks import trial
from relaxnet.experiments._harness.report import Plan, compare, entries
from relaxnet.experiments._harness.rows import ROWS, plan
from relaxnet.experiments._harness.score import CONTRASTS
from relaxnet.experiments._harness.setting import Setting
from relaxnet.experiments._harness.steps import Step
from relaxnet.metrics import bootstrap_mean

_OURS = "held-out-orthogonal"
_NETWORKS = ("sl", "sl-truth", "homou", _OURS, "held-out-fresh")
_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "same": ("as learnt from", {}),
    "snr-10": ("SNR 10", {"snr": 10.0}),
    "snr-40": ("SNR 40", {"snr": 40.0}),
    "field-1.5": ("1.5 T", {"field_tesla": 1.5}),
    "anatomy": ("the anatomy of a real abdomen", {"anatomy": "label map"}),
}


def _cases() -> dict[str, tuple[str, dict[str, Any]]]:
    return {name: case for name, case in _CASES.items() if name != "anatomy" or label_maps() is not None}


def _plan(setting: Setting, name: str, case: str) -> Plan:
    changes = _CASES[case][1]
    folds = range(setting.n_folds)
    if name not in _NETWORKS:
        return [[[fitting(setting, name, fold=fold, subjects=changes)] for fold in folds]]
    learnt = plan(setting, name, 1)[0]
    if not changes:
        return [learnt]
    return [[[trial(f"{name}, {case}", learnt[fold][0], fold=fold, subjects=changes)] for fold in folds]]


def _covering(setting: Setting, case: str, seeds: int) -> list[list[Step]]:
    """Plan the intervals of the default network, by seed and fold."""
    return [
        [covering(f"{_OURS}, {case}", learnt, fold=fold, subjects=_CASES[case][1]) for fold, (learnt,) in folds]
        for folds in map(enumerate, plan(setting, _OURS, seeds))
    ]


def _steps(setting: Setting, seeds: int) -> list[Step]:
    rows = [step for name in (*_NETWORKS, "nlls-4") for case in _cases() for (step,) in _plan(setting, name, case)[0]]
    return rows + [step for case in _cases() for folds in _covering(setting, case, seeds) for step in folds]


def _result(setting: Setting, seeds: int, outcomes: Outcomes) -> Result:
    rows: dict[str, Any] = {name: {"label": ROWS[name].label, "entries": []} for name in (*_NETWORKS, "nlls-4")}
    for case in _cases():
        own = {name: {"entries": entries(outcomes, _plan(setting, name, case), by_set=False)} for name in rows}
        compare(own, baseline="nlls-4", ratio=True)
        for name, row in own.items():
            rows[name]["entries"] += [{"case": case} | entry for entry in row["entries"]]
    covered: dict[str, Any] = {}
    for case in _cases():
        for name in CONTRASTS:
            inside = [[outcomes[step.key][name] for step in folds] for folds in _covering(setting, case, seeds)]
            interval = bootstrap_mean(np.array([np.concatenate(folds) for folds in inside]))
            covered.setdefault(case, {})[name] = {"mean": interval.mean, "ci95": [interval.low, interval.high]}
    return {"rows": rows, "coverage_90": covered, "cases": {name: label for name, (label, _) in _cases().items()}}


def _tables(result: Result) -> list[Table]:
    found = []
    for contrast in CONTRASTS:
        rows = []
        for row in result["rows"].values():
            cells = []
            for case in result["cases"]:
                entry = find(row, case=case, contrast=contrast, against="truth")
                cells.append(of_entry(entry))
                ratio = (entry or {}).get("ratio")
                cells.append(with_interval(ratio["mean"], ratio["ci95"]) if ratio else "1")
            rows.append((row["label"], *cells))
        header = (
            "",
            *(text.format(label) for label in result["cases"].values() for text in ("{} (ms)", "of the fit's")),
        )
        found.append(Table(f"Error of {NAMES[contrast]} against the truth on other patients", header, rows))
    covered = [
        (label, *(of_entry(result["coverage_90"][case][name], digits=3) for name in CONTRASTS))
        for case, label in result["cases"].items()
    ]
    note = f"Mean over patients, folds and seeds of the part of the voxels; intervals of {result['seeds']} seed(s)."
    title = f"Voxels within the 90 % interval of the network of {result['rows'][_OURS]['label'].lower()}"
    return [*found, Table(title, ("", *(NAMES[name] for name in CONTRASTS)), covered, note)]


GENERALISE = Experiment(
    title="Networks on other patients",
    question=(
        "Not in the paper: what is a network worth on another noise, field strength and anatomy than it has learnt? "
        "A fit of four images, which learns nothing, is the yardstick."
    ),
    steps=_steps,
    result=_result,
    tables=_tables,
)
