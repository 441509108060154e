"""Volumes as NIfTI files on the grid of a scan, each with a JSON sidecar that describes it."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from relaxnet._files import check_targets, prepare_folder, replacing_all, uninterrupted
from relaxnet.errors import require
from relaxnet.io._bids import is_nifti, sidecar_path
from relaxnet.io._data_set import GENERATED_BY, dataset_links, describe_derivative, name_in_data_set, root_of
from relaxnet.io._header import AFFINE_TOLERANCE
from relaxnet.io._read import Scan

COMMON = {"SkullStripped": False, "GeneratedBy": GENERATED_BY}
"""Keys of every sidecar, as BIDS asks."""

More = Mapping[Path, Callable[[Path], None]]
"""Files that are written with others, all or none: by path, what writes one to a given path."""

_WRITERS = 4  # files that are written at a time
_ALIGNED = 2  # NIfTI's number for a space that is agreed on, but not the scanner's


class Volume(NamedTuple):
    """One file to be written, and its sidecar."""

    values: NDArray[Any]
    """Voxels, (x, y, z) or (x, y, z, image), in the type in which they are stored."""
    sidecar: dict[str, Any]
    """Content of the JSON sidecar."""


def origin(algorithm: str, command: str | None, **acquired: Any) -> dict[str, Any]:
    """Describe how maps were computed, and from what images, in keys of their sidecars."""
    described = {"EstimationAlgorithm": algorithm, **acquired, **COMMON}
    return described | {"CommandLine": command} if command else described


def write_maps_of_scan(
    volumes: Mapping[str, Volume],
    paths: dict[str, Path],
    scan: Scan,
    about: dict[str, Any],
    *,
    more: More | None,
    overwrite: bool,
    fill: float | None = None,
) -> dict[str, Path]:
    """Write maps on the grid of a scan, with common sidecar keys ``about`` and ``fill`` for NaN; return the paths."""
    targets = [*map(sidecar_path, paths.values()), *paths.values(), *(more or {})]
    check_targets(targets, inputs=[scan.path, *scan.files], overwrite=overwrite)
    for folder in {path.parent for path in targets}:
        prepare_folder(folder)
    first = next(iter(paths.values()))
    root, files = root_of(first), [path for path in scan.files or (scan.path,) if is_nifti(path)]
    links = dataset_links(root, files) if root else {}
    sources = [name_in_data_set(path, root, links) for path in files]
    about = {"Sources": sources} | about
    if sources and "_space-" in sources[0]:
        about["SpatialReference"] = sources[0]  # BIDS wants to know of which grid a space- is
    if fill is not None:
        about["FillValue"] = fill
    described = {
        path: Volume(_filled(volumes[key].values, fill), volumes[key].sidecar | about) for key, path in paths.items()
    }
    write_volumes(described, scan.affine, scan.space_code, more=more)
    if root and first.parent.absolute() != scan.path.parent.absolute():
        describe_derivative(root, links)
    return paths


def _filled(values: NDArray[Any], fill: float | None) -> NDArray[Any]:
    if fill is None or values.dtype.kind != "f":
        return values
    return np.where(np.isnan(values), values.dtype.type(fill), values)


def write_volumes(
    volumes: Mapping[Path, Volume], affine: NDArray[np.float64], space_code: int, *, more: More | None = None
) -> None:
    """Write volumes of one grid, and more files: all of them, or none if that fails. Existing files are replaced.

    The sidecar of the first volume is written last: if it exists, all files exist and belong together, even after a
    power failure.
    """
    more = more or {}
    sidecars, n = [sidecar_path(path) for path in volumes], len(volumes)
    with replacing_all([*sidecars, *volumes, *more]) as temporaries:
        for volume, text in zip(volumes.values(), temporaries[:n], strict=True):
            text.write_text(json.dumps(volume.sidecar, indent=4) + "\n", encoding="utf-8")
        writers: list[Callable[[Path], None]] = [partial(_save, v.values, affine, space_code) for v in volumes.values()]
        with ThreadPoolExecutor(_WRITERS) as pool:  # most of the time is compression, which lets other threads run
            pending = [pool.submit(write, to) for write, to in zip(writers, temporaries[n : 2 * n], strict=True)]
            try:
                for write, temporary in zip(more.values(), temporaries[2 * n :], strict=True):
                    write(temporary)  # in this thread: figures have settings that all threads share
                for one in pending:
                    one.result()
            except BaseException:
                with uninterrupted():  # a thread that still writes would make its file anew when that has been removed
                    pool.shutdown(cancel_futures=True)
                raise


def _save(values: NDArray[Any], affine: NDArray[np.float64], space_code: int, path: Path) -> None:
    _image(values, affine, space_code).to_filename(path)


def _image(values: NDArray[Any], affine: NDArray[np.float64], space_code: int) -> Any:
    """Make a NIfTI image with a new header: that of an integer scan would turn NaN into 0 and seconds into steps."""
    nibabel = require("nibabel", extra="io")
    kind = nibabel.Nifti1Image if max(values.shape) < 2**15 else nibabel.Nifti2Image
    image = kind(values, affine)
    code = space_code or _ALIGNED
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    if not np.allclose(image.get_qform(), affine, rtol=0, atol=AFFINE_TOLERANCE):
        image.set_qform(None, 0)  # a quaternion cannot hold the shears of this affine
    image.header.set_xyzt_units("mm", "sec")
    return image
