"""How a result came about, for reports: without names of folders, which may be those of patients."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from relaxnet._version import __version__
from relaxnet.workflows._report.page import Section, Table


def provenance(
    files: Mapping[str, Any], settings: Mapping[str, Any], start: float, command: str | None, outcome: str
) -> Section:
    """Make the section of a report that says how it came about.

    Parameters
    ----------
    files
        Files that were read, one or several under each name; their folders are left out.
    settings
        What else was chosen. None stands for what was not.
    start
        When it began, by :func:`time.perf_counter`.
    command
        The command line, without folders.
    outcome
        How it ended.

    Returns
    -------
    Section
        A table.
    """
    used = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy"))
    rows = [
        ("outcome", outcome),
        ("date", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("duration", f"{perf_counter() - start:.1f} s"),
        ("versions", f"relaxnet {__version__}, {used}, Python {platform.python_version()}"),
        ("command", command),
        *((name, _names(paths)) for name, paths in files.items()),
        *((name, _plain(value)) for name, value in settings.items()),
    ]
    return Section("How it was made", tables=(Table((), [row for row in rows if row[1] is not None]),))


def _names(paths: Any) -> str | None:
    """Write the names of files."""
    if paths is None:
        return None
    several = paths if isinstance(paths, list | tuple) else [paths]
    return ", ".join(Path(path).name for path in several)


def _plain(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return ", ".join(f"{_plain(item)}" for item in value)
    return f"{value:g}" if isinstance(value, float) else value if value is None else str(value)
