"""Evaluating maps: against a reference map, or those of a network against the truth of a cohort."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from relaxnet._files import check_targets, prepare_folder, replacing_all
from relaxnet.fitting import fit
from relaxnet.io import read_cohort, read_labels, read_map, write_regions
from relaxnet.io._bids import stem
from relaxnet.io._formats import name_of
from relaxnet.metrics import agreement
from relaxnet.phantom import Subject
from relaxnet.protocol import Contrast
from relaxnet.training import Trained, load
from relaxnet.training._find import network_file
from relaxnet.workflows._device import device_of, predict_on
from relaxnet.workflows._drawing import Log, silence
from relaxnet.workflows._outcome import Outcome
from relaxnet.workflows._provenance import record
from relaxnet.workflows._report.evaluate import Compared, maps_page, network_page
from relaxnet.workflows._report.fit import sure_voxels
from relaxnet.workflows._report.page import Page, report_path, write_report

_UNLIKELY = 100  # times between two maps of one quantity: seconds and milliseconds are 1000 apart
ALL = "all"
"""Label of the row of all regions."""


def evaluate_maps(
    map_path: str | Path,
    reference_path: str | Path,
    *,
    labels: str | Path | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    command: str | None = None,
    log: Log = silence,
) -> Outcome:
    """Compare a map with a reference map.

    Parameters
    ----------
    map_path
        File of the map, (x, y, z). Its unit is that of the JSON file beside it.
    reference_path
        File of the reference map, on the same grid.
    labels
        File of whole numbers on this grid, for a row for each of its regions. All other voxels are left out.
    out
        Folder of the table and the report; by default none is written.
    overwrite
        Whether they may replace others.
    command
        The command line that asked for it, for the report.
    log
        Called with lines of text that report the progress.

    Returns
    -------
    Outcome
        Its text is the table, with tabs between the columns, its result the rows: :class:`relaxnet.metrics.Agreement`
        for each label, and for ``"all"``; its files are the ``"table"`` and the ``"report"``.

    Raises
    ------
    ValueError
        If a file is not what it should be, the grids or the units differ, or no voxel is in both maps.
    OSError
        If a file is missing, or one is there and ``overwrite`` is false.
    """
    start, path = perf_counter(), Path(map_path)
    inputs = [Path(file) for file in (map_path, reference_path, labels) if file is not None]
    files = _targets(out, stem(name_of(path)), inputs, overwrite=overwrite)
    one, unit = read_map(path)
    other, other_unit = read_map(reference_path, like=one)
    if unit and other_unit and unit != other_unit:
        raise ValueError(f"{reference_path}: this map is in {other_unit}, {path} in {unit}: they cannot be compared.")
    values, reference = one.data[..., 0], other.data[..., 0]
    if bool(unit) != bool(other_unit):
        _check_size(path if other_unit else Path(reference_path), values, reference, unit or other_unit)
        log(f"{path if other_unit else reference_path}: no unit is known: taken as {unit or other_unit}")
    unit = unit or other_unit or "unknown unit"
    regions, names = read_labels(labels, like=one) if labels is not None else (None, None)
    rows = []
    for label in [] if regions is None else [int(value) for value in np.unique(regions) if value]:
        named = {"label": label} if names is None else {"label": label, "name": names.get(label, "")}
        rows.append(named | asdict(agreement(values, reference, regions == label)))
    inside = np.ones(values.shape, dtype=bool) if regions is None else regions != 0
    whole = asdict(agreement(values, reference, inside))
    if not whole["n"]:
        raise ValueError(f"{path}: it has no voxel in common with {reference_path}: nothing can be compared.")
    rows.append(({"label": ALL} if names is None else {"label": ALL, "name": ""}) | whole)
    read = {"map": path, "reference": Path(reference_path), "labels": labels}
    made = partial(record, read, {}, start, command)
    compared = Compared(values, reference, inside, unit)
    _write(files, rows, partial(maps_page, path.name, Path(reference_path).name, one.affine, compared, rows, made=made))
    summary = {"unit": unit, "rows": _plain(rows), "files": {key: str(file) for key, file in files.items()}}
    return Outcome(_tabulated(rows), files, summary, rows)


def evaluate_network(
    run: str | Path,
    cohort: str | Path,
    *,
    out: str | Path | None = None,
    inputs: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    command: str | None = None,
    log: Log = silence,
) -> Outcome:
    """Compare the maps that a network predicts of a cohort with its truth, or with a fit where there is none.

    Parameters
    ----------
    run
        The network, as for :func:`predict_scan`.
    cohort
        Folder of subjects, as :func:`relaxnet.io.read_cohort` takes it. Digital subjects are compared with their truth
        within the liver; others with the fit of all their images, where its standard error is below half of its value.
    out
        Folder of the table and the report; by default none is written.
    inputs
        The input images, for a network of any input set.
    device
        Where to compute, as for :func:`fit_scan`.
    overwrite, command, log
        As for :func:`evaluate_maps`.

    Returns
    -------
    Outcome
        As of :func:`evaluate_maps`, with a row for each subject and contrast, and one for all subjects.

    Raises
    ------
    ValueError
        If the cohort was acquired with another protocol, or a file is not what it should be.
    OSError
        If a file is missing, or one is there and ``overwrite`` is false.
    """
    start, where, network, folder = perf_counter(), device_of(device), network_file(run), Path(cohort)
    subjects = read_cohort(folder)
    files = _targets(out, "network", [network], overwrite=overwrite)
    trained = load(network)
    wanted, given = trained.net.protocol, subjects.protocol
    if wanted != given:
        raise ValueError(f"{folder}: it was acquired with {given}, and this network was trained for {wanted}.")
    rows, parts, against = list[dict[str, Any]](), {one.name: list[Compared]() for one in given.contrasts}, ""
    for name, subject in zip(subjects.names, subjects, strict=True):
        log(f"{name}: predicting")
        found = _of_subject(where, trained, subject, inputs)
        against = "truth" if isinstance(subject, Subject) else "fit"
        for contrast, compared in found.items():
            parts[contrast].append(compared)
            row = {"subject": name, "map": contrast, "unit": compared.unit, "against": against}
            rows.append(row | asdict(agreement(compared.values, compared.reference, compared.where)))
    pooled = {name: Compared.pooled(of_subjects) for name, of_subjects in parts.items()}
    for name, compared in pooled.items():
        row = {"subject": ALL, "map": name, "unit": compared.unit, "against": against}
        rows.append(row | asdict(agreement(compared.values, compared.reference, compared.where)))
    settings = {"inputs": inputs, "subjects": len(subjects), "compared with": against}
    made = partial(record, {"network": network}, settings, start, command)
    _write(files, rows, partial(network_page, pooled, rows, against, made=made))
    summary = {"against": against, "rows": _plain(rows), "files": {key: str(file) for key, file in files.items()}}
    return Outcome(_tabulated(rows), files, summary, rows)


def _of_subject(device: torch.device, trained: Trained, subject: Any, inputs: str | None) -> dict[str, Compared]:
    """Predict the maps of a subject, and pair them with what they are compared with."""
    protocol = trained.net.protocol
    images = subject.images if isinstance(subject, Subject) else subject
    found = predict_on(device, trained, images, protocol=protocol, inputs=inputs)
    maps = {name: values.numpy() for name, values in found.items()}
    pairs = {}
    for one in protocol.contrasts:
        std = maps.get(f"{one.name}_std")
        if isinstance(subject, Subject):
            reference, where = subject.truth[one.name].numpy(), subject.roi.numpy()
        else:
            reference, where, error = _fitted(images.numpy()[:, list(protocol.images_of(one.name))], one)
            std = None if std is None else np.hypot(std, error)  # the difference holds the error of both
        pairs[one.name] = Compared(maps[one.name], reference, where, one.model.parameter.unit, std)
    return pairs


def _fitted(images: NDArray[Any], contrast: Contrast) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any]]:
    """Fit the images of a contrast: the map, where it is more than noise, and its standard error."""
    result = fit(images, contrast)
    values, std = result.maps[contrast.name], result.std[contrast.name]
    return values, sure_voxels(values, std, result.ok), std


def _check_size(unknown: Path, values: NDArray[Any], reference: NDArray[Any], unit: str) -> None:
    """Refuse a map without a unit if it looks like the other one in another unit."""
    both = np.isfinite(values) & np.isfinite(reference) & (values > 0) & (reference > 0)
    ratio = float(np.median(values[both] / reference[both])) if both.any() else 1.0
    if max(ratio, 1 / ratio) > _UNLIKELY:
        told = f"its values and those of the other map in {unit} differ by a factor of {max(ratio, 1 / ratio):.3g}"
        raise ValueError(
            f"{unknown}: no unit is known, and {told}: write its Units into {stem(name_of(unknown))}.json."
        )


def _targets(out: str | Path | None, name: str, inputs: Sequence[Path], *, overwrite: bool) -> dict[str, Path]:
    """Return where table and report go, after making sure that they can."""
    if out is None:
        return {}
    table = Path(out) / f"{name}_agreement.tsv"
    files = {"table": table, "report": report_path(table)}
    check_targets(files.values(), inputs=inputs, overwrite=overwrite)
    prepare_folder(Path(out))
    return files


def _write(files: Mapping[str, Path], rows: Sequence[Mapping[str, Any]], page: Callable[[], Page]) -> None:
    if files:
        with replacing_all([*files.values()]) as (table, report):
            write_regions(rows, table)
            write_report(page, report)


def _tabulated(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as text, with tabs between the columns."""
    lines = [
        ["n/a" if _is_missing(v) else f"{v:.6g}" if isinstance(v, float) else str(v) for v in row.values()]
        for row in rows
    ]
    return "\n".join("\t".join(line) for line in [list(rows[0]), *lines])


def _plain(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows as JSON takes them: None for a number that is missing."""
    return [{key: None if _is_missing(value) else value for key, value in row.items()} for row in rows]


def _is_missing(value: Any) -> bool:
    return isinstance(value, float) and bool(np.isnan(value))
