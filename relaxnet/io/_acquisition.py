"""How a scan was acquired, as the JSON files say that describe it."""

from collections import defaultdict
from typing import Any

from relaxnet._contrasts import Series
from relaxnet._messages import brief
from relaxnet.io._bids import names_of
from relaxnet.io._formats import read_described
from relaxnet.io._inherit import describe_file
from relaxnet.io._read_scan import Paths, as_paths
from relaxnet.io._sidecar import in_ms


def read_acquisition(scan: Paths, contrast: str, *, series: int | None = None) -> tuple[Series, float | None]:
    """Find out how a scan was acquired, of a contrast that is acquired in several ways.

    Parameters
    ----------
    scan
        The files of the scan, one or several.
    contrast
        Name of the contrast.
    series
        Number of the series, of a DICOM folder that holds several.

    Returns
    -------
    series
        The way in which it was acquired: the only one, or that of the keys in the JSON files of the scan.
    tr_ms
        The repetition time in ms, where the signal depends on it and the JSON files hold it.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If the JSON files fit none of the ways, or several, or lack the repetition time where it is needed.
    """
    ways = names_of(contrast).series
    if len(ways) == 1 and not ways[0].tr_keys:
        return ways[0], None
    files = as_paths(scan)
    held: dict[str, list[Any]] = defaultdict(list)
    path = files[0]
    for file in files:
        if not file.exists():
            raise FileNotFoundError(f"{file}: there is no such file.")
        try:
            content, path = describe_file(file, read_described(file, series=series))
        except FileNotFoundError:
            continue
        for key, value in content.items():
            held[key].append(value)
    told = [way for way in ways if {*way.keys} & {*held}]
    varying = [way for way in told if any(_varies(held[key]) for key in way.keys if key in held)]
    named = [way for way in told if path.stem.split("_")[-1] == way.raw]
    found = named or varying or told  # every sidecar has a flip angle
    if len(found) != 1:
        keys = [key for way in found for key in way.keys if key in held]
        known = f"it holds {' and '.join(keys)}" if keys else "neither a JSON file nor its headers say so"
        options = " or ".join(way.option for way in ways)
        raise ValueError(f"{path}: how was {contrast} acquired? {known}: give the model (model=..., or {options}).")
    tr_key = next((key for key in found[0].tr_keys if key in held), None)
    if tr_key is None:
        if found[0].needs_tr:
            needed = " or ".join(found[0].tr_keys)
            known = f"{found[0].model} needs the repetition time, and {needed} is missing"
            raise ValueError(f"{path}: {known}: give it (model=..., or --tr-ms).")
        return found[0], None
    seconds = held[tr_key][0]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e3:
        raise ValueError(f"{path}: {tr_key}={brief(repr(seconds))} is no repetition time in seconds.")
    return found[0], in_ms(seconds)


def _varies(values: list[Any]) -> bool:
    """Return whether values differ from image to image: in an array, or from file to file."""
    return (len(values) > 1 and any(value != values[0] for value in values)) or any(isinstance(v, list) for v in values)
