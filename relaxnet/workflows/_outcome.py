"""What a workflow returns."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a workflow made."""

    text: str
    """A short account for people, a table in most cases."""
    files: dict[str, Path]
    """What was written, in the order in which one would look at it."""
    summary: dict[str, Any] = field(default_factory=dict, repr=False)
    """The same account in plain values; None stands for a number that is missing."""
    result: Any = field(default=None, repr=False)
    """The maps in memory: a :class:`~relaxnet.FitResult`, or maps by name."""
