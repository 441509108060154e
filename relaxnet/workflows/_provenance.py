"""How a result came about: without names of folders, which may be those of patients."""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from relaxnet._version import __version__

_NO_NAME = "DIR"
"""In the place of the name of a folder."""


def record(
    files: Mapping[str, Any], settings: Mapping[str, Any], start: float, command: str | None, outcome: str
) -> dict[str, Any]:
    """Describe how a result came about.

    Parameters
    ----------
    files
        Files that were read, one or several under each name; None stands for none. Their content is hashed.
    settings
        What else was chosen. None and False stand for what was not.
    start
        When it began, by :func:`time.perf_counter`.
    command
        The command line, without folders.
    outcome
        How it ended.

    Returns
    -------
    dict
        Plain values, for JSON.
    """
    return {
        "Outcome": outcome,
        "Date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "DurationSeconds": round(perf_counter() - start, 2),
        "Versions": {
            "relaxnet": __version__,
            **{name: version(name) for name in ("torch", "numpy")},
            "Python": platform.python_version(),
        },
        "CommandLine": command,
        "Inputs": {name: _hashed(paths) for name, paths in files.items() if paths is not None},
        "Settings": chosen(settings),
    }


def chosen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that were chosen: neither None nor False."""
    return {name: value for name, value in settings.items() if value is not None and value is not False}


def run_path(picture: Path, of: str | None = None) -> Path:
    """Return the path of a record beside a picture; ``of`` says of what it is where that is not a single map.

    Examples
    --------
    >>> run_path(Path("out/scan_T1rho.png")).name, run_path(Path("out/scan_T1rho.png"), "joint").name
    ('scan_T1rho_run.json', 'scan_joint_run.json')
    """
    return picture.with_name(f"{picture.stem.rpartition('_')[0]}_{of}_run.json" if of else f"{picture.stem}_run.json")


def write_record(make: Callable[[str], dict[str, Any]], outcome: str, path: Path) -> None:
    """Write the record that a function makes of an outcome."""
    path.write_text(json.dumps(make(outcome), indent=4, default=str) + "\n", encoding="utf-8")


def _hashed(paths: Any) -> list[dict[str, str]]:
    """Return the names of files and the SHA-256 of what they hold; of a folder, of all its files in their order."""
    several = paths if isinstance(paths, list | tuple) else [paths]
    return [{"Name": _NO_NAME if path.is_dir() else path.name, "SHA256": _digest(path)} for path in map(Path, several)]


def _digest(path: Path) -> str:
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digests = [_digest(file) for file in sorted(path.rglob("*")) if file.is_file()]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
