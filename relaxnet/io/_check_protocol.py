"""Whether a scan says that it was acquired otherwise than it is taken for."""

import math
from collections.abc import Sequence
from typing import Any

from relaxnet._contrasts import KNOWN_CONTRASTS
from relaxnet.io._inherit import describe_file
from relaxnet.io._read import Scan
from relaxnet.io._times import AGREE
from relaxnet.protocol import Contrast, Protocol
from relaxnet.times import TIME, show

Told = list[float | None]
"""Times as a file tells them, None where it tells nothing."""


def check_protocol(scan: Scan, protocol: Protocol, channels: Sequence[int]) -> str:
    """Refuse a scan whose files name other times than those of a protocol.

    Parameters
    ----------
    scan
        The scan. Where neither its files nor the JSON files that describe them say anything, nothing is compared.
    protocol
        What the scan is taken for.
    channels
        Number of each of its images among all images of the protocol.

    Returns
    -------
    str
        What told the times that were compared; nothing if they are taken on trust.

    Raises
    ------
    ValueError
        If the times of a contrast are there, and differ.
    """
    compared = ""
    described, source = _described(scan)
    for contrast in protocol.contrasts:
        of_all = protocol.images_of(contrast.name)
        own = [k for k, channel in enumerate(channels) if channel in of_all]
        expected = [contrast.times_ms[of_all.index(channels[k])] for k in own]
        told = []
        for key in _keys(contrast):
            if times := _times(described, key, contrast):
                readings = [_of_volumes(times, [scan.volumes[k] for k in own], expected)]
                if len(scan.files) == 1:
                    in_all = [times[k] for k in of_all] if len(times) == protocol.n_images else times
                    readings += [(times, expected), (in_all, [*contrast.times_ms])]
                told.append((key, source, times, any(_agree(*reading) for reading in readings)))
        if scan.times_ms and own:
            times = [scan.times_ms[k] for k in own]
            told.append(("times_ms", scan.times_from, times, _agree(times, expected)))
        compared = compared or next((str(where) for _, where, *_ in told), "")
        if told and not any(agrees for *_, agrees in told):
            key, where, times, _ = told[0]
            unit = contrast.model.axis.unit
            known = f"{key} is {show([time for time in times if time is not None])} in {unit}"
            trained = f"the network was trained for {contrast.name} at {show(contrast.times_ms)} {unit}"
            raise ValueError(f"{where}: {known}, and {trained}: its maps would be wrong.")
    return compared


def _described(scan: Scan) -> tuple[dict[str, list[Any]], Any]:
    """Return what headers and JSON files say under each key, for each file of the scan, and which file to name."""
    contents, source = [], None
    for file, own in zip(scan.files, scan.described, strict=True):
        try:
            content, where = describe_file(file, own)
        except FileNotFoundError:
            content, where = {}, None
        contents.append(content)
        source = source or where
    return {key: [content.get(key) for content in contents] for content in contents for key in content}, source


def _keys(contrast: Contrast) -> Sequence[str]:
    known = KNOWN_CONTRASTS.get(contrast.name)
    return known.keys_along(contrast.model.axis.name) if known else ()


def _times(described: dict[str, list[Any]], key: str, contrast: Contrast) -> Told:
    """Return the times under a key, if there are several that differ: one file has a list, and several one each."""
    values = described.get(key, [])
    values = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    factor = 1000.0 if contrast.model.axis == TIME else 1.0
    known = [isinstance(value, int | float) and abs(value) < 1e9 for value in values]
    times: Told = [factor * value if there else None for value, there in zip(values, known, strict=True)]
    return times if len({time for time in times if time is not None}) > 1 else []


def _of_volumes(times: Told, numbers: list[int], expected: list[float]) -> tuple[Told, list[float]]:
    """Read times as one for each volume of the files."""
    return ([times[k] for k in numbers], expected) if numbers and max(numbers) < len(times) else ([], [0.0])


def _agree(times: Sequence[float | None], expected: Sequence[float]) -> bool:
    """Return whether times are the expected ones, where they are told."""
    if len(times) != len(expected):
        return False
    pairs = [(time, other) for time, other in zip(times, expected, strict=True) if time is not None]
    return all(math.isclose(time, other, rel_tol=AGREE, abs_tol=1e-6) for time, other in pairs)
