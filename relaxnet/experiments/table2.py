"""Table II of the paper: error of the maps over three input sets and three folds, with one network for all input sets.

Here the error is measured against the truth as well as against the four-image fit.
"""

from typing import Any

from relaxnet.experiments._harness.claims import claims_table, judge
from relaxnet.experiments._harness.experiment import AGAINST, CONTRASTS, Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.floor import FLOORS, floor_rows, plan_floor
from relaxnet.experiments._harness.format import NAMES, Table, columns, find, of_difference, of_entry, of_ratio, table
from relaxnet.experiments._harness.map_tables import NOTE, by_set_table, structure_tables
from relaxnet.experiments._harness.report import compare, summarise
from relaxnet.experiments._harness.rows import ROWS, Rows, plan_rows, steps_of
from relaxnet.experiments._harness.steps import Step

_BASELINE, _FIT = "baseline", "nlls-4"
_COMPARED = {"ratio_to": _FIT, "difference_from": _BASELINE}


def _rows(setting: Setting) -> Rows:
    wanted = {_BASELINE, *setting.networks} if setting.networks else ROWS
    known = set(setting.known) - {_FIT}  # with which all rows are compared
    rows = {name: row for name, row in ROWS.items() if (name in wanted if row.recipes else name not in known)}
    return plan_rows(rows, {None: setting.folds()}, seeds=setting.seeds)


def _steps(setting: Setting) -> list[Step]:
    return steps_of(_rows(setting)) + (plan_floor(setting) if _needs_floor(setting) else [])


def _needs_floor(setting: Setting) -> bool:
    return not {*FLOORS} <= {*setting.known}


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    rows = summarise(_rows(setting), outcomes, by_set=True, **_COMPARED)
    floor = floor_rows(setting, outcomes, rows[_FIT]) if _needs_floor(setting) else {}
    return {"rows": rows | floor, "claims": judge(rows)}


def _joined(result: Result, earlier: Result) -> Result:
    both = earlier["rows"] | result["rows"]
    rows = {name: both[name] for name in ROWS if name in both}
    compare({name: row["entries"] for name, row in rows.items()}, **_COMPARED)
    return result | {"rows": rows | {name: both[name] for name in FLOORS}, "claims": judge(rows)}


def _tables(result: Result) -> list[Table]:
    rows = result["rows"].values()
    errors = [_errors([row for row in rows if find(row, against=against)], against) for against in AGAINST]
    maps = [row for row in rows if "bias" in row["entries"][0]]  # not the floor
    return [*errors, *structure_tables(maps), claims_table(result["claims"]), _agreement(maps), by_set_table(rows)]


def _errors(rows: Any, against: str) -> Table:
    shown = {"{contrast} (ms)": of_entry, "{contrast} minus baseline": of_difference}
    if against == "truth":
        shown["{contrast}, ratio to fit"] = of_ratio
    title = f"Error against {NAMES[against]}{', as in the paper' if against == 'reference' else ''}"
    return table(title, rows, columns(shown, contrast=CONTRASTS, against=against), NOTE)


def _agreement(rows: Any) -> Table:
    shown = {
        "{contrast} bias": lambda entry: f"{entry['bias']:+.2f}",
        "{contrast} sd": lambda entry: f"{entry['sd']:.2f}",
        "{contrast} limits of agreement": lambda entry: "{:+.2f} to {:+.2f}".format(*entry["limits_of_agreement"]),
        "{contrast} ICC": lambda entry: f"{entry['icc']:.3f}",
    }
    note = (
        "Bias and standard deviation of the voxels in ms; limits of agreement and intraclass correlation, ICC(2,1), of "
        "the means over the liver."
    )
    return table("Agreement with the truth", rows, columns(shown, contrast=CONTRASTS, against="truth"), note)


TABLE2 = Experiment(__doc__, _steps, _result, _tables, joined=_joined)
