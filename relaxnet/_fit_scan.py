"""Fitting one file: everything that ``relaxnet fit`` does besides reading its options and printing."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._errors import require
from relaxnet._files import check_targets, prepare_folder, replacing
from relaxnet.fitting import FitResult, FitStatus, Method, fit, fit_joint
from relaxnet.io import (
    Scan,
    as_pictures,
    joint_map_paths,
    map_paths,
    read_mask,
    read_nifti,
    read_protocol,
    read_times,
    sidecar_path,
    write_joint_maps,
    write_maps,
)
from relaxnet.plots import map_figure
from relaxnet.protocol import Protocol

ALGORITHMS = {
    "nlls": "Nonlinear least squares over all volumes, by variable projection",
    "two-point": "Closed form from the first and the last volume",
    "log-linear": "Straight line through the logarithms of all volumes, weighted by the squared signal",
    "rician": "Maximum likelihood under Rician noise over all volumes",
    "joint": "Nonlinear least squares over all volumes of all contrasts with one amplitude, by variable projection",
}

JOINT = ("t1rho", "t2")
"""Contrasts of a joint fit."""


@dataclass(frozen=True)
class Outcome:
    """What became of a scan."""

    scan: Path
    contrast: str
    """Name of the contrast, or ``"joint"``."""
    times_ms: tuple[float, ...] | dict[str, tuple[float, ...]]
    """Time of each volume; of a joint fit, the times of each contrast."""
    method: str
    result: FitResult[NDArray[Any]]
    files: dict[str, Path]
    """The maps, under the keys of :func:`relaxnet.io.map_paths`, and the ``"picture"``; of a joint fit, those of
    :func:`relaxnet.io.joint_map_paths`, and a ``"t2_picture"`` of each contrast."""

    def summary(self) -> dict[str, Any]:
        """Tell in plain values what ``result.summary()`` tells as a table; None stands for a number that is missing."""
        status = self.result.status
        good = status == FitStatus.CONVERGED
        quartiles = {
            name: np.percentile(values[good], (25, 50, 75)).tolist() if good.any() else [None] * 3
            for name, values in self.result.maps.items()
        }
        return {
            "scan": str(self.scan),
            "contrast": self.contrast,
            "times_ms": self.times_ms,
            "method": self.method,
            "voxels": {member.name: int((status == member).sum()) for member in FitStatus},
            "converged": {
                name: dict(zip(("q25", "median", "q75"), values, strict=True)) for name, values in quartiles.items()
            },
            "files": {key: str(path) for key, path in self.files.items()},
        }


def fit_scan(
    scan_path: Path,
    contrast: str,
    *,
    times_ms: tuple[float, ...] | None = None,
    mask: Path | None = None,
    folder: Path | None = None,
    method: Method = "nlls",
    bounds_ms: tuple[float, float] | None = None,
    saturation: float | None = None,
    sigma: float | None = None,
    overwrite: bool = False,
    command: str | None = None,
    log: Callable[[str], None],
) -> Outcome:
    """Fit a scan and write its maps and a picture. All that can be refused is refused before the computation.

    Times default to those in the JSON file beside the scan, ``folder`` to that of the scan; ``log`` hears what goes on.
    """
    folder = scan_path.parent if folder is None else folder
    maps = map_paths(scan_path, folder, contrast)
    pictures = _pictures(maps, (contrast,))
    _check_files(scan_path, maps, pictures, mask=mask, overwrite=overwrite)
    scan = read_nifti(scan_path)
    source = "the command line" if times_ms else sidecar_path(scan_path)
    times = times_ms or read_times(scan_path, contrast)
    if len(times) != scan.data.shape[-1]:
        raise ValueError(f"{scan_path}: it has {scan.data.shape[-1]} volumes, but {source} gives {len(times)} times.")
    where = None if mask is None else read_mask(mask, like=scan)
    prepare_folder(folder)
    log(f"{scan_path}: {_size(scan)} voxels at {_list(times)} ms (from {source})")
    result = fit(
        scan.data, times, method=method, mask=where, bounds=bounds_ms, saturation=saturation, sigma=sigma, dim=-1
    )
    result = replace(result, maps=_renamed(result.maps, contrast), std=_renamed(result.std, contrast))
    log(f"writing maps to {folder}")
    with _drawn(result, scan, pictures):
        write_maps(
            result,
            scan,
            folder,
            times_ms=times,
            algorithm=ALGORITHMS[method],
            command=command,
            overwrite=overwrite,
        )
    return Outcome(scan_path, contrast, times, method, result, maps | {"picture": pictures[contrast]})


def fit_joint_scan(
    scan_path: Path,
    *,
    protocol: Protocol | None = None,
    mask: Path | None = None,
    folder: Path | None = None,
    bounds_ms: tuple[float, float] | None = None,
    saturation: float | None = None,
    sigma: float | None = None,
    overwrite: bool = False,
    command: str | None = None,
    log: Callable[[str], None],
) -> Outcome:
    """Fit T1rho and T2 of a scan at once, and write as :func:`fit_scan` does.

    The protocol defaults to that in the JSON file beside the scan.
    """
    folder = scan_path.parent if folder is None else folder
    maps = joint_map_paths(scan_path, folder, JOINT)
    pictures = _pictures(maps, JOINT)
    _check_files(scan_path, maps, pictures, mask=mask, overwrite=overwrite)
    scan = read_nifti(scan_path)
    source = "the command line" if protocol else sidecar_path(scan_path)
    protocol = protocol or read_protocol(sidecar_path(scan_path))
    if set(protocol.names) != set(JOINT):
        raise ValueError(f"{source}: it describes {_list(protocol.names)}: a joint fit needs {_list(JOINT)}.")
    n = scan.data.shape[-1]
    if n != protocol.n_images:
        raise ValueError(
            f"{scan_path}: it has {n} volumes, but {source} describes {protocol.n_images}, "
            f"{'a shared first one included' if protocol.shared_first else 'none of them shared'}."
        )
    where = None if mask is None else read_mask(mask, like=scan)
    prepare_folder(folder)
    times = {contrast.name: contrast.times_ms for contrast in protocol.contrasts}
    told = "; ".join(f"{name} {_list(of_one)} ms" for name, of_one in times.items())
    log(f"{scan_path}: {_size(scan)} voxels at {told}, the first volume shared (from {source})")
    result = fit_joint(scan.data, protocol, mask=where, bounds=bounds_ms, saturation=saturation, sigma=sigma, dim=-1)
    log(f"writing maps to {folder}")
    with _drawn(result, scan, pictures):
        write_joint_maps(
            result, scan, folder, protocol=protocol, algorithm=ALGORITHMS["joint"], command=command, overwrite=overwrite
        )
    files = maps | {f"{name}_picture": picture for name, picture in pictures.items()}
    return Outcome(scan_path, "joint", times, "nlls", result, files)


def _pictures(maps: Mapping[str, Path], contrasts: Iterable[str]) -> dict[str, Path]:
    return {name: sidecar_path(maps[name]).with_suffix(".png") for name in contrasts}


def _check_files(
    scan: Path, maps: Mapping[str, Path], pictures: Mapping[str, Path], *, mask: Path | None, overwrite: bool
) -> None:
    """Refuse what cannot be written, and miss what is needed for it, before anything is read."""
    inputs = [scan, sidecar_path(scan), *([] if mask is None else [mask])]
    targets = [*maps.values(), *map(sidecar_path, maps.values()), *pictures.values()]
    check_targets(targets, inputs=inputs, overwrite=overwrite)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its fonts is of no concern here
    require("matplotlib.figure", extra="plot")


@contextmanager
def _drawn(result: FitResult[NDArray[Any]], scan: Scan, pictures: Mapping[str, Path]) -> Iterator[None]:
    """Draw the maps; the pictures move to their places if the block, which writes the maps, succeeds."""
    with ExitStack() as stack:
        for name, picture in pictures.items():
            t = result.maps[name]
            known = result.ok & ~(result.std[name] > t / 2)  # noise converges too, and its T would fill the colour bar
            figure = map_figure(as_pictures(t, scan.affine), name=name, ok=as_pictures(known, scan.affine))
            figure.savefig(stack.enter_context(replacing(picture)), format="png")
        yield


def _size(scan: Scan) -> str:
    return " x ".join(str(n) for n in scan.data.shape[:-1])


def _list(items: Iterable[object]) -> str:
    return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in items)


def _renamed(maps: dict[str, NDArray[Any]], contrast: str) -> dict[str, NDArray[Any]]:
    """Call the relaxation time by the name of its contrast. (A Contrast would do it, but its times must rise.)"""
    return {contrast if name == "t" else name: values for name, values in maps.items()}
