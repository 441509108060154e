"""Ours: what makes a network good."""

from dataclasses import replace
from typing import Any

from relaxnet.experiments._experiment import Experiment, Outcomes, Result, Table
from relaxnet.experiments._fits import fitting
from relaxnet.experiments._format import NAMES, find, of_difference, of_entry, with_interval
from relaxnet.experiments._networks import Recipe, learning
from relaxnet.experiments._report import Plan, compare, entries
from relaxnet.experiments._rows import AS_PAPER, ROWS
from relaxnet.experiments._score import CONTRASTS
from relaxnet.experiments._setting import Setting
from relaxnet.experiments._steps import Step

_OURS = ROWS["unseen-orthogonal"].recipes[0]


def _with(**training: Any) -> Recipe:
    return replace(_OURS, training=training)


_ROWS: dict[str, tuple[str, Recipe]] = {
    "ours": ("The default", _OURS),
    "no-rate-shift": ("without other relaxation rates", _with(rate_shift=0.0)),
    "no-hints": ("without hints", _with(hints=())),
    "one-hint": ("hints of single voxels alone", _with(hints=(0.0,))),
    "no-flips": ("without flips", _with(flips=False)),
    "no-motion": ("without rotation and translation", _with(max_degrees=0.0, max_shift=0.0)),
    "no-averaging": ("without averaged weights", _with(averaging=0.0)),
    "slow": ("at a learning rate of 5e-4", _with(learning_rate=5e-4)),
    "constant": ("at a constant learning rate", _with(schedule="constant")),
    "short": ("half as many epochs", _with(epochs=20)),
    "long": ("twice as many epochs", _with(epochs=80)),
    "narrow": ("with 8 channels", _with(base=8)),
    "wide": ("with 32 channels", _with(base=32)),
    "shallow": ("with 2 levels below the first", _with(depth=2)),
    "fresh": ("with fresh noise in each step", replace(_OURS, fresh_noise=True)),
    "all-images": ("orthogonal pairs of all images", Recipe.of("orthogonal", "homoscedastic")),
    "paper-loss": ("the paper's loss", Recipe.of("paper", "homoscedastic")),
    "paper-training": ("the paper's inputs and augmentation", _with(**AS_PAPER)),
    "paper": ("both of the paper", Recipe.of("paper", "homoscedastic", training=AS_PAPER)),
}
_FOLD = 0


def _plan(setting: Setting, name: str) -> Plan:
    return [[[learning(setting, name, _ROWS[name][1], fold=_FOLD)]]]


def _steps(setting: Setting, seeds: int) -> list[Step]:
    del seeds
    return [fitting(setting, "nlls-4", fold=_FOLD), *(_plan(setting, name)[0][0][0] for name in _ROWS)]


def _result(setting: Setting, seeds: int, outcomes: Outcomes) -> Result:
    del seeds
    rows: dict[str, Any] = {
        "nlls-4": {
            "label": ROWS["nlls-4"].label,
            "entries": entries(outcomes, [[[fitting(setting, "nlls-4", fold=_FOLD)]]]),
        }
    }
    for name, (label, _) in _ROWS.items():
        rows[name] = {"label": label, "entries": entries(outcomes, _plan(setting, name))}
    compare(rows, baseline="nlls-4", ratio=True)
    compare(rows, baseline="ours")
    return {"rows": rows}


def _tables(result: Result) -> list[Table]:
    rows = []
    for row in result["rows"].values():
        cells = []
        for contrast in CONTRASTS:
            entry = find(row, contrast=contrast, against="truth")
            ratio = (entry or {}).get("ratio")
            cells += [of_entry(entry), with_interval(ratio["mean"], ratio["ci95"]) if ratio else "1"]
            cells.append(of_difference(entry))
        rows.append((row["label"], *cells))
    columns = ("{} (ms)", "{} of the four-image fit's", "{} less the default")
    header = ("", *(text.format(NAMES[c]) for c in CONTRASTS for text in columns))
    note = "One fold and one seed: differences of a few hundredths of a millisecond are those of seeds."
    return [Table("Error against the truth when one thing is changed", header, rows, note)]


ABLATION = Experiment(
    title="What makes a network good",
    question="Not in the paper: what does each part of the default contribute? One thing is changed at a time.",
    steps=_steps,
    result=_result,
    tables=_tables,
)
