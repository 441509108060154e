"""Not in the paper: what can be had without training, and how much of an error is a matter of averaging?

All methods of Table II that no network is behind, with the Bayes floor, which none of them can be below.
"""

from relaxnet.experiments._harness.experiment import CONTRASTS, Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.floor import floor_rows, plan_floor
from relaxnet.experiments._harness.format import Table, columns, of_entry, of_ratio, table
from relaxnet.experiments._harness.interval_tables import interval_row, interval_tables
from relaxnet.experiments._harness.map_tables import NOTE, by_set_table, structure_tables
from relaxnet.experiments._harness.report import summarise
from relaxnet.experiments._harness.rows import ROWS, Rows, plan_rows, steps_of

_YARDSTICK = "nlls-4"
_WITH_INTERVALS = ("spatial-3", "spatial-7")
"""Rows whose steps judge their intervals, too."""


def _rows(setting: Setting) -> Rows:
    fits = {name: row for name, row in ROWS.items() if not row.recipes and name != "truth"}
    return plan_rows(fits, {None: setting.folds()})


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    planned = _rows(setting)
    rows = summarise(planned, outcomes, by_set=True, ratio_to=_YARDSTICK)
    judged = {name: interval_row(name, planned[name].cases[None], outcomes) for name in _WITH_INTERVALS}
    return {"rows": rows | floor_rows(setting, outcomes, rows[_YARDSTICK]), "intervals": judged}


def _tables(result: Result) -> list[Table]:
    rows = result["rows"].values()
    shown = {"{contrast} (ms)": of_entry, "{contrast}, ratio to fit": of_ratio}
    errors = table("Error against the truth", rows, columns(shown, contrast=CONTRASTS, against="truth"), NOTE)
    maps = [row for row in rows if "bias" in row["entries"][0]]  # not the floor
    intervals = interval_tables(result["intervals"].values())
    return [errors, *structure_tables(maps), *intervals, by_set_table(rows)]


CONTROLS = Experiment(__doc__, lambda setting: steps_of(_rows(setting)) + plan_floor(setting), _result, _tables)
