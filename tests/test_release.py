"""What is released: its version, its files, what it asks for, and the surface that users call."""

import re
import subprocess
import tomllib
import zlib
from itertools import chain
from pathlib import Path

import pytest

import relaxnet as rx

ROOT = Path(__file__).parents[1]
PACKAGE = Path(rx.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
RECIPE = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8")
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "huggingface-hub": "huggingface_hub"}


def bounds_of(requirements):
    """Return the lower bound of each package, by the name that conda-forge knows it by."""
    found = (re.match(r"([\w-]+)\S*?\s*>=([\d.]+)", one) for one in requirements if ">=" in one)
    return {CONDA_NAMES.get(one[1], one[1].lower()): one[2] for one in found}


def recipe_section(name):
    """Return the requirements of a section of the recipe."""
    lines = re.search(rf"^  {name}:.*\n((?:    - .*\n)+)", RECIPE, flags=re.MULTILINE)[1]
    return bounds_of(re.findall(r"- (.+)", lines))


def test_versions_agree():
    assert f"version: {rx.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"  version: {rx.__version__}\n" in RECIPE
    assert "Unreleased" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "version" in PROJECT["project"]["dynamic"]


def test_supported_versions_of_python_are_the_same_everywhere():
    trove = "Programming Language :: Python :: "
    named = [one.removeprefix(trove) for one in PROJECT["project"]["classifiers"] if one.startswith(f"{trove}3.")]
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert re.search(r"python: \[(.+)\]", workflow)[1].replace('"', "").split(", ") == named
    assert f"| Python | {named[0]} to {named[-1]} |" in (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")


def test_constraints_pin_what_the_project_asks_for():
    asked = [*PROJECT["project"]["dependencies"], *chain(*EXTRAS.values())]
    names = {re.match(r"[A-Za-z0-9-]+", requirement).group().lower() for requirement in asked} - {"relaxnet"}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert names == {line.partition("==")[0].lower() for line in lines if "==" in line}


def test_the_oldest_versions_are_the_lower_bounds():
    asked = [*PROJECT["project"]["dependencies"], *chain(*(EXTRAS[name] for name in {*EXTRAS} - {"docs", "dev"}))]
    bounds = dict(re.match(r"([\w-]+)\S*?>=([\d.]+)", one).groups() for one in asked if ">=" in one)
    text = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8")
    oldest = dict(re.findall(r"^([\w-]+)==([\d.]+)$", text, flags=re.MULTILINE))
    assert oldest.keys() == bounds.keys()
    for name, version in oldest.items():
        assert re.fullmatch(rf"{re.escape(bounds[name])}(\.0)*", version), name


def test_the_recipe_of_conda_asks_for_what_pip_asks_for():
    of_command = {"train", "io", "plot", "report", "cli"}
    run = [*PROJECT["project"]["dependencies"], *chain(*(EXTRAS[name] for name in of_command))]
    others = chain(*(EXTRAS[name] for name in {*EXTRAS} - of_command - {"docs", "dev"}))
    python = {"python": PROJECT["project"]["requires-python"].removeprefix(">=")}
    assert recipe_section("run") == bounds_of(run) | python
    assert recipe_section("run_constraints") == bounds_of(others)
    assert recipe_section("host") == bounds_of(PROJECT["build-system"]["requires"])


def test_hooks_have_the_versions_that_make_lint_uses():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    revisions = dict(re.findall(r"repo: https://github.com/[\w-]+/([\w-]+)\n +rev: v(\S+)", hooks))
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for hook, package in {"ruff-pre-commit": "ruff", "import-linter": "import-linter", "numpydoc": "numpydoc"}.items():
        assert f"{package}=={revisions[hook]}" in pins


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="nothing is tracked in an unpacked source distribution")
def test_the_source_distribution_is_what_is_tracked():
    """A source distribution leaves out what git ignores, and nothing else, so its tests and documentation are whole."""
    settings = PROJECT["tool"]["hatch"]["build"]["targets"]
    assert "sdist" not in settings  # includes and excludes would be there
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert not subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_wheel_holds_python_and_no_data(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "campaigns")
    import release  # noqa: PLC0415 (it stands in campaigns)

    paths = [path for path in PACKAGE.rglob("*.*") if path.parent.name != "__pycache__"]
    others = {path.relative_to(PACKAGE).as_posix() for path in paths if path.suffix != ".py"}
    assert others == {"py.typed", "workflows/_report/page.html.jinja", "workflows/_viewer/page.html"}
    assert sum(len(zlib.compress(path.read_bytes())) for path in paths) < 1000 * release.WHEEL_KB


def test_the_public_surface_is_the_one_that_is_written_down(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import surface  # noqa: PLC0415 (it stands in docs)

    written = surface.WRITTEN.read_text(encoding="utf-8").splitlines()
    found = surface.surface().splitlines()
    gone, new = ("\n".join(one for one in a if one not in b) for a, b in ((written, found), (found, written)))
    how = "If that is meant, say so in CHANGELOG.md and run: python docs/surface.py"
    assert found == written, f"The public surface has changed.\nWas:\n{gone}\nIs:\n{new}\n{how}"


def test_every_extra_has_a_use_in_the_check_of_the_release(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "campaigns")
    import release  # noqa: PLC0415 (it stands in campaigns)
    import smoke  # noqa: PLC0415

    assert {*release.EXTRAS} == {*EXTRAS} - {"all", "docs", "dev"}
    assert {*release.EXTRAS, *release.DATA} == {*smoke.SMOKE} - {"core", "refuses"}


def test_the_viewer_has_the_version_of_what_it_brings():
    viewer = ROOT / "viewer"
    version = tomllib.loads((viewer / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for file in ("LICENSE", "README.md", "relaxnet_viewer/niivue.umd.js"):
        assert version in (viewer / file).read_text(encoding="utf-8"), file


@pytest.mark.parametrize("name", ["io", "plot", "pandas", "xarray", "dask", "itk", "hub"])
def test_uses_of_extras_work_here(name, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "campaigns")
    import smoke  # noqa: PLC0415 (it stands in campaigns)

    smoke.SMOKE[name](tmp_path)


def test_the_table_of_the_release_is_that_of_its_findings(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "campaigns")
    import release  # noqa: PLC0415 (it stands in campaigns)

    findings = release.findings()
    assert {"build"} <= {*findings} <= {*release.STEPS}
    assert (ROOT / "campaigns" / "results" / "release.md").read_text(encoding="utf-8") == release.render(findings)
    rows = dict(findings["build"]["rows"])
    wheel, prose = (int(rows[name].split()[0]) for name in ("wheel", "of it docstrings and comments"))
    policy = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    assert f"Without them it would have {wheel - prose} kB" in policy
