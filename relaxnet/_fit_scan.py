"""Fitting one file: everything that ``relaxnet fit`` does besides reading its options and printing."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._errors import require
from relaxnet._files import check_targets, prepare_folder, replacing
from relaxnet.fitting import FitResult, FitStatus, Method, fit
from relaxnet.io import as_pictures, map_paths, read_mask, read_nifti, read_times, sidecar_path, write_maps
from relaxnet.plots import map_figure

ALGORITHMS = {
    "nlls": "Nonlinear least squares over all volumes, by variable projection",
    "two-point": "Closed form from the first and the last volume",
    "log-linear": "Straight line through the logarithms of all volumes, weighted by the squared signal",
    "rician": "Maximum likelihood under Rician noise over all volumes",
}


@dataclass(frozen=True)
class Outcome:
    """What became of a scan."""

    scan: Path
    contrast: str
    times_ms: tuple[float, ...]
    method: str
    result: FitResult[NDArray[Any]]
    files: dict[str, Path]
    """The maps, under the keys of :func:`relaxnet.io.map_paths`, and the ``"picture"``."""

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
            "times_ms": list(self.times_ms),
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
    sidecars = [sidecar_path(path) for path in maps.values()]
    picture = sidecar_path(maps[contrast]).with_suffix(".png")
    inputs = [scan_path, sidecar_path(scan_path), *([] if mask is None else [mask])]
    check_targets([*maps.values(), *sidecars, picture], inputs=inputs, overwrite=overwrite)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its fonts is of no concern here
    require("matplotlib.figure", extra="plot")
    scan = read_nifti(scan_path)
    source = "the command line" if times_ms else sidecar_path(scan_path)
    times = times_ms or read_times(scan_path, contrast)
    if len(times) != scan.data.shape[-1]:
        raise ValueError(f"{scan_path}: it has {scan.data.shape[-1]} volumes, but {source} gives {len(times)} times.")
    where = None if mask is None else read_mask(mask, like=scan)
    prepare_folder(folder)
    shape = " x ".join(str(n) for n in scan.data.shape[:-1])
    log(f"{scan_path}: {shape} voxels at {', '.join(f'{t:g}' for t in times)} ms (from {source})")
    result = fit(
        scan.data, times, method=method, mask=where, bounds=bounds_ms, saturation=saturation, sigma=sigma, dim=-1
    )
    result = replace(result, maps=_renamed(result.maps, contrast), std=_renamed(result.std, contrast))
    log(f"writing maps to {folder}")
    t = result.maps[contrast]
    known = result.ok & ~(result.std[contrast] > t / 2)  # noise converges too, and its T would fill the colour bar
    figure = map_figure(as_pictures(t, scan.affine), name=contrast, ok=as_pictures(known, scan.affine))
    with replacing(picture) as temporary:
        figure.savefig(temporary, format="png")
        write_maps(
            result,
            scan,
            folder,
            times_ms=times,
            algorithm=ALGORITHMS[method],
            command=command,
            overwrite=overwrite,
        )
    return Outcome(scan_path, contrast, times, method, result, maps | {"picture": picture})


def _renamed(maps: dict[str, NDArray[Any]], contrast: str) -> dict[str, NDArray[Any]]:
    """Call the relaxation time by the name of its contrast. (A Contrast would do it, but its times must rise.)"""
    return {contrast if name == "t" else name: values for name, values in maps.items()}
