"""JSON sidecars and text tables, and the times that sidecars hold: seconds in files, milliseconds in memory."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from relaxnet._messages import brief, printable
from relaxnet.io._bids import names_of
from relaxnet.signals import SignalModel
from relaxnet.times import TIME, Axis, CheckedTimes, parse_times

_LIKE_TIMES = re.compile(r"(?i)tsl|spin.?lock|echo|inversion|saturation|prep|flip|b.?val|^t[ei]\b")
"""What names of keys look like that may hold times, flip angles or b-values."""


def keys_of(contrast: str, axis: Axis = TIME) -> tuple[str, ...]:
    """Return the keys under which a sidecar may hold the times of a contrast, or its values of another axis."""
    keys = names_of(contrast).keys_along(axis.name)
    if not keys:
        raise ValueError(
            f"{contrast} is not acquired at several values of the {axis.name}: pass the times (times_ms=...)."
        )
    return keys


def times_of(content: dict[str, Any], contrast: str, axis: Axis = TIME) -> tuple[float, ...]:
    """Return the times of a contrast in ms, or its values of another axis, from the content of a sidecar."""
    keys = keys_of(contrast, axis)
    named = " or ".join(keys)
    found = {key: content[key] for key in keys if key in content}
    arrays = {key: value for key, value in found.items() if isinstance(value, list)}
    give = f"give the {axis.name}s (times_ms=...)"
    if not found:
        raise ValueError(f"{contrast}: the key {named} is missing{_others(content)}: {give}.")
    if not arrays:
        what = "is not an array with one"
        raise ValueError(f"{contrast}: {brief(found)} {what} {axis.name} for each volume{_others(content)}: {give}.")
    if len(arrays) > 1:
        raise ValueError(f"{contrast}: {named} are both arrays, so it is unclear which one decays: {give}.")
    ((key, values),) = arrays.items()
    if any(isinstance(value, str) for value in values):
        raise ValueError(f"{key}={brief(values)} holds text: write its numbers without quotation marks.")
    if axis != TIME:
        return parse_times(values, name=key, axis=axis)
    if contrast != "t1" and any(isinstance(value, int | float) and value > 1 for value in values):
        raise ValueError(f"{key}={brief(values)} looks like milliseconds; in files times are seconds, as in BIDS.")
    parse_times(values, unit="s", name=key)  # refuses what is no time
    return CheckedTimes(map(in_ms, values))


def _others(content: dict[str, Any]) -> str:
    """Tell of arrays of numbers under other keys that may be meant: spin-lock times stand in EchoTime, or TSL."""
    arrays = {
        key: len(values)
        for key, values in content.items()
        if isinstance(values, list) and len(values) > 1 and _LIKE_TIMES.search(key)
        if all(isinstance(value, int | float) for value in values)
    }
    told = (f"{brief(printable(key))} is an array of {n} and may hold them" for key, n in [*arrays.items()][:3])
    return "".join(f"; {text}" for text in told)


def describe_times(contrast: str, times: Iterable[float], model: SignalModel) -> dict[str, list[float]]:
    """Return the key and the values of a sidecar for the times of a contrast in ms, or its values of another axis."""
    values, own = [float(value) for value in times], type(model).__name__
    keys = next((s.keys for s in names_of(contrast).series if s.model == own), keys_of(contrast, model.axis))
    # BIDS forbids an EchoTime of 0; an image at 0 ms was prepared, not refocused.
    key = keys[-1 if 0 in values else 0]
    return {key: [_shifted(value, -3) for value in values] if model.axis == TIME else values}


def in_ms(seconds: float) -> float:
    """Turn seconds of a file into milliseconds: 0.0182 are 18.2, though 0.0182 * 1000 may differ from that."""
    return _shifted(seconds, 3)


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
        raise ValueError(f"{path}: the key {brief(printable(twice[0]))} is there twice: which value is meant?")
    if not isinstance(content, dict):
        raise ValueError(f"{path}: this is JSON, but not an object with keys and values.")  # noqa: TRY004
    return content


def read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Read a table with tabs between its columns: the number and the cells of each line that is not empty."""
    lines = read_text(path).splitlines()
    rows = enumerate(([cell.strip() for cell in line.split("\t")] for line in lines), start=1)
    return [(number, cells) for number, cells in rows if any(cells)]


def read_text(path: Path) -> str:
    """Read a text file; errors name it."""
    try:
        return _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: this is not text: {error}.") from error


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    return path.read_bytes()


def _shifted(value: float, digits: int) -> float:
    """Move the decimal point, so that 18.2 ms are 0.0182 s and 18.2 ms again."""
    return float(Decimal(repr(float(value))).scaleb(digits))
