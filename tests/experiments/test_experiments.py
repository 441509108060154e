"""All experiments at their smallest: what they promise holds whatever the size."""

import gzip
import json
import math
import sys
from itertools import product

import numpy as np
import pytest

from relaxnet.cli._experiment import Name
from relaxnet.errors import MissingExtraError
from relaxnet.experiments import EXPERIMENTS, SETTINGS, render, run
from relaxnet.experiments._harness.claims import verdict
from relaxnet.experiments._harness.format import Table, columns, of_entry, table
from relaxnet.experiments._harness.render import read_result, write_result
from relaxnet.experiments._harness.report import correct
from relaxnet.experiments._harness.rows import ROWS
from relaxnet.experiments._harness.settings import SMOKE
from relaxnet.experiments._harness.weights import plan_choice

pytestmark = pytest.mark.xdist_group("experiments")  # they share what the fixture runs, which takes a while

PROMISED = {
    "table2": {
        "two-point", "stsm", "st", "sl", "baseline", "heteu", "homou", "profiled", "correlated",
        "held-out-reconstruction", "held-out-orthogonal", "nlls-4", "joint-7", "denoise-then-fit-3",
        "denoise-then-fit-7", "zero-shot", "sl-truth", "ensemble", "truth", "one-value", "gaussian-then-fit-3",
        "low-rank-then-fit-3", "low-rank-then-fit-7", "regression-then-fit-7", "shrunk-7", "untrained", "voxelwise-3",
        "implicit-3",
        "spatial-3", "spatial-7", "floor-3", "floor-7",
    },
    "controls": {"two-point", "nlls-4", "one-value", "spatial-3", "low-rank-then-fit-7", "untrained", "floor-7"},
    "table3": {"baseline", "heteu", "homou", "profiled", "correlated", "by-hand", "homou-from-one", "uw-so"},
    "table4": {"nlls-4", "nlls-4-std", "network", "network-std"},
    "fig2": {"truth", "nlls-4", "two-point", "sl", "homou"},
    "fig3": {"fixed-0.25", "fixed-0.75", "homou"},
    "snr": {"joint-7", "bound-7", "nlls-4", "homou", "held-out-orthogonal"},
    "generalise": {"nlls-4", "homou", "held-out-orthogonal"},
    "losses": {"nlls-4", "paper", "held-out-orthogonal", "fresh"},
    "intervals": {"joint-7", "spatial-3", "spatial-7", "held-out-orthogonal"},
    "ablation": {"ours", "paper"},
    "real": {"nlls", "gaussian", "non-local-means", "low-rank", "spatial", "network", "untrained", "twice"},
}  # fmt: skip


@pytest.mark.parametrize("name", PROMISED)
def test_results_hold_what_was_promised(smoke, name):
    out, results, _ = smoke
    kept = read_result(out / "smoke", name)
    assert kept["command"] == f"relaxnet experiment {name} --preset smoke --seeds 2"
    assert kept["preset"] == "smoke"
    assert name == "real" or kept["subjects"]["n"] == 6
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
            if name not in ("table4", "real"):
                assert entry["against"] in ("truth", "reference")
                if name != "fig2":  # a single subject
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
    np.testing.assert_allclose(np.mean([e["by_subject"] for e in sets], axis=0), mean["by_subject"])
    assert mean["mean"] == pytest.approx(np.mean(mean["by_subject"]))
    assert len(mean["by_subject"]) == 6
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
            assert verdict(entry) == ("open" if entry["p"] >= 0.05 else "yes" if entry["mean"] < 0 else "no")
    against = {entry["against"] for entry in next(c for c in result["claims"] if c["second"] == "nlls-4")["entries"]}
    assert against == {"truth"}


def test_the_tests_of_a_page_are_one_family():
    families = [{"difference": {"p": p}} for p in (0.01, 0.04)]
    result = {"rows": {"a": {"entries": families}}, "claims": [{"entries": [{"p": 0.02}]}]}
    correct(result)
    assert [entry["difference"]["p"] for entry in families] == pytest.approx([0.03, 0.04])
    assert result["claims"][0]["entries"][0]["p"] == pytest.approx(0.04)


@pytest.mark.parametrize("contrast", ["t1rho", "t2"])
def test_the_error_of_the_truth_is_that_of_the_reference(smoke, contrast):
    rows = smoke[1]["table2"]["rows"]
    truth = entry_of(rows["truth"], contrast=contrast, against="reference")
    assert truth["mean"] == entry_of(rows["nlls-4"], contrast=contrast, against="truth")["mean"]
    assert entry_of(rows["truth"], contrast=contrast, against="truth")["mean"] == 0
    assert entry_of(rows["nlls-4"], contrast=contrast, against="reference")["mean"] == 0


def test_an_undisturbed_row_is_that_of_table2(smoke):
    results = smoke[1]
    for name, contrast in product(("homou", "profiled"), ("t1rho", "t2")):
        wanted = {"contrast": contrast, "against": "truth", "inputs": "mean of input sets"}
        of3 = entry_of(results["table3"]["rows"][name], case="none", **wanted)
        assert of3["of_undisturbed"] == 1
        assert of3["by_subject"] == entry_of(results["table2"]["rows"][name], **wanted)["by_subject"]


def test_weights_by_hand_are_chosen_on_subjects_of_another_cohort(smoke):
    result, step = smoke[1]["table3"], plan_choice(SMOKE)
    assert result["by_hand"] in [[0.25, 0.75], [0.75, 0.25]]
    others = {subject.images.sum().item() for subject in step.arguments["others"].test()}
    assert others.isdisjoint(subject.images.sum().item() for subject in SMOKE.cohort())
    assert {need.key for need in step.needs} < {step.key for step in EXPERIMENTS["fig3"].load().steps(SMOKE)}
    wanted = {"contrast": "t2", "against": "truth", "inputs": "mean of input sets"}
    chosen = smoke[1]["fig3"]["rows"][f"fixed-{result['by_hand'][0]:g}"]
    by_hand = entry_of(result["rows"]["by-hand"], case="none", **wanted)
    assert by_hand["by_subject"] == entry_of(chosen, **wanted)["by_subject"]


def test_fits_come_near_the_bound_and_do_not_pass_it(smoke):
    rows = smoke[1]["snr"]["rows"]
    for n, contrast in product((5, 7), ("t1rho", "t2")):
        fit, bound = (
            entry_of(rows[f"{kind}-{n}"], contrast=contrast, against="truth", snr=20.0)["mean"]
            for kind in ("joint", "bound")
        )
        assert 0.9 < fit / bound < 1.3


@pytest.mark.parametrize("contrast", ["t1rho", "t2"])
def test_the_floor_is_lower_with_more_images(smoke, contrast):
    rows = smoke[1]["table2"]["rows"]
    of_three = entry_of(rows["floor-3"], contrast=contrast, against="truth", inputs="mean of input sets")
    of_all = entry_of(rows["floor-7"], contrast=contrast, against="truth")
    assert of_all["mean"] < of_three["mean"]


def test_networks_are_tested_on_subjects_with_the_noise_of_their_training(smoke):
    """Their reference is the fit of these subjects."""
    rows, snrs = smoke[1]["snr"]["rows"], SMOKE.snrs
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
    assert [line.partition(":")[0] for line in said] == ["preset 'smoke'", "table3"]
    assert again["table3"]["rows"] == results["table3"]["rows"]


def test_a_choice_of_networks(smoke, tmp_path):
    out, results, _ = smoke
    (tmp_path / ".cache").symlink_to(out / ".cache")
    said, networks = [], ["homou", "sl"]
    found = run("table2", preset="smoke", seeds=2, networks=networks, out=tmp_path, say=said.append)["table2"]
    assert [line.partition(":")[0] for line in said] == ["preset 'smoke'", "table2"]  # all is computed
    trained = {name for name, row in ROWS.items() if row.recipes}
    assert trained & set(found["rows"]) == {"baseline", *networks}
    assert set(results["table2"]["rows"]) - set(found["rows"]) == trained - {"baseline", *networks}
    assert {(claim["first"], claim["second"]) for claim in found["claims"]} == {
        ("homou", "two-point"), ("baseline", "sl"), ("homou", "baseline")
    }  # fmt: skip
    assert found["command"] == "relaxnet experiment table2 --preset smoke --seeds 2 --networks homou --networks sl"
    assert "SL + HOMOU" not in render(tmp_path / "smoke")[0].read_text()


def test_networks_of_an_earlier_run_stay_in_the_table(smoke, tmp_path):
    out, results, _ = smoke
    (tmp_path / ".cache").symlink_to(out / ".cache")

    def of(*networks):
        return run("table2", preset="smoke", seeds=2, networks=networks, out=tmp_path)["table2"]

    of("homou")
    of("sl", "st")
    found = of("correlated")
    trained = {name for name, row in ROWS.items() if row.recipes}
    assert trained & set(found["rows"]) == {"baseline", "homou", "sl", "st", "correlated"}
    first, second = found["earlier"]
    assert first["command"].endswith("--networks homou")
    assert trained & set(first["rows"]) == {"homou"}
    assert {"spatial-7", "floor-3", "truth"} < set(first["rows"])  # which the other runs have not computed again
    assert second["command"].endswith("--networks sl --networks st")
    assert second["rows"] == ["sl", "st"]
    assert "--networks homou`" in render(tmp_path / "smoke")[0].read_text()
    assert list(found["rows"]) == [name for name in results["table2"]["rows"] if name in found["rows"]]
    for name in ("homou", "st", "correlated"):  # as if all had been computed at once, but for rounding
        wanted = {"contrast": "t2", "against": "truth", "inputs": "mean of input sets"}
        one, other = (entry_of(result["rows"][name], **wanted) for result in (found, results["table2"]))
        for key in ("mean", "bias"):
            assert one[key] == pytest.approx(other[key], rel=1e-4, abs=1e-4)
        for key in ("ratio", "difference"):
            assert one[key]["mean"] == pytest.approx(other[key]["mean"], rel=1e-3, abs=1e-3)
    assert {"correlated", "homou"} <= {claim["first"] for claim in found["claims"]}
    again = of("correlated", "homou", "sl", "st")
    assert trained.isdisjoint(name for part in again["earlier"] for name in part["rows"])
    assert "earlier" not in of()  # all is computed


def test_networks_of_other_training_do_not_stay(smoke, tmp_path):
    out, _, _ = smoke
    (tmp_path / ".cache").symlink_to(out / ".cache")
    run("table2", preset="smoke", seeds=2, networks=["homou"], out=tmp_path)
    path = tmp_path / "smoke" / "table2.json.gz"
    written = json.loads(gzip.decompress(path.read_bytes()))
    written["training"]["epochs"] += 1
    path.write_bytes(gzip.compress(json.dumps(written).encode()))
    assert "homou" not in run("table2", preset="smoke", seeds=2, networks=["sl"], out=tmp_path)["table2"]["rows"]
    path.write_bytes(b"no result")
    said = []
    found = run("table2", preset="smoke", seeds=2, networks=["homou"], out=tmp_path, say=said.append)["table2"]
    assert "sl" not in found["rows"]
    assert any("table2: no row is kept: " in line and "damaged" in line for line in said)


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


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_figure_is_as_wide_as_a_column_or_a_page_and_has_a_caption(smoke, name):
    out, experiment = smoke[0] / "smoke", EXPERIMENTS[name].load()
    figures = experiment.figures(read_result(out, name, details=True))
    captions = experiment.captions(read_result(out, name))
    assert set(figures) == set(captions)
    assert {round(figure.get_figwidth() * 25.4) for figure in figures.values()} <= {85, 180}
    render(out, [name])
    for title, caption in captions.items():
        assert f"]({title}.png)\n\n*{caption}*\n" in (out / f"{name}.md").read_text()
        assert f"\\includegraphics{{{title}}}\n\\caption{{" in (out / f"{name}.tex").read_text()


@pytest.mark.parametrize(("figures", "begin"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_figures_for_print(smoke, figures, begin):
    drawn = [path for path in render(smoke[0] / "smoke", ["fig3"], figures=figures) if path.stem == "fig3"]
    assert drawn[-1].suffix == f".{figures}"
    assert drawn[-1].read_bytes().startswith(begin)


def test_a_format_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="figures='jpg' is unknown: choose from png, pdf, svg"):
        render(tmp_path, figures="jpg")


def test_a_folder_without_results(tmp_path):
    with pytest.raises(ValueError, match="holds no result, such as table2"):
        render(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": "table5"}, "experiment='table5' is unknown"),
        ({"names": "table2", "preset": "huge"}, "preset='huge' is unknown"),
        ({"names": "table2", "seeds": 0}, "seeds=0: at least one"),
        ({"names": "table2", "networks": ["homo"]}, "networks: 'homo' is none of Table II, .* homou"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(**arguments, out=tmp_path)


@pytest.mark.parametrize("package", ["lightning", "matplotlib", "skimage"])
def test_what_is_missing_is_told_before_anything_is_computed(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package} is not installed.*relaxnet\[experiments\]"):
        run("table4", preset="smoke", out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_command_line_knows_all_experiments():
    assert [name.value for name in Name] == [*EXPERIMENTS, "all"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_asks_a_question_and_plans_steps_for_every_setting(name):
    experiment = EXPERIMENTS[name].load()
    assert experiment.question
    for setting in (choice.load() for choice in SETTINGS.values()):
        keys = [step.key for step in experiment.steps(setting)]
        assert keys == [step.key for step in experiment.steps(setting)]


def test_the_small_file_lacks_what_the_compressed_one_has(smoke):
    out, results, _ = smoke
    for name in EXPERIMENTS:
        small, whole = (read_result(out / "smoke", name, details=details) for details in (False, True))
        assert set(small["rows"]) == set(whole["rows"]) == set(results[name]["rows"])
        assert "by_subject" not in json.dumps(small)
        assert len((out / "smoke" / f"{name}.json").read_text().splitlines()) < 900
    wanted = {"contrast": "t2", "against": "truth", "inputs": "long"}
    small, whole = (
        entry_of(read_result(out / "smoke", "table2", details=details)["rows"]["homou"], **wanted)
        for details in (False, True)
    )
    assert small == {key: value for key, value in whole.items() if key not in ("by_subject", "liver_mean")}
    assert whole["mean"] == pytest.approx(np.mean(whole["by_subject"]), rel=1e-3)


def test_the_same_result_gives_the_same_bytes(smoke, tmp_path):
    _, results, _ = smoke
    for folder in ("one", "other"):
        write_result(tmp_path / folder, "table3", results["table3"])
    for suffix in (".json", ".json.gz"):
        one, other = ((tmp_path / folder / f"table3{suffix}").read_bytes() for folder in ("one", "other"))
        assert one == other
    assert other[4:8] == bytes(4)  # gzip's time of writing


def test_figures_need_the_compressed_file(smoke, tmp_path):
    out, _, _ = smoke
    for suffix in (".json", ".json.gz"):
        (tmp_path / f"fig2{suffix}").write_bytes((out / "smoke" / f"fig2{suffix}").read_bytes())
    assert {path.suffix for path in render(tmp_path)} == {".md", ".tex", ".png"}
    (tmp_path / "fig2.json.gz").unlink()
    assert {path.suffix for path in render(tmp_path)} == {".md", ".tex"}


def test_a_table_of_columns():
    entries = [{"contrast": c, "snr": snr, "mean": snr, "ci95": [0, 9]} for c in ("t1rho", "t2") for snr in (1.0, 2.5)]
    shown = columns({"{contrast} at {snr:g}": of_entry}, contrast=("t1rho", "t2"), snr=(2.5, 5.0))
    made = table("Title", [{"label": "Row", "entries": entries}], shown, "Note")
    header = ("", "T1rho at 2.5", "T1rho at 5", "T2 at 2.5", "T2 at 5")
    assert made == Table("Title", header, [("Row", "2.50 [0.00, 9.00]", "", "2.50 [0.00, 9.00]", "")], "Note")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"experiment": "fig3"}', b'{"experiment": "ta', b"[]", b"\x1f\x8b\x08"]
)
def test_a_damaged_result_is_named(tmp_path, content):
    for details, file in ((False, "table2.json"), (True, "table2.json.gz")):
        (tmp_path / file).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{file} is damaged, or not a result of table2: repeat"):
            read_result(tmp_path, "table2", details=details)


def test_an_ensemble_needs_all_seeds_and_two_at_least():
    folds = SMOKE.folds()
    for seeds, n in ((1, 2), (3, 3)):
        (((first,), (second,)),) = ROWS["ensemble"].plan("ensemble", folds, seeds=seeds)
        assert len(first.needs) == len(second.needs) == n
