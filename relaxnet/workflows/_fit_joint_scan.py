"""Fitting T1rho and T2 of a scan at once: from files to maps and pictures."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from relaxnet._files import prepare_folder
from relaxnet.fitting import doubts, fit_joint
from relaxnet.io import (
    Paths,
    Scan,
    as_paths,
    dicom_map,
    dicom_path,
    join_scans,
    joint_map_paths,
    read_labels,
    read_protocol,
    read_scan,
    regions_path,
    scan_path,
    sidecar_path,
    write_joint_maps,
)
from relaxnet.protocol import Protocol
from relaxnet.workflows._device import device_of, on_device
from relaxnet.workflows._drawing import Log, check_files, drawings, picture_paths, silence
from relaxnet.workflows._fit_scan import (
    Bounds,
    inputs_of,
    listed,
    mask_of,
    outcome,
    question,
    shown_of,
    size_of,
)
from relaxnet.workflows._outcome import Outcome
from relaxnet.workflows._provenance import record, run_path
from relaxnet.workflows._report.fit import Fitted, beside
from relaxnet.workflows._report.page import report_path

CONTRASTS = ("t1rho", "t2")
"""Contrasts of a joint fit."""
JOINT_ALGORITHM = "Nonlinear least squares over all images of all contrasts with one amplitude, by variable projection"


def fit_joint_scan(
    scan: Paths | tuple[Paths, Paths],
    *,
    out: str | Path | None = None,
    protocol: Protocol | None = None,
    first: str = "mean",
    volumes: Iterable[int] | None = None,
    skip_first: int = 0,
    time_axis: int | None = None,
    series: int | None = None,
    average: bool = False,
    resample: bool = False,
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
    """Fit T1rho and T2 of a scan at once, and write maps and pictures.

    Parameters
    ----------
    scan
        NIfTI file of shape (x, y, z, image): the common first image, the other T1rho images, the other T2 images; or
        several files, one for each image, in this order; or two series, T1rho and T2, each as for :func:`fit_scan`, on
        one grid and with a first image of the same time.
    protocol
        The acquisition protocol; by default that in the JSON file beside the scan, or in those of two series.
    first
        Of two series, what to take for the common first image: that of ``"t1rho"`` or ``"t2"``, or their ``"mean"``.
    out, volumes, skip_first, time_axis, series, average, resample, mask, label, label_table
        As for :func:`fit_scan`.
    bounds_ms, saturation, sigma, labels, fill, rates, dicom, strict, report, overwrite, device, command, log
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
    start, parts, where_to = perf_counter(), _parts(scan), device_of(device)
    files = [file for part in parts for file in as_paths(part)]
    path = scan_path(files)
    folder = path.parent if out is None else Path(out)
    maps = joint_map_paths(path, folder, CONTRASTS, rates=rates)
    pictures = picture_paths(maps, CONTRASTS)
    table = {} if labels is None else {"rois": regions_path(path, folder, CONTRASTS)}
    table |= {"run": run_path(pictures[CONTRASTS[0]], "joint")}
    table |= {"report": report_path(pictures[CONTRASTS[0]], "joint")} if report else {}
    exported = {name: dicom_path(maps[name]) for name in CONTRASTS} if dicom else {}
    others = pictures | table | {f"{name}_dicom": file for name, file in exported.items()}
    check_files(inputs_of(files, mask, labels), maps, others, overwrite=overwrite)
    source: object = "the command line" if protocol else sidecar_path(path)
    doubt = ""
    reading: dict[str, Any] = {"time_axis": time_axis, "series": series, "average": average, "resample": resample}
    if len(parts) == 2:
        if volumes is not None or skip_first:
            raise ValueError("volumes= and skip_first= choose of one scan, and here are two series: leave them out.")
        image, protocol, doubt = _read_pair(parts, path, protocol, first, reading)
        source = source if source == "the command line" else f"the files of both series, first image: {first}"
    else:
        image = read_scan(parts[0], volumes=volumes, skip_first=skip_first, **reading)
        protocol = protocol or read_protocol(sidecar_path(path))
    if set(protocol.names) != set(CONTRASTS):
        raise ValueError(f"{source}: it describes {listed(protocol.names)}: a joint fit needs {listed(CONTRASTS)}.")
    n = image.data.shape[-1]
    if n != protocol.n_images:
        raise ValueError(
            f"{path}: it has {n} volumes, but {source} describes {protocol.n_images}, "
            f"{'a shared first one included' if protocol.shared_first else 'none of them shared'}."
        )
    where = mask_of(mask, image, label, label_table, resample=resample)
    regions = None if labels is None else read_labels(labels, like=image, resample=resample)
    prepare_folder(folder)
    times = {contrast.name: contrast.times_ms for contrast in protocol.contrasts}
    told = "; ".join(f"{name} {listed(of_one)} ms" for name, of_one in times.items())
    log(f"{path}: {size_of(image)} voxels at {told}, the first volume shared (from {source})")
    result = fit_joint(
        on_device(image.data, where_to),
        protocol,
        mask=where,
        bounds=bounds_ms,
        saturation=saturation,
        sigma=sigma,
        dim=-1,
    ).numpy()
    signed = any(contrast.model.signed for contrast in protocol.contrasts)
    lines = [*([doubt] if doubt else []), *doubts(image.data, result, signed=signed)]
    question(path, lines, strict=strict)
    log(f"writing maps to {folder}")
    drawn = drawings({name: shown_of(result, name, image) for name in CONTRASTS}, pictures)
    fitted = [Fitted(one.name, one.times_ms, one.model, protocol.images_of(one.name)) for one in protocol.contrasts]
    inputs = {"scan": files, "mask": mask, "labels": labels}
    settings = {
        "volumes": volumes,
        "skip_first": skip_first or None,
        "first": first if len(parts) == 2 else None,
        "label": label,
        "times_ms": times,
        "method": "joint",
        "bounds": bounds_ms,
        "saturation": saturation,
        "sigma": sigma,
    }
    made = partial(record, inputs, settings, start, command)
    drawn |= beside(result, image, fitted, regions, lines, made, table)
    drawn |= {file: dicom_map(result.maps[name], name, image, series=series) for name, file in exported.items()}
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
        rates=rates,
    )
    written = maps | {f"{name}_picture": picture for name, picture in pictures.items()} | table
    written |= {f"{name}_dicom": file for name, file in exported.items()}
    return outcome(result, written, {"scan": str(path), "contrast": "joint", "times_ms": times, "method": "nlls"})


def _parts(scan: Paths | tuple[Paths, Paths]) -> list[Paths]:
    """Return two series, if there are two items, for a joint fit of two images would have too few; or the one scan."""
    if isinstance(scan, str | Path):
        return [scan]
    items: list[Paths] = list(scan)
    return items if len(items) == 2 else [[Path(str(item)) for item in items]]


def _read_pair(
    parts: list[Paths],
    path: Path,
    protocol: Protocol | None,
    first: str,
    reading: dict[str, Any],
) -> tuple[Scan, Protocol, str]:
    """Read two series as one scan, named ``path``."""
    given = {contrast.name: contrast.times_ms for contrast in protocol.contrasts} if protocol else {}
    scans = {
        name: read_scan(one, name, times_ms=given.get(name), **reading)
        for name, one in zip(CONTRASTS, parts, strict=True)
    }
    image, found, doubt = join_scans(scans, first, resample=reading["resample"])
    return replace(image, path=path), found, doubt
