"""Not in the paper: with everything else the same, which loss trains the best network?

It is judged by the truth and by the four-image fit. And do the intervals hold for new subjects?
"""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from relaxnet.experiments._harness.coverage import coverage_table, covered
from relaxnet.experiments._harness.experiment import CONTRASTS, Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.format import Table, columns, of_entry, of_ratio, table
from relaxnet.experiments._harness.intervals import plan_coverage
from relaxnet.experiments._harness.networks import Recipe
from relaxnet.experiments._harness.report import summarise
from relaxnet.experiments._harness.rows import OURS, ROWS, Planned, Row, Rows, on_other_subjects, plan_rows, steps_of

_SNRS = (20.0, 10.0, 40.0)
_OURS = "held-out-orthogonal"
_RECIPES = {
    "paper": ("all ordered pairs, all images (the paper)", Recipe("paper", "homoscedastic")),
    "supervised-nlls": ("supervised, fits as labels", Recipe("supervised-nlls", "homoscedastic")),
    "supervised-truth": ("supervised, true maps as labels", Recipe("supervised-truth", "homoscedastic")),
    "orthogonal": ("orthogonal pairs, all images", Recipe("orthogonal", "homoscedastic")),
    "reconstruction": ("reconstruction, all images", Recipe("reconstruction", "homoscedastic")),
    _OURS: ("orthogonal pairs, held-out images", OURS),
    "held-out-reconstruction": ("reconstruction, held-out images", Recipe("held-out-reconstruction", "homoscedastic")),
    "fresh": ("orthogonal pairs, held-out images, new noise", replace(OURS, training={"fresh_noise": True})),
}


def _rows(setting: Setting) -> Rows:
    """Plan the first fold alone, with all seeds."""
    networks = {name: Row(label, (recipe,), seeded=True) for name, (label, recipe) in _RECIPES.items()}
    rows = {"nlls-4": ROWS["nlls-4"]} | networks | {"truth": ROWS["truth"]}
    return plan_rows(rows, {None: setting.folds()[:1]}, seeds=setting.seeds, watch=True)


def _intervals(setting: Setting) -> Rows:
    trained = _rows(setting)[_OURS]
    cases = {f"{snr:g}": on_other_subjects(trained.cases[None], plan_coverage, {"snr": snr}) for snr in _SNRS}
    return {_OURS: Planned(trained.label, cases)}


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    planned = _rows(setting)
    networks = steps_of({name: planned[name] for name in _RECIPES})
    return {
        "rows": summarise(planned, outcomes, ratio_to="nlls-4"),
        "coverage_90": covered(_intervals(setting)[_OURS], outcomes),
        "rank_correlation": _rank_correlation([outcomes[step.key]["watched"] for step in networks]),
    }


def _rank_correlation(runs: list[Any]) -> dict[str, float | None]:
    """Compute how well the validation residual, which needs no truth, ranks networks as their error does."""
    within = [spearmanr(watched).statistic for watched in runs if len(watched) > 2]
    ends = [watched[-1] for watched in runs]
    mean_within = float(np.mean(within)) if within else None
    return {"within runs": mean_within, "between runs at their end": float(spearmanr(ends).statistic)}


def _with_spread(entry: dict[str, Any]) -> str:
    spread = entry["sd_of_seeds"]
    return of_entry(entry) + (f" ± {spread:.2f}" if spread else "")


def _by_seed(entry: dict[str, Any]) -> str:
    return ", ".join(f"{100 * part:.1f} %" for part in entry["by_seed"])


def _tables(result: Result) -> list[Table]:
    truth = {"{contrast} against truth": _with_spread, "{contrast}, ratio to fit": of_ratio}
    shown = columns(truth, contrast=CONTRASTS, against="truth")
    shown += columns({"{contrast} against fit": _with_spread}, contrast=CONTRASTS, against="reference")
    ranks = " and ".join(f"{r:.2f} {of}" for of, r in result["rank_correlation"].items() if r is not None)
    note = (
        "Mean over input sets, with the 95 % interval over subjects and, after ±, the standard deviation of seeds. All "
        "networks have the default input and augmentation, and learnt scales; only the loss differs. Rank correlation "
        f"of the validation residual, which needs no truth, with the error against the truth: {ranks}."
    )
    heads = {"label": "error in the liver (ms)"}
    errors = table("Error of each loss", result["rows"].values(), shown, note, labels=heads)
    note = f"Mean over subjects not used in training, one number for each seed. Training was at SNR {_SNRS[0]:g}."
    labels = {snr: f"SNR {snr}" for snr in result["coverage_90"]}
    title = "Voxels within the 90 % interval"
    return [errors, coverage_table(title, result["coverage_90"], labels, _by_seed, note)]


LOSSES = Experiment(__doc__, lambda setting: steps_of(_rows(setting), _intervals(setting)), _result, _tables)
