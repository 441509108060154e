"""Fig. 3 of the paper: fixed weights against a learnt one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from relaxnet.errors import require
from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Table
from relaxnet.experiments._harness.format import NAMES, find, of_entry
from relaxnet.experiments._harness.networks import Recipe, learning
from relaxnet.experiments._harness.report import AGAINST, Plan, entries
from relaxnet.experiments._harness.rows import AS_PAPER, ROWS, plan
from relaxnet.experiments._harness.score import CONTRASTS
from relaxnet.experiments._harness.setting import Setting
from relaxnet.experiments._harness.steps import Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any  # of an extra

_BESIDE = ("homou", "profiled", "floor")


def _fixed(setting: Setting, weight: float) -> Plan:
    recipe = Recipe.of("paper", (weight, round(1 - weight, 4)), training=AS_PAPER)
    return [[[learning(setting, f"weights {recipe.weighting}", recipe, fold=k)] for k in range(setting.n_folds)]]


def _plans(setting: Setting) -> dict[str, tuple[str, Plan]]:
    fixed = {
        f"fixed-{weight:g}": (f"{weight:g} T1rho + {1 - weight:g} T2", _fixed(setting, weight))
        for weight in setting.weights
    }
    return fixed | {name: (ROWS[name].label, plan(setting, name, 1)) for name in _BESIDE}


def _steps(setting: Setting, seeds: int) -> list[Step]:
    del seeds
    return [step for _, planned in _plans(setting).values() for (step,) in planned[0]]


def _result(setting: Setting, seeds: int, outcomes: Outcomes) -> Result:
    del seeds
    rows: dict[str, Any] = {}
    for name, (label, planned) in _plans(setting).items():
        rows[name] = {"label": label, "entries": entries(outcomes, planned, by_set=False)}
    for weight in setting.weights:
        rows[f"fixed-{weight:g}"]["weight"] = weight
    return {"rows": rows}


def _tables(result: Result) -> list[Table]:
    pairs = [(contrast, against) for against in AGAINST for contrast in CONTRASTS]
    rows = [
        (row["label"], *(of_entry(find(row, contrast=contrast, against=against)) for contrast, against in pairs))
        for row in result["rows"].values()
    ]
    header = ("", *(f"{NAMES[contrast]} against {against} (ms)" for contrast, against in pairs))
    return [Table("Fixed weights and learnt ones", header, rows)]


def _figures(result: Result, cache: Path) -> dict[str, Figure]:
    del cache
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    fixed = [row for row in result["rows"].values() if "weight" in row]
    weights = [row["weight"] for row in fixed]
    for ax, contrast in zip(axes, CONTRASTS, strict=True):
        for against, colour in zip(AGAINST, ("C0", "C1"), strict=True):
            found = [find(row, contrast=contrast, against=against) or {} for row in fixed]
            ax.plot(weights, [entry["mean"] for entry in found], "o-", color=colour, label=f"fixed, against {against}")
            ends = zip(*(entry["ci95"] for entry in found), strict=True)
            ax.fill_between(weights, *ends, color=colour, alpha=0.15, linewidth=0)
            learnt = find(result["rows"]["homou"], contrast=contrast, against=against) or {}
            ax.axhline(learnt["mean"], color=colour, linestyle="--", label=f"learnt, against {against}")
            ax.axhspan(*learnt["ci95"], color=colour, alpha=0.07, linewidth=0)
        floor = find(result["rows"]["floor"], contrast=contrast, against="reference") or {}
        ax.axhline(floor["mean"], color="0.4", linestyle=":", label="the truth, against reference")
        ax.set(title=NAMES[contrast], xlabel="weight of T1rho; T2 has the rest of 1", ylabel="mean absolute error (ms)")
    axes[0].legend(fontsize="small")
    return {"fig3": figure}


FIG3 = Experiment(
    title="Fixed weights against learnt ones",
    question="Fig. 3 of the paper: how much does it matter how the two contrasts are weighted, and does learning help?",
    steps=_steps,
    result=_result,
    tables=_tables,
    figures=_figures,
)
