"""What README and documentation say of results is what was measured, and tables are those of their numbers."""

import json
import math
import re
import shutil
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

import relaxnet as rx

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MEAN = "mean of input sets"
SMOOTH, TEXTURED = (ROOT / "results" / name for name in ("laptop-smooth", "laptop"))
COMMITTED = sorted(path.with_suffix("").relative_to(ROOT / "results") for path in ROOT.glob("results/*/*.json"))


def test_results_are_those_of_experiments():
    assert COMMITTED
    assert {result.name for result in COMMITTED} <= set(rx.experiments.EXPERIMENTS)
    assert {result.parent.name for result in COMMITTED} <= set(rx.experiments.SETTINGS)
    whole = {path.relative_to(ROOT / "results") for path in ROOT.glob("results/*/*.json.gz")}
    assert whole == {result.with_suffix(".json.gz") for result in COMMITTED}


@pytest.mark.parametrize("result", COMMITTED, ids=str)
def test_tables_of_the_experiments_are_those_of_their_numbers(result, tmp_path):
    for suffix in (".json", ".json.gz"):
        shutil.copy((ROOT / "results" / result).with_suffix(suffix), tmp_path)
    for path in rx.experiments.render(tmp_path):
        committed = ROOT / "results" / result.parent / path.name
        assert committed.exists() if path.suffix == ".png" else committed.read_bytes() == path.read_bytes()
    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    assert f"{{include}} ../results/{result.with_suffix('.md').as_posix()}" in page


def test_no_loss_was_measured_to_be_clearly_better_than_the_default():
    result = json.loads((SMOOTH / "losses.json").read_text(encoding="utf-8"))
    error = {
        name: np.mean([e["mean"] for e in row["entries"] if e["against"] == "truth" and e["inputs"].startswith("mean")])
        for name, row in result["rows"].items()
        if name not in ("fresh", "nlls-4", "truth")
    }
    # Two losses of held-out images are as good as one another: their seeds differ by more than they do.
    assert error[signature(rx.training.train).parameters["loss"].default] < 1.02 * min(error.values())


@pytest.mark.parametrize("case", ["native", "snr-20"])
def test_what_is_said_of_real_images_is_what_was_measured(case):
    rows = json.loads((TEXTURED / "real.json").read_text(encoding="utf-8"))["rows"]
    share = {
        name: {e["series"]: e["ratio"]["mean"] for e in row["entries"] if e["case"] == case}
        for name, row in rows.items()
    }
    smooth = ("gaussian", "non-local-means", "low-rank", "spatial")
    lowest = 0.97 if case == "native" else 0.85
    assert all(lowest < ratio < 1.01 for name in smooth for ratio in share[name].values())
    for series in ("prostate", "leg", "brain"):
        assert share["network"][series] < 0.85 < min(share[name][series] for name in smooth)
        assert share["targets"][series] < 1 < share["rician"][series]
        assert share["two-point"][series] < 0.95
    assert share["targets"]["brain-se"] > share["network"]["brain-se"] > 1.1
    photographs = {name: row["entries"][-1] for name, row in rows.items() if row["entries"]}
    ratio = {name: f"{e['ratio']['mean']:.2f}" for name, e in photographs.items() if e["series"] == "photographs"}
    said = " ".join((ROOT / "docs" / "experiments.md").read_text(encoding="utf-8").split())
    assert f"local low rank has {ratio['low-rank']} of the error of least squares" in said
    assert f"the spatial fit {ratio['spatial']}, a network that learns from this one series {ratio['network']}." in said


def test_gains_on_real_images_are_those_that_were_measured():
    network = json.loads((TEXTURED / "real.json").read_text(encoding="utf-8"))["rows"]["network"]["entries"]
    ratio = {(e["case"], e["series"]): e["ratio"]["mean"] for e in network}
    said = " ".join((ROOT / "docs" / "experiments.md").read_text(encoding="utf-8").split())
    trains = {
        case: sorted(round(100 - 100 * ratio[case, series]) for series in ("prostate", "leg", "brain"))
        for case in ("native", "snr-20")
    }
    (few, _, many), (few_noisy, _, many_noisy) = trains.values()
    assert f"({few} to {many} % below the plain fit, {few_noisy} to {many_noisy} % at SNR 20)" in said
    lost, lost_noisy = (round(100 * ratio[case, "brain-se"] - 100) for case in trains)
    assert f"to the plain fit by {lost} % ({lost_noisy} % at SNR 20)" in said
    readme = " ".join(README.split())
    assert f"predicts the others {few} to {many} % better than least squares" in readme
    assert f"with two images to learn from, it is {lost} % worse" in readme


def test_intervals_of_regions_are_those_that_were_measured():
    rows = json.loads((TEXTURED / "controls.json").read_text(encoding="utf-8"))["intervals"]
    held = [100 * e["regions"]["posterior"]["mean"] for n in "37" for e in rows[f"spatial-{n}"]["entries"]]
    said = " ".join((ROOT / "docs" / "spatial_fit.md").read_text(encoding="utf-8").split())
    assert f"{min(held):.0f} to {max(held):.0f} % of the means of regions" in said


def mean_error(row, **wanted):
    (entry,) = (e for e in row["entries"] if all(e[key] == value for key, value in wanted.items()))
    return entry["mean"]


@pytest.mark.parametrize("inputs", ["middle", "long"])
def test_networks_of_three_images_were_measured_to_be_far_better_than_the_fit_of_four(inputs):
    rows = json.loads((SMOOTH / "table2.json").read_text(encoding="utf-8"))["rows"]
    for contrast, part in (("t1rho", 0.37), ("t2", 0.53)):
        network = mean_error(rows["held-out-orthogonal"], contrast=contrast, against="truth", inputs=inputs)
        fit = mean_error(rows["nlls-4"], contrast=contrast, against="truth")
        assert network < part * fit


def test_numbers_of_the_readme_are_those_that_were_measured():
    text = " ".join(README.split())
    rows = json.loads((SMOOTH / "table2.json").read_text(encoding="utf-8"))["rows"]
    reference = {name: mean_error(rows["nlls-4"], contrast=name, against="truth") for name in ("t1rho", "t2")}
    for row, inputs in (("held-out-orthogonal", MEAN), ("homou", MEAN), ("denoise-then-fit-7", "all images")):
        t1rho, t2 = (
            100 * mean_error(rows[row], contrast=name, against="truth", inputs=inputs) / fit
            for name, fit in reference.items()
        )
        assert re.search(rf"{t1rho:.0f} %( \(T1rho\))? and {t2:.0f} %", text), row


def both_contrasts(row):
    """The entries of T1rho and T2 over all input sets, against the truth."""
    return [e for e in row["entries"] if e["against"] == "truth" and e.get("inputs", MEAN) in (MEAN, "all images")]


def shares_of_the_fit(rows):
    error = {name: [e["mean"] for e in both_contrasts(row)] for name, row in rows.items()}
    return {name: 100 * np.divide(both, error["nlls-4"]) for name, both in error.items()}


def pairs(numbers, digits=0):
    """Numbers of T1rho and T2 as they are written."""
    return {tuple(f"{abs(number):.{digits}f}" for number in both) for both in numbers}


@pytest.mark.parametrize(
    ("page", "section", "results"),
    [
        ("spatial_fit", "What it was measured to do", TEXTURED),
        ("experiments", "What texture says", TEXTURED),
        ("experiments", "What smooth livers say", SMOOTH),
    ],
)
def test_pairs_of_numbers_in_the_text_were_measured(page, section, results):
    percent, r2 = set(), set()
    for name in ("table2", "controls"):
        result = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
        percent |= pairs(shares_of_the_fit(result["rows"]).values())
        judged = [both_contrasts(row) for row in result["rows"].values()]
        known = [both for both in judged if "r2" in both[0]]
        r2 |= pairs(([e["r2"] for e in both] for both in known), 2)
        percent |= pairs([100 * (e["lesion_bias"] or math.nan) for e in both] for both in known)
        for row in result.get("intervals", {}).values():
            percent |= pairs([[100 * e["voxels"]["mean"] for e in row["entries"]]])
    text = " ".join((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").partition(f"# {section}\n")[2].split())
    said = text.partition(" ## ")[0].partition("```")[0]
    found = re.findall(r"(\d+) %(?: \(T1rho\))? and (\d+) %", said)
    assert len(found) > 4
    assert {*found} <= percent
    assert {*re.findall(r"(\d\.\d\d) and (\d\.\d\d)", said)} <= r2


def test_what_is_said_of_texture_is_what_was_measured():
    share = shares_of_the_fit(json.loads((TEXTURED / "table2.json").read_text(encoding="utf-8"))["rows"])
    for row in ("spatial-3", "spatial-7", "floor-3", "floor-7", "held-out-orthogonal"):
        ((t1rho, t2),) = pairs([share[row]])
        assert re.search(rf"{t1rho} %( \(T1rho\))? and {t2} %", " ".join(README.split())), row
    without_floor = {name: part for name, part in share.items() if not name.startswith("floor")}
    for n in ("3", "7"):
        others = [part for name, part in without_floor.items() if name.endswith(n) and name != f"spatial-{n}"]
        assert (share[f"spatial-{n}"] < np.min(others, axis=0)).all()
        assert (share[f"spatial-{n}"] < 1.16 * share[f"floor-{n}"]).all()


def test_weights_chosen_by_hand_are_the_best_of_fig3():
    rows = json.loads((SMOOTH / "fig3.json").read_text(encoding="utf-8"))["rows"]
    for against in ("truth", "reference"):
        error = {
            row["weight"]: np.prod([mean_error(row, contrast=name, against=against) for name in ("t1rho", "t2")])
            for row in rows.values()
            if "weight" in row
        }
        assert min(error, key=error.get) == 0.35


def test_learnt_weights_were_measured_to_withstand_wrong_scales():
    rows = json.loads((SMOOTH / "table3.json").read_text(encoding="utf-8"))["rows"]
    for contrast in ("t1rho", "t2"):
        for name in ("homou", "heteu", "profiled", "correlated"):
            right, wrong = (
                mean_error(rows[name], contrast=contrast, against="truth", case=case) for case in ("none", "t2-x10000")
            )
            assert wrong < 1.05 * right
    fixed = rows["baseline"]
    right, wrong = (mean_error(fixed, contrast="t1rho", against="truth", case=case) for case in ("none", "t2-x10000"))
    assert wrong > 1.5 * right


def test_intervals_were_measured_to_hold_what_they_promise():
    covered = json.loads((SMOOTH / "generalise.json").read_text(encoding="utf-8"))["coverage_90"]
    for case, tolerance in (("same", 0.02), ("snr-10", 0.05), ("snr-40", 0.05)):
        for name in ("t1rho", "t2"):
            assert covered[case][name]["mean"] == pytest.approx(0.9, abs=tolerance)


def test_a_real_liver_varies_more_than_a_smooth_one():
    found = json.loads((ROOT / "benchmarks" / "results" / "texture.json").read_text())
    neighbours = {name: parts["parenchyma alone"][1] for name, parts in found.items()}
    assert neighbours["smooth"] < neighbours["texture=(0.06, 5)"] < neighbours["real"] < neighbours["texture=(0.12, 5)"]


def test_whole_slices_were_measured_to_cost_what_is_said():
    costs = json.loads((ROOT / "benchmarks" / "results" / "fitting.json").read_text())["inputs"]
    ratios = [row["compiled"] / row["tissue instead"] for row in costs.values() if "tissue instead" in row]
    said = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    assert f"cost {min(ratios):.1f} to {max(ratios):.1f} times as much" in said
