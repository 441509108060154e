"""Not in the paper: do intervals of 90 % hold the truth, by voxel, by region and by subject?

And are the voxels that a method is least sure of those where it errs most?
"""

from typing import Any

from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Setting, digital_subjects
from relaxnet.experiments._harness.figures import panels
from relaxnet.experiments._harness.format import Table
from relaxnet.experiments._harness.interval_tables import interval_row, interval_tables
from relaxnet.experiments._harness.intervals import LEFT_OUT, plan_coverage, plan_intervals
from relaxnet.experiments._harness.rows import ROWS, Plan, on_other_subjects
from relaxnet.plots._figure import MARKERS

_FITS = ("joint-7", "spatial-3", "spatial-7")
_NETWORK = "held-out-orthogonal"


def _plans(setting: Setting) -> dict[str, Plan]:
    folds = setting.folds()
    plans: dict[str, Plan] = {name: [[[plan_intervals(name, fold)] for fold in folds]] for name in _FITS}
    trained = ROWS[_NETWORK].plan(_NETWORK, folds, seeds=setting.seeds)
    return plans | {_NETWORK: on_other_subjects(trained, plan_coverage, {})}


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    plans = _plans(setting)
    return {"rows": {name: interval_row(name, plan, outcomes) for name, plan in plans.items()}}


def _tables(result: Result) -> list[Table]:
    return interval_tables(result["rows"].values())


def _figures(result: Result) -> dict[str, Any]:
    figure, axes = panels(4.2)
    for row, marker in zip(result["rows"].values(), MARKERS, strict=False):
        for entry in row["entries"]:
            percent = [100 * part for part in LEFT_OUT]
            axes[entry["contrast"]].plot(percent, entry["risks"], f"{marker}-", label=row["label"])
    for ax in axes.values():
        ax.set_ylim(bottom=0)
    axes["t2"].set_xlabel("least sure voxels left out (%)")
    figure.legend(*axes["t1rho"].get_legend_handles_labels(), loc="outside lower center")
    return {"intervals": figure}


def _captions(result: Result) -> dict[str, str]:
    return {
        "intervals": "Error of (a) T1rho and (b) T2 of the voxels that are left when the least sure ones are left out. "
        f"It falls where standard errors say which voxels err. {digital_subjects(result)}."
    }


INTERVALS = Experiment(
    __doc__,
    lambda setting: [step for plan in _plans(setting).values() for folds in plan for (step,) in folds],
    _result,
    _tables,
    _figures,
    _captions,
)
