"""Table II of the paper: error of the maps over three input sets and three folds, with one network for all input sets.

Here the error is measured against the truth as well as against the four-image fit.
"""

from typing import Any

from relaxnet.experiments._harness.claims import claims_table, judge
from relaxnet.experiments._harness.experiment import AGAINST, CONTRASTS, Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.floor import floor_rows, plan_floor
from relaxnet.experiments._harness.format import (
    NAMES,
    Table,
    columns,
    find,
    of_difference,
    of_entry,
    of_number,
    of_ratio,
    table,
)
from relaxnet.experiments._harness.report import MEAN_OF_SETS, summarise
from relaxnet.experiments._harness.rows import ROWS, Rows, plan_rows, steps_of

_SETS = ("short", "middle", "long")


def _rows(setting: Setting) -> Rows:
    return plan_rows(ROWS, {None: setting.folds()}, seeds=setting.seeds)


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    rows = summarise(_rows(setting), outcomes, by_set=True, ratio_to="nlls-4", difference_from="baseline")
    return {"rows": rows | floor_rows(setting, outcomes, rows["nlls-4"]), "claims": judge(rows)}


def _tables(result: Result) -> list[Table]:
    rows = result["rows"].values()
    errors = [_errors([row for row in rows if find(row, against=against)], against) for against in AGAINST]
    maps = [row for row in rows if "bias" in row["entries"][0]]  # not the floor
    return [*errors, *_structure(maps), claims_table(result["claims"]), _agreement(maps), _by_set(rows)]


def _errors(rows: Any, against: str) -> Table:
    shown = {"{contrast} (ms)": of_entry, "{contrast} minus baseline": of_difference}
    if against == "truth":
        shown["{contrast}, ratio to fit"] = of_ratio
    note = "Mean absolute error in the liver over three input sets, with bootstrap 95 % intervals over subjects."
    title = f"Error against {NAMES[against]}{', as in the paper' if against == 'reference' else ''}"
    return table(title, rows, columns(shown, contrast=CONTRASTS, against=against), note)


def _structure(rows: Any) -> list[Table]:
    shows = {
        "R2": of_number("r2", ".2f"),
        "correlation": of_number("correlation", ".2f"),
        "error of the mean (ms)": of_number("mean_error", ".2f"),
        "bias of lesions": of_number("lesion_bias", "+.1%"),
        "edge width (mm)": of_number("edge_width", ".1f"),
        "missing": of_number("missing", ".1%"),
    }
    note = (
        "R2 and correlation with the truth over the voxels of a liver, after the mean of each map is taken off: one "
        "number for the whole liver has an R2 of 0. Error of the mean over the liver. Bias of the mean of tumours of 2 "
        "to 6 mm in radius. Edge width: over which an edge rises from 10 to 90 %, beyond that of a voxel; 2.56 times "
        "the standard deviation of the Gaussian, of up to 8 mm, that makes the true map near tumours most like the "
        "map, whatever its contrast. Missing: voxels without a value in the map or in the four-image fit. They are "
        "left out of all errors, so a row with many of them is judged by easier voxels."
    )
    measured = [row for row in rows if any("r2" in entry for entry in row["entries"])]
    return [
        table(f"Structure within the liver: {NAMES[c]}", measured, columns(shows, contrast=c, against="truth"), note)
        for c in (CONTRASTS if measured else ())
    ]


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


def _by_set(rows: Any) -> Table:
    shown = columns({"{contrast}, {inputs}": of_entry}, contrast=CONTRASTS, against="truth", inputs=_SETS)
    of_sets = [row for row in rows if find(row, inputs=MEAN_OF_SETS)]
    return table("Error against the truth by input set (ms)", of_sets, shown)


TABLE2 = Experiment(__doc__, lambda setting: steps_of(_rows(setting)) + plan_floor(setting), _result, _tables)
