"""What the campaigns share: how a result is written down."""

import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from relaxnet import __version__
from relaxnet._files import write_text

RESULTS = Path(__file__).parent / "results"


def say(line: str) -> None:
    """Print a line about the progress of a campaign."""
    print(line, file=sys.stderr, flush=True)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a Markdown table, its first column to the left and the others to the right."""
    lines = [header, [":---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def write(name: str, text: str, seed: int | None = None) -> None:
    """Print a result, and write it to the folder of the results with what it was made by."""
    versions = {"relaxnet": __version__} | {of: version(of) for of in ("torch", "numpy", "lightning", "nibabel")}
    command = shlex.join(["python", f"campaigns/{name}.py", *(Path(part).name for part in sys.argv[1:])])
    made_by = [
        f"`{command}`",
        *([] if seed is None else [f"seed {seed}"]),
        ", ".join(f"{of} {number}" for of, number in versions.items()),
        f"Python {platform.python_version()}",
        f"{platform.system()}, {platform.machine()}, {os.cpu_count()} cores, shared",
    ]
    text = f"{text}\n{'; '.join(made_by)}.\n"
    write_text(RESULTS / f"{name}.md", text)
    print(text)
