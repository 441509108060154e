"""Writing what a network answers as NIfTI files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from relaxnet._files import check_targets, prepare_folder
from relaxnet.io._bids import map_paths, names_of, sidecar_path
from relaxnet.io._pictures import from_slices
from relaxnet.io._read import Scan
from relaxnet.io._volumes import GENERATED_BY, Volume, write_volumes

_STD = "_std"


def predicted_paths(names: tuple[str, ...], scan: Path, folder: Path) -> dict[str, Path]:
    """Tell which files :func:`write_predicted` makes; each has a JSON sidecar.

    Parameters
    ----------
    names
        Names of the maps: ``"t1rho"``, ``"t2"``, ``"t1rho_std"``, ``"t2_std"``, ``"m0"``.
    scan
        Path of the scan.
    folder
        Where the maps go.

    Returns
    -------
    dict
        Paths by name.

    Examples
    --------
    >>> paths = rx.io.predicted_paths(("t2", "t2_std"), Path("scan.nii"), Path("out"))
    >>> [path.name for path in paths.values()]
    ['scan_T2map.nii.gz', 'scan_desc-std_T2map.nii.gz']
    """
    paths = {}
    for name in names:
        contrast = "t1rho" if name == "m0" else name.removesuffix(_STD)  # an amplitude has one name in all contrasts
        key = "std" if name.endswith(_STD) else name
        paths[name] = map_paths(scan, folder, contrast)[key]
    return paths


def write_predicted(
    maps_ms: Mapping[str, Float[Tensor, "slice row column"]],
    scan: Scan,
    folder: Path | str,
    *,
    algorithm: str,
    command: str | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write the maps that a network made of a scan, on the grid of the scan, relaxation times in seconds.

    Parameters
    ----------
    maps_ms
        What ``trained.predict(rx.io.as_slices(scan))`` returned.
    scan
        The scan. It gives the maps their names, their affine and their space.
    folder
        Where the maps go; it is made if need be.
    algorithm
        How they were made, in words, for the sidecars.
    command
        The command line that asked for them, for the sidecars.
    overwrite
        Whether existing files may be replaced. Each is whole at any moment: the old one, or the new one.

    Returns
    -------
    dict
        Paths of the maps, as :func:`predicted_paths` names them.

    Raises
    ------
    FileExistsError
        If a file exists and ``overwrite`` is false.
    OSError
        If the folder cannot be written to. Files that were there before are as they were.
    """
    paths = predicted_paths(tuple(maps_ms), scan.path, Path(folder))
    check_targets([*paths.values(), *map(sidecar_path, paths.values())], inputs=[scan.path], overwrite=overwrite)
    prepare_folder(Path(folder))
    common: dict[str, Any] = {"EstimationAlgorithm": algorithm, "SkullStripped": False, "GeneratedBy": GENERATED_BY}
    if command:
        common["CommandLine"] = command
    volumes = {}
    for name, values in maps_ms.items():
        grid = from_slices(values, scan).astype(np.float32)
        volumes[paths[name]] = Volume(grid if name == "m0" else grid / np.float32(1000), {**_about(name), **common})
    write_volumes(volumes, scan.affine, scan.space_code)
    return paths


def _about(name: str) -> dict[str, str]:
    if name == "m0":
        return {"Description": "Signal at time 0", "Units": "arbitrary"}
    of = "Standard deviation of the " if name.endswith(_STD) else ""
    time = f"{names_of(name.removesuffix(_STD)).suffix.removesuffix('map')} relaxation time"
    return {"Description": of + time, "Units": "s"}
