"""Not in the paper: what does each part of the default contribute?

One thing is changed at a time.
"""

from dataclasses import replace
from typing import Any

from relaxnet.experiments._harness.experiment import CONTRASTS, Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.format import Table, columns, of_difference, of_entry, of_ratio, table
from relaxnet.experiments._harness.networks import Recipe
from relaxnet.experiments._harness.report import summarise
from relaxnet.experiments._harness.rows import AS_PAPER, OURS, ROWS, Row, Rows, as_paper, plan_rows, steps_of


def _changed(setting: Setting) -> dict[str, tuple[str, Recipe]]:
    """By name: what is changed, and how the network is then trained."""
    usual = setting.preset
    gaussian = tuple(width for width in usual.initial_estimates if width != "low-rank")
    three_times = replace(OURS, subjects={"n_subjects": 3 * setting.n_subjects})  # none of them is tested

    def with_(recipe: Recipe = OURS, **training: Any) -> Recipe:
        return replace(recipe, training=training)

    return {
        "ours": ("The default", OURS),
        "no-rate-shift": ("without relaxation-rate augmentation", with_(rate_shift=0.0)),
        "no-initial-estimates": ("without initial estimates", with_(initial_estimates=())),
        "no-low-rank": ("without the estimates of local low rank", with_(initial_estimates=gaussian)),
        "unsmoothed-estimates": ("unsmoothed initial estimates only", with_(initial_estimates=(0.0,))),
        "no-flips": ("without flips", with_(flips=False)),
        "no-motion": ("without rotation and translation", with_(max_degrees=0.0, max_shift=0.0)),
        "no-averaging": ("without averaging of the weights", with_(averaging=0.0)),
        "slow": ("one eighth of the learning rate", with_(learning_rate=usual.learning_rate / 8)),
        "constant": ("constant learning rate", with_(schedule="constant")),
        "short": ("half as many epochs", with_(epochs=usual.epochs // 2)),
        "long": ("twice as many epochs", with_(epochs=2 * usual.epochs)),
        "narrow": ("half as many channels", with_(base=usual.base // 2)),
        "wide": ("twice as many channels", with_(base=2 * usual.base)),
        "shallow": ("half as many levels", with_(depth=usual.depth // 2)),
        "fresh": ("new noise in each step", with_(fresh_noise=True)),
        "fresh-long": ("new noise, three times as many epochs", with_(fresh_noise=True, epochs=3 * usual.epochs)),
        "many": ("three times as many subjects", three_times),
        "many-fresh": ("new noise, three times as many subjects", with_(three_times, fresh_noise=True)),
        "all-images": ("orthogonal pairs of all images", Recipe("orthogonal", "homoscedastic")),
        "paper-loss": ("the paper's loss", Recipe("paper", "homoscedastic")),
        "paper-training": ("the paper's input and augmentation", replace(OURS, training=AS_PAPER)),
        "paper": ("the paper's loss, input and augmentation", as_paper("homoscedastic")),
    }


def _rows(setting: Setting) -> Rows:
    rows = {name: Row(label, (recipe,)) for name, (label, recipe) in _changed(setting).items()}
    return plan_rows({"nlls-4": ROWS["nlls-4"]} | rows, {None: setting.folds()[:1]})


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    return {"rows": summarise(_rows(setting), outcomes, ratio_to="nlls-4", difference_from="ours")}


def _tables(result: Result) -> list[Table]:
    shown = {"{contrast} (ms)": of_entry, "{contrast}, ratio to fit": of_ratio}
    shown["{contrast} minus default"] = of_difference
    note = "One fold and one seed: differences of a few hundredths of a millisecond may be those of another seed."
    title = "Error against the truth when one thing is changed"
    return [table(title, result["rows"].values(), columns(shown, contrast=CONTRASTS, against="truth"), note)]


ABLATION = Experiment(__doc__, lambda setting: steps_of(_rows(setting)), _result, _tables)
