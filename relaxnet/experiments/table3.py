"""Table III of the paper: what happens when one contrast is scaled, or moved, in the loss."""

from dataclasses import replace
from itertools import product
from typing import Any

from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Table
from relaxnet.experiments._harness.format import NAMES, find, of_difference, of_entry
from relaxnet.experiments._harness.networks import FROM_ONE, Recipe, learning
from relaxnet.experiments._harness.report import AGAINST, Plan, compare, entries
from relaxnet.experiments._harness.rows import AS_PAPER, ROWS, plan
from relaxnet.experiments._harness.score import CONTRASTS
from relaxnet.experiments._harness.setting import Setting
from relaxnet.experiments._harness.steps import Step

_BY_HAND = (0.35, 0.65)  # the best of the fixed weights of fig3
_ROWS = {
    "baseline": ("Baseline", Recipe.of("paper", training=AS_PAPER)),
    "by-hand": ("Fixed weights chosen by hand", Recipe.of("paper", _BY_HAND, training=AS_PAPER)),
    "heteu": ("Baseline + HETEU", Recipe.of("paper", "heteroscedastic", training=AS_PAPER)),
    "homou": ("Baseline + HOMOU", Recipe.of("paper", "homoscedastic", training=AS_PAPER)),
    "homou-from-one": (
        "Baseline + HOMOU, scales from 1",
        Recipe.of("paper", FROM_ONE, training=AS_PAPER),
    ),
    "profiled": ("Baseline, profiled", Recipe.of("paper", "profiled", training=AS_PAPER)),
    "correlated": ("Baseline, correlated", Recipe.of("paper", "correlated", training=AS_PAPER)),
}
_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("as it is", {}),
    "t2-x100": ("T2 images x100", {"gains": {"t2": 100.0}}),
    "t2-x10000": ("T2 images x10000", {"gains": {"t2": 10000.0}}),
    "t2-motion": ("T2 images moved", {"moved": ("t2",)}),
    "t1rho-motion": ("T1rho images moved", {"moved": ("t1rho",)}),
}
_SEEDED = set(product(("heteu", "homou"), ("none", "t2-x10000")))
"""Rows and cases that are trained with all seeds: a change of a few percent is also that of another seed."""


def _plan(setting: Setting, row: str, case: str, seeds: int) -> Plan:
    recipe = _ROWS[row][1]
    changed = replace(recipe, disturbance=_CASES[case][1])
    n = seeds if (row, case) in _SEEDED else 1
    return [
        [[learning(setting, f"{row}, {case}", changed, fold=fold, seed=seed)] for fold in range(setting.n_folds)]
        for seed in range(n)
    ]


def _steps(setting: Setting, seeds: int) -> list[Step]:
    plans = [_plan(setting, row, case, seeds) for row in _ROWS for case in _CASES]
    return [step for planned in [*plans, plan(setting, "floor", 1)] for folds in planned for (step,) in folds]


def _result(setting: Setting, seeds: int, outcomes: Outcomes) -> Result:
    rows: dict[str, Any] = {name: {"label": label, "entries": []} for name, (label, _) in _ROWS.items()}
    for case in _CASES:
        own = {name: {"entries": entries(outcomes, _plan(setting, name, case, seeds), by_set=False)} for name in _ROWS}
        compare(own, baseline="baseline")
        for name, row in own.items():
            rows[name]["entries"] += [{"case": case} | entry for entry in row["entries"]]
    floor = [{"case": "none"} | entry for entry in entries(outcomes, plan(setting, "floor", 1))]
    rows["floor"] = {"label": ROWS["floor"].label, "entries": floor}
    for row in rows.values():  # and each with itself, undisturbed
        for entry in row["entries"]:
            clean = find(row, case="none", contrast=entry["contrast"], against=entry["against"])
            if clean is not None and clean["mean"] > 0:
                entry["of_undisturbed"] = entry["mean"] / clean["mean"]
    return {"rows": rows, "cases": {name: label for name, (label, _) in _CASES.items()}}


def _tables(result: Result) -> list[Table]:
    found = []
    for against in AGAINST:
        rows = []
        for case, label in result["cases"].items():
            for row in result["rows"].values():
                cells = []
                for contrast in CONTRASTS:
                    entry = find(row, case=case, contrast=contrast, against=against)
                    relative = (entry or {}).get("of_undisturbed")
                    change = "" if relative is None else f"{100 * (relative - 1):+.0f} %"
                    cells += [of_entry(entry), change, of_difference(entry)]
                if any(cells):
                    rows.append((label, row["label"], *cells))
        columns = ("{} (ms)", "{} change", "{} less baseline")
        header = ("in the loss", "", *(text.format(NAMES[c]) for c in CONTRASTS for text in columns))
        what = "the truth" if against == "truth" else "the four-image fit"
        note = (
            "The change is that from the same row without the disturbance. HETEU and HOMOU, as it is and at x10000, are"
            f" means of {result['seeds']} seeds; others are of one, and another changes an error by some percent, too."
        )
        found.append(Table(f"Error against {what} when one contrast is disturbed in the loss", header, rows, note))
    return found


TABLE3 = Experiment(
    title="Does a learnt weighting withstand wrong scales and motion",
    question=(
        "Table III of the paper: in the loss alone, the images of one contrast are multiplied by a factor, or moved at "
        "random."
    ),
    steps=_steps,
    result=_result,
    tables=_tables,
)
