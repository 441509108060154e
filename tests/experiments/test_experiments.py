"""All experiments at their smallest: what they promise holds whatever the size."""

import json
import math
from itertools import product

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.cli._experiment import Name
from relaxnet.experiments import EXPERIMENTS, SETTINGS, render, run
from relaxnet.experiments._harness.fits import METHODS, non_local_means
from relaxnet.experiments._harness.networks import alone
from relaxnet.experiments._harness.rows import ROWS
from relaxnet.experiments._harness.score import score

pytestmark = pytest.mark.xdist_group("experiments")  # they share what the fixture runs, which takes a while

PROMISED = {
    "table2": {
        "two-point", "stsm", "st", "sl", "baseline", "heteu", "homou", "profiled", "correlated",
        "held-out-reconstruction", "held-out-orthogonal", "nlls-4", "joint-7", "denoise-then-fit-3",
        "denoise-then-fit-7", "zero-shot", "sl-truth", "ensemble", "floor",
    },
    "table3": {"baseline", "heteu", "homou", "profiled", "correlated", "by-hand", "homou-from-one"},
    "table4": {"nlls-4", "nlls-4-std", "network", "network-std"},
    "fig2": {"truth", "nlls-4", "two-point", "sl", "homou"},
    "fig3": {"fixed-0.25", "fixed-0.75", "homou"},
    "snr": {"joint-7", "bound-7", "nlls-4", "homou", "held-out-orthogonal"},
    "generalise": {"nlls-4", "homou", "held-out-orthogonal"},
    "losses": {"nlls-4", "paper", "held-out-orthogonal", "fresh"},
    "ablation": {"ours", "paper"},
}  # fmt: skip


@pytest.mark.parametrize("name", PROMISED)
def test_results_hold_what_was_promised(smoke, name):
    out, results, _ = smoke
    kept = json.loads((out / "smoke" / f"{name}.json").read_text())
    assert kept["command"] == f"relaxnet experiment {name} --preset smoke --seeds 2"
    assert kept["preset"] == "smoke"
    assert kept["patients"]["n"] == 6
    assert {"relaxnet", "torch", "python"} <= set(kept["versions"])
    assert kept["machine"]
    assert kept["time"]
    assert PROMISED[name] <= set(kept["rows"]) == set(results[name]["rows"])
    for row in kept["rows"].values():
        assert row["label"]
        assert row["entries"]
        for entry in row["entries"]:
            assert math.isfinite(entry["mean"])
            assert entry["seeds"] >= 1
            if name != "table4":
                assert entry["against"] in ("truth", "reference")
                if name != "fig2":  # a single patient
                    low, high = entry["ci95"]
                    assert low <= entry["mean"] <= high


def entry_of(row, **wanted):
    (found,) = (e for e in row["entries"] if all(e.get(k) == v for k, v in wanted.items()))
    return found


@pytest.mark.parametrize(("contrast", "against"), list(product(("t1rho", "t2"), ("truth", "reference"))))
def test_table2_adds_up(smoke, contrast, against):
    rows = smoke[1]["table2"]["rows"]
    mean = entry_of(rows["homou"], contrast=contrast, against=against, inputs="mean of input sets")
    sets = [
        entry_of(rows["homou"], contrast=contrast, against=against, inputs=inputs)
        for inputs in ("short", "middle", "long")
    ]
    np.testing.assert_allclose(np.mean([e["patients"] for e in sets], axis=0), mean["patients"])
    assert mean["mean"] == pytest.approx(np.mean(mean["patients"]))
    assert len(mean["patients"]) == 6
    assert (mean["seeds"], entry_of(rows["st"], contrast=contrast, against=against, inputs="long")["seeds"]) == (2, 1)
    baseline = entry_of(rows["baseline"], contrast=contrast, against=against, inputs="mean of input sets")
    assert mean["difference"]["mean"] == pytest.approx(mean["mean"] - baseline["mean"])
    assert "difference" not in baseline


def test_claims_are_those_of_the_rows(smoke):
    result = smoke[1]["table2"]
    assert len(result["claims"]) > 5
    for claim in result["claims"]:
        for entry in claim["entries"]:
            wanted = {name: entry[name] for name in ("contrast", "against")}
            first, second = (
                next(e for e in result["rows"][claim[k]]["entries"] if wanted.items() <= e.items())
                for k in ("first", "second")
            )
            assert entry["mean"] == pytest.approx(first["mean"] - second["mean"], abs=1e-9)
            low, high = entry["ci95"]
            assert low <= entry["mean"] <= high
            if entry["holds"] != "open":
                assert entry["p"] < 0.05
                assert entry["holds"] == ("yes" if entry["mean"] < 0 else "no")
    against = {entry["against"] for entry in next(c for c in result["claims"] if c["second"] == "nlls-4")["entries"]}
    assert against == {"truth"}


@pytest.mark.parametrize("contrast", ["t1rho", "t2"])
def test_the_floor_is_the_error_of_the_reference(smoke, contrast):
    rows = smoke[1]["table2"]["rows"]
    floor = entry_of(rows["floor"], contrast=contrast, against="reference")
    assert floor["mean"] == entry_of(rows["nlls-4"], contrast=contrast, against="truth")["mean"]
    assert entry_of(rows["floor"], contrast=contrast, against="truth")["mean"] == 0
    assert entry_of(rows["nlls-4"], contrast=contrast, against="reference")["mean"] == 0


def test_an_undisturbed_row_is_that_of_table2(smoke):
    results = smoke[1]
    for name, contrast in product(("homou", "profiled"), ("t1rho", "t2")):
        wanted = {"contrast": contrast, "against": "truth", "inputs": "mean of input sets"}
        of3 = entry_of(results["table3"]["rows"][name], case="none", **wanted)
        assert of3["of_undisturbed"] == 1
        assert of3["patients"] == entry_of(results["table2"]["rows"][name], **wanted)["patients"]


def test_fits_come_near_the_bound_and_do_not_pass_it(smoke):
    rows = smoke[1]["snr"]["rows"]
    for n, contrast in product((5, 7), ("t1rho", "t2")):
        fit, bound = (
            entry_of(rows[f"{kind}-{n}"], contrast=contrast, against="truth", snr=20.0)["mean"]
            for kind in ("joint", "bound")
        )
        assert 0.9 < fit / bound < 1.3


def test_networks_are_tried_on_patients_with_the_noise_that_they_learnt_from(smoke):
    """What they are compared with there is what the fit of these patients gave."""
    rows, snrs = smoke[1]["snr"]["rows"], SETTINGS["smoke"].snrs
    for name, contrast, snr in product(("homou", "held-out-orthogonal"), ("t1rho", "t2"), snrs):
        network, fit = (
            entry_of(rows[row], contrast=contrast, against="reference", snr=snr) for row in (name, "nlls-4")
        )
        compared_with = network["liver_mean"] - np.mean(network["limits_of_agreement"])
        assert compared_with == pytest.approx(fit["liver_mean"], rel=1e-3)


def test_a_second_run_computes_nothing(smoke):
    out, results, _ = smoke
    said = []
    again = run("table3", preset="smoke", seeds=2, out=out, say=said.append)
    assert len(said) == 1
    assert again["table3"]["rows"] == results["table3"]["rows"]


def test_everything_is_rendered(smoke):
    out, results, _ = smoke
    files = {path.name for path in render(out / "smoke")}
    assert {f"{name}{suffix}" for name in EXPERIMENTS for suffix in (".md", ".tex")} < files
    assert {"fig2-short.png", "fig2-middle.png", "fig2-long.png", "fig3.png", "snr.png"} < files
    text = (out / "smoke" / "table2.md").read_text()
    entry = entry_of(results["table2"]["rows"]["joint-7"], contrast="t1rho", against="truth")
    low, high = entry["ci95"]
    assert f"| Joint least squares, 7 images | {entry['mean']:.2f} [{low:.2f}, {high:.2f}] |" in text
    tables = (out / "smoke" / "table3.tex").read_text()
    assert tables.count(r"\begin{table}") == tables.count(r"\end{table}") == 2
    assert r"\%" in tables


def test_a_folder_without_results(tmp_path):
    with pytest.raises(ValueError, match="holds no result, such as table2"):
        render(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": "table5"}, "experiment='table5' is unknown"),
        ({"names": "table2", "preset": "huge"}, "preset='huge' is unknown"),
        ({"names": "table2", "seeds": 0}, "seeds=0: at least one"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(**arguments, out=tmp_path)


def test_the_command_line_knows_all_experiments():
    assert [name.value for name in Name] == [*EXPERIMENTS, "all"]


def test_no_patient_tests_what_has_learnt_from_it():
    setting = SETTINGS["smoke"]
    tested = []
    for fold in range(setting.n_folds):
        test, learn = setting.test(fold), setting.learn(fold)
        assert {s.name for s in test}.isdisjoint(s.name for s in learn)
        assert len(test) + len(learn) == setting.n_subjects
        tested += [s.name for s in test]
    assert len(set(tested)) == len(tested) == setting.n_subjects


def test_scores():
    subject = SETTINGS["smoke"].test(0)[0]
    maps = {name: subject.truth[name] + offset for name, offset in (("t1rho", 2.0), ("t2", -1.0))}
    scores = score([(subject, maps)])
    assert scores["t1rho"]["truth_error"] == scores["t1rho"]["truth_bias"] == pytest.approx([2.0])
    assert scores["t2"]["truth_error"] == pytest.approx([1.0])
    assert scores["t2"]["truth_bias"] == pytest.approx([-1.0])
    assert scores["t2"]["truth_sd"] == pytest.approx([0.0], abs=1e-3)
    reference = METHODS["nlls-4"][0](subject, "")
    holes = {"t2": torch.where(torch.rand(subject.roi.shape) < 0.5, torch.nan, reference["t2"])}
    some = score([(subject, holes)])["t2"]
    assert 0.3 < some["missing"][0] < 0.7
    assert some["reference_error"] == [0.0]


def test_a_contrast_alone():
    subject = SETTINGS["smoke"].test(0)[0]
    one = alone(subject, "t2")
    assert one.protocol.names == ("t2",)
    assert torch.equal(one.images, subject.images[:, [0, 4, 5, 6]])
    assert alone(subject, None) is subject


def test_two_points_of_an_input_set():
    subject = SETTINGS["smoke"].test(0, snr=math.inf)[0]
    for inputs in subject.protocol.input_sets:
        for name, values in METHODS["two-point"][0](subject, inputs).items():
            torch.testing.assert_close(values[subject.roi], subject.truth[name][subject.roi], rtol=0.02, atol=0)


def test_non_local_means_denoise():
    subject = SETTINGS["smoke"].test(0, shape=(64, 64))[0]
    denoised = non_local_means(subject.images, subject.sigma, 0.8)
    before, after = ((images - subject.clean)[:, :, subject.roi[0]].std() for images in (subject.images, denoised))
    assert after < 0.6 * before


def test_rows_of_the_paper_have_the_inputs_of_the_paper():
    for name in ("stsm", "st", "sl", "baseline", "heteu", "homou"):
        for recipe in ROWS[name].recipes:
            assert recipe.training == {"initial_estimates": (), "rate_shift": 0.0, "flips": False}
    assert rx.training.PRESETS["paper"].initial_estimates == ()
