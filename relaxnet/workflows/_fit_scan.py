"""Fitting a scan: from a file to maps and pictures."""

import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet import signals
from relaxnet._choices import pick
from relaxnet._contrasts import KNOWN_CONTRASTS
from relaxnet._files import prepare_folder
from relaxnet.fitting import METHODS, FitResult, FitStatus, doubts, fit, fit_joint
from relaxnet.io import (
    Paths,
    Scan,
    as_paths,
    as_pictures,
    joint_map_paths,
    map_paths,
    read_labels,
    read_mask,
    read_protocol,
    read_scan,
    regions_path,
    scan_path,
    sidecar_path,
    write_joint_maps,
    write_maps,
)
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel
from relaxnet.workflows._drawing import Log, check_files, drawings, picture_paths, silence
from relaxnet.workflows._outcome import Outcome
from relaxnet.workflows._report.fit import Fitted, beside
from relaxnet.workflows._report.page import report_path
from relaxnet.workflows._report.provenance import provenance

JOINT = ("t1rho", "t2")
"""Contrasts of a joint fit."""
JOINT_ALGORITHM = "Nonlinear least squares over all images of all contrasts with one amplitude, by variable projection"

Bounds = tuple[float, float]


def fit_scan(
    scan: Paths,
    contrast: str,
    *,
    out: str | Path | None = None,
    times_ms: tuple[float, ...] | str | Path | None = None,
    volumes: Iterable[int] | None = None,
    skip_first: int = 0,
    time_axis: int | None = None,
    series: int | None = None,
    model: SignalModel | None = None,
    method: str = "nlls",
    mask: str | Path | None = None,
    label: int | str | None = None,
    label_table: str | Path | None = None,
    bounds_ms: Bounds | None = None,
    saturation: float | None = None,
    sigma: float | None = None,
    labels: str | Path | None = None,
    fill: float | None = None,
    strict: bool = False,
    report: bool = False,
    overwrite: bool = False,
    command: str | None = None,
    log: Log = silence,
) -> Outcome:
    """Fit a scan, and write its maps and a picture.

    Parameters
    ----------
    scan
        NIfTI file of shape (x, y, z, time), several files, one for each time, or anything else that
        :func:`relaxnet.io.read_scan` takes.
    contrast
        Name of the contrast: ``"t1rho"``, ``"t2"``, ...
    out
        Folder of the maps; by default that of the scan.
    times_ms
        Time of each volume in ms, or a text file with them; by default those in the JSON files beside the scan.
    volumes, skip_first, time_axis, series
        What to use of the scan, as for :func:`relaxnet.io.read_scan`.
    model
        The signal model; by default that of the contrast, where it is acquired in one way alone.
    method
        The estimator, one of :data:`relaxnet.fitting.METHODS`.
    mask
        File of zeros and one other number on the grid of the scan, or of labels.
    label
        Number or name of the label to fit, where ``mask`` holds several.
    label_table
        File with the names of the labels, as for :func:`relaxnet.io.read_mask`.
    bounds_ms
        Smallest and largest T to look for.
    saturation
        Samples at or above this value are not used.
    sigma
        Standard deviation of the noise.
    labels
        NIfTI file of whole numbers on the grid of the scan: a table of the maps in its regions is written, too.
    fill
        Value of voxels without a result in the files, in place of NaN.
    strict
        Whether an input that does not look like what was meant is an error, before anything is written, and not only a
        warning: see :func:`relaxnet.fitting.doubts`.
    report
        Whether to write a report, one HTML file with its figures, beside the picture.
    overwrite
        Whether maps that are there may be replaced.
    command
        The command line that asked for it, for the sidecars.
    log
        Called with lines of text that report the progress.

    Returns
    -------
    Outcome
        Its files are the maps, under the keys of :func:`relaxnet.io.map_paths`, a ``"picture"``, and ``"rois"`` where
        there are labels, ``"report"`` if asked for; its result is the :class:`~relaxnet.FitResult`.

    Raises
    ------
    ValueError
        If an argument or a file is not what it should be; messages name it.
    OSError
        If a file is missing, or one is there and ``overwrite`` is false.

    Warns
    -----
    UserWarning
        If the input does not look like what was meant, and ``strict`` is false.
    """
    start = perf_counter()
    algorithm = pick("method", method, METHODS).summary
    path = scan_path(scan)
    folder = path.parent if out is None else Path(out)
    maps = map_paths(path, folder, contrast)
    model = model or _usual_model(contrast)
    pictures = picture_paths(maps, (contrast,))
    table = {} if labels is None else {"rois": regions_path(path, folder, (contrast,))}
    table |= {"report": report_path(pictures[contrast])} if report else {}
    check_files(_inputs(scan, mask, labels), maps, pictures | table, overwrite=overwrite)
    image = read_scan(
        scan,
        contrast,
        times_ms=times_ms,
        axis=model.axis,
        volumes=volumes,
        skip_first=skip_first,
        time_axis=time_axis,
        series=series,
    )
    times = image.times_ms or ()
    source = image.times_from if times_ms is None else "the command line"
    where = _mask(mask, image, label, label_table)
    regions = None if labels is None else read_labels(labels, like=image)
    prepare_folder(folder)
    log(f"{path}: {_size(image)} voxels at {_list(times)} {model.axis.unit} (from {source})")
    result = fit(
        image.data,
        times,
        method=method,
        model=model,
        mask=where,
        bounds=bounds_ms,
        saturation=saturation,
        sigma=sigma,
        dim=-1,
    )
    # A Contrast would name the map, but its times must rise.
    maps_of, std, units = (_renamed(of, contrast) for of in (result.maps, result.std, result.units))
    new = {"t": contrast}
    pairs = {(new.get(a, a), new.get(b, b)): values for (a, b), values in result.covariances.items()}
    result = replace(result, maps=maps_of, std=std, units=units, covariances=pairs)
    doubted = doubts(image.data, result, signed=model.signed)
    question(path, doubted, strict=strict)
    log(f"writing maps to {folder}")
    drawn = drawings({contrast: _shown(result, contrast, image)}, pictures)
    fitted = [Fitted(contrast, times, model, range(len(times)))]
    inputs = {"scan": as_paths(scan), "mask": mask, "labels": labels}
    settings = {"label": label, "method": method, "bounds": bounds_ms, "saturation": saturation, "sigma": sigma}
    made = partial(provenance, inputs, settings, start, command)
    drawn |= beside(result, image, fitted, regions, doubted, made, table)
    write_maps(
        result,
        image,
        folder,
        times_ms=times,
        model=model,
        algorithm=algorithm,
        command=command,
        more=drawn,
        overwrite=overwrite,
        fill=fill,
    )
    files = maps | {"picture": pictures[contrast]} | table
    return _outcome(result, files, {"scan": str(path), "contrast": contrast, "times_ms": times, "method": method})


def fit_joint_scan(
    scan: Paths,
    *,
    out: str | Path | None = None,
    protocol: Protocol | None = None,
    volumes: Iterable[int] | None = None,
    skip_first: int = 0,
    time_axis: int | None = None,
    series: int | None = None,
    mask: str | Path | None = None,
    label: int | str | None = None,
    label_table: str | Path | None = None,
    bounds_ms: Bounds | None = None,
    saturation: float | None = None,
    sigma: float | None = None,
    labels: str | Path | None = None,
    fill: float | None = None,
    strict: bool = False,
    report: bool = False,
    overwrite: bool = False,
    command: str | None = None,
    log: Log = silence,
) -> Outcome:
    """Fit T1rho and T2 of a scan at once, and write maps and pictures.

    Parameters
    ----------
    scan
        NIfTI file of shape (x, y, z, image): the common first image, the other T1rho images, the other T2 images; or
        several files, one for each image, in this order.
    protocol
        The acquisition protocol; by default that in the JSON file beside the scan.
    out, volumes, skip_first, time_axis, series, mask, label, label_table
        As for :func:`fit_scan`.
    bounds_ms, saturation, sigma, labels, fill, strict, report, overwrite, command, log
        As for :func:`fit_scan`.

    Returns
    -------
    Outcome
        Its files are those of :func:`relaxnet.io.joint_map_paths`, and a ``"t2_picture"`` of each contrast, and
        ``"rois"`` and ``"report"`` as for :func:`fit_scan`; its result is the :class:`~relaxnet.FitResult`.

    Raises
    ------
    ValueError
        If an argument or a file is not what it should be; messages name it.
    OSError
        If a file is missing, or one is there and ``overwrite`` is false.

    Warns
    -----
    UserWarning
        If the input does not look like what was meant, and ``strict`` is false.
    """
    start, path = perf_counter(), scan_path(scan)
    folder = path.parent if out is None else Path(out)
    maps = joint_map_paths(path, folder, JOINT)
    pictures = picture_paths(maps, JOINT)
    table = {} if labels is None else {"rois": regions_path(path, folder, JOINT)}
    table |= {"report": report_path(pictures[JOINT[0]], "joint")} if report else {}
    check_files(_inputs(scan, mask, labels), maps, pictures | table, overwrite=overwrite)
    image = read_scan(scan, volumes=volumes, skip_first=skip_first, time_axis=time_axis, series=series)
    source = "the command line" if protocol else sidecar_path(path)
    protocol = protocol or read_protocol(sidecar_path(path))
    if set(protocol.names) != set(JOINT):
        raise ValueError(f"{source}: it describes {_list(protocol.names)}: a joint fit needs {_list(JOINT)}.")
    n = image.data.shape[-1]
    if n != protocol.n_images:
        raise ValueError(
            f"{path}: it has {n} volumes, but {source} describes {protocol.n_images}, "
            f"{'a shared first one included' if protocol.shared_first else 'none of them shared'}."
        )
    where = _mask(mask, image, label, label_table)
    regions = None if labels is None else read_labels(labels, like=image)
    prepare_folder(folder)
    times = {contrast.name: contrast.times_ms for contrast in protocol.contrasts}
    told = "; ".join(f"{name} {_list(of_one)} ms" for name, of_one in times.items())
    log(f"{path}: {_size(image)} voxels at {told}, the first volume shared (from {source})")
    result = fit_joint(image.data, protocol, mask=where, bounds=bounds_ms, saturation=saturation, sigma=sigma, dim=-1)
    signed = any(contrast.model.signed for contrast in protocol.contrasts)
    doubted = doubts(image.data, result, signed=signed)
    question(path, doubted, strict=strict)
    log(f"writing maps to {folder}")
    drawn = drawings({name: _shown(result, name, image) for name in JOINT}, pictures)
    fitted = [Fitted(one.name, one.times_ms, one.model, protocol.images_of(one.name)) for one in protocol.contrasts]
    inputs = {"scan": as_paths(scan), "mask": mask, "labels": labels}
    settings = {"label": label, "method": "joint", "bounds": bounds_ms, "saturation": saturation, "sigma": sigma}
    made = partial(provenance, inputs, settings, start, command)
    drawn |= beside(result, image, fitted, regions, doubted, made, table)
    write_joint_maps(
        result,
        image,
        folder,
        protocol=protocol,
        algorithm=JOINT_ALGORITHM,
        command=command,
        more=drawn,
        overwrite=overwrite,
        fill=fill,
    )
    files = maps | {f"{name}_picture": picture for name, picture in pictures.items()} | table
    return _outcome(result, files, {"scan": str(path), "contrast": "joint", "times_ms": times, "method": "nlls"})


def _inputs(scan: Paths, *others: str | Path | None) -> list[Path]:
    return [*as_paths(scan), sidecar_path(scan_path(scan)), *(Path(other) for other in others if other is not None)]


def _mask(
    mask: str | Path | None, image: Scan, label: int | str | None, table: str | Path | None
) -> NDArray[np.bool_] | None:
    if mask is None and label is not None:
        raise ValueError(f"label={label} needs a mask that holds it: mask=None.")
    return None if mask is None else read_mask(mask, like=image, label=label, table=table)


def question(scan: Path, lines: Iterable[str], *, strict: bool) -> None:
    """Tell doubts about a scan: as warnings, or if it is strict as an error."""
    for line in lines:
        if strict:
            raise ValueError(f"{scan}: {line}")
        warnings.warn(f"{scan}: {line}", stacklevel=3)


def _usual_model(contrast: str) -> SignalModel:
    """Make the model of a contrast that is acquired in one way."""
    known = [series.model for series in KNOWN_CONTRASTS[contrast].series]
    if len(known) > 1:
        raise ValueError(f"model=None: {contrast} is acquired in several ways: pass one of relaxnet.signals.{known}.")
    made: SignalModel = getattr(signals, known[0])()
    return made


def _outcome(result: FitResult[NDArray[Any]], files: dict[str, Path], about: dict[str, Any]) -> Outcome:
    good = result.status == FitStatus.CONVERGED
    quartiles = {
        name: np.percentile(values[good], (25, 50, 75)).tolist() if good.any() else [None] * 3
        for name, values in result.maps.items()
    }
    summary = {
        **about,
        "voxels": {member.name: int((result.status == member).sum()) for member in FitStatus},
        "converged": {
            name: dict(zip(("q25", "median", "q75"), values, strict=True)) for name, values in quartiles.items()
        },
        "files": {key: str(path) for key, path in files.items()},
    }
    return Outcome(result.summary(), files, summary, result)


def _shown(result: FitResult[NDArray[Any]], name: str, scan: Scan) -> tuple[NDArray[Any], NDArray[Any], str]:
    """Turn a map for its picture, where it converged."""
    converged = np.where(result.ok, result.maps[name], np.nan)
    return as_pictures(converged, scan.affine), as_pictures(result.std[name], scan.affine), result.units[name]


def _size(scan: Scan) -> str:
    return " x ".join(str(n) for n in scan.data.shape[:-1])


def _list(items: Iterable[object]) -> str:
    return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in items)


def _renamed(of_parameters: dict[str, Any], contrast: str) -> dict[str, Any]:
    return {contrast if name == "t" else name: values for name, values in of_parameters.items()}
