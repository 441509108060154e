"""The maps of a folder, and what is known of each of their voxels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._contrasts import KNOWN_CONTRASTS, label
from relaxnet.errors import require
from relaxnet.fitting import FitResult, FitStatus, fit
from relaxnet.io import Scan, describes_protocol, read_map, read_protocol, read_scan, sidecar_path
from relaxnet.io._bids import stem
from relaxnet.io._sidecar import read_object
from relaxnet.protocol import Contrast, Protocol

_ENDINGS = ("*.nii.gz", "*.nii")
_SUFFIXES = {known.suffix: name for name, known in KNOWN_CONTRASTS.items()}
_SEVERAL = 8  # maps that are kept in memory


@dataclass(frozen=True, eq=False)
class Decay:
    """What is known of the decay of one voxel in one contrast."""

    contrast: Contrast
    samples: NDArray[Any] | None
    """The images of the voxel; None if the scan is not known."""
    result: FitResult[Any] | None
    """The fit of the voxel, of shape (1,); None if it is not known."""


@dataclass(frozen=True, eq=False)
class MapFolder:
    """The maps of a folder."""

    folder: Path
    scan: Path | None = None
    """The scan that the maps are of; by default a file of the name that their JSON files tell, where it is found."""
    paths: tuple[Path, ...] = ()
    """The maps, relaxation times first."""
    read: Any = field(default=None, repr=False)
    """Reads a map by its number, and keeps some in memory."""

    def nifti(self, number: int) -> bytes:
        """Return a map as a NIfTI file, in the unit of memory: ms, not s."""
        scan, _ = self.read(number)
        image = require("nibabel", extra="io").Nifti1Image(scan.data[..., 0].astype(np.float32), scan.affine)
        content: bytes = image.to_bytes()
        return content

    def about(self, number: int) -> dict[str, Any]:
        """Return what a viewer needs to know of a map: its unit, and the end of its colour range."""
        scan, unit = self.read(number)
        known = scan.data[np.isfinite(scan.data) & (scan.data > 0)]
        return {"unit": unit, "high": 2 * float(np.median(known)) if known.size else 1.0}

    def voxel_at(self, number: int, mm: Sequence[float]) -> tuple[int, ...] | None:
        """Return the voxel of a map at a position in mm; None outside it."""
        scan, _ = self.read(number)
        position = np.linalg.solve(scan.affine, np.array([*mm, 1.0]))[:3].round().astype(int)
        inside = ((position >= 0) & (position < scan.data.shape[:3])).all()
        return tuple(int(k) for k in position) if inside else None

    def values_at(self, number: int, voxel: tuple[int, ...]) -> list[tuple[str, float, str]]:
        """Return name, value and unit of a voxel in all maps of the same scan and grid."""
        grid = self.read(number)[0]
        rows = []
        for k, path in enumerate(self.paths):
            if path.parent == self.paths[number].parent and _start(path) == _start(self.paths[number]):
                scan, unit = self.read(k)
                if scan.data.shape == grid.data.shape and np.allclose(scan.affine, grid.affine):
                    rows.append((stem(path).removeprefix(f"{_start(path)}_"), float(scan.data[(*voxel, 0)]), unit))
        return rows

    def decays_at(self, number: int, voxel: tuple[int, ...]) -> list[Decay]:
        """Return the decays of a voxel in the contrasts of the fit that a map belongs to."""
        protocol = self._protocol(number)
        if protocol is None:
            return []
        images = self._images(number, protocol)
        values = {name: value for name, value, _ in self.values_at(number, voxel)}
        return [
            self._decay(
                protocol, one, None if images is None else images[voxel][list(protocol.images_of(one.name))], values
            )
            for one in protocol.contrasts
            if KNOWN_CONTRASTS[one.name].suffix in values
        ]

    def _decay(
        self, protocol: Protocol, contrast: Contrast, samples: NDArray[Any] | None, values: dict[str, float]
    ) -> Decay:
        suffix = KNOWN_CONTRASTS[contrast.name].suffix
        own = "joint" if len(protocol.names) > 1 else suffix
        t, m0 = values[suffix], values.get(f"desc-{own}_S0map", values.get("S0map", np.nan))
        if contrast.model.has_offset:  # which has no map
            result = None if samples is None else fit(samples[None], contrast)
        else:
            result = _as_result(contrast, t, m0, values.get(f"desc-std_{suffix}", np.nan))
        return Decay(contrast, samples, result)

    def _protocol(self, number: int) -> Protocol | None:
        """Return what the images of a map were acquired with, if the JSON file beside it says so."""
        sidecar = sidecar_path(self.paths[number])
        try:
            if not sidecar.is_file() or not describes_protocol(sidecar):
                return None
            return read_protocol(sidecar).counted_from_first()  # the amplitude is the signal of the first image
        except ValueError:  # times that do not rise are no contrast's
            return None

    def _images(self, number: int, protocol: Protocol) -> NDArray[Any] | None:
        """Return the images that a map was fitted to, where they are found, on its grid."""
        names = [Path(name).name for name in read_object(sidecar_path(self.paths[number])).get("Sources", [])]
        around = (self.paths[number].parent, self.folder, self.folder.absolute().parent, Path())
        found = [next((place / name for place in around if (place / name).is_file()), None) for name in names]
        paths = [self.scan] if self.scan else [path for path in found if path]
        if not paths or (not self.scan and len(paths) < len(names)):
            return None
        data = _read_scan(tuple(paths), protocol).data
        fits = data.shape == (*self.read(number)[0].data.shape[:3], protocol.n_images)
        return data if fits else None


def open_folder(folder: Path, scan: Path | None = None) -> MapFolder:
    """List the maps of a folder and its subfolders; a ValueError says if there are none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder.")
    if scan and not scan.exists():
        raise FileNotFoundError(f"{scan}: there is no such file.")
    paths = sorted(path for ending in _ENDINGS for path in folder.rglob(ending) if path.is_file())
    paths = [path for path in paths if stem(path).rpartition("_")[2] in {*_SUFFIXES, "S0map"}]
    if not paths:
        raise ValueError(f"{folder}: it holds no maps, such as scan_T1rho.nii.gz: give the folder that fit wrote to.")
    first = sorted(paths, key=lambda path: ("_desc-" in path.name or "S0map" in path.name, path))
    return MapFolder(folder, scan, tuple(first), lru_cache(_SEVERAL)(lambda number: read_map(first[number])))


@lru_cache(1)
def _read_scan(paths: tuple[Path, ...], protocol: Protocol) -> Scan:
    times = protocol.contrasts[0].times_ms if len(protocol.contrasts) == 1 else None
    contrast = protocol.names[0] if times else None
    return read_scan(list(paths), contrast, times_ms=times, axis=protocol.contrasts[0].model.axis)


def _start(path: Path) -> str:
    """Return what the names of the maps of one scan have in common."""
    return stem(path).rpartition("_")[0].partition("_desc-")[0]


def _as_result(contrast: Contrast, t: float, m0: float, std: float) -> FitResult[Any]:
    """Put the maps of one voxel together to a result."""
    nothing = np.array([np.nan])
    return FitResult(
        maps={"m0": np.array([m0]), contrast.name: np.array([t])},
        std={"m0": nothing, contrast.name: np.array([std])},
        covariances={},
        rmse=nothing,
        r2=nothing,
        n_used=np.array([len(contrast.times_ms)]),
        status=np.array([FitStatus.CONVERGED], np.uint8),
        units={"m0": "signal", contrast.name: contrast.model.parameter.unit},
    )


def title_of(decay: Decay, voxel: tuple[int, ...]) -> str:
    """Return the title of a decay."""
    at = f"voxel {', '.join(map(str, voxel))}"
    name = decay.contrast.name
    if decay.result is None or not np.isfinite(decay.result.maps[name][0]):
        return f"{at}: {label(name)} has no value"
    return f"{at}: {label(name)} {decay.result.maps[name][0]:.3g} {decay.result.units[name]}"
