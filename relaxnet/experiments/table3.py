"""Table III of the paper: do learnt weights make up for a contrast that is scaled, or moved, in the loss?

In the loss alone, the images of one contrast are multiplied by a factor, or moved at random.
"""

from dataclasses import asdict, replace
from itertools import product
from typing import Any

from relaxnet._choices import Choice
from relaxnet.experiments._harness.disturbance import DisturbedLoss
from relaxnet.experiments._harness.experiment import AGAINST, CONTRASTS, Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.format import NAMES, Table, columns, find, of_difference, of_entry, table
from relaxnet.experiments._harness.report import summarise
from relaxnet.experiments._harness.rows import ROWS, Plan, Planned, Row, Rows, as_paper, plan_rows, steps_of
from relaxnet.experiments._harness.weights import plan_choice
from relaxnet.training import LOSSES

_FROM_ONE = Choice("relaxnet.losses:HomoscedasticLaplace", "Learnt scales that start at 1", {"n_tasks": 2})
_ROWS = {
    "baseline": ROWS["baseline"],
    "by-hand": Row("Fixed weights chosen by hand", (as_paper(),)),
    "heteu": ROWS["heteu"],
    "homou": ROWS["homou"],
    "homou-from-one": Row("Baseline + HOMOU, scales start at 1", (as_paper(_FROM_ONE),)),
    "profiled": ROWS["profiled"],
    "uw-so": Row("Baseline, softmax of inverse residuals (UW-SO)", (as_paper("uw-so"),)),
    "correlated": ROWS["correlated"],
}
_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("none", {}),
    "t2-x100": ("T2 images x100", {"gains": {"t2": 100.0}}),
    "t2-x10000": ("T2 images x10000", {"gains": {"t2": 10000.0}}),
    "t2-motion": ("T2 images moved", {"moved": ("t2",)}),
    "t1rho-motion": ("T1rho images moved", {"moved": ("t1rho",)}),
}
_SEEDED = set(product(("heteu", "homou"), ("none", "t2-x10000")))
"""Rows and cases that are trained with all seeds: a change of a few percent could be that of another seed."""


def _disturbed(setting: Setting, name: str, case: str) -> Row:
    row, (_, disturbance) = _ROWS[name], _CASES[case]
    (recipe,) = row.recipes
    if name == "by-hand":
        recipe = replace(recipe, weighting=plan_choice(setting))
    if disturbance:
        recipe = replace(recipe, loss=DisturbedLoss(**asdict(LOSSES["paper"]), **disturbance))
    return replace(row, recipes=(recipe,), seeded=(name, case) in _SEEDED)


def _rows(setting: Setting) -> Rows:
    def plan(name: str, case: str) -> Plan:
        return _disturbed(setting, name, case).plan(f"{name}, {case}", setting.folds(), seeds=setting.seeds)

    return {name: Planned(row.label, {case: plan(name, case) for case in _CASES}) for name, row in _ROWS.items()}


def _truth(setting: Setting) -> Rows:
    return plan_rows({"truth": ROWS["truth"]}, {"none": setting.folds()})


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    rows = summarise(_rows(setting), outcomes, by="case", difference_from="baseline")
    rows |= summarise(_truth(setting), outcomes, by="case")
    for row in rows.values():
        for entry in row["entries"]:
            clean = find(row, case="none", contrast=entry["contrast"], against=entry["against"])
            if clean is not None and clean["mean"] > 0:
                entry["of_undisturbed"] = entry["mean"] / clean["mean"]
    cases = {name: label for name, (label, _) in _CASES.items()}
    return {"rows": rows, "cases": cases, "by_hand": outcomes[plan_choice(setting).key]["weights"]}


def _change(entry: dict[str, Any]) -> str:
    return f"{100 * (entry['of_undisturbed'] - 1):+.0f} %" if "of_undisturbed" in entry else ""


def _tables(result: Result) -> list[Table]:
    shown = {"{contrast} (ms)": of_entry, "{contrast}, change": _change, "{contrast} minus baseline": of_difference}
    rows = [
        {"case": label, "label": row["label"], "entries": own}
        for case, label in result["cases"].items()
        for row in result["rows"].values()
        if (own := [entry for entry in row["entries"] if entry["case"] == case])
    ]
    note = (
        "Change: relative to the same row without disturbance. HETEU and HOMOU are means of "
        f"{result['seeds']} seeds without disturbance and at x10000; everything else is of one seed, and another seed "
        "alone changes an error by a few percent."
    )
    if "by_hand" in result:
        t1rho, t2 = result["by_hand"]
        note += (
            f" By hand: {t1rho:g} and {t2:g}, the weights of least error for subjects of another cohort, in the "
            "training without disturbance."
        )
    title, labels = "Error against {} when one contrast is disturbed in the loss", {"case": "disturbance", "label": ""}
    by_title = {title.format(NAMES[a]): columns(shown, contrast=CONTRASTS, against=a) for a in AGAINST}
    return [table(title, rows, own, note, labels=labels) for title, own in by_title.items()]


TABLE3 = Experiment(__doc__, lambda setting: steps_of(_rows(setting), _truth(setting)), _result, _tables)
