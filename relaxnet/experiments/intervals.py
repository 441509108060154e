"""Not in the paper: do intervals of 90 % hold the truth, by voxel, by region and by subject?

And are the voxels that a method is least sure of those where it errs most?
"""

from typing import Any

import numpy as np

from relaxnet.experiments._harness.experiment import CONTRASTS, Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.figures import panels
from relaxnet.experiments._harness.format import NAMES, Table, columns, of_entry, table
from relaxnet.experiments._harness.intervals import LEFT_OUT, plan_coverage, plan_intervals
from relaxnet.experiments._harness.report import gather, with_interval
from relaxnet.experiments._harness.rows import ROWS, Plan, on_other_subjects
from relaxnet.metrics import bootstrap_mean

_FITS = ("joint-7", "spatial-3", "spatial-7")
_NETWORK = "held-out-orthogonal"
_REGIONS = {
    "posterior": "of its posterior",
    "independent": "as if voxels erred independently",
    "common": "as if all voxels erred alike",
}


def _plans(setting: Setting) -> dict[str, Plan]:
    folds = setting.folds()
    plans: dict[str, Plan] = {name: [[[plan_intervals(name, fold)] for fold in folds]] for name in _FITS}
    trained = ROWS[_NETWORK].plan(_NETWORK, folds, seeds=setting.seeds)
    return plans | {_NETWORK: on_other_subjects(trained, plan_coverage, {})}


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    plans = _plans(setting)
    return {
        "rows": {
            name: {"label": ROWS[name].label, "entries": [_entry(plan, outcomes, c) for c in CONTRASTS]}
            for name, plan in plans.items()
        }
    }


def _entry(plan: Plan, outcomes: Outcomes, contrast: str) -> dict[str, Any]:
    def of(column: str) -> Any:
        return gather(plan, outcomes, contrast, lambda outcome: outcome["intervals"][contrast][column])

    risks, voxels = of("risks"), of("voxels")
    known = outcomes[plan[0][0][0].key]["intervals"][contrast]
    regions = {kind: of(f"regions-{kind}") for kind in _REGIONS if f"regions-{kind}" in known}
    return {
        "contrast": contrast,
        "against": "truth",
        "seeds": len(plan),
        **with_interval(bootstrap_mean(risks[..., 0])),
        "risks": risks.mean((0, 1)).tolist(),
        "voxels": with_interval(bootstrap_mean(voxels)),
        "subjects": np.quantile(voxels.mean(0), (0.1, 0.9)).tolist(),
        "regions": {kind: with_interval(bootstrap_mean(parts)) for kind, parts in regions.items()},
    }


def _tables(result: Result) -> list[Table]:
    rows = [
        row | {"label": row["label"] if k == 0 else "", "kind": _REGIONS[kind], "entries": _of_kind(row, kind)}
        for row in result["rows"].values()
        for k, kind in enumerate(row["entries"][0]["regions"])
    ]
    shows = {
        "voxels": lambda entry: of_entry(entry["voxels"], 3),
        "subjects": lambda entry: "{:.2f} to {:.2f}".format(*entry["subjects"]),
        "regions": lambda entry: of_entry(entry["region"], 3),
    }
    note = (
        "Part of the voxels of the liver, and of the means of compact regions of 5 to 500 of its voxels, whose truth "
        "lies in the interval of 90 %; mean over subjects that were not used in training, with its 95 % interval. "
        "Subjects: the part of the voxels in the worst and in the best tenth of them. A posterior knows how the errors "
        "of neighbours depend on one another; other methods do not, and both extremes are shown."
    )
    labels = {"label": "", "kind": "error of a region"}
    return [
        table(f"What intervals of 90 % hold: {NAMES[c]}", rows, columns(shows, contrast=c), note, labels=labels)
        for c in CONTRASTS
    ] + [_risk_table(result)]


def _of_kind(row: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry | {"region": entry["regions"][kind]} for entry in row["entries"]]


def _risk_table(result: Result) -> Table:
    shows = {
        f"{{contrast}}, {part:.0%} left out": lambda entry, k=k: f"{entry['risks'][k]:.2f}"
        for k, part in enumerate(LEFT_OUT)
        if part in (0.0, 0.1, 0.3, 0.5)
    }
    note = "Mean absolute error of the voxels that remain when those with the largest standard errors are left out."
    title = "Error after leaving out the least sure voxels (ms)"
    return table(title, result["rows"].values(), columns(shows, contrast=CONTRASTS), note)


def _figures(result: Result) -> dict[str, Any]:
    figure, axes = panels((9, 3.6), sharex=True)
    for k, row in enumerate(result["rows"].values()):
        for entry in row["entries"]:
            percent = [100 * part for part in LEFT_OUT]
            axes[entry["contrast"]].plot(percent, entry["risks"], "o-", color=f"C{k}", markersize=3, label=row["label"])
    for ax in axes.values():
        ax.set(xlabel="least sure voxels left out (%)")
        ax.set_ylim(bottom=0)
    axes["t1rho"].legend(fontsize="small")
    return {"intervals": figure}


INTERVALS = Experiment(
    __doc__,
    lambda setting: [step for plan in _plans(setting).values() for folds in plan for (step,) in folds],
    _result,
    _tables,
    _figures,
)
