"""Writing the maps of a network as NIfTI files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from relaxnet._files import check_targets, prepare_folder
from relaxnet.io._bids import map_paths, on_disk, sidecar_path, title_of
from relaxnet.io._pictures import from_slices
from relaxnet.io._read import Scan
from relaxnet.io._volumes import GENERATED_BY, Volume, write_volumes
from relaxnet.protocol import Protocol

_STD = "_std"


def predicted_paths(names: tuple[str, ...], scan: Path, folder: Path) -> dict[str, Path]:
    """List the files that :func:`write_predicted` makes; each has a JSON sidecar.

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
        contrast = names[0] if name == "m0" else name.removesuffix(_STD)  # an amplitude has one name in all contrasts
        key = "std" if name.endswith(_STD) else name
        paths[name] = map_paths(scan, folder, contrast)[key]
    return paths


def write_predicted(
    maps_ms: Mapping[str, Float[Tensor, "slice row column"]],
    scan: Scan,
    folder: Path | str,
    *,
    protocol: Protocol,
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
    protocol
        What the network was trained for, for units and sidecars.
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
    units = {contrast.name: contrast.model.parameter.unit for contrast in protocol.contrasts}
    if command:
        common["CommandLine"] = command
    volumes = {}
    for name, values in maps_ms.items():
        unit, divisor = on_disk(units.get(name.removesuffix(_STD), "arbitrary"))
        grid = from_slices(values, scan).astype(np.float32) / np.float32(divisor)
        volumes[paths[name]] = Volume(grid, {"Description": _about(name), "Units": unit, **common})
    write_volumes(volumes, scan.affine, scan.space_code)
    return paths


def _about(name: str) -> str:
    if name == "m0":
        return "Signal at time 0"
    return ("Standard deviation of the " if name.endswith(_STD) else "") + title_of(name.removesuffix(_STD))
