"""Table II of the paper: which method maps best."""

from typing import Any

from relaxnet.experiments._harness.claims import claims_table, judge
from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Table
from relaxnet.experiments._harness.format import NAMES, find, of_difference, of_entry, with_interval
from relaxnet.experiments._harness.report import AGAINST, MEAN_OF_SETS, compare, entries
from relaxnet.experiments._harness.rows import ROWS, plan
from relaxnet.experiments._harness.score import CONTRASTS
from relaxnet.experiments._harness.setting import Setting
from relaxnet.experiments._harness.steps import Step


def _steps(setting: Setting, seeds: int) -> list[Step]:
    return [s for name in ROWS for folds in plan(setting, name, seeds) for steps in folds for s in steps]


def _result(setting: Setting, seeds: int, outcomes: Outcomes) -> Result:
    rows: dict[str, Any] = {
        name: {"label": row.label, "entries": entries(outcomes, plan(setting, name, seeds))}
        for name, row in ROWS.items()
    }
    compare(rows, baseline="nlls-4", ratio=True)
    compare(rows, baseline="baseline")
    return {"rows": rows, "claims": judge(rows)}


def _tables(result: Result) -> list[Table]:
    errors = [_errors(result, against) for against in AGAINST]
    return [*errors, claims_table(result["claims"]), _agreement(result), _by_set(result)]


def _errors(result: Result, against: str) -> Table:
    rows = []
    for row in result["rows"].values():
        cells = []
        for contrast in CONTRASTS:
            entry = find(row, contrast=contrast, against=against)
            cells += [of_entry(entry), of_difference(entry)]
            if against == "truth" and entry is not None:
                ratio = entry.get("ratio")
                cells.append(with_interval(ratio["mean"], ratio["ci95"]) if ratio else "1")
        rows.append((row["label"], *cells))
    what = "the truth" if against == "truth" else "the four-image fit, as in the paper"
    extra = ("{} of the four-image fit's",) if against == "truth" else ()
    header = [text.format(NAMES[c]) for c in CONTRASTS for text in ("{} (ms)", "{} less baseline", *extra)]
    note = "Mean absolute error in the liver over three input sets, with 95 % intervals by bootstrap over patients."
    return Table(f"Error against {what}", ("", *header), rows, note)


def _agreement(result: Result) -> Table:
    rows = []
    for row in result["rows"].values():
        cells = []
        for contrast in CONTRASTS:
            entry = find(row, contrast=contrast, against="truth")
            if entry is not None:
                low, high = entry["limits_of_agreement"]
                cells += [
                    f"{entry['bias']:+.2f}",
                    f"{entry['sd']:.2f}",
                    f"{low:+.2f} to {high:+.2f}",
                    f"{entry['icc']:.3f}",
                ]
        rows.append((row["label"], *cells))
    columns = ("{} bias", "{} sd", "{} limits of agreement", "{} ICC")
    header = [text.format(NAMES[c]) for c in CONTRASTS for text in columns]
    note = (
        "Bias and standard deviation of the voxels in ms; limits of agreement and intraclass correlation, ICC(2,1), of "
        "the means over the liver."
    )
    return Table("Agreement with the truth", ("", *header), rows, note)


def _by_set(result: Result) -> Table:
    sets = ("short", "middle", "long")
    rows = [
        (
            row["label"],
            *(of_entry(find(row, contrast=c, against="truth", inputs=name)) for c in CONTRASTS for name in sets),
        )
        for row in result["rows"].values()
        if find(row, inputs=MEAN_OF_SETS)
    ]
    return Table(
        "Error against the truth by input set", ("", *(f"{NAMES[c]}, {name}" for c in CONTRASTS for name in sets)), rows
    )


TABLE2 = Experiment(
    title="Which method maps best",
    question=(
        "Table II of the paper: error of the maps over three input sets and three folds, one network for all three "
        "sets; here against the truth as well as against the four-image fit."
    ),
    steps=_steps,
    result=_result,
    tables=_tables,
)
