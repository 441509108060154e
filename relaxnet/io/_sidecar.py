"""JSON sidecars and text tables, and the times that sidecars hold: seconds in files, milliseconds in memory."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from relaxnet._contrasts import AXIS_KEYS
from relaxnet._messages import brief
from relaxnet.io._bids import names_of, sidecar_path
from relaxnet.times import TIME, Axis, CheckedTimes, parse_times


def read_times(scan: Path | str, contrast: str, axis: Axis = TIME) -> tuple[float, ...]:
    """Read the times of a scan from the JSON file beside it.

    Parameters
    ----------
    scan
        Path of the scan, ``scan.nii.gz``; the file read is ``scan.json``.
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
    path = sidecar_path(Path(scan))
    if not path.is_file():
        named = " or ".join(names_of(contrast).time_keys) if axis == TIME else AXIS_KEYS[axis.name]
        raise FileNotFoundError(f"{path}: there is no such file to read {named} from: give the times.")
    content = read_object(path)
    with naming(path):
        return times_of(content, contrast, axis)


def times_of(content: dict[str, Any], contrast: str, axis: Axis = TIME) -> tuple[float, ...]:
    """Return the times of a contrast in ms, or its values of another axis, from the content of a sidecar."""
    keys = names_of(contrast).time_keys if axis == TIME else (AXIS_KEYS[axis.name],)
    named = " or ".join(keys)
    found = {key: content[key] for key in keys if key in content}
    arrays = {key: value for key, value in found.items() if isinstance(value, list)}
    if not found:
        raise ValueError(f"{contrast}: the key {named} is missing: give the {axis.name}s.")
    if not arrays:
        raise ValueError(f"{contrast}: {brief(found)} is not an array with one {axis.name} for each volume: give them.")
    if len(arrays) > 1:
        raise ValueError(f"{contrast}: {named} are both arrays, so it is unclear which one decays: give the times.")
    ((key, values),) = arrays.items()
    if axis != TIME:
        return parse_times(values, name=key, axis=axis)
    if contrast != "t1" and any(isinstance(value, int | float) and value > 1 for value in values):
        raise ValueError(f"{key}={brief(values)} looks like milliseconds; in files times are seconds, as in BIDS.")
    parse_times(values, unit="s", name=key)  # refuses what is no time
    return CheckedTimes(_shifted(value, 3) for value in values)


@contextmanager
def naming(path: Path, what: str = "") -> Iterator[None]:
    """Name a file in errors that its content causes; they become ValueErrors, as no content is a mistake of ours."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        told = str(error) if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{path}: {what}{brief(told, longest=500)}") from error


def describe_times(contrast: str, times: Iterable[float], axis: Axis) -> dict[str, list[float]]:
    """Return the key and the values of a sidecar for the times of a contrast in ms, or its values of another axis."""
    values = [float(value) for value in times]
    if axis != TIME:
        return {AXIS_KEYS[axis.name]: values}
    # BIDS forbids an EchoTime of 0; an image at 0 ms was prepared, not refocused.
    key = names_of(contrast).time_keys[-1 if 0 in values else 0]
    return {key: [_shifted(value, -3) for value in values]}


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object; errors name the file."""
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            twice.extend(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        return content

    try:
        # Windows may add a byte order mark.
        content = json.loads(_read_bytes(path).decode("utf-8-sig"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: this is not JSON: {error}.") from error
    if twice:
        raise ValueError(f"{path}: the key {brief(twice[0])} is there twice: which value is meant?")
    if not isinstance(content, dict):
        raise ValueError(f"{path}: this is JSON, but not an object with keys and values.")  # noqa: TRY004
    return content


def read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Read a table with tabs between its columns: the number and the cells of each line that is not empty."""
    try:
        lines = _read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: this is not text: {error}.") from error
    rows = enumerate(([cell.strip() for cell in line.split("\t")] for line in lines), start=1)
    return [(number, cells) for number, cells in rows if any(cells)]


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    return path.read_bytes()


def _shifted(value: float, digits: int) -> float:
    """Move the decimal point, so that 18.2 ms are 0.0182 s and 18.2 ms again: 0.0182 * 1000 may differ from 18.2."""
    return float(Decimal(repr(float(value))).scaleb(digits))
