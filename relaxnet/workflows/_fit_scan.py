"""Fitting a scan: from a file to maps and pictures."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from relaxnet import signals
from relaxnet._choices import pick
from relaxnet.fitting import METHODS, SPATIAL, FitResult, doubts, fit, fit_spatial
from relaxnet.io import More, Paths, as_paths, read_acquisition, read_scan, scan_path, write_maps
from relaxnet.protocol import Contrast
from relaxnet.signals import SignalModel
from relaxnet.workflows._device import device_of, on_device
from relaxnet.workflows._drawing import Log, silence
from relaxnet.workflows._fitting import (
    Bounds,
    listed,
    outcome_of,
    plan,
    question,
    read_beside,
    size_of,
    voxel_sizes,
    write_fit,
)
from relaxnet.workflows._outcome import Outcome
from relaxnet.workflows._provenance import record
from relaxnet.workflows._report.fit import Fitted


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
    pictures: bool = True,
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
        The estimator, one of :data:`relaxnet.fitting.METHODS`, or ``"spatial"`` for
        :func:`relaxnet.fit_spatial`.
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
    pictures
        Whether to draw a picture of the map.
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
    start, where = perf_counter(), device_of(device)
    algorithm = pick("method", method, METHODS | SPATIAL).summary
    path, files = scan_path(scan), as_paths(scan)
    targets = plan(
        path,
        out,
        (contrast,),
        (*files, mask, labels),
        labels=labels is not None,
        rates=rates,
        dicom=dicom,
        pictures=pictures,
        report=report,
        overwrite=overwrite,
    )
    model = model or _model_of(files, contrast, series)
    volumes = None if volumes is None else list(volumes)
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
    beside = read_beside(
        image,
        targets,
        mask=mask,
        label=label,
        label_table=label_table,
        labels=labels,
        resample=resample,
        series=series,
    )
    log(f"{path}: {size_of(image)} voxels at {listed(times)} {model.axis.unit} (from {source})")
    asked: dict[str, Any] = {
        "mask": beside.mask,
        "bounds": bounds_ms,
        "saturation": saturation,
        "sigma": sigma,
        "dim": -1,
    }
    found: FitResult[Any]
    if method in SPATIAL:
        order = sorted(range(len(times)), key=times.__getitem__)
        sorted_times = Contrast("t", tuple(times[k] for k in order), model)
        found = fit_spatial(on_device(image.data, where)[..., order], sorted_times, spacing=voxel_sizes(image), **asked)
    else:
        found = fit(image.data, times, method=method, model=model, device=where, **asked)
    result = found.numpy()
    # A Contrast would name the map, but its times must rise.
    maps_of, std, units = (_renamed(of, contrast) for of in (result.maps, result.std, result.units))
    new = {"t": contrast}
    pairs = {(new.get(a, a), new.get(b, b)): values for (a, b), values in result.covariances.items()}
    result = replace(result, maps=maps_of, std=std, units=units, covariances=pairs)
    doubted = doubts(image.data, result, signed=model.signed)
    question(path, doubted, strict=strict)
    inputs = {"scan": files, "mask": mask, "labels": labels}
    settings = {
        "volumes": volumes,
        "skip_first": skip_first or None,
        "label": label,
        "times_ms": times,
        "method": method,
        "bounds": bounds_ms,
        "saturation": saturation,
        "sigma": sigma,
        "fill": fill,
        "rates": rates,
        "pictures": pictures,
        "report": report,
        "strict": strict,
    }

    def write(more: More) -> None:
        write_maps(
            result,
            image,
            targets.folder,
            times_ms=times,
            model=model,
            algorithm=algorithm,
            command=command,
            more=more,
            overwrite=overwrite,
            fill=fill,
            rates=rates,
        )

    fitted = [Fitted(contrast, times, model, range(len(times)))]
    made = partial(record, inputs, settings, start, command)
    write_fit(write, result, image, fitted, beside, targets, doubts=doubted, made=made, log=log)
    about = {"scan": str(path), "contrast": contrast, "times_ms": times, "method": method}
    return outcome_of(result, targets, about)


def _model_of(scan: Paths, contrast: str, series: int | None) -> SignalModel:
    """Make the model of a contrast, as the JSON files or headers of the scan say that it was acquired."""
    way, tr_ms = read_acquisition(scan, contrast, series=series)
    made: SignalModel = getattr(signals, way.model)(**({} if tr_ms is None else {"tr_ms": tr_ms}))
    return made


def _renamed(of_parameters: dict[str, Any], contrast: str) -> dict[str, Any]:
    return {contrast if name == "t" else name: values for name, values in of_parameters.items()}
