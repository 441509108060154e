"""What the fits of a scan share: where their files go, what is read beside the scan, and what is written."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._files import prepare_folder
from relaxnet.fitting import FitResult, FitStatus
from relaxnet.io import (
    More,
    Scan,
    as_pictures,
    dicom_map,
    dicom_path,
    dicom_sources,
    joint_map_paths,
    map_paths,
    read_labels,
    read_mask,
    regions_path,
    sidecar_path,
    write_regions,
)
from relaxnet.workflows._drawing import Log, check_files, drawings, picture_paths
from relaxnet.workflows._outcome import Outcome
from relaxnet.workflows._provenance import run_path, write_record
from relaxnet.workflows._report.fit import Fitted, converged_share, fit_page
from relaxnet.workflows._report.page import report_path, write_report

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Targets:
    """Where the files of a fit go."""

    folder: Path
    maps: dict[str, Path]
    pictures: dict[str, Path]
    """By contrast; none where they were not asked for."""
    others: dict[str, Path]
    """``"run"``, and what was asked for of ``"rois"``, ``"report"`` and ``"t2_dicom"``."""

    @property
    def files(self) -> dict[str, Path]:
        """All but the JSON files of maps, in the order in which one would look at them."""
        one = len(self.pictures) == 1
        pictures = {"picture" if one else f"{name}_picture": file for name, file in self.pictures.items()}
        return self.maps | pictures | self.others


@dataclass(frozen=True, eq=False)
class Beside:
    """What is read beside a scan."""

    mask: NDArray[np.bool_] | None
    regions: tuple[NDArray[Any], dict[int, str] | None] | None
    """Labels, and their names."""
    dicom: Sequence[Any]
    """Headers of the DICOM files, where maps become some."""


def plan(
    path: Path,
    out: str | Path | None,
    contrasts: tuple[str, ...],
    inputs: Iterable[str | Path | None],
    *,
    labels: bool,
    rates: bool,
    dicom: bool,
    pictures: bool,
    report: bool,
    overwrite: bool,
) -> Targets:
    """Find out where the files of a fit go, and refuse what cannot be written before anything is read."""
    folder, joint = path.parent if out is None else Path(out), len(contrasts) > 1
    if joint:
        maps = joint_map_paths(path, folder, contrasts, rates=rates)
    else:
        maps = map_paths(path, folder, contrasts[0], rates=rates)
    drawn = picture_paths(maps, contrasts)
    first, of = drawn[contrasts[0]], "joint" if joint else None
    others = {"rois": regions_path(path, folder, contrasts)} if labels else {}
    others["run"] = run_path(first, of)
    if report:
        others["report"] = report_path(first, of)
    if dicom:
        others |= {f"{name}_dicom": dicom_path(maps[name]) for name in contrasts}
    read = [sidecar_path(path), *(Path(file) for file in inputs if file is not None)]
    drawn = drawn if pictures else {}
    check_files(read, maps, drawn | others, overwrite=overwrite)
    return Targets(folder, maps, drawn, others)


def read_beside(
    image: Scan,
    targets: Targets,
    *,
    mask: str | Path | None,
    label: int | str | None,
    label_table: str | Path | None,
    labels: str | Path | None,
    resample: bool,
    series: int | None,
) -> Beside:
    """Read what a fit needs beside the scan, and make the folder of the files."""
    if mask is None and label is not None:
        raise ValueError(f"label={label} needs a mask that holds it: mask=None.")
    found = Beside(
        None if mask is None else read_mask(mask, like=image, label=label, table=label_table, resample=resample),
        None if labels is None else read_labels(labels, like=image, resample=resample),
        dicom_sources(image, series) if any(key.endswith("_dicom") for key in targets.others) else (),
    )
    prepare_folder(targets.folder)
    return found


def question(scan: Path, lines: Iterable[str], *, strict: bool) -> None:
    """Tell doubts about a scan: as warnings, or if it is strict as an error."""
    for line in lines:
        if strict:
            raise ValueError(f"{scan}: {line}")
        warnings.warn(f"{scan}: {line}", stacklevel=3)


def write_fit(
    write: Callable[[More], None],
    result: FitResult[NDArray[Any]],
    image: Scan,
    fitted: Sequence[Fitted],
    beside: Beside,
    targets: Targets,
    *,
    doubts: Sequence[str],
    made: Callable[[str], dict[str, Any]],
    log: Log,
) -> None:
    """Write the maps of a fit by ``write``, which takes what writes all other files, by their paths."""
    log(f"writing maps to {targets.folder}")
    rows = () if beside.regions is None else result.regions(beside.regions[0], names=beside.regions[1])
    page = partial(fit_page, image, result, fitted, regions=rows, warnings=doubts, made=made)
    writers: dict[str, Callable[[Path], None]] = {
        "rois": partial(write_regions, rows),
        "report": partial(write_report, page),
        "run": partial(write_record, made, converged_share(result.status)),
    }
    for one in fitted:
        if f"{one.name}_dicom" in targets.others:
            writers[f"{one.name}_dicom"] = dicom_map(result.maps[one.name], one.name, image.affine, beside.dicom)
    drawn = drawings({name: _shown(result, name, image) for name in targets.pictures}, targets.pictures)
    write(drawn | {path: writers[key] for key, path in targets.others.items()})


def outcome_of(result: FitResult[NDArray[Any]], targets: Targets, about: Mapping[str, Any]) -> Outcome:
    """Account for a fit; ``about`` says what was fitted how."""
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
        "files": {key: str(path) for key, path in targets.files.items()},
    }
    return Outcome(result.summary(), targets.files, summary, result)


def _shown(result: FitResult[NDArray[Any]], name: str, scan: Scan) -> tuple[NDArray[Any], NDArray[Any], str]:
    """Turn a map for its picture, where it converged."""
    converged = np.where(result.ok, result.maps[name], np.nan)
    return as_pictures(converged, scan.affine), as_pictures(result.std[name], scan.affine), result.units[name]


def voxel_sizes(image: Scan) -> tuple[float, ...]:
    """Return the size of a voxel along the axes of space."""
    return tuple(np.linalg.norm(image.affine[:3, :3], axis=0).tolist())


def size_of(scan: Scan) -> str:
    """Write the size of a scan in space."""
    return " x ".join(str(n) for n in scan.data.shape[:-1])


def listed(items: Iterable[object]) -> str:
    """Write items with commas between them."""
    return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in items)
