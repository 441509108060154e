"""The times of a scan: from the JSON files that describe it, or from a text file."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relaxnet._files import naming
from relaxnet._messages import brief
from relaxnet.io._inherit import describe_file, read_sidecars
from relaxnet.io._sidecar import keys_of, read_text, times_of
from relaxnet.times import TIME, Axis, TimeUnit, parse_times, show

AGREE = 0.02
"""Times that differ by less than this share are taken as equal: people round them."""


def read_times(scan: Path | str, contrast: str, axis: Axis = TIME) -> tuple[float, ...]:
    """Read the times of a scan from the JSON file beside it, or those that it inherits from in a BIDS data set.

    Parameters
    ----------
    scan
        Path of the scan, ``scan.nii.gz``; the file read is ``scan.json``. In a BIDS data set, files that are less
        specific count, too, such as ``MESE.json`` at its root.
    contrast
        Name of the contrast, which sets the key: ``SpinLockTime`` for ``"t1rho"``, ``EchoTime`` or
        ``T2PreparationTime`` for ``"t2"``, whichever is an array, and so on. The array holds one time in seconds for
        each volume.
    axis
        What the images differ in, if it is no time: ``FlipAngle`` holds degrees, ``DiffusionBValue`` s/mm².

    Returns
    -------
    tuple of float
        The times in ms, one for each volume.

    Raises
    ------
    FileNotFoundError
        If there is no sidecar.
    ValueError
        If it is not JSON, lacks the key, has two such arrays, or holds values that are no times in seconds.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "scan.json").write_text('{"SpinLockTime": [0, 0.01, 0.03, 0.05]}')
    >>> rx.io.read_times(folder / "scan.nii.gz", "t1rho")
    (0.0, 10.0, 30.0, 50.0)
    """
    named = " or ".join(keys_of(contrast, axis))
    try:
        content, path = read_sidecars(Path(scan))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} It should hold {named}: give the times (times_ms=...).") from error
    with naming(path):
        return times_of(content, contrast, axis)


def times_of_files(
    files: Sequence[Path], contrast: str, described: Sequence[dict[str, Any]], axis: Axis = TIME
) -> tuple[float, ...]:
    """Return the time of each file in ms, from what it says itself, or else the JSON files that describe it.

    Raises
    ------
    FileNotFoundError
        If no file describes one of them.
    ValueError
        If a time is missing, two are the same, or it is unclear which key holds them.
    """
    keys = keys_of(contrast, axis)
    give = "give the times (times_ms=...), in the order of the files"
    values: dict[str, list[object]] = {key: [] for key in keys}
    last = files[0]
    for file, own in zip(files, described, strict=True):
        try:
            content, last = describe_file(file, own)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error} It should hold {' or '.join(keys)}: {give}.") from error
        for key in keys:
            value = content.get(key)
            values[key] += value if isinstance(value, list) and len(value) == 1 else [value]
        if not any(isinstance(values[key][-1], int | float) for key in keys):
            found = {key: content[key] for key in keys if key in content}
            what = f"{brief(found)} is not one number" if found else f"the key {' or '.join(keys)} is missing"
            raise ValueError(f"{last}: {what}, the time of {file.name}: {give}.")
    varying = {key: times for key, times in values.items() if None not in times and len({*map(str, times)}) > 1}
    if len(varying) != 1:
        what = "differ" if varying else "are all the same, or missing in some files"
        raise ValueError(f"{last}: the values of {' and '.join(varying or keys)} {what}: {give}.")
    with naming(last, "the times of all files are "):
        times = times_of(varying, contrast, axis)
    for k, time in enumerate(times):
        if time in times[:k]:
            first, second = files[times.index(time)], files[k].name
            raise ValueError(f"{first}: it and {second} are both of {time:g} ms: leave one out, or {give}.")
    return times


def check_agreement(given: Sequence[float], stored: Sequence[float], source: object) -> None:
    """Refuse times that contradict those of a file, ``source``; a number of times that differs is no contradiction."""
    if len(given) == len(stored) and not np.allclose(given, stored, rtol=AGREE, atol=1e-6):
        told = f"it says {show(stored)} ms, but times_ms={show(given)} was given"
        raise ValueError(f"{source}: {told}: correct the one that is wrong.")


def check_order(files: Sequence[Path], times: Sequence[float]) -> None:
    """Refuse files whose order is that of the letters of their names, echo-1, echo-10, echo-2, but not of the times."""
    found = [re.findall(r"\d+", file.name) for file in files]
    if len(files) != len(times) or len({*map(len, found)}) > 1:
        return
    varying = [column for column in zip(*found, strict=True) if len({*column}) > 1]
    if len(varying) != 1:
        return
    numbers = [int(number) for number in varying[0]]
    by_number = [time for _, time in sorted(zip(numbers, times, strict=True))]
    if numbers != sorted(numbers) and by_number not in (sorted(times), sorted(times, reverse=True)):
        names = brief(", ".join(file.name for file in files), longest=200)
        raise ValueError(
            f"times_ms={show(times)} are those of {names}, in this order: give them in that of the numbers."
        )


def read_times_file(path: Path | str, *, unit: TimeUnit = "ms", axis: Axis = TIME) -> tuple[float, ...]:
    r"""Read times from a text or CSV file.

    Parameters
    ----------
    path
        A file of numbers, in one line or one a line, with commas, semicolons, tabs or spaces between them. Its first
        line may be a heading; what follows a ``#`` is a comment.
    unit
        Their unit.
    axis
        What they are, if no times.

    Returns
    -------
    tuple of float
        The times in ms, or values of the axis, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds anything else, or numbers that are no times.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "te.csv")
    >>> _ = path.write_text("echo time in ms\n10\n20.5\n")
    >>> rx.io.read_times_file(path)
    (10.0, 20.5)
    """
    path = Path(path)
    found = read_numbers(path)
    with naming(path):
        return parse_times(found, unit=unit, axis=axis)


def read_numbers(path: Path) -> tuple[float, ...]:
    """Read the numbers of a text or CSV file, whatever they are.

    Parameters
    ----------
    path
        A file as for :func:`read_times_file`.

    Returns
    -------
    tuple of float
        The numbers, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds anything else.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "b.bval")
    >>> _ = path.write_text("0 200 800")
    >>> rx.io.read_numbers(path)
    (0.0, 200.0, 800.0)
    """
    lines = [line.partition("#")[0].strip(" \t,;") for line in read_text(path).splitlines()]
    rows = [(number, re.split(r"[\s,;]+", line)) for number, line in enumerate(lines, start=1) if line]
    if len(rows) > 1 and not any(map(_is_number, rows[0][1])):
        rows = rows[1:]  # a heading
    for number, cells in rows:
        if wrong := [cell for cell in cells if not _is_number(cell)]:
            raise ValueError(f"{path}, line {number}: {brief(repr(wrong[0]))} is no number.")
    if len(rows) > 1 and any(len(cells) > 1 for _, cells in rows):
        raise ValueError(f"{path}: it has several columns: leave the times alone, one a line.")
    return tuple(float(cell) for _, cells in rows for cell in cells)


def given_times(times_ms: Iterable[float] | str | Path | None, axis: Axis = TIME) -> tuple[float, ...] | None:
    """Return times, or values of another axis, that are given as numbers or as a text file."""
    if times_ms is None:
        return None
    if isinstance(times_ms, str | Path):
        return read_times_file(times_ms, axis=axis)
    return parse_times(times_ms, axis=axis)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
