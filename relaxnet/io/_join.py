"""Two whole series as one scan, whose contrasts share their first image."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relaxnet.io._read import Scan
from relaxnet.io._resample import on_grid_of, same_grid
from relaxnet.protocol import Contrast, Protocol

DIFFERENT = 0.05
"""First images of two series that differ by more than this share were scaled differently, or show another state."""


def join_scans(scans: Mapping[str, Scan], first: str = "mean", *, resample: bool = False) -> tuple[Scan, Protocol, str]:
    """Join the series of several contrasts, each with a first image of its own, to one scan with a common first image.

    Parameters
    ----------
    scans
        The series by the name of their contrast, with their times, on one grid.
    first
        The common first image: that of a contrast, by its name, or the ``"mean"`` of all.
    resample
        Whether to bring the other series to the grid of the first one, by linear interpolation.

    Returns
    -------
    scan
        The common first image, then the other images of each contrast.
    protocol
        What the images are.
    doubt
        A line that tells if the first images differ by more than 5 %, or nothing.

    Raises
    ------
    ValueError
        If the series are not on one grid, do not start at the same time, or repeat a time.
    """
    if first not in ("mean", *scans):
        raise ValueError(f"first={first!r} is none of {('mean', *scans)}.")
    one = next(iter(scans.values()))
    if resample:
        scans = {n: replace(scan, data=on_grid_of(one, scan), affine=one.affine) for n, scan in scans.items()}
    for other in scans.values():
        if other.data.shape[:3] != one.data.shape[:3]:
            told = f"it has {other.data.shape[:3]} voxels, {one.path} has {one.data.shape[:3]}"
            raise ValueError(f"{other.path}: both series must be on one grid: {told}.")
        if not same_grid(one, other):
            told = f"it has another affine than {one.path}"
            raise ValueError(f"{other.path}: {told}: use resample=True to bring it to the grid of that.")
    sorted_ = {name: _sorted(scan) for name, scan in scans.items()}
    contrasts = tuple(Contrast(name, times) for name, (_, times) in sorted_.items())
    protocol = Protocol(contrasts, shared_first=True)
    firsts = {name: data[..., 0] for name, (data, _) in sorted_.items()}
    common = np.stack([*firsts.values()]).mean(0) if first == "mean" else firsts[first]
    data = np.concatenate([common[..., None], *(data[..., 1:] for data, _ in sorted_.values())], axis=-1)
    files = tuple(file for scan in scans.values() for file in scan.files)
    described = tuple(own for scan in scans.values() for own in scan.described)
    joined = Scan(one.path, data, one.affine, one.space_code, files, described=described)
    return joined, protocol, _doubt(firsts)


def _sorted(scan: Scan) -> tuple[NDArray[np.floating], tuple[float, ...]]:
    times = scan.times_ms or ()
    order = np.argsort(times, kind="stable")
    return scan.data[..., order], tuple(type(times)(times[k] for k in order))


def _doubt(firsts: Mapping[str, NDArray[np.floating]]) -> str:
    """Tell if first images differ, by the median of their ratio where both have signal."""
    (name, one), (other_name, other) = list(firsts.items())[:2]
    positive = (one > 0) & (other > 0)
    if not positive.any():
        return ""
    bright = positive & (one >= np.median(one[positive]))
    ratio = float(np.median(other[bright] / one[bright]))
    if abs(ratio - 1) <= DIFFERENT:
        return ""
    told = f"the first image of {other_name} is {ratio:.2f} times that of {name}"
    return f"{told}, in the median of bright voxels: were both series scaled alike, and is nothing between them?"
