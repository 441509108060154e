"""Change one thing in a module at a time, and see whether the tests of its package notice.

cosmic-ray makes the changes: another operator, comparison, number or condition. A sample of the places is tried, each
with one of its changes. The tests run without shape checks, so a change has to show in a number or a message. What is
changed is a copy of the repository.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np  # noqa: F401 (what all tests import; relaxnet is imported by each run, changed)
import pytest
import scipy.optimize  # noqa: F401
import torch
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
SLOW = (
    "two_processes or compile or dask or threads or in_a_fork or density or preferred_relaxation_times or coverage "
    "or is_small or memory"
)
TESTS = {  # of each package, the quickest first
    "signals": ("relaxnet/signals", "tests/signals"),
    "losses": ("relaxnet/losses", "tests/losses", "tests/test_testing.py"),
    "fitting": ("relaxnet/fitting", "tests/fitting"),
    "metrics": ("relaxnet/metrics", "tests/metrics"),
    "information": ("relaxnet/information", "tests/test_information.py", "tests/test_best_times.py"),
}
NOT_TESTED_HERE = ("decay_triton.py",)  # but by `make test-triton`, in the environment that has Triton
NOT_CHANGED = ("annassign", "decorator", "import_from")  # annotations are for people, and fail on import
OPERATORS = [name for name in operator_names() if not name.startswith(("core/Variable", "core/RemoveDecorator"))]
VERDICTS = ("killed", "out of time", "survived", "not importable")


class Mutant(NamedTuple):
    """One change of one file."""

    package: str
    path: str
    line: int
    operator: str
    occurrence: int


def is_code(node: Any) -> bool:
    """Return whether a change of a node is one of behaviour, not of annotations or imports."""
    below = node
    while (parent := below.parent) is not None:
        if parent.type in NOT_CHANGED or (parent.type == "parameters" and below.type != "param"):
            return False
        if parent.type == "param" and below is not parent.default:
            return False
        if parent.type == "funcdef" and below is parent.annotation:
            return False
        below = parent
    return True


def places(package: str) -> dict[tuple[str, tuple[int, int]], list[Mutant]]:
    """List what can be changed in a package, by file and place."""
    found: dict[tuple[str, tuple[int, int]], list[Mutant]] = {}
    top = ROOT / "relaxnet" / package
    for path in [top] if top.is_file() else sorted(top.rglob("*.py")):
        if path.name in NOT_TESTED_HERE:
            continue
        nodes = list(ast_nodes(get_ast(path.read_text(encoding="utf-8"))))
        name = path.relative_to(ROOT).as_posix()
        for operator in OPERATORS:
            positions = get_operator(operator)().mutation_positions
            spots = [(node, start) for node in nodes for start, _ in positions(node)]
            for occurrence, (node, start) in enumerate(spots):
                if is_code(node):
                    mutant = Mutant(package, name, start[0], operator, occurrence)
                    found.setdefault((name, start), []).append(mutant)
    return found


def changed(mutant: Mutant) -> tuple[str, str, str]:
    """Return the changed file, and its line before and after."""
    before = (ROOT / mutant.path).read_text(encoding="utf-8")
    after = mutate_code(before, get_operator(mutant.operator)(), mutant.occurrence)
    of_line = (text.splitlines()[mutant.line - 1].strip() for text in (before, after))
    return after, *of_line


def start(folder: Path, package: str, limit_s: int) -> int:
    """Run the tests of a package on a copy of the repository, in a fork of this process; return its number."""
    sys.stdout.flush()
    if child := os.fork():
        return child
    code = 5
    try:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        torch.set_num_threads(1)
        log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.alarm(limit_s)
        options = ("-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib --doctest-modules")
        code = pytest.main([*options, "-k", f"not ({SLOW})", *TESTS[package]])
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def verdict_of(status: int) -> str:
    """Say what a test run has found."""
    code = os.waitstatus_to_exitcode(status)
    verdicts = {0: "survived", 1: "killed", -signal.SIGALRM: "out of time"}
    return verdicts.get(code, "killed" if code < 0 else "not importable")


def limit(folder: Path, package: str) -> int:
    """Run the tests without a change; return how long they may take with one."""
    begin = time.monotonic()
    if os.waitpid(start(folder, package, 3600), 0)[1]:
        raise SystemExit((folder / "log.txt").read_text(encoding="utf-8"))
    return round(30 + 4 * (time.monotonic() - begin))


def judge(mutants: Iterable[Mutant], copies: list[Path]) -> Iterator[tuple[Mutant, str]]:
    """Run the tests with each change, as many at a time as there are copies, and say what became of it."""
    limits: dict[str, int] = {}
    free, running = list(copies), {}

    def done() -> tuple[Mutant, str]:
        child, status = os.wait()
        mutant, folder = running.pop(child)
        shutil.copyfile(ROOT / mutant.path, folder / mutant.path)
        free.append(folder)
        return mutant, verdict_of(status)

    for mutant in mutants:
        if mutant.package not in limits:
            while running:
                yield done()
            limits[mutant.package] = limit(free[0], mutant.package)
        if not free:
            yield done()
        folder = free.pop()
        (folder / mutant.path).write_text(changed(mutant)[0], encoding="utf-8")
        running[start(folder, mutant.package, limits[mutant.package])] = mutant, folder
    while running:
        yield done()


def sample(packages: Iterable[str], n: int, seed: int) -> Iterator[Mutant]:
    """Draw places of each package, and for each place one of its changes."""
    for package in packages:
        rng, found = random.Random(seed), list(places(package).values())
        yield from (rng.choice(of_place) for of_place in rng.sample(found, min(n, len(found))))


def report(found: list[tuple[Mutant, str]]) -> str:
    """Write the table of packages and the list of survivors."""
    from common import table  # noqa: PLC0415 (it imports relaxnet)

    rows = []
    for package in dict.fromkeys(mutant.package for mutant, _ in found):
        counts = Counter(verdict for mutant, verdict in found if mutant.package == package)
        tried = sum(counts.values()) - counts["not importable"]
        share = 1 - counts["survived"] / max(1, tried)
        rows.append((f"`{package.removesuffix('.py')}`", *(counts[v] for v in VERDICTS), f"{share:.0%}"))
    counts = Counter(verdict for _, verdict in found)
    share = 1 - counts["survived"] / max(1, len(found) - counts["not importable"])
    rows.append(("all", *(counts[v] for v in VERDICTS), f"{share:.0%}"))
    lines = [table(("package", *VERDICTS, "share killed"), rows), "Survivors:\n"]
    for mutant, verdict in found:
        if verdict == "survived":
            _, before, after = changed(mutant)
            lines.append(f"- `{mutant.path}`, line {mutant.line}: `{before}` → `{after}`")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Try a sample of changes, and write what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", default=list(TESTS), help=f"packages (default: {' '.join(TESTS)})")
    parser.add_argument("--sample", type=int, default=40, help="changes of each package (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="test runs at a time (default: 2)")
    given = parser.parse_args()
    ignored = shutil.ignore_patterns(".*", "__pycache__", "results", "_build")
    found = []
    with tempfile.TemporaryDirectory() as top:
        copies = [shutil.copytree(ROOT, Path(top) / str(k), ignore=ignored) for k in range(given.jobs)]
        for mutant, verdict in judge(sample(given.packages, given.sample, given.seed), copies):
            found.append((mutant, verdict))
            print(verdict, *mutant, file=sys.stderr, flush=True)
    from common import write  # noqa: PLC0415 (it imports relaxnet)

    write("mutants", report(found), given.seed)


if __name__ == "__main__":
    main()
