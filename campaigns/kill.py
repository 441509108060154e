"""Interrupt relaxnet's commands at random moments, and see whether anything is lost.

A command is started into an empty folder, or over an older result, and gets SIGINT, SIGTERM or SIGKILL at a random
moment, or as soon as a temporary file, the first or the second final file appears. Files that belong together then are
all old or all new, or their mark is missing. A signal that can be caught ends the command with the status that shells
give it, without temporary files. The same command, run again to its end, then gives what an uninterrupted run gives,
and leaves no temporary file. Each violation is a loss.
"""

import argparse
import gzip
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import say, table, write

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
MOMENTS = ("temporary", "first", "second")
RELAXNET = (sys.executable, "-c", "import sys; from relaxnet.cli import main; sys.exit(main())")
SIMULATE = ("simulate", "--slices", "1", "--shape", "32", "--subjects")
_OF_TIME = ("time", "seconds", "sha256")  # the last is the digest of a cached step, whose duration it covers
PATIENCE = 600  # seconds until a command counts as hanging
FRESH, OVER = "fresh", "over"

Tree = dict[str, str]
"""Digests of files by their path."""


@dataclass(frozen=True)
class Command:
    """A command that writes files, and which of them belong together."""

    arguments: tuple[str, ...]
    """Arguments, where ``{age}`` is ``old`` for the older result and ``new`` for the one to be written."""
    sets: dict[str, str]
    """By the path of the mark, a regular expression for the files that belong together where it exists."""
    over: tuple[str, ...] | None = None
    """Further arguments to write over an older result; ``None`` if that is not done."""
    share: int = 2
    """How often it is interrupted, against others."""


COMMANDS = {
    "fit joint": Command(("fit", "joint", "in/{age}/scan.nii.gz", "--overwrite"), {"scan_T1rho.json": ".*"}, ()),
    "predict": Command(("predict", "in/net", "in/{age}/scan.nii.gz", "--overwrite"), {"scan_T1rho.json": ".*"}, ()),
    "simulate": Command(
        (*SIMULATE, "2", "--seed", "{age}"),
        {"participants.tsv": ".*"} | {f"sub-00{k}/anat/sub-00{k}_images.json": f".*/sub-00{k}_.*" for k in (1, 2)},
        ("--overwrite",),
    ),
    "train": Command(("train", "in/cohort", "--preset", "smoke"), {"network.safetensors": "network.*"}),
    "experiment": Command(("experiment", "fig2", "--preset", "smoke", "--seeds", "1"), {}, share=1),
}
SEEDS = {"old": "1", "new": "0"}


def start(work: Path, arguments: tuple[str, ...]) -> "subprocess.Popen[str]":
    """Start relaxnet in a folder, with a folder for temporary files of libraries."""
    (work / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [*RELAXNET, *arguments], cwd=work, env=os.environ | {"TMPDIR": str(work / "tmp")},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(work: Path, arguments: tuple[str, ...]) -> tuple[int, str]:
    """Run relaxnet to its end; return the status and the last line that it says."""
    process = start(work, arguments)
    try:
        lines = process.communicate(timeout=PATIENCE)[1].splitlines()
    except subprocess.TimeoutExpired:
        process.kill()
        lines = [f"no end after {PATIENCE} s"]
    return process.wait(), lines[-1] if lines else ""


def arguments_of(command: Command, age: str, kind: str) -> tuple[str, ...]:
    """Return the whole command line for a result of an age."""
    seed = "--seed" in command.arguments
    values = (part.format(age=SEEDS[age] if seed else age) for part in command.arguments)
    return (*values, "--out", "out", *((command.over or ()) if kind == OVER else ()))


def digest(path: Path) -> str:
    """Digest what a file says: weights of a network, JSON without times of day and durations, or its bytes."""
    content = path.read_bytes()
    if path.suffix == ".safetensors":
        content = content[8 + int.from_bytes(content[:8], "little") :]
    elif path.name.endswith((".json", ".json.gz")):
        with suppress(ValueError, EOFError, OSError):  # half a file differs from a whole one anyway
            plain = gzip.decompress(content) if path.suffix == ".gz" else content
            content = json.dumps(_without_time(json.loads(plain))).encode()
    return hashlib.sha256(content).hexdigest()


def _without_time(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_time(item) for key, item in value.items() if key not in _OF_TIME}
    return [_without_time(item) for item in value] if isinstance(value, list) else value


def files(folder: Path) -> Iterator[Path]:
    """List the files of a folder that are compared; a saved run is not, as it may be of an earlier epoch."""
    return (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".ckpt", ".md", ".tex"))


def tree(folder: Path) -> Tree:
    """Digest all files of a folder that are no temporary ones."""
    return {str(path.relative_to(folder)): digest(path) for path in files(folder) if not _is_temporary(path)}


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(".") and ".tmp-" in path.name


def temporaries(work: Path) -> list[str]:
    """List the temporary files, those of libraries included."""
    found = [path for path in (work / "out").rglob(".*") if _is_temporary(path)]
    of_libraries = [path for path in (work / "tmp").rglob("*") if path.is_file()]
    return sorted(path.name for path in (*found, *of_libraries))


def mixtures(folder: Path, sets: dict[str, str], *wholes: Tree) -> list[str]:
    """List the marks that exist although the files of their set are not those of one result."""
    there = tree(folder)

    def part(whole: Tree, pattern: str) -> Tree:
        return {path: whole[path] for path in whole if re.fullmatch(pattern, path)}

    return [
        mark
        for mark, pattern in sets.items()
        if mark in there and part(there, pattern) not in [part(whole, pattern) for whole in wholes]
    ]


def appeared(folder: Path) -> Callable[[str], bool]:
    """Return what tells whether a kind of file has appeared or changed since now."""

    def look() -> dict[str, int]:
        found = {}
        for place, _, names in os.walk(folder):
            for name in names:
                try:
                    found[os.path.join(place, name)] = os.stat(os.path.join(place, name)).st_ino  # noqa: PTH116, PTH118
                except FileNotFoundError:  # it has just moved
                    continue
        return found

    before = look()

    def has(moment: str) -> bool:
        new = [Path(path) for path, number in look().items() if before.get(path) != number]
        n_temporary = sum(map(_is_temporary, new))
        return n_temporary > 0 if moment == "temporary" else len(new) - n_temporary > MOMENTS.index(moment) - 1

    return has


@dataclass(frozen=True)
class Reference:
    """What an uninterrupted run gives."""

    whole: Tree
    seconds: float


def reference(work: Path, command: Command, age: str) -> Reference:
    """Run a command without interruption, and keep its output as ``work/AGE``."""
    shutil.rmtree(work / "out", ignore_errors=True)
    begin = time.perf_counter()
    status, said = finish(work, arguments_of(command, age, FRESH))
    seconds = time.perf_counter() - begin
    if status:
        sys.exit(f"{command.arguments}: status {status}, {said}")
    kept = work / age / command.arguments[0]
    shutil.copytree(work / "out", kept)
    return Reference(tree(kept), seconds)


def prepare(work: Path) -> None:
    """Make the inputs: a cohort, two scans of one name, and a network."""
    train = ("train", "in/cohort", "--preset", "smoke", "--out", "in/net")
    for arguments in ((*SIMULATE, "3", "--out", "in/cohort"), train):
        status, said = finish(work, arguments)
        if status:
            sys.exit(said)
    for age, name in (("old", "sub-002"), ("new", "sub-001")):
        (work / "in" / age).mkdir()
        for suffix in (".nii.gz", ".json"):
            image = work / "in" / "cohort" / name / "anat" / f"{name}_images{suffix}"
            shutil.copy(image, work / "in" / age / f"scan{suffix}")


def interrupt(
    work: Path, command: Command, kind: str, number: signal.Signals, moment: str | float, wholes: dict[str, Tree]
) -> tuple[bool, list[str]]:
    """Interrupt a command, run it again, and return whether it was cut off, and what was lost."""
    out, arguments = work / "out", arguments_of(command, "new", kind)
    shutil.rmtree(out, ignore_errors=True)
    if kind == OVER:
        shutil.copytree(work / "old" / command.arguments[0], out)
    has, process = appeared(out), start(work, arguments)
    if isinstance(moment, str):
        while process.poll() is None and not has(moment):
            time.sleep(0.001)
    else:
        time.sleep(moment)
    process.send_signal(number)
    lost = []
    try:
        said = process.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        said = process.communicate()[1]
        lost.append("it did not end")
    cut_off = process.returncode != 0
    lost += [f"{mark} is there, and its files are mixed" for mark in mixtures(out, command.sets, *wholes.values())]
    if number != signal.SIGKILL:
        if process.returncode not in (0, -number, 128 + number):
            lost.append(f"status {process.returncode}: {' '.join(said.split())[-300:]}")
        if left := temporaries(work):
            lost.append(f"temporary files are left: {left}")
    shutil.rmtree(work / "tmp")  # after SIGKILL, those of libraries are for the system to clear
    status, said = finish(work, arguments)
    if status:
        lost.append(f"run again, status {status}: {said}")
    now = tree(out)
    if now != wholes["new"]:
        different = sorted(path for path in {**now, **wholes["new"]} if now.get(path) != wholes["new"].get(path))
        lost.append(f"run again, other results: {different}")
    if left := temporaries(work):
        lost.append(f"run again, temporary files are left: {left}")
    return cut_off, lost


def main() -> None:
    """Interrupt, check, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=50, help="number of interrupted runs (default: 50; Ctrl-C ends it earlier)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of commands, signals and moments (default: 0)")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, by children, too
    chance = random.Random(options.seed)
    runs, cut, aimed, losses = Counter[Any](), Counter[Any](), Counter[Any](), Counter[Any]()
    told = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare(work)
        seconds, wholes = {}, {}
        for name, command in COMMANDS.items():
            ages = ("new",) if command.over is None else ("old", "new")
            made = {age: reference(work, command, age) for age in ages}
            wholes[name] = {age: one.whole for age, one in made.items()}
            seconds[name] = made["new"].seconds
            say(f"{name}: {seconds[name]:.1f} s without interruption")
        with suppress(KeyboardInterrupt):  # what has been tried is written
            for k in range(options.runs):
                (name,) = chance.choices([*COMMANDS], [command.share for command in COMMANDS.values()])
                number = SIGNALS[k % len(SIGNALS)]
                kind = FRESH if COMMANDS[name].over is None else chance.choice((FRESH, OVER))
                moment = chance.choice(MOMENTS) if chance.random() < 1 / 3 else chance.uniform(0.05, 1) * seconds[name]
                cut_off, lost = interrupt(work, COMMANDS[name], kind, number, moment, wholes[name])
                case = name, number
                runs[case] += 1
                cut[name] += cut_off
                aimed[name] += isinstance(moment, str)
                losses[case] += bool(lost)
                when = moment if isinstance(moment, str) else f"{moment:.1f} s"
                line = f"{name}, {kind}, {number.name} at {when}: {'; '.join(lost) or 'nothing lost'}"
                say(f"{k + 1} of {options.runs}: {line}")
                told += [f"- {line}\n"] if lost else []
    header = ["command", *(f"{number.name}: runs, losses" for number in SIGNALS), "cut off", "aimed"]
    rows = [
        [f"`{name}`", *(f"{runs[name, number]}, {losses[name, number]}" for number in SIGNALS), cut[name], aimed[name]]
        for name in COMMANDS
    ]
    total = [f"{sum(runs[name, n] for name in COMMANDS)}, {sum(losses[name, n] for name in COMMANDS)}" for n in SIGNALS]
    rows.append(["all", *total, cut.total(), aimed.total()])
    write("kill", table(header, rows) + ("\n" + "".join(told) if told else ""), options.seed)
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
