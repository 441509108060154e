"""Not in the paper: what can be had without training, and how much of an error is a matter of averaging?

All methods of Table II that no network is behind, with the Bayes floor, which none of them can be below.
"""

from relaxnet.experiments._harness.experiment import CONTRASTS, Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.floor import floor_rows, plan_floor
from relaxnet.experiments._harness.format import Table, columns, find, of_entry, of_ratio, table
from relaxnet.experiments._harness.report import MEAN_OF_SETS, summarise
from relaxnet.experiments._harness.rows import ROWS, Rows, plan_rows, steps_of
from relaxnet.experiments._harness.structure_tables import structure_tables

_SETS = ("short", "middle", "long")
_YARDSTICK = "nlls-4"


def _rows(setting: Setting) -> Rows:
    fits = {name: row for name, row in ROWS.items() if not row.recipes and name != "truth"}
    return plan_rows(fits, {None: setting.folds()})


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    rows = summarise(_rows(setting), outcomes, by_set=True, ratio_to=_YARDSTICK)
    return {"rows": rows | floor_rows(setting, outcomes, rows[_YARDSTICK])}


def _tables(result: Result) -> list[Table]:
    rows = result["rows"].values()
    shown = {"{contrast} (ms)": of_entry, "{contrast}, ratio to fit": of_ratio}
    note = "Mean absolute error in the liver over three input sets, with bootstrap 95 % intervals over subjects."
    errors = table("Error against the truth", rows, columns(shown, contrast=CONTRASTS, against="truth"), note)
    by_set = columns({"{contrast}, {inputs}": of_entry}, contrast=CONTRASTS, against="truth", inputs=_SETS)
    of_sets = [row for row in rows if find(row, inputs=MEAN_OF_SETS)]
    maps = [row for row in rows if "bias" in row["entries"][0]]  # not the floor
    return [errors, *structure_tables(maps), table("Error against the truth by input set (ms)", of_sets, by_set)]


CONTROLS = Experiment(__doc__, lambda setting: steps_of(_rows(setting)) + plan_floor(setting), _result, _tables)
