"""Fitting T1rho and T2 of a scan at once: from files to maps and pictures."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from relaxnet._choices import pick
from relaxnet.fitting import JOINT_METHODS, SPATIAL, doubts
from relaxnet.io import (
    More,
    Paths,
    Scan,
    as_paths,
    join_scans,
    read_protocol,
    read_scan,
    scan_path,
    sidecar_path,
    write_joint_maps,
)
from relaxnet.protocol import Protocol
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

CONTRASTS = ("t1rho", "t2")
"""Contrasts of a joint fit."""


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
    method
        The fit, one of :data:`relaxnet.fitting.JOINT_METHODS`.
    bounds_ms, saturation, sigma, labels, fill, rates, dicom, strict, pictures, report, overwrite, device, command, log
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
    start, parts, where = perf_counter(), _parts(scan), device_of(device)
    chosen = pick("method", method, JOINT_METHODS)
    files = [file for part in parts for file in as_paths(part)]
    path = scan_path(files)
    targets = plan(
        path,
        out,
        CONTRASTS,
        (*files, mask, labels),
        labels=labels is not None,
        rates=rates,
        dicom=dicom,
        pictures=pictures,
        report=report,
        overwrite=overwrite,
    )
    volumes = None if volumes is None else list(volumes)
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
    times = {contrast.name: contrast.times_ms for contrast in protocol.contrasts}
    told = "; ".join(f"{name} {listed(of_one)} ms" for name, of_one in times.items())
    log(f"{path}: {size_of(image)} voxels at {told}, the first volume shared (from {source})")
    images: Any
    how: dict[str, Any]
    if method in SPATIAL:
        images, how = on_device(image.data, where), {"spacing": voxel_sizes(image)}
    else:
        images, how = image.data, {"device": where}
    fitted_jointly = chosen.load()(
        images,
        protocol,
        mask=beside.mask,
        bounds=bounds_ms,
        saturation=saturation,
        sigma=sigma,
        dim=-1,
        **how,
    )
    result = fitted_jointly.numpy()
    signed = any(contrast.model.signed for contrast in protocol.contrasts)
    lines = [*([doubt] if doubt else []), *doubts(image.data, result, signed=signed)]
    question(path, lines, strict=strict)
    inputs = {"scan": files, "mask": mask, "labels": labels}
    settings = {
        "volumes": volumes,
        "skip_first": skip_first or None,
        "first": first if len(parts) == 2 else None,
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
        write_joint_maps(
            result,
            image,
            targets.folder,
            protocol=protocol,
            algorithm=chosen.summary,
            command=command,
            more=more,
            overwrite=overwrite,
            fill=fill,
            rates=rates,
        )

    since = protocol.contrasts[0].times_ms[0] - protocol.counted_from_first().contrasts[0].times_ms[0]
    fitted = [
        Fitted(one.name, one.times_ms, one.model, protocol.images_of(one.name), since) for one in protocol.contrasts
    ]
    made = partial(record, inputs, settings, start, command)
    write_fit(write, result, image, fitted, beside, targets, doubts=lines, made=made, log=log)
    return outcome_of(result, targets, {"scan": str(path), "contrast": "joint", "times_ms": times, "method": method})


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
