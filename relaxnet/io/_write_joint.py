"""Writing the maps of a joint fit as NIfTI files."""

from pathlib import Path
from typing import Any

from relaxnet._files import check_targets, prepare_folder
from relaxnet.fitting import FitResult
from relaxnet.io._bids import joint_map_paths, names_of, sidecar_path
from relaxnet.io._protocol import describe_protocol
from relaxnet.io._read import Scan
from relaxnet.io._volumes import GENERATED_BY, Volume, write_volumes
from relaxnet.io._write import volumes_of
from relaxnet.protocol import Protocol


def write_joint_maps(
    result: FitResult[Any],
    scan: Scan,
    folder: Path | str,
    *,
    protocol: Protocol,
    algorithm: str,
    command: str | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write the maps of a joint fit beside each other, on the grid of the scan that was fitted.

    The files have the names of :func:`write_maps` for each contrast, but there is one amplitude. Goodness of fit and
    status are those of the joint fit, and the same for all contrasts.

    Parameters
    ----------
    result
        What :func:`relaxnet.fit_joint` of ``scan.data`` returned.
    scan
        The scan that was fitted. It gives the maps their names, their affine and their space.
    folder
        Where the maps go; it is made if need be.
    protocol
        What was fitted, for the sidecars.
    algorithm
        How it was fitted, in words, for the sidecars.
    command
        The command line that asked for the fit, for the sidecars.
    overwrite
        Whether existing files may be replaced. Each is whole at any moment: the old one, or the new one.

    Returns
    -------
    dict
        Paths of the maps, as :func:`joint_map_paths` names them.

    Raises
    ------
    ValueError
        If files have no name for a contrast, or the result does not have the shape of the scan.
    FileExistsError
        If a file exists and ``overwrite`` is false.
    OSError
        If the folder cannot be written to. Files that were there before are as they were.
    """
    if tuple(result.status.shape) != scan.data.shape[:-1]:
        raise ValueError(f"result has shape {tuple(result.status.shape)}, the scan {scan.data.shape[:-1]} and time.")
    paths = joint_map_paths(scan.path, Path(folder), protocol.names)
    check_targets([*paths.values(), *map(sidecar_path, paths.values())], inputs=[scan.path], overwrite=overwrite)
    prepare_folder(Path(folder))
    common: dict[str, Any] = {
        "EstimationAlgorithm": algorithm,
        **describe_protocol(protocol),
        "SkullStripped": False,
        "GeneratedBy": GENERATED_BY,
        **({"CommandLine": command} if command else {}),
    }
    of = "joint " + " and ".join(names_of(name).label for name in protocol.names)
    volumes: dict[Path, Volume] = {}
    for contrast in protocol.names:
        for key, volume in volumes_of(result, contrast, common, of=of).items():
            volumes[paths[key if key in (contrast, "m0") else f"{contrast}_{key}"]] = volume
    write_volumes(volumes, scan.affine, scan.space_code)
    return paths
