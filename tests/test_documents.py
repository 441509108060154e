"""README and documentation say what is true: their code runs, and their numbers are those of the demo."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from inspect import signature
from itertools import chain
from pathlib import Path

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main
from relaxnet.experiments._harness.render import latex, markdown
from relaxnet.experiments.table3 import _BY_HAND
from relaxnet.workflows._demo import NETWORK, TRUTH, TWO_POINT, render

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO = ROOT / "docs" / "demo"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(blocks("python")) == 5
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102 (our own README)
    np.testing.assert_allclose(names["result"].maps["t"], 42.0)
    assert names["maps"]["t1rho"].isfinite().all()


def test_commands_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    signal = 1000 * np.exp(-np.array((0, 10, 30, 50)) / np.full((8, 8, 2, 1), 42.0))
    image = nibabel.Nifti1Image(signal.astype(np.float32), np.eye(4))
    image.set_qform(np.eye(4), 1)
    image.to_filename("scan.nii.gz")
    (commands,) = blocks("console")
    for line in commands.splitlines():
        program, *arguments = line.split()
        assert program == "relaxnet"
        assert main(arguments) == 0, line
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    assert {f"{scan}_{map_}.nii.gz" for scan in ("scan", "sub-004_images") for map_ in ("T1rho", "T2map")} <= names
    assert (tmp_path / "joint" / "sub-004_images_S0map.nii.gz").exists()


def test_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/index.md"])
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)|```\{(?:image|include)\} (\S+)", text):
        path = next(filter(None, target))
        if not path.startswith("http"):
            assert (ROOT / document).parent.joinpath(path).exists(), path


def load(script):
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_their_numbers():
    assert (DEMO / "table.md").read_text().strip() == render(json.loads((DEMO / "results.json").read_text())["rows"])
    results = ROOT / "benchmarks" / "results"
    rates = json.loads((results / "fitting.json").read_text())["voxels_per_second"]
    assert (results / "fitting.md").read_text().strip() == load(ROOT / "benchmarks" / "fitting.py").table(rates)
    assert load(ROOT / "docs" / "refresh.py").with_tables(README) == README


def test_the_network_of_the_demo_beats_the_two_point_fit():
    rows = json.loads((DEMO / "results.json").read_text())["rows"]
    error = {(row["method"], row["contrast"]): np.mean(row[f"rmae_ms_against_{TRUTH}"]) for row in rows}
    for contrast in ("t1rho", "t2"):
        assert error[NETWORK, contrast] < error[TWO_POINT, contrast]


RESULTS = ROOT / "results" / "laptop"
COMMITTED = sorted(path.stem for path in RESULTS.glob("*.json"))


def test_results_are_those_of_experiments():
    assert COMMITTED
    assert set(COMMITTED) <= set(rx.experiments.EXPERIMENTS)
    assert {path.name for path in RESULTS.glob("*.json.gz")} == {f"{name}.json.gz" for name in COMMITTED}


@pytest.mark.parametrize("name", COMMITTED)
def test_tables_of_the_experiments_are_those_of_their_numbers(name):
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    for suffix, write in ((".md", markdown), (".tex", latex)):
        assert (RESULTS / f"{name}{suffix}").read_text(encoding="utf-8") == write(name, result)
    assert f"{{include}} ../results/laptop/{name}.md" in (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")


def test_no_loss_was_measured_to_be_clearly_better_than_the_default():
    result = json.loads((RESULTS / "losses.json").read_text(encoding="utf-8"))
    error = {
        name: np.mean([e["mean"] for e in row["entries"] if e["against"] == "truth" and e["inputs"].startswith("mean")])
        for name, row in result["rows"].items()
        if name not in ("fresh", "nlls-4", "truth")
    }
    # Two losses of held-out images are as good as one another: their seeds differ by more than they do.
    assert error[signature(rx.training.train).parameters["loss"].default] < 1.02 * min(error.values())


def mean_error(row, **wanted):
    (entry,) = (e for e in row["entries"] if all(e[key] == value for key, value in wanted.items()))
    return entry["mean"]


@pytest.mark.parametrize("inputs", ["middle", "long"])
def test_networks_of_three_images_were_measured_to_be_far_better_than_the_fit_of_four(inputs):
    rows = json.loads((RESULTS / "table2.json").read_text(encoding="utf-8"))["rows"]
    for contrast, part in (("t1rho", 0.36), ("t2", 0.53)):
        network = mean_error(rows["held-out-orthogonal"], contrast=contrast, against="truth", inputs=inputs)
        fit = mean_error(rows["nlls-4"], contrast=contrast, against="truth")
        assert network < part * fit


def test_weights_chosen_by_hand_are_the_best_of_fig3():
    rows = json.loads((RESULTS / "fig3.json").read_text(encoding="utf-8"))["rows"]
    for against in ("truth", "reference"):
        error = {
            row["weight"]: np.prod([mean_error(row, contrast=name, against=against) for name in ("t1rho", "t2")])
            for row in rows.values()
            if "weight" in row
        }
        assert min(error, key=error.get) == _BY_HAND[0]
    assert sum(_BY_HAND) == 1


def test_learnt_weights_were_measured_to_withstand_wrong_scales():
    rows = json.loads((RESULTS / "table3.json").read_text(encoding="utf-8"))["rows"]
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
    covered = json.loads((RESULTS / "generalise.json").read_text(encoding="utf-8"))["coverage_90"]
    for case, tolerance in (("same", 0.02), ("snr-10", 0.05), ("snr-40", 0.05)):
        for name in ("t1rho", "t2"):
            assert covered[case][name]["mean"] == pytest.approx(0.9, abs=tolerance)


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run(script, tmp_path):
    command = [sys.executable, "-W", "error::DeprecationWarning:__main__", str(script)]
    run = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "MPLBACKEND": "agg"}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_versions_agree():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {rx.__version__}\n" in citation
    assert "Unreleased" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_pin_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.match(r"[A-Za-z0-9-]+", requirement).group().lower() for requirement in asked} - {"relaxnet"}
    pinned = {
        line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    assert names == pinned
