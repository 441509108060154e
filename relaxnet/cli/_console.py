"""What all commands share: lines on standard error, the line that was typed, and choices by name."""

import sys
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path
from typing import Any

from relaxnet._messages import brief, printable

COMMAND_LINE = ContextVar("COMMAND_LINE", default="relaxnet")
"""The line as it was typed, but names of files without folders, for results to say how they were made."""

QUIET = ContextVar("QUIET", default=False)
"""Whether only results, warnings and errors are printed."""

_LONGEST = 2000  # letters of a message


def say(message: str) -> None:
    """Print one line to standard error; where it is quiet, only a warning or an error."""
    if not QUIET.get() or message.startswith(("warning:", "error:", "interrupted")):
        print("relaxnet:", printable(brief(" ".join(message.split()), longest=_LONGEST)), file=sys.stderr, flush=True)


def listed(files: Iterable[Path]) -> str:
    """Write the names of files, a line each."""
    return "\n".join(f"  {printable(str(file))}" for file in files)


def one_of(name: str, names: Iterable[str]) -> Any:
    """Make the type of an option that is one of some names, as they are written down in the library.

    Parameters
    ----------
    name
        Name of the type.
    names
        The choices by name.

    Returns
    -------
    type
        An enumeration of strings.
    """
    return StrEnum(name, {text.upper().replace("-", "_"): text for text in names})


def explain(choices: Mapping[str, Any]) -> str:
    """Write what can be chosen for a help text, each with its sentence."""
    return "; ".join(f"{name}: {choice.summary}" for name, choice in choices.items())
