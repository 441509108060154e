"""Build the release, and see that it installs, works, tests itself and is documented away from this folder.

Each step writes what it has found into ``campaigns/results/release.json`` when it is done, so steps can be chosen
(``--only``), repeated and interrupted. The files of the release are left in ``dist``.
"""

import argparse
import ast
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from zipfile import ZipFile

from common import RESULTS, say, table

from relaxnet import __version__
from relaxnet._files import write_text

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
ENVIRONMENTS = ROOT / ".venv-release"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if ":: 3." in one]
EXTRAS = [name for name in PROJECT["optional-dependencies"] if name not in ("all", "docs", "dev")]
DATA = {"viewer": ("io", "plot"), "weights": ()}
"""Folders of packages of data, and the extras by which they are used."""
WHEEL_KB = 700
"""What a wheel may weigh; the policy in the documentation says why."""
TESTS_NEED = ("beartype", "hypothesis", "pytest", "pytest-xdist", "torchjd")
CORE_TESTS = [f"tests/{name}" for name in ("signals", "fitting", "losses", "metrics", "nets", "phantom")]
IMPORTS = ("import relaxnet", "import relaxnet; relaxnet.fit")
OPTIONS = argparse.Namespace()
"""What was typed."""

Rows = list[tuple[str, str]]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command outside this folder; return what it printed, and stop with that where it fails."""
    say(f"  {' '.join(map(str, command))[:200]}")
    away = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd or ENVIRONMENTS, env=away, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}\nfailed: {' '.join(map(str, command))}")
    return done.stdout


class Environment:
    """A virtual environment without pip, which this one's pip fills."""

    def __init__(self, name: str, base: str = sys.executable) -> None:
        self.path, self.base = ENVIRONMENTS / name, base
        self.python = self.path / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    def make(self) -> "Environment":
        """Make it, empty."""
        run(self.base, "-m", "venv", "--clear", "--without-pip", self.path)
        return self

    def copy(self, name: str) -> "Environment":
        """Return another one that holds the same, by links: an installation replaces files, and changes none."""
        other = Environment(name)
        shutil.rmtree(other.path, ignore_errors=True)
        shutil.copytree(self.path, other.path, symlinks=True, copy_function=os.link)
        return other

    def install(self, *packages: str | Path, constraints: str | None = "constraints.txt") -> None:
        """Install packages, within constraints where torch may be another one."""
        lines = (ROOT / constraints).read_text(encoding="utf-8").splitlines() if constraints else []
        if OPTIONS.torch:
            lines = [line for line in lines if not line.startswith("torch==")] + [f"torch=={OPTIONS.torch}"]
        write_text(limits := self.path / "constraints.txt", "\n".join(lines))
        pip = (sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet", "--no-compile")
        run(*pip, "--disable-pip-version-check", "--constraint", limits, *packages)

    def smoke(self, *names: str) -> None:
        """Use what was installed, and make sure that it is that."""
        home = run(self.python, "-P", "-c", "import relaxnet; print(relaxnet.__file__)").strip()
        if not Path(home).is_relative_to(self.path):
            raise SystemExit(f"{home} is tested in place of what was installed in {self.path}")
        for name in names:
            run(self.python, ROOT / "campaigns" / "smoke.py", name)

    def tests(self, folder: Path, paths: Sequence[str]) -> str:
        """Run tests of a folder, or those that were asked for; return how they ended."""
        paths = OPTIONS.tests or paths
        workers = ("--numprocesses", OPTIONS.jobs, "--dist", "loadgroup")
        alone = (
            "--deselect",
            "tests/losses/test_distributed.py",
        )  # its processes need the folder, and relaxnet is there
        said = run(
            self.python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, *alone, *paths, cwd=folder
        )
        ended = re.sub(r" in [\d.:s() ]+", "", said.strip().splitlines()[-1].strip("= "))
        return f"{ended} ({', '.join(f'`{path}`' for path in paths) or 'all'})"

    def versions(self, *packages: str) -> str:
        """Say which versions of packages it holds."""
        code = f"from importlib.metadata import version as v; print(*(f'{{n}} {{v(n)}}' for n in {packages}), sep=', ')"
        return run(self.python, "-c", code).strip()

    def size(self) -> str:
        """Say how many packages it holds."""
        code = "from importlib.metadata import distributions as d; print(len({*(x.name for x in d())}))"
        return f"{run(self.python, '-c', code).strip()} packages"


def built(pattern: str) -> Path:
    """Return the file of the release that was built."""
    found = list(DIST.glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"dist holds {len(found)} files {pattern}: begin with the step build")
    return found[0]


def of_wheel(*extras: str) -> str:
    """Name the wheel with extras, as pip wants it."""
    wheel = built("relaxnet-*.whl")
    return f"relaxnet[{','.join(extras)}] @ {wheel.as_uri()}" if extras else str(wheel)


def data_wheel(name: str) -> Path:
    """Return the wheel of a package of data."""
    return built(f"relaxnet_{name}-*.whl")


@contextmanager
def unpacked() -> Iterator[Path]:
    """Unpack the source distribution where nothing of this folder is near."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(built("relaxnet-*.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
        (source,) = Path(folder).iterdir()
        yield source


def core_environment() -> Environment:
    """Return the environment of the wheel alone, which others begin with; it is made once for a wheel."""
    core = Environment("core")
    complete = core.path / ".complete"
    if not complete.exists() or complete.stat().st_mtime < built("relaxnet-*.whl").stat().st_mtime:
        core.make().install(of_wheel())
        complete.touch()
    return core


def build() -> Rows:
    """Build both files, and look into them."""
    tools = Environment("tools").make()
    tools.install("build", "twine", constraints=None)
    shutil.rmtree(DIST, ignore_errors=True)
    for source in (ROOT, *(ROOT / name for name in DATA)):
        run(tools.python, "-P", "-m", "build", "--outdir", DIST, source)
    wheel, sdist = built("relaxnet-*.whl"), built("relaxnet-*.tar.gz")
    run(tools.python, "-m", "twine", "check", "--strict", *DIST.iterdir())
    kilobytes = wheel.stat().st_size / 1000
    if kilobytes > WHEEL_KB:
        raise SystemExit(f"the wheel has {kilobytes:.0f} kB, and may have {WHEEL_KB}")
    with ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = archive.read(metadata).decode()
        python = [info for info in archive.infolist() if info.filename.endswith(".py")]
        prose = sum(info.compress_size - len(zlib.compress(bare(archive.read(info)))) for info in python) / 1000
    if dead := re.findall(r"\]\((?!https?:)[^)]*\)", said):
        raise SystemExit(f"an index cannot follow these links of the README: {dead}")
    with tarfile.open(sdist) as archive:
        held = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()} - {"PKG-INFO"}
    tracked = set(run("git", "ls-files", cwd=ROOT).splitlines())
    if held != tracked:
        raise SystemExit(f"the sdist differs from what is tracked: {held ^ tracked}")
    return [
        ("wheel", f"{kilobytes:.0f} kB, of {WHEEL_KB} kB that are allowed"),
        ("of it docstrings and comments", f"{prose:.0f} kB"),
        *((f"wheel of `relaxnet-{name}`", f"{data_wheel(name).stat().st_size / 1000:.0f} kB") for name in DATA),
        ("source distribution", f"{sdist.stat().st_size / 1000:.0f} kB, all {len(tracked)} files that are tracked"),
        ("`twine check --strict`", "passed"),
    ]


def bare(source: bytes) -> bytes:
    """Return Python without its docstrings and comments."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return ast.unparse(tree).encode()


def core() -> Rows:
    """Install the wheel alone: time imports, see that extras are asked for, and run the tests of the core."""
    environment = core_environment()
    environment.smoke("core", "refuses")
    code = "from time import process_time as t; a = t(); {}; print(t() - a)"
    took = {what: [float(run(environment.python, "-c", code.format(what))) for _ in range(3)] for what in IMPORTS}
    tested = environment.copy("core-tests")
    tested.install(*TESTS_NEED)
    return [
        ("wheel alone", environment.size()),
        *((f"`{what}`, processor time", f"{1000 * median(times):.0f} ms") for what, times in took.items()),
        ("what needs an extra", "names it"),
        ("tests", tested.tests(ROOT, CORE_TESTS)),
    ]


def extras() -> Rows:
    """Install the wheel with one extra at a time, and use what it brings."""
    rows = []
    for name in EXTRAS:
        environment = core_environment().copy(name)
        environment.install(of_wheel(name))
        environment.smoke(name)
        rows.append((f"`{name}`", f"works, {environment.size()}"))
        shutil.rmtree(environment.path)
    return rows


def data() -> Rows:
    """Install the packages of data beside the wheel, and use them."""
    rows = []
    for name, needed in DATA.items():
        environment = core_environment().copy(name)
        environment.install(of_wheel(*needed), data_wheel(name))
        environment.smoke(name)
        rows.append((f"`relaxnet-{name}`", "works"))
        shutil.rmtree(environment.path)
    return rows


def oldest() -> Rows:
    """Install the oldest versions that are allowed, use every extra, and run the tests of the core."""
    return _with_all("oldest", "constraints-oldest.txt")


def newest() -> Rows:
    """Install whatever is the newest, use every extra, and run the tests of the core."""
    return _with_all("newest", None)


def pythons() -> Rows:
    """Do so within constraints, with each other Python that is promised and found."""
    rows = []
    for version in PYTHONS:
        found = shutil.which(f"python{version}")
        if found is None:
            rows.append((version, "not here, and not tried"))
        elif version != ".".join(platform.python_version_tuple()[:2]):
            rows += [(f"{version}, {what}", seen) for what, seen in _with_all(version, "constraints.txt", found)]
    return rows


def _with_all(name: str, constraints: str | None, base: str = sys.executable) -> Rows:
    environment = Environment(name, base).make()
    environment.install(of_wheel("all"), *TESTS_NEED, constraints=constraints)
    environment.smoke(*(extra for extra in EXTRAS), "core")
    versions = environment.versions("torch", "numpy", "scipy", "lightning", "nibabel")
    return [("every extra", f"works, {versions}"), ("tests", environment.tests(ROOT, CORE_TESTS))]


def tests() -> Rows:
    """Unpack the source distribution, and run its tests there."""
    with unpacked() as source:
        return [("tests", _of_developers(source).tests(source, ()))]


def docs() -> Rows:
    """Unpack the source distribution, and build its documentation there, examples included."""
    with unpacked() as source:
        environment = _of_developers(source)
        run(environment.python, "-m", "sphinx", "--fail-on-warning", "--quiet", "docs", "html", cwd=source)
        return [("documentation", f"{sum(1 for _ in (source / 'html').rglob('*.html'))} pages, without a warning")]


def _of_developers(source: Path) -> Environment:
    environment = Environment("developers")
    if not environment.python.exists():
        environment.make()
    sources = (f"{source}[all,docs,dev]", *(source / name for name in DATA))
    environment.install(*(part for one in sources for part in ("--editable", one)))
    return environment


STEPS: dict[str, Callable[[], Rows]] = {
    step.__name__: step for step in (build, core, extras, data, oldest, newest, pythons, tests, docs)
}


def findings() -> dict[str, Any]:
    """Read what the steps have found so far."""
    path = RESULTS / "release.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def render(found: dict[str, Any]) -> str:
    """Write the table of what the steps have found."""
    steps = [step for step in STEPS if step in found]
    rows = [(f"{step}: {what}", seen) for step in steps for what, seen in found[step]["rows"]]
    made = dict.fromkeys(found[step]["made_by"] for step in steps)
    left = (
        f" Not taken yet: {', '.join(step for step in STEPS if step not in found)}." if len(found) < len(STEPS) else ""
    )
    return f"{table(('step', 'found'), rows)}\n{'; '.join(made)}.{left}\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Take the steps, and write down what each has found."""
    parser = argparse.ArgumentParser(description=__doc__)
    steps = "; ".join(f"{name}: {step.__doc__}" for name, step in STEPS.items())
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS), metavar="STEP", help=steps)
    parser.add_argument("--torch", metavar="VERSION", help="one torch for all environments, such as 2.13.0")
    parser.add_argument("--tests", nargs="+", default=[], metavar="PATH", help="tests to run in place of all")
    parser.add_argument("--jobs", default="auto", metavar="N", help="test processes at a time (default: one a core)")
    parser.parse_args(arguments, OPTIONS)
    ENVIRONMENTS.mkdir(exist_ok=True)
    for name in OPTIONS.only:
        say(f"{name}: {STEPS[name].__doc__}")
        rows = STEPS[name]()
        made_by = f"relaxnet {__version__}, Python {platform.python_version()}, {platform.system()}"
        found = findings() | {name: {"rows": rows, "made_by": f"{made_by}, {datetime.now(UTC):%Y-%m-%d}"}}
        write_text(RESULTS / "release.json", json.dumps(found, indent=1) + "\n")
        write_text(RESULTS / "release.md", render(found))
    print(render(findings()))


if __name__ == "__main__":
    main()
