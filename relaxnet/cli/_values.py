"""Values of options as they are typed: numbers, times, choices of volumes, and messages that speak of the options."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from os.path import isfile
from pathlib import Path
from typing import Annotated

import typer

from relaxnet._axes import TIME, Axis, CheckedTimes, TimeUnit
from relaxnet._contrasts import KnownContrast
from relaxnet._messages import brief

Volumes = Annotated[str | None, typer.Option(metavar="K,K-K", help="Volumes to use, counted from 0, such as 0,4-6.")]
SkipFirst = Annotated[int, typer.Option(metavar="N", help="Leave out the first N of these.")]
TimeAxis = Annotated[
    int | None, typer.Option(metavar="AXIS", help="Axis of time, counted from 0; 2 for (x, y, time). [default: 3]")
]
Average = Annotated[bool, typer.Option("--average", help="Average repeated images along a fifth axis.")]
Resample = Annotated[
    bool, typer.Option("--resample", help="Bring files, masks and labels on other grids to that of the first file.")
]
OfDicom = Annotated[int | None, typer.Option(metavar="N", help="Series to use of a DICOM folder that holds several.")]
Fill = Annotated[float | None, typer.Option(help="Write this value in place of NaN, for programs that need one.")]

OPTIONS = {
    name: f"--{name.replace('_', '-')}"
    for name in ("volumes", "skip_first", "time_axis", "series", "label", "first", "average", "resample", "rates")
}
"""Options of commands that read a scan, by the argument of the library that messages name."""


@contextmanager
def speaking_of(**options: str) -> Iterator[None]:
    """Let errors name the option in the place of the argument that it sets, ``time_axis=2``.

    Parameters
    ----------
    options
        Options by argument, further to :data:`OPTIONS`.
    """
    known = OPTIONS | options
    try:
        yield
    except (OSError, ValueError) as error:
        if error.args and isinstance(error.args[0], str):
            text = re.sub(
                rf"\b({'|'.join(known)})=(?:True\b)?", lambda m: known[m[1]] + " " * m[0].endswith("="), error.args[0]
            )
            error.args = (re.sub(r"\btimes_ms\b", known.get("times_ms", "times_ms"), text), *error.args[1:])
        raise


def numbers(text: str, option: str) -> tuple[float, ...]:
    """Read numbers with commas, semicolons or spaces between them, perhaps in the brackets of a list."""
    try:
        return tuple(float(part) for part in re.split(r"\s*[,;]\s*|\s+", text.strip().strip("[]()").strip()))
    except ValueError as error:
        told = f"{brief(text)!r} is not numbers with commas or spaces between them"
        raise typer.BadParameter(f"{told}.", param_hint=option) from error


def times(text: str | None, option: str, axis: Axis = TIME, unit: TimeUnit | None = None) -> tuple[float, ...] | None:
    """Read times in a unit, or values of another axis, from a text, or from the file that it names."""
    if text is None:
        return None
    from relaxnet.times import parse_times  # noqa: PLC0415 (it needs NumPy, which help does not wait for)

    file = bool(text.strip()) and isfile(text)  # noqa: PTH113 (Path raises where a name is too long)
    given = _of_file(Path(text)) if file else numbers(text, option)
    try:
        parsed = parse_times(given, name=option, axis=axis, unit="s" if unit else "ms")
    except ValueError as error:
        message = str(error).replace(TIME.remedy, "Multiply by 1000, or say --unit s or --unit ms.")
        message = message.replace("unit='s':", "--unit:")
        if file:
            raise ValueError(f"{text}: {message}") from error
        raise typer.BadParameter(message, param_hint=option) from error
    return CheckedTimes(given) if unit == "ms" else parsed  # a unit that was said is believed


def _of_file(path: Path) -> tuple[float, ...]:
    from relaxnet.io import read_numbers  # noqa: PLC0415 (it needs torch, which takes seconds)

    return read_numbers(path)


def chosen(text: str | None) -> list[int] | None:
    """Read numbers of volumes, such as ``0,4-6``."""
    if text is None:
        return None
    found: list[int] = []
    for part in re.split(r"[\s,]+", text.strip()):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        if not match:
            message = f"{brief(text)!r} is not numbers of volumes from 0, such as 0,4-6."
            raise typer.BadParameter(message, param_hint="--volumes")
        first = int(match[1])
        found += range(first, int(match[2] or first) + 1)
    return found


def read_bounds(text: str | None, known: KnownContrast) -> tuple[float, float] | None:
    """Read a smallest and a largest value of a contrast, in its unit."""
    if text is None:
        return None
    option, unit = known.bounds_option, known.unit
    found = numbers(text, option)
    if len(found) != 2 or not 0 < found[0] < found[1] < math.inf or (unit == "ms" and found[1] < 1):
        raise typer.BadParameter(f"{text!r} is not LOW,HIGH in {unit}, 0 < LOW < HIGH.", param_hint=option)
    return found[0], found[1]


def check_positive(**options: float | None) -> None:
    """Refuse values that are not positive numbers; options by name."""
    for name, value in options.items():
        if value is not None and not 0 < value < math.inf:
            raise typer.BadParameter(f"{value:g} is not a positive number.", param_hint=f"--{name.replace('_', '-')}")
