"""README and documentation say what is true: their code runs, and their numbers are those of the demo."""

import importlib.util
import json
import operator
import re
import shutil
import sys
import tomllib
from inspect import signature
from itertools import chain
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main
from relaxnet.workflows._demo import NETWORK, TRUTH, TWO_POINT, render

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEMO = ROOT / "docs" / "demo"
PARTS = ("", "start/", "explain/", "results/", "extend/")
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in chain(*(ROOT.glob(f"{folder}*.md") for folder in ("", *(f"docs/{part}" for part in PARTS))))
)


def blocks(language, document="README.md"):
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def run(document, language="python"):
    names = {}
    for block in blocks(language, document):
        exec(compile(block, document, "exec"), names)  # noqa: S102 (our own document)
    return names


def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run("README.md")
    np.testing.assert_allclose(names["result"].maps["t1rho"], 42.0)
    assert names["t1"].model == rx.signals.InversionRecovery()
    assert names["maps"]["t1rho"].isfinite().all()


def test_python_of_the_spatial_fit_runs():
    names = run("docs/spatial_fit.md")
    assert names["again"].sigma is None
    np.testing.assert_allclose(names["again"].prior.precision, names["spatial"].prior.precision, rtol=1e-5)


def test_python_of_the_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run("docs/guide.md")
    assert names["protocol"] == rx.protocols.LIVER_T1RHO_T2
    assert names["maps"]["t1rho"].isfinite().all()
    assert names["loss"].isfinite()


@pytest.mark.parametrize("page", ["signal_model", "estimator", "weighting"])
def test_parts_that_the_documentation_adds_obey_the_laws(page, as_user, tmp_path, monkeypatch, capsys):
    del as_user
    monkeypatch.chdir(tmp_path)
    assert f"rx.testing.check_{page}(" in "".join(blocks("{code-cell} python", f"docs/extend/{page}.md"))
    run(f"docs/extend/{page}.md", re.escape("{code-cell} python"))
    printed = capsys.readouterr().out
    if page == "estimator":
        robust, squares = (float(found) for found in re.findall(r"([\d.]+) ms", printed))
        assert abs(robust - 42) < 1 < abs(squares - 42)


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
    names = {path.name for path in (tmp_path / "maps").rglob("*.nii.gz")}
    assert {f"{scan}_{map_}.nii.gz" for scan in ("scan", "sub-004") for map_ in ("T1rho", "T2map")} <= names
    assert (tmp_path / "joint" / "sub-004" / "anat" / "sub-004_S0map.nii.gz").exists()


def test_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("document", PAGES)
def test_links_lead_somewhere(document, generated):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)|```\{(?:image|include)\} (\S+)", text):
        path = next(filter(None, target))
        if not path.startswith("http"):
            place = (ROOT / document).parent / path
            assert place.exists() or place.resolve().relative_to(ROOT / "docs").as_posix() in generated, path
    for role, name in re.findall(r"\{(func|class|data|mod|meth)\}`~?relaxnet\.([\w.]+)`", text):
        assert operator.attrgetter(name)(rx) is not None, (role, name)
    for page in re.findall(r"\{doc\}`(?:[^`<]*<)?([\w./]+)", text):
        place = ((ROOT / document).parent / page).resolve().relative_to(ROOT / "docs").as_posix()
        written = (ROOT / "docs" / f"{place}.md").exists() or (ROOT / f"{place}.py").exists()
        assert written or f"{place}.md" in generated, page


def load(script):
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FROM_CODE = load(ROOT / "docs" / "from_code.py")
GALLERY = load(ROOT / "docs" / "gallery.py")


@pytest.fixture(scope="module")
def generated():
    """Pages and tables that the build writes."""
    tables = {f"generated/{name}.md": text for name, text in FROM_CODE.tables().items()}
    reference = {f"api/{name}.md": text for name, text in FROM_CODE.reference().items()}
    forests = {f"generated/forest-{name}.svg": "" for name in load(ROOT / "docs" / "forest.py").TABLES}
    return tables | reference | forests | {"examples/index.md": GALLERY.index()}


def test_the_reference_lists_every_public_name(generated):
    modules = [name for name in rx.__all__ if isinstance(getattr(rx, name), ModuleType)]
    assert {f"api/{name}.md" for name in (*modules, "index")} == {page for page in generated if page.startswith("api/")}
    for module in modules:
        names = FROM_CODE.public_names(module)
        assert set(names) >= {*getattr(getattr(rx, module), "__all__", ())}
        assert names
        for name in names:
            home = name if name in rx.__all__ else f"{module}.{name}"
            assert f"`~relaxnet.{home}`" in generated["api/index.md"]
            assert f" {home}\n" in generated["api/index.md"] + generated[f"api/{module}.md"]


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("methods", rx.fitting.METHODS),
        ("losses", rx.training.LOSSES),
        ("weightings", rx.losses.WEIGHTINGS),
        ("presets", rx.training.PRESETS),
        ("statuses", rx.FitStatus.__members__),
    ],
)
def test_the_guide_shows_everything_that_is_chosen_by_name(table, names, generated):
    assert f"{{include}} generated/{table}.md" in (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    for name in names:
        assert re.search(rf'`"?{name}"?`', generated[f"generated/{table}.md"]), name


def test_constants_are_documented_by_the_text_below_them():
    assert FROM_CODE.comment_of("relaxnet.training.LOSSES")[0].startswith("The losses by name")
    assert FROM_CODE.comment_of("relaxnet.fitting.METHODS") == ["The estimators of :func:`fit` by name."]


def test_floors_of_contributing_are_those_of_import_linter():
    (layers,) = (c["layers"] for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    enforced = [{name.strip().removeprefix("relaxnet.") for name in layer.split("|")} for layer in layers]
    rows = re.findall(r"^\| \d+ \| (.+?) \|", CONTRIBUTING, flags=re.MULTILINE)
    shown = [set(re.findall(r"`(\w+)`", layer)) for row in rows for layer in row.split("→")]
    assert shown == enforced


def test_the_readme_names_every_extra():
    extras = {*PROJECT["project"]["optional-dependencies"]} - {"docs", "dev"}
    install = README.partition("## Install")[2].partition("## Fit")[0]
    assert extras <= {*re.findall(r"`(\w+)`", install), *re.findall(r"\[(\w+)\]", install)}


def test_the_tables_are_those_of_their_numbers():
    assert (DEMO / "table.md").read_text().strip() == render(json.loads((DEMO / "results.json").read_text())["rows"])
    results = ROOT / "benchmarks" / "results"
    costs = json.loads((results / "fitting.json").read_text())
    assert (results / "fitting.md").read_text().strip() == load(ROOT / "benchmarks" / "fitting.py").table(costs)
    texture = json.loads((results / "texture.json").read_text())
    assert (results / "texture.md").read_text().strip() == load(ROOT / "benchmarks" / "texture.py").table(texture)
    assert load(ROOT / "docs" / "refresh.py").with_tables(README) == README


def test_a_real_liver_varies_more_than_a_smooth_one():
    found = json.loads((ROOT / "benchmarks" / "results" / "texture.json").read_text())
    neighbours = {name: parts["parenchyma alone"][1] for name, parts in found.items()}
    assert neighbours["smooth"] < neighbours["texture=(0.06, 5)"] < neighbours["real"] < neighbours["texture=(0.12, 5)"]


def test_the_network_of_the_demo_beats_the_two_point_fit():
    rows = json.loads((DEMO / "results.json").read_text())["rows"]
    error = {(row["method"], row["contrast"]): np.mean(row[f"rmae_ms_against_{TRUTH}"]) for row in rows}
    for contrast in ("t1rho", "t2"):
        assert error[NETWORK, contrast] < error[TWO_POINT, contrast]


BROUGHT_BY_ALL = {
    *sys.stdlib_module_names,
    "relaxnet",
    "torch",
    "numpy",
    "scipy",
    "matplotlib",
    "nibabel",
    "pydicom",
    "pandas",
}
"""What an example may import: what ``relaxnet[all]`` brings."""

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


def mean_error(row, **wanted):
    (entry,) = (e for e in row["entries"] if all(e[key] == value for key, value in wanted.items()))
    return entry["mean"]


@pytest.mark.parametrize("inputs", ["middle", "long"])
def test_networks_of_three_images_were_measured_to_be_far_better_than_the_fit_of_four(inputs):
    rows = json.loads((SMOOTH / "table2.json").read_text(encoding="utf-8"))["rows"]
    for contrast, part in (("t1rho", 0.36), ("t2", 0.53)):
        network = mean_error(rows["held-out-orthogonal"], contrast=contrast, against="truth", inputs=inputs)
        fit = mean_error(rows["nlls-4"], contrast=contrast, against="truth")
        assert network < part * fit


def test_numbers_of_the_readme_are_those_that_were_measured():
    text = " ".join(README.split())
    costs = json.loads((ROOT / "benchmarks" / "results" / "fitting.json").read_text())
    tissue, air = costs["inputs"]["tissue, T 20-80 ms, SNR 50"], costs["inputs"]["air"]
    assert f"fits {1e3 / tissue['torch']:.1f} million voxels of tissue per second" in text
    assert (
        f"{1e3 / air['torch']:.1f} million of air; compiled (extra `fast`), {1e3 / tissue['compiled']:.1f} and" in text
    )
    assert f"and {1e3 / air['compiled']:.1f} million" in text
    assert f"fits {1e9 / costs['peers']['scipy curve_fit']:,.0f}:" in text
    rows = json.loads((SMOOTH / "table2.json").read_text(encoding="utf-8"))["rows"]
    reference = {name: mean_error(rows["nlls-4"], contrast=name, against="truth") for name in ("t1rho", "t2")}
    mean = "mean of input sets"
    for row, inputs in (("held-out-orthogonal", mean), ("homou", mean), ("denoise-then-fit-7", "all images")):
        t1rho, t2 = (
            100 * mean_error(rows[row], contrast=name, against="truth", inputs=inputs) / fit
            for name, fit in reference.items()
        )
        assert re.search(rf"{t1rho:.0f} %( \(T1rho\))? and {t2:.0f} %", text), row


def test_what_is_said_of_texture_is_what_was_measured():
    rows = json.loads((TEXTURED / "table2.json").read_text(encoding="utf-8"))["rows"]
    error = {name: [e["mean"] for e in row["entries"] if is_of_all(e)] for name, row in rows.items()}
    share = {name: np.divide(both, error["nlls-4"]) for name, both in error.items()}
    spatial = ("spatial-3", "spatial-7", "floor-3", "floor-7")
    for page, said_of in (("README.md", (*spatial, "held-out-orthogonal")), ("docs/spatial_fit.md", spatial)):
        said = " ".join((ROOT / page).read_text(encoding="utf-8").split())
        for row in said_of:
            t1rho, t2 = 100 * share[row]
            assert re.search(rf"{t1rho:.0f} %( \(T1rho\))? and {t2:.0f} %", said), row
    without_floor = {name: part for name, part in share.items() if not name.startswith("floor")}
    for n in ("3", "7"):
        others = [part for name, part in without_floor.items() if name.endswith(n) and name != f"spatial-{n}"]
        assert (share[f"spatial-{n}"] < np.min(others, axis=0)).all()
        assert (share[f"spatial-{n}"] < 1.16 * share[f"floor-{n}"]).all()


def is_of_all(entry):
    return entry["against"] == "truth" and entry["inputs"] in ("mean of input sets", "all images")


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


def test_every_example_is_listed_and_described():
    scripts = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
    assert sorted(GALLERY.names()) == scripts
    for name in scripts:  # `make docs` runs them
        title, sentence = GALLERY.describe(name)
        assert title
        assert len(sentence) > 20
        text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
        assert {"relaxnet", *re.findall(r"^(?:import|from) (\w+)", text, flags=re.MULTILINE)} <= BROUGHT_BY_ALL


@pytest.mark.parametrize("name", GALLERY.names())
def test_notebooks_are_those_of_their_scripts(name):
    pytest.importorskip("jupytext")  # of the extra "docs"
    sys.modules.setdefault("gallery", GALLERY)
    notebooks = load(ROOT / "docs" / "notebooks.py")
    path = ROOT / "examples" / "notebooks" / f"{name}.ipynb"
    assert path.stat().st_size <= notebooks.LARGEST + 1
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    expected = [(cell.cell_type, cell.source) for cell in notebooks.notebook(name).cells]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in cells] == expected  # if not: make notebooks
    outputs = list(chain(*(cell.get("outputs", ()) for cell in cells)))
    assert any("image/png" in output.get("data", ()) for output in outputs)
    assert not any(output["output_type"] == "error" for output in outputs)


def test_the_check_of_pages_finds_what_it_is_for(tmp_path):
    page = '<a href="#here">x</a><a id="here"></a><a href="other.html#gone">x</a><a href="lost.html">x</a>'
    loaded = '<script src="https://cdn.example/x.js"></script><img src="a.png" alt="a.png"><img src="a.png" alt="maps">'
    (tmp_path / "page.html").write_text(page + loaded)
    (tmp_path / "other.html").write_text("<p>nothing</p>")
    (tmp_path / "a.png").write_bytes(b"")
    found = load(ROOT / "docs" / "check_pages.py").problems(tmp_path)
    assert [problem.partition(": ")[2] for problem in found] == [
        "asks another server for https://cdn.example/x.js",
        "a picture without a text, a.png",
        "no such place, other.html#gone",
        "nothing at lost.html",
    ]


def test_signatures_show_types_and_defaults_as_they_are_written():
    signature_of = load(ROOT / "docs" / "signatures.py").signature_of
    fit, returned = signature_of(rx.fit, {"Contrast": "relaxnet.Contrast"})
    assert "times_ms: relaxnet.Contrast | Sequence[float] | ndarray | Tensor, *, method: str = 'nlls'" in fit
    assert returned == "FitResult"
    forward, returned = signature_of(rx.losses.PairwiseConstraint.forward, {})
    assert "maps_ms: Tensor[batch, task, *space], images: Tensor[batch, image, *space]" in forward
    assert "protocol: Protocol = LIVER_T1RHO_T2" in signature_of(rx.phantom.liver_cohort, {})[0]
    assert signature_of(rx.Contrast, {})[0].endswith("model: SignalModel = MonoExponential())")
    assert signature_of(rx.FitStatus, {}) is None


def test_versions_agree():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {rx.__version__}\n" in citation
    assert "Unreleased" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_pin_what_the_project_asks_for():
    project = PROJECT["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.match(r"[A-Za-z0-9-]+", requirement).group().lower() for requirement in asked} - {"relaxnet"}
    pinned = {
        line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    assert names == pinned


def test_the_oldest_versions_are_the_lower_bounds():
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [*PROJECT["project"]["dependencies"], *chain(*(extras[name] for name in {*extras} - {"docs", "dev"}))]
    bounds = dict(re.match(r"([\w-]+)\S*?>=([\d.]+)", one).groups() for one in asked if ">=" in one)
    text = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8")
    oldest = dict(re.findall(r"^([\w-]+)==([\d.]+)$", text, flags=re.MULTILINE))
    assert oldest.keys() == bounds.keys()
    for name, version in oldest.items():
        assert re.fullmatch(rf"{re.escape(bounds[name])}(\.0)*", version), name
