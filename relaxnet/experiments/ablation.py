"""Ours: what makes a network good."""

from dataclasses import replace
from typing import Any

from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Table
from relaxnet.experiments._harness.fits import fitting
from relaxnet.experiments._harness.format import NAMES, find, of_difference, of_entry, with_interval
from relaxnet.experiments._harness.networks import Recipe, learning
from relaxnet.experiments._harness.report import Plan, compare, entries
from relaxnet.experiments._harness.rows import AS_PAPER, ROWS
from relaxnet.experiments._harness.score import CONTRASTS
from relaxnet.experiments._harness.setting import Setting
from relaxnet.experiments._harness.steps import Step

_OURS = ROWS["held-out-orthogonal"].recipes[0]
_FOLD = 0


def _with(**training: Any) -> Recipe:
    return replace(_OURS, training=training)


def _recipes(setting: Setting) -> dict[str, tuple[str, Recipe]]:
    """By name: what is changed, and how the network is then taught."""
    usual = setting.preset
    many = {"n_subjects": 3 * setting.n_subjects}  # those of the fold that are tested are not among them
    fresh_and_long = _with(fresh_noise=True, epochs=3 * usual.epochs)
    return {
        "ours": ("The default", _OURS),
        "no-rate-shift": ("without other relaxation rates", _with(rate_shift=0.0)),
        "no-hints": ("without hints", _with(initial_estimates=())),
        "one-hint": ("hints of single voxels alone", _with(initial_estimates=(0.0,))),
        "no-flips": ("without flips", _with(flips=False)),
        "no-motion": ("without rotation and translation", _with(max_degrees=0.0, max_shift=0.0)),
        "no-averaging": ("without averaged weights", _with(averaging=0.0)),
        "slow": ("an eighth of the learning rate", _with(learning_rate=usual.learning_rate / 8)),
        "constant": ("at a constant learning rate", _with(schedule="constant")),
        "short": ("half as many epochs", _with(epochs=usual.epochs // 2)),
        "long": ("twice as many epochs", _with(epochs=2 * usual.epochs)),
        "narrow": ("half as many channels", _with(base=usual.base // 2)),
        "wide": ("twice as many channels", _with(base=2 * usual.base)),
        "shallow": ("half as many levels", _with(depth=usual.depth // 2)),
        "fresh": ("fresh noise in each step", _with(fresh_noise=True)),
        "fresh-long": ("fresh noise, and three times as many epochs", fresh_and_long),
        "many": ("three times as many patients", replace(_OURS, subjects=many)),
        "many-fresh": (
            "fresh noise, and three times as many patients",
            replace(_with(fresh_noise=True), subjects=many),
        ),
        "all-images": ("orthogonal pairs of all images", Recipe.of("orthogonal", "homoscedastic")),
        "paper-loss": ("the paper's loss", Recipe.of("paper", "homoscedastic")),
        "paper-training": ("the paper's inputs and augmentation", _with(**AS_PAPER)),
        "paper": ("both of the paper", Recipe.of("paper", "homoscedastic", training=AS_PAPER)),
    }


def _plan(setting: Setting, name: str, recipe: Recipe) -> Plan:
    return [[[learning(setting, name, recipe, fold=_FOLD)]]]


def _steps(setting: Setting, seeds: int) -> list[Step]:
    del seeds
    learnt = (_plan(setting, name, recipe)[0][0][0] for name, (_, recipe) in _recipes(setting).items())
    return [fitting(setting, "nlls-4", fold=_FOLD), *learnt]


def _result(setting: Setting, seeds: int, outcomes: Outcomes) -> Result:
    del seeds
    rows: dict[str, Any] = {
        "nlls-4": {
            "label": ROWS["nlls-4"].label,
            "entries": entries(outcomes, [[[fitting(setting, "nlls-4", fold=_FOLD)]]]),
        }
    }
    for name, (label, recipe) in _recipes(setting).items():
        rows[name] = {"label": label, "entries": entries(outcomes, _plan(setting, name, recipe))}
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
