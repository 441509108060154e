"""README and documentation say what is true: their code runs, and their numbers are those of the demo."""

import importlib.util
import json
import operator
import re
import sys
import tomllib
from itertools import chain
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize("page", ["reader", "experiment"])
def test_what_the_documentation_adds_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(f"docs/extend/{page}.md", re.escape("{code-cell} python"))


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs" / "extend").glob("[!i]*.md")))
def test_diffs_of_the_documentation_can_be_applied(page):
    text = (ROOT / "docs" / "extend" / page).read_text(encoding="utf-8")
    diffs = re.findall(r"^ {3}```diff\n(.*?)^ {3}```", text, flags=re.MULTILINE | re.DOTALL)
    assert diffs
    for diff in diffs:
        head, *hunks = re.split(r"^@@\n", "".join(f"{line[3:]}\n" for line in diff.splitlines()), flags=re.MULTILINE)
        changed = (ROOT / re.search(r"^--- a/(\S+)$", head, flags=re.MULTILINE)[1]).read_text(encoding="utf-8")
        for hunk in hunks:
            assert "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] != "+") in changed


def test_a_loss_that_the_documentation_adds_trains(as_user):
    del as_user
    names = run("docs/extend/loss.md", re.escape("{code-cell} python"))
    assert names["trained"].history
    residual = torch.tensor([0.0, 1e-4, 10.0])
    capped = names["Capped"](lambda values: values, 0.05)(residual)
    assert capped[0] == 0
    assert capped[1] == pytest.approx(1e-4, rel=2e-3)
    assert capped[2] < 0.3


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
    assert {"scan_T1rho.nii.gz", "sub-004_T1rho.nii.gz", "sub-004_T2map.nii.gz"} <= names
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
        public = re.match(f"{FROM_CODE.PUBLIC}/(.+)", path)
        if public:
            assert (ROOT / public[1]).exists(), path
        elif not path.startswith("http"):
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
    assert (results / "fitting.md").read_text().strip() == load(ROOT / "benchmarks" / "fitting_tables.py").table(costs)
    networks = json.loads((results / "networks.json").read_text())
    assert (results / "networks.md").read_text().strip() == load(ROOT / "benchmarks" / "networks.py").table(
        networks["seconds"]
    )
    voxels, bad = json.loads((results / "bad_voxels.json").read_text()), load(ROOT / "benchmarks" / "bad_voxels.py")
    assert (results / "bad_voxels.md").read_text().strip() == bad.table(voxels)
    assert bad.judge("relaxnet") == voxels["found"]["relaxnet"]
    texture = json.loads((results / "texture.json").read_text())
    assert (results / "texture.md").read_text().strip() == load(ROOT / "benchmarks" / "texture.py").table(texture)
    assert load(ROOT / "docs" / "refresh.py").readme() == README
    assert load(ROOT / "docs" / "joss.py").article() == (ROOT / "paper" / "paper.md").read_text(encoding="utf-8")


def test_what_the_article_says_is_what_its_table_says():
    article = (ROOT / "paper" / "paper.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| ([^|]+) \| (\d) \| ([\d.]+) \| ([\d.]+) \|$", article, flags=re.MULTILINE)
    error = {(name, int(images)): np.array((float(t1rho), float(t2))) for name, images, t1rho, t2 in found}
    network, spatial = error["Network, default", 3], error["Spatial fit", 3]
    assert (abs(network / spatial - 1) < 0.1).all()
    assert (np.maximum(network, spatial) < error["Least squares, the reference", 7]).all()
    for images in (3, 7):
        others = [values for (name, n), values in error.items() if n == images and name != "Bayes floor"]
        assert (error["Bayes floor", images] < np.min(others, axis=0)).all()
    keys = set(re.findall(r"@(\w+)", article))
    assert keys == set(re.findall(r"^@\w+\{(\w+)", (ROOT / "paper" / "paper.bib").read_text(), flags=re.MULTILINE))


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
    notebooks = load(ROOT / "docs" / "notebooks.py")
    path = ROOT / "examples" / "notebooks" / f"{name}.ipynb"
    assert path.stat().st_size <= notebooks.LARGEST + 1
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    expected = [(cell.cell_type, cell.source) for cell in notebooks.notebook(name).cells]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in cells] == expected  # if not: make notebooks
    outputs = list(chain(*(cell.get("outputs", ()) for cell in cells)))
    assert any("image/png" in output.get("data", ()) for output in outputs)
    assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs)


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
