"""Not in the paper: how well does a network work with another noise level, field strength or anatomy than in training?

A four-image fit, which needs no training, is the standard of comparison.
"""

from functools import partial
from typing import Any

from relaxnet.experiments._harness.abdomen import label_map_file
from relaxnet.experiments._harness.coverage import coverage_table, covered
from relaxnet.experiments._harness.experiment import CONTRASTS, Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.format import NAMES, Table, columns, of_entry, of_ratio, table
from relaxnet.experiments._harness.intervals import plan_coverage
from relaxnet.experiments._harness.networks import plan_scoring
from relaxnet.experiments._harness.report import summarise
from relaxnet.experiments._harness.rows import ROWS, Plan, Planned, Rows, on_other_subjects, steps_of

_OURS = "held-out-orthogonal"
_NAMES = ("sl", "sl-truth", "homou", _OURS, "held-out-fresh", "nlls-4")
_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "same": ("as in training", {}),
    "snr-10": ("SNR 10", {"snr": 10.0}),
    "snr-40": ("SNR 40", {"snr": 40.0}),
    "field-1.5": ("1.5 T", {"field_tesla": 1.5}),
    "anatomy": ("anatomy of a real abdomen", {"anatomy": "abdomen"}),
}


def _cases() -> dict[str, dict[str, Any]]:
    """Say how the subjects of each case differ; the real abdomen is left out where its label map is not there."""
    known = {name: changes for name, (_, changes) in _CASES.items()}
    return {name: changes for name, changes in known.items() if "anatomy" not in changes or label_map_file()}


def _rows(setting: Setting) -> Rows:
    def plan(name: str, changes: dict[str, Any]) -> Plan:
        if not ROWS[name].recipes:
            return ROWS[name].plan(name, setting.folds(**changes))
        trained = ROWS[name].plan(name, setting.folds())
        return on_other_subjects(trained, plan_scoring, changes) if changes else trained

    cases = _cases().items()
    return {name: Planned(ROWS[name].label, {case: plan(name, changes) for case, changes in cases}) for name in _NAMES}


def _intervals(setting: Setting) -> Rows:
    trained = ROWS[_OURS].plan(_OURS, setting.folds(), seeds=setting.seeds)
    cases = {case: on_other_subjects(trained, plan_coverage, changes) for case, changes in _cases().items()}
    return {_OURS: Planned(ROWS[_OURS].label, cases)}


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    return {
        "rows": summarise(_rows(setting), outcomes, by="case", ratio_to="nlls-4"),
        "coverage_90": covered(_intervals(setting)[_OURS], outcomes),
        "cases": {name: _CASES[name][0] for name in _cases()},
    }


def _tables(result: Result) -> list[Table]:
    cases, rows = result["cases"], result["rows"]
    title = "Error of {} against the truth on other subjects"
    shows = {"{case} (ms)": of_entry, "ratio to fit": of_ratio}
    shown = {c: columns(shows, names=cases, case=tuple(cases), contrast=c, against="truth") for c in CONTRASTS}
    errors = [table(title.format(NAMES[c]), rows.values(), own) for c, own in shown.items()]
    note = f"Fraction of the voxels, mean over subjects, folds and {result['seeds']} seed(s)."
    title = f"Voxels within the 90 % interval of the network ({rows[_OURS]['label'].lower()})"
    return [*errors, coverage_table(title, result["coverage_90"], cases, partial(of_entry, digits=3), note)]


GENERALISE = Experiment(__doc__, lambda setting: steps_of(_rows(setting), _intervals(setting)), _result, _tables)
