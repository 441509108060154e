"""Ours: which loss teaches best, and whether intervals hold what they promise."""

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Table
from relaxnet.experiments._harness.fits import fitting
from relaxnet.experiments._harness.format import NAMES, find, of_entry, with_interval
from relaxnet.experiments._harness.intervals import covering
from relaxnet.experiments._harness.networks import Recipe, learning
from relaxnet.experiments._harness.report import AGAINST, Plan, compare, entries
from relaxnet.experiments._harness.rows import ROWS
from relaxnet.experiments._harness.score import CONTRASTS
from relaxnet.experiments._harness.setting import Setting
from relaxnet.experiments._harness.steps import Step

_FOLD = 0
_SNRS = (20.0, 10.0, 40.0)
_OURS = "held-out-orthogonal"
_FITS = ("nlls-4", "floor")
_ROWS: dict[str, tuple[str, Recipe]] = {
    "paper": ("all ordered pairs, all images (the paper)", Recipe.of("paper", "homoscedastic")),
    "supervised-nlls": ("supervised on fits", Recipe.of("supervised-nlls", "homoscedastic")),
    "supervised-truth": ("supervised on the truth", Recipe.of("supervised-truth", "homoscedastic")),
    "orthogonal": ("orthogonal pairs, all images", Recipe.of("orthogonal", "homoscedastic")),
    "reconstruction": ("reconstruction, all images", Recipe.of("reconstruction", "homoscedastic")),
    "held-out-orthogonal": ("orthogonal pairs, unseen images", ROWS[_OURS].recipes[0]),
    "held-out-reconstruction": ("reconstruction, unseen images", ROWS["held-out-reconstruction"].recipes[0]),
    "fresh": ("orthogonal pairs, unseen images, fresh noise", ROWS["held-out-fresh"].recipes[0]),
}


def _plan(setting: Setting, name: str, seeds: int) -> Plan:
    return [
        [[learning(setting, f"loss {name}", _ROWS[name][1], fold=_FOLD, seed=seed, watch=True)]]
        for seed in range(seeds)
    ]


def _covering(setting: Setting, seeds: int) -> list[dict[str, Step]]:
    """Plan the intervals, by seed and signal-to-noise ratio."""
    learnt = [folds[0][0] for folds in _plan(setting, _OURS, seeds)]
    return [
        {f"{snr:g}": covering(f"{step.title}, SNR {snr:g}", step, fold=_FOLD, subjects={"snr": snr}) for snr in _SNRS}
        for step in learnt
    ]


def _steps(setting: Setting, seeds: int) -> list[Step]:
    learnt = [folds[0][0] for name in _ROWS for folds in _plan(setting, name, seeds)]
    covered = [step for by_snr in _covering(setting, seeds) for step in by_snr.values()]
    return [*(fitting(setting, name, fold=_FOLD) for name in _FITS), *learnt, *covered]


def _result(setting: Setting, seeds: int, outcomes: Outcomes) -> Result:
    fits = {
        name: {"label": ROWS[name].label, "entries": entries(outcomes, [[[fitting(setting, name, fold=_FOLD)]]])}
        for name in _FITS
    }
    rows: dict[str, Any] = {"nlls-4": fits["nlls-4"]}
    for name, (label, _) in _ROWS.items():
        rows[name] = {"label": label, "entries": entries(outcomes, _plan(setting, name, seeds))}
    compare(rows, baseline="paper")
    learnt = {name: [outcomes[folds[0][0].key] for folds in _plan(setting, name, seeds)] for name in _ROWS}
    for name, own in learnt.items():
        rows[name]["best_epoch"] = [outcome["best_epoch"] for outcome in own]
    rows["floor"] = fits["floor"]
    compare(rows, baseline="nlls-4", ratio=True)
    covered = [
        {
            snr: {name: float(np.mean(values)) for name, values in outcomes[step.key].items()}
            for snr, step in by_snr.items()
        }
        for by_snr in _covering(setting, seeds)
    ]
    return {
        "rows": rows,
        "coverage_90": covered,
        "rank_correlation_of_watched_residual_and_error": _correlations([o for own in learnt.values() for o in own]),
    }


def _correlations(learnt: list[dict[str, Any]]) -> dict[str, float | None]:
    """Tell how well what is watched without the truth orders networks as the truth does."""
    within = [spearmanr(*zip(*outcome["watched"], strict=True))[0] for outcome in learnt if len(outcome["watched"]) > 2]
    ends = [outcome["watched"][-1] for outcome in learnt]
    return {
        "within_runs": float(np.mean(within)) if within else None,
        "over_last_epochs": float(spearmanr(*zip(*ends, strict=True))[0]),
    }


def _tables(result: Result) -> list[Table]:
    rows = []
    for row in result["rows"].values():
        cells = []
        for against in AGAINST:
            for contrast in CONTRASTS:
                entry = find(row, contrast=contrast, against=against)
                spread = (entry or {}).get("sd_of_seeds")
                cells.append(of_entry(entry) + (f" ± {spread:.2f}" if spread else ""))
                ratio = (entry or {}).get("ratio")
                if against == "truth":
                    cells.append(with_interval(ratio["mean"], ratio["ci95"]) if ratio else "1")
        rows.append((row["label"], *cells))
    header = ["error in the liver (ms)"]
    header += [text.format(NAMES[c]) for c in CONTRASTS for text in ("{} against truth", "of the fit's")]
    header += [f"{NAMES[c]} against fit" for c in CONTRASTS]
    note = (
        "Mean over input sets, with the 95 % interval over patients and, after ±, the standard deviation of seeds. All "
        "networks have the default inputs and augmentation, and learnt scales; only the loss differs."
    )
    covered = [
        (f"seed {seed}", f"SNR {snr}", *(f"{100 * own[name]:.1f} %" for name in CONTRASTS))
        for seed, by_snr in enumerate(result["coverage_90"])
        for snr, own in by_snr.items()
    ]
    held = "Mean over patients that were not learnt from; the networks learnt at the first of the noise levels."
    return [
        Table("What each loss is worth", tuple(header), rows, note),
        Table("Voxels within the 90 % interval", ("", "", *(NAMES[c] for c in CONTRASTS)), covered, held),
    ]


LOSSES = Experiment(
    title="Which loss teaches best",
    question=(
        "Not in the paper: with all else the same, which loss teaches best, judged by the truth and by the four-image "
        "fit; and do intervals of new patients hold what they promise?"
    ),
    steps=_steps,
    result=_result,
    tables=_tables,
)
