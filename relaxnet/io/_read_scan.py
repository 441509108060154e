"""One door for all scans: a file or several, in any format that can be read, with the times of their images."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from os.path import commonpath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._files import naming
from relaxnet._messages import brief
from relaxnet.io._bids import stem
from relaxnet.io._formats import name_of, read_image
from relaxnet.io._image import Image
from relaxnet.io._inherit import describe_file, sidecars_of
from relaxnet.io._read import Scan
from relaxnet.io._resample import on_grid_of, same_grid
from relaxnet.io._sidecar import times_of
from relaxnet.io._times import check_agreement, check_order, given_times, read_times, times_of_files
from relaxnet.times import TIME, Axis, CheckedTimes, parse_times

Paths = str | Path | Iterable[str | Path]
"""The files of a scan: one, or several."""


def read_scan(
    paths: Paths,
    contrast: str | None = None,
    *,
    times_ms: Iterable[float] | str | Path | None = None,
    volumes: Iterable[int] | None = None,
    skip_first: int = 0,
    time_axis: int | None = None,
    series: int | None = None,
    average: bool = False,
    resample: bool = False,
    axis: Axis = TIME,
) -> Scan:
    """Read a series of images and their times.

    Parameters
    ----------
    paths
        One file with all images; or several, such as one an echo, on one grid; or a folder of DICOM files. NIfTI files
        are read, whatever nibabel reads (PAR/REC, MGH, Analyze, AFNI, MINC), DICOM files (extra ``dicom``), and arrays
        in ``.npy`` and ``.npz`` files: ``data`` (x, y, z, time), and, if there are any, ``affine`` and ``times_ms``.
    contrast
        Name of the contrast, ``"t2"``, to read its times from the JSON files that describe the scan; by default, times
        are those of ``times_ms``, or none. Several files are sorted by the times that were read.
    times_ms
        The times in ms, or a text file with them (see :func:`read_times_file`): one for each image, or for each of
        those that are chosen, in the order of the files as they are given. They may not contradict the JSON files.
    volumes
        Numbers of the images to use, from 0, rising; by default all.
    skip_first
        How many of these to leave out at the start.
    time_axis
        Number of the axis of time in the file, from 0; by default the last of four. Of three axes, (x, y, time), it is
        2: the image is a single slice.
    series
        Number of the series to use, of a folder that holds several.
    average
        Whether to average repeated images, which follow one another along a fifth axis, or of several files a fourth.
    resample
        Whether to resample files to the grid of the first one, by linear interpolation, where they are on another.
    axis
        What the images differ in, if it is no time: flip angles or b-values stand in the place of times.

    Returns
    -------
    Scan
        The images, with time along the last axis, their ``times_ms``, and a ``path`` after which maps are named: for
        several files, the common part of their names.

    Raises
    ------
    FileNotFoundError
        If a file is missing, or there is no file to read the times from.
    ValueError
        If a file cannot be read, files do not fit together, there is no time axis, or times are missing, ambiguous,
        too few, or contradict those of a file.

    Warns
    -----
    UserWarning
        If the position of the images is in doubt, as for :func:`read_nifti`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.savez(folder / "phantom.npz", data=np.ones((4, 3, 2, 5), "float32"), affine=np.eye(4))
    >>> scan = rx.io.read_scan(folder / "phantom.npz", times_ms=(0, 10, 20, 30, 40), skip_first=1)
    >>> scan.data.shape, scan.times_ms
    ((4, 3, 2, 4), (10.0, 20.0, 30.0, 40.0))
    """
    files = as_paths(paths)
    given = given_times(times_ms, axis)
    images = [read_image(file, series=series) for file in files]
    single = images[0] if len(images) == 1 else None
    stored, of_file = _stored_times(files, images, contrast, axis, needed=given is None)
    if given is not None and stored is None:
        check_order(files, given)
    times, source = (stored, of_file) if given is None else (given, "times_ms")
    n_times = len(times or ())
    data = (
        _with_time(single.data, files[0], time_axis, n_times, average=average)
        if single
        else _joined(files, images, average=average, resample=resample)
    )
    if times is stored is not None and single is None:
        order = np.argsort(stored, kind="stable")
        data, times = data[..., order], CheckedTimes(stored[k] for k in order)
    named, n = scan_path(files), data.shape[-1]
    chosen = _chosen(volumes, skip_first, n, named)
    if times is not None and len(times) not in (n, len(chosen)):
        told = f"it has {_counted(n, 'volume')}, but {source} gives {_counted(len(times), 'time')}"
        hint = "; choose those that are meant, as volumes=0,2" if n > len(times) else ""
        axes = [axis for axis, length in enumerate(single.data.shape[:-1]) if length == len(times)] if single else []
        hint += f"; axis {axes[0]} has as many entries: if it is time, use time_axis={axes[0]}" if axes else ""
        raise ValueError(f"{files[0] if single else named}: {told}{hint}.")
    times, stored = (t if t is None or len(t) != n else CheckedTimes(t[k] for k in chosen) for t in (times, stored))
    if given is not None and times is not None and stored is not None:
        check_agreement(times, stored, of_file)
    if len(chosen) < n:
        data = data[..., chosen]
    first, described = images[0], tuple(image.described for image in images)
    source = source if times else ""
    return Scan(named, data, first.affine, first.space_code, tuple(files), times, source, tuple(chosen), described)


def as_paths(paths: Paths) -> list[Path]:
    """List the files of a scan.

    Parameters
    ----------
    paths
        One path, or several.

    Returns
    -------
    list of Path
        The paths, in the order given.

    Raises
    ------
    ValueError
        If there is none, or one is there twice.
    """
    files = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if not files:
        raise ValueError("paths=[] names no file: pass the files of one scan.")
    if twice := [file for k, file in enumerate(files) if file in files[:k]]:
        raise ValueError(f"{twice[0]}: this file is given twice.")
    return files


def scan_path(paths: Paths) -> Path:
    """Return the path after which the maps of a scan are named, in the manner of a NIfTI file.

    Parameters
    ----------
    paths
        The files of the scan, as for :func:`read_scan`.

    Returns
    -------
    Path
        The file itself if it is one, or the common part of the names of several, without an entity that varies.

    Raises
    ------
    ValueError
        If a name cannot be that of a scan.

    Examples
    --------
    >>> rx.io.scan_path(["raw/sub-01_echo-1_MESE.nii.gz", "raw/sub-01_echo-2_MESE.nii.gz"]).as_posix()
    'raw/sub-01_MESE.nii.gz'
    >>> rx.io.scan_path(["te10.nii", "te20.nii"]).as_posix(), rx.io.scan_path("leg.PAR").as_posix()
    ('te.nii.gz', 'leg.nii.gz')
    """
    names = [name_of(path) for path in as_paths(paths)]
    if len(names) == 1:
        return names[0]
    stems = [stem(name) for name in names]
    parts = [name.split("_") for name in stems]
    common = "_".join(part for part in parts[0] if all(part in others for others in parts))
    called = common or _common_start(stems).strip("-_. 0123456789") or "scan"
    folders = {name.parent for name in names}
    folder = folders.pop() if len(folders) == 1 else Path(commonpath(name.parent.absolute() for name in names))
    return folder / f"{called}.nii.gz"


def _common_start(texts: Sequence[str]) -> str:
    n = next((k for k, letters in enumerate(zip(*texts, strict=False)) if len({*letters}) > 1), min(map(len, texts)))
    return texts[0][:n]


def _stored_times(
    files: Sequence[Path], images: Sequence[Image], contrast: str | None, axis: Axis, *, needed: bool
) -> tuple[tuple[float, ...] | None, str]:
    """Return times that the files hold, and where; None where there are none, and none are needed."""
    if all(image.times_ms is not None for image in images):
        with naming(files[0]):
            return parse_times([t for image in images for t in image.times_ms or ()], to_fit=False, axis=axis), str(
                files[0]
            )
    if contrast is None:
        return None, ""
    own = [image.described for image in images]
    try:
        if len(files) > 1:
            return times_of_files(files, contrast, own, axis), "the sidecars" if not any(own) else "the headers"
        if not own[0]:
            name = name_of(files[0])
            return read_times(name, contrast, axis), str(sidecars_of(name)[-1])
        content, source = describe_file(files[0], own[0])
        with naming(source):
            found = times_of(content, contrast, axis)
        return found, f"the headers of {source}" if source == files[0] else str(source)
    except (OSError, ValueError):
        if needed:
            raise
        return None, ""


def _with_time(data: NDArray[Any], path: Path, time_axis: int | None, n_times: int, *, average: bool) -> NDArray[Any]:
    """Bring the axis of time to the end, behind three of space."""
    shape = data.shape
    if time_axis is not None and not -len(shape) <= time_axis < len(shape):
        raise ValueError(f"{path}: time_axis={time_axis} is not one of the {len(shape)} axes of shape {shape}.")
    if average:
        data, time_axis = _averaged(data, path, time_axis, n_times)
    if time_axis is None:
        later = [n for n in data.shape[3:] if n != 1]
        if len(later) != 1:
            problem = "two axes too many" if later else "no time axis"
            hint = "; if one of them is that of repetitions, use average=True" if later else _axis_hint(shape, n_times)
            raise ValueError(f"{path}: shape {shape} has {problem}: a fit needs (x, y, z, time){hint}.")
        return data.reshape((*data.shape[:3], *later), order="F")
    n = data.shape[time_axis]
    data = np.moveaxis(data, time_axis, -1)
    space = data.shape[:-1]
    if len(space) < 2 or any(n != 1 for n in space[3:]):
        raise ValueError(f"{path}: shape {shape} without time_axis={time_axis} is not (x, y) or (x, y, z).")
    return data.reshape((*(*space, 1)[:3], n), order="F")


def _averaged(data: NDArray[Any], path: Path, time_axis: int | None, n_times: int) -> tuple[NDArray[Any], int | None]:
    """Average over the axis behind those of space that is not that of time; return that of time, too."""
    later = [axis for axis in range(3, data.ndim) if data.shape[axis] > 1]
    if len(later) != 2:
        raise ValueError(f"{path}: average=True needs (x, y, z, time, repetition), and its shape is {data.shape}.")
    fitting = [axis for axis in later if data.shape[axis] == n_times]
    time = time_axis % data.ndim if time_axis is not None else (fitting or later)[0]
    repeated = [axis for axis in later if axis != time]
    if len(repeated) != 1:
        raise ValueError(f"{path}: time_axis={time_axis} with average=True must be one of the axes {later}.")
    return data.mean(repeated[0], keepdims=True, dtype=data.dtype), time


def _axis_hint(shape: tuple[int, ...], n_times: int) -> str:
    """Tell which axis may be that of time."""
    for axis, n in reversed([*enumerate(shape)]):
        if n_times and n == n_times:
            return f"; axis {axis} has as many entries as there are times: if it is time, use time_axis={axis}"
    for axis, n in reversed([*enumerate(shape)]):
        if n_times and n % n_times == 0:
            told = f"axis {axis} has {n} = {n_times} x {n // n_times} entries"
            return f"; {told}: if the images of all times are stacked along it, save time as a fourth axis"
    return "; if its last axis is time, use time_axis=2; if it is one of several files, pass all of them"


def _joined(files: Sequence[Path], images: list[Image], *, average: bool, resample: bool) -> NDArray[Any]:
    """Join the volumes of several files of one grid, and let go of each on the way."""
    if average:
        images[:] = [replace(image, data=image.data.mean(3)) if image.data.ndim == 4 else image for image in images]
    first = images[0]
    if resample:
        images[:] = [
            replace(image, data=on_grid_of(first, image), affine=first.affine) if image.data.ndim >= 3 else image
            for image in images
        ]
    for file, image in zip(files, images, strict=True):
        if image.data.shape[:3] != first.data.shape[:3] or image.data.ndim < 3 or np.prod(image.data.shape[3:]) != 1:
            told = f"shape {image.data.shape}, {files[0]} has {first.data.shape}"
            raise ValueError(f"{file}: of several files, each must hold one volume on one grid: it has {told}.")
        if not same_grid(first, image):
            told = f"it has another affine than {files[0]}"
            raise ValueError(f"{file}: {told}: use resample=True to bring it to the grid of that file.")
    space = first.data.shape[:3]
    joined = np.empty((*space, len(images)), np.result_type(*(image.data for image in images)), order="F")
    for k, image in enumerate(images):
        joined[..., k] = image.data.reshape(space, order="F")
        images[k] = Image(joined[:0], image.affine, image.space_code)
    return joined


def _chosen(volumes: Iterable[int] | None, skip_first: int, n: int, path: Path) -> list[int]:
    """Return the numbers of the volumes to use."""
    chosen = list(range(n)) if volumes is None else [int(k) for k in volumes]
    if any(not 0 <= k < n for k in chosen) or any(a >= b for a, b in pairwise(chosen)):
        told = f"volumes={brief(','.join(map(str, chosen)))}"
        raise ValueError(f"{path}: {told} are not rising numbers from 0 to {n - 1}: it has {_counted(n, 'volume')}.")
    if not 0 <= skip_first < len(chosen):
        raise ValueError(f"{path}: skip_first={skip_first} leaves nothing of {_counted(len(chosen), 'volume')}.")
    return chosen[skip_first:]


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
