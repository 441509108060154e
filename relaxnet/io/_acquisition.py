"""How a scan was acquired, as the JSON files say that describe it."""

from pathlib import Path

from relaxnet._contrasts import Series
from relaxnet._messages import brief
from relaxnet.io._bids import names_of
from relaxnet.io._inherit import read_sidecars
from relaxnet.io._sidecar import in_ms


def read_acquisition(scan: Path | str, contrast: str) -> tuple[Series, float | None]:
    """Find out how a scan was acquired, of a contrast that is acquired in several ways.

    Parameters
    ----------
    scan
        Path of the scan, or of one of its files.
    contrast
        Name of the contrast.

    Returns
    -------
    series
        The way in which it was acquired: the only one, or that of the keys in the JSON files of the scan.
    tr_ms
        The repetition time in ms, where the signal depends on it and the JSON files hold it.

    Raises
    ------
    ValueError
        If the JSON files fit none of the ways, or several, or lack the repetition time where it is needed.
    """
    ways = names_of(contrast).series
    if len(ways) == 1 and not ways[0].tr_keys:
        return ways[0], None
    try:
        content, path = read_sidecars(Path(scan))
    except FileNotFoundError:
        content, path = {}, Path(scan)
    found = [series for series in ways if content.keys() & {*series.keys}]
    suffixes = [series for series in found if path.stem.split("_")[-1] == series.raw]
    found = suffixes or found
    if len(found) != 1:
        held = [key for series in found for key in series.keys if key in content]
        told = f"it holds {' and '.join(held)}" if held else "no JSON file says so"
        options = " or ".join(series.option for series in ways)
        raise ValueError(f"{path}: how was {contrast} acquired? {told}: give the model (model=..., or {options}).")
    tr_key = next((key for key in found[0].tr_keys if key in content), None)
    if tr_key is None:
        if found[0].needs_tr:
            needed = " or ".join(found[0].tr_keys)
            told = f"{found[0].model} needs the repetition time, and {needed} is missing"
            raise ValueError(f"{path}: {told}: give it (model=..., or --tr-ms).")
        return found[0], None
    seconds = content[tr_key]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e3:
        raise ValueError(f"{path}: {tr_key}={brief(repr(seconds))} is no repetition time in seconds.")
    return found[0], in_ms(seconds)
