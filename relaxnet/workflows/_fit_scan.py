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
from relaxnet._files import prepare_folder
from relaxnet.fitting import METHODS, FitResult, FitStatus, doubts, fit
from relaxnet.io import (
    Paths,
    Scan,
    as_paths,
    as_pictures,
    dicom_map,
    dicom_path,
    map_paths,
    read_acquisition,
    read_labels,
    read_mask,
    read_scan,
    regions_path,
    scan_path,
    sidecar_path,
    write_maps,
)
from relaxnet.signals import SignalModel
from relaxnet.workflows._device import device_of, on_device
from relaxnet.workflows._drawing import Log, check_files, drawings, picture_paths, silence
from relaxnet.workflows._outcome import Outcome
from relaxnet.workflows._provenance import record, run_path
from relaxnet.workflows._report.fit import Fitted, beside
from relaxnet.workflows._report.page import report_path

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
    average: bool = False,
    resample: bool = False,
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
    rates: bool = False,
    dicom: bool = False,
    strict: bool = False,
    report: bool = False,
    overwrite: bool = False,
    device: str = "auto",
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
    volumes, skip_first, time_axis, series, average
        What to use of the scan, as for :func:`relaxnet.io.read_scan`.
    resample
        Whether to bring files, ``mask`` and ``labels`` that are on another grid to that of the first file.
    model
        The signal model; by default that of the contrast. Where it is acquired in several ways, the JSON files of the
        scan tell which it was.
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
    rates
        Whether to write a map of the rate, 1/T in 1/s, too.
    dicom
        Whether to write the map as a DICOM Parametric Map in ms, too; the scan must be of DICOM files.
    strict
        Whether an input that does not look like what was meant is an error, before anything is written, and not only a
        warning: see :func:`relaxnet.fitting.doubts`.
    report
        Whether to write a report, one HTML file with its figures, beside the picture.
    overwrite
        Whether maps that are there may be replaced.
    device
        Where to compute: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
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
    where_to = device_of(device)
    algorithm = pick("method", method, METHODS).summary
    path = scan_path(scan)
    folder = path.parent if out is None else Path(out)
    maps = map_paths(path, folder, contrast, rates=rates)
    model = model or _model_of(scan, contrast)
    pictures = picture_paths(maps, (contrast,))
    table = {} if labels is None else {"rois": regions_path(path, folder, (contrast,))}
    table |= {"run": run_path(pictures[contrast])}
    table |= {"report": report_path(pictures[contrast])} if report else {}
    exported = {contrast: dicom_path(maps[contrast])} if dicom else {}
    others = pictures | table | {f"{name}_dicom": file for name, file in exported.items()}
    check_files(inputs_of(scan, mask, labels), maps, others, overwrite=overwrite)
    image = read_scan(
        scan,
        contrast,
        times_ms=times_ms,
        axis=model.axis,
        volumes=volumes,
        skip_first=skip_first,
        time_axis=time_axis,
        series=series,
        average=average,
        resample=resample,
    )
    times = image.times_ms or ()
    source = image.times_from if times_ms is None else "the command line"
    where = mask_of(mask, image, label, label_table, resample=resample)
    regions = None if labels is None else read_labels(labels, like=image, resample=resample)
    prepare_folder(folder)
    log(f"{path}: {size_of(image)} voxels at {listed(times)} {model.axis.unit} (from {source})")
    result = fit(
        on_device(image.data, where_to),
        times,
        method=method,
        model=model,
        mask=where,
        bounds=bounds_ms,
        saturation=saturation,
        sigma=sigma,
        dim=-1,
    ).numpy()
    # A Contrast would name the map, but its times must rise.
    maps_of, std, units = (_renamed(of, contrast) for of in (result.maps, result.std, result.units))
    new = {"t": contrast}
    pairs = {(new.get(a, a), new.get(b, b)): values for (a, b), values in result.covariances.items()}
    result = replace(result, maps=maps_of, std=std, units=units, covariances=pairs)
    doubted = doubts(image.data, result, signed=model.signed)
    question(path, doubted, strict=strict)
    log(f"writing maps to {folder}")
    drawn = drawings({contrast: shown_of(result, contrast, image)}, pictures)
    fitted = [Fitted(contrast, times, model, range(len(times)))]
    inputs = {"scan": as_paths(scan), "mask": mask, "labels": labels}
    settings = {
        "volumes": volumes,
        "skip_first": skip_first or None,
        "label": label,
        "times_ms": times,
        "method": method,
        "bounds": bounds_ms,
        "saturation": saturation,
        "sigma": sigma,
    }
    made = partial(record, inputs, settings, start, command)
    drawn |= beside(result, image, fitted, regions, doubted, made, table)
    drawn |= {file: dicom_map(result.maps[name], name, image, series=series) for name, file in exported.items()}
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
        rates=rates,
    )
    files = maps | {"picture": pictures[contrast]} | table | {f"{name}_dicom": file for name, file in exported.items()}
    return outcome(result, files, {"scan": str(path), "contrast": contrast, "times_ms": times, "method": method})


def inputs_of(scan: Paths, *others: str | Path | None) -> list[Path]:
    return [*as_paths(scan), sidecar_path(scan_path(scan)), *(Path(other) for other in others if other is not None)]


def mask_of(
    mask: str | Path | None, image: Scan, label: int | str | None, table: str | Path | None, *, resample: bool
) -> NDArray[np.bool_] | None:
    if mask is None and label is not None:
        raise ValueError(f"label={label} needs a mask that holds it: mask=None.")
    return None if mask is None else read_mask(mask, like=image, label=label, table=table, resample=resample)


def question(scan: Path, lines: Iterable[str], *, strict: bool) -> None:
    """Tell doubts about a scan: as warnings, or if it is strict as an error."""
    for line in lines:
        if strict:
            raise ValueError(f"{scan}: {line}")
        warnings.warn(f"{scan}: {line}", stacklevel=3)


def _model_of(scan: Paths, contrast: str) -> SignalModel:
    """Make the model of a contrast, as the JSON files of the scan say that it was acquired."""
    series, tr_ms = read_acquisition(as_paths(scan)[0], contrast)
    made: SignalModel = getattr(signals, series.model)(**({} if tr_ms is None else {"tr_ms": tr_ms}))
    return made


def outcome(result: FitResult[NDArray[Any]], files: dict[str, Path], about: dict[str, Any]) -> Outcome:
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


def shown_of(result: FitResult[NDArray[Any]], name: str, scan: Scan) -> tuple[NDArray[Any], NDArray[Any], str]:
    """Turn a map for its picture, where it converged."""
    converged = np.where(result.ok, result.maps[name], np.nan)
    return as_pictures(converged, scan.affine), as_pictures(result.std[name], scan.affine), result.units[name]


def size_of(scan: Scan) -> str:
    return " x ".join(str(n) for n in scan.data.shape[:-1])


def listed(items: Iterable[object]) -> str:
    return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in items)


def _renamed(of_parameters: dict[str, Any], contrast: str) -> dict[str, Any]:
    return {contrast if name == "t" else name: values for name, values in of_parameters.items()}
