"""Predicting the maps of a scan by a network: from a file to maps and pictures."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

from relaxnet._files import prepare_folder
from relaxnet.io import (
    Paths,
    as_paths,
    as_slices,
    check_protocol,
    describes_protocol,
    predicted_paths,
    read_protocol,
    read_scan,
    scan_path,
    sidecar_path,
    write_predicted,
)
from relaxnet.io._bids import on_disk
from relaxnet.io._pictures import from_slices
from relaxnet.protocol import Protocol
from relaxnet.training import Trained, load
from relaxnet.training._find import network_file
from relaxnet.training._input_sets import channels_of
from relaxnet.workflows._device import device_of, predict_on
from relaxnet.workflows._drawing import Log, check_files, drawings, picture_paths, silence
from relaxnet.workflows._outcome import Outcome
from relaxnet.workflows._provenance import record, run_path, write_record
from relaxnet.workflows._report.page import report_path, write_report
from relaxnet.workflows._report.predict import predicted_page

_HINT = " Say by inputs which images of the protocol they are, such as middle or 0,2,5."


def predict_scan(
    run: str | Path,
    scan: Paths,
    *,
    out: str | Path | None = None,
    volumes: Iterable[int] | None = None,
    skip_first: int = 0,
    time_axis: int | None = None,
    series: int | None = None,
    average: bool = False,
    resample: bool = False,
    inputs: str | Sequence[int] | None = None,
    report: bool = False,
    fill: float | None = None,
    overwrite: bool = False,
    device: str = "auto",
    command: str | None = None,
    log: Log = silence,
) -> Outcome:
    """Predict the maps of a scan, and write maps and pictures.

    Parameters
    ----------
    run
        A network, as for :func:`relaxnet.load`: a file or a folder, an installed one by its name, such as
        ``"liver-any"``, or a ``"name/repository"`` of the Hugging Face Hub.
    scan
        The scan, as for :func:`relaxnet.io.read_scan`: all images of the protocol, or the input images alone, in their
        order.
    out
        Folder of the maps; by default that of the scan.
    volumes, skip_first, time_axis, series, average, resample
        What to use of the scan, as for :func:`relaxnet.io.read_scan`.
    inputs
        The input images, for a network of any input set: the name of a set, or numbers of images among those of the
        protocol, from 0; ``"each"`` for the mean over all input sets.
    report
        Whether to write a report, one HTML file with its figures, beside the pictures.
    fill
        Value of the maps in place of NaN, for programs that cannot take it.
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
        Its files are the maps under their names, and a ``"<name>_picture"`` of each contrast, and the ``"report"`` if
        asked for; its result is the maps (slice, row, column) by name.

    Raises
    ------
    ValueError
        If the scan has another number of images, or says that it was acquired with another protocol.
    OSError
        If a file is missing, or one is there and ``overwrite`` is false.
    """
    start, where, path = perf_counter(), device_of(device), scan_path(scan)
    folder = path.parent if out is None else Path(out)
    network = network_file(run)
    trained = load(network)
    protocol = trained.net.protocol
    names = (
        *protocol.names,
        *(("m0",) if trained.net.amplitude else ()),
        *(f"{name}_std" for name in trained.calibration.factors),
    )
    maps = predicted_paths(names, path, folder)
    pictures = picture_paths(maps, protocol.names)
    first = pictures[protocol.names[0]]
    page = {"run": run_path(first, "predicted")}
    page |= {"report": report_path(first, "predicted")} if report else {}
    check_files([*as_paths(scan), sidecar_path(path), network], maps, pictures | page, overwrite=overwrite)
    image = read_scan(
        scan,
        volumes=volumes,
        skip_first=skip_first,
        time_axis=time_axis,
        series=series,
        average=average,
        resample=resample,
    )
    n = image.data.shape[3]
    own = channels_of(trained.net, inputs)
    _check(path, n, trained, own)
    acquired = _acquired(path, n, protocol) if volumes is None and not skip_first else None
    source = str(sidecar_path(path))
    if acquired is None:
        compared = check_protocol(image, protocol, range(n) if n == protocol.n_images else own)
        source = f"compared with {compared}" if compared else "taken on trust"
    prepare_folder(folder)
    log(f"{path}: {' x '.join(map(str, image.data.shape))} voxels, {_times(protocol)} ({source})")
    found = predict_on(where, trained, as_slices(image), protocol=acquired, inputs=inputs)
    missing = [name for name in protocol.names if f"{name}_std" not in found]
    if missing:
        log(f"no standard deviations of {', '.join(missing)}: its training set nothing aside to calibrate them with")
    log(f"writing maps to {folder}")
    arrays = {name: values.numpy() for name, values in found.items()}
    shown = {c.name: (arrays[c.name], arrays.get(f"{c.name}_std"), c.model.parameter.unit) for c in protocol.contrasts}
    drawn = drawings(shown, pictures)
    made = partial(record, {"network": network, "scan": as_paths(scan)}, {"inputs": inputs}, start, command)
    drawn[page["run"]] = partial(write_record, made, f"maps of {', '.join(protocol.names)}")
    if report:
        on_grid = {name: from_slices(found[name], image) for name in names}
        drawn[page["report"]] = partial(write_report, partial(predicted_page, image, on_grid, protocol, made=made))
    write_predicted(
        {name: found[name] for name in names},
        image,
        folder,
        protocol=protocol,
        algorithm=f"Neural network of {len(own)} images",
        command=command,
        more=drawn,
        fill=fill,
        overwrite=overwrite,
    )
    files = maps | {f"{name}_picture": picture for name, picture in pictures.items()} | page
    summary = {"scan": str(path), "files": {key: str(file) for key, file in files.items()}}
    units = dict.fromkeys(contrast.model.parameter.unit for contrast in protocol.contrasts)
    stored = dict.fromkeys(on_disk(unit)[0] for unit in units)
    return Outcome(f"maps in {', '.join(stored)}, pictures in {', '.join(units)}", files, summary, found)


def _check(path: Path, n: int, trained: Trained, own: tuple[int, ...]) -> None:
    protocol = trained.net.protocol
    if n not in (protocol.n_images, len(own)):
        needed = f"all {protocol.n_images} images ({_times(protocol)})"
        if len(own) < protocol.n_images:
            needed += f", or its inputs alone, numbers {', '.join(map(str, own))} of these, counted from 0"
        hint = _HINT if trained.net.any_subset else ""
        raise ValueError(f"{path}: it has {n} volumes, and this network takes {needed}.{hint}")


def _acquired(scan: Path, n: int, trained_for: Protocol) -> Protocol | None:
    """Return what a scan was acquired with, if its sidecar describes a protocol of all its volumes."""
    sidecar = sidecar_path(scan)
    if n != trained_for.n_images or not sidecar.exists() or not describes_protocol(sidecar):
        return None
    return read_protocol(sidecar)


def _times(protocol: Protocol) -> str:
    first = ", one first image for all" if protocol.shared_first and len(protocol.names) > 1 else ""
    contrasts = (f"{c.name} {', '.join(f'{t:g}' for t in c.times_ms)} {c.model.axis.unit}" for c in protocol.contrasts)
    return "; ".join(contrasts) + first
