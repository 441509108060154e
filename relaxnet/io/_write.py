"""The maps of a fit as NIfTI files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from relaxnet.fitting import FitResult, FitStatus
from relaxnet.io._bids import joint_key, joint_map_paths, map_paths, names_of, on_disk, title_of
from relaxnet.io._protocol import describe_contrasts, describe_protocol
from relaxnet.io._read import Scan
from relaxnet.io._volumes import More, Volume, origin, write_maps_of_scan
from relaxnet.protocol import Protocol
from relaxnet.signals import MonoExponential, SignalModel


def write_maps(
    result: FitResult[Any],
    scan: Scan,
    folder: Path | str,
    *,
    times_ms: Iterable[float],
    model: SignalModel | None = None,
    algorithm: str,
    command: str | None = None,
    more: More | None = None,
    overwrite: bool = False,
    fill: float | None = None,
) -> dict[str, Path]:
    """Write the maps of a fit, on the grid of the fitted scan.

    For ``scan.nii.gz`` these are ``scan_T1rho.nii.gz`` (``scan_T2map.nii.gz`` for T2) in seconds,
    ``scan_S0map.nii.gz``, ``scan_desc-std_T1rho.nii.gz``, and likewise ``desc-r2``, ``desc-rmse`` and ``desc-status``;
    each with a JSON sidecar. Voxels that could not be fitted are NaN.

    Parameters
    ----------
    result
        Result of a fit of ``scan.data``, for a contrast that has a name in files.
    scan
        The fitted scan. It gives the maps their names, their affine and their space.
    folder
        Output folder; it is made if it does not exist.
    times_ms
        The fitted times in ms, for the sidecars.
    model
        The fitted signal model; a mono-exponential decay by default.
    algorithm
        Description of the fit, for the sidecars.
    command
        Command line of the fit, for the sidecars.
    more
        More files to be written with the maps, all or none: by path, what writes one to the path that it is given.
    overwrite
        Whether existing files may be replaced. A file is never left half written.
    fill
        Value of voxels that could not be fitted, in place of NaN, for programs that cannot take it.

    Returns
    -------
    dict
        Paths of the maps, with the keys of :func:`map_paths`.

    Raises
    ------
    ValueError
        If the result is of another contrast, or does not have the shape of the scan.
    FileExistsError
        If a file exists and ``overwrite`` is false.
    OSError
        If the folder is not writable. Existing files are not changed then.
    """
    contrast = next(name for name in result.maps if name != "m0")
    volumes = _volumes(result, scan, contrast, names_of(contrast).label)
    paths = map_paths(scan.path, Path(folder), contrast)
    acquired = describe_contrasts([(contrast, times_ms, model or MonoExponential())])
    return write_maps_of_scan(
        volumes, paths, scan, origin(algorithm, command, **acquired), more=more, overwrite=overwrite, fill=fill
    )


def write_joint_maps(
    result: FitResult[Any],
    scan: Scan,
    folder: Path | str,
    *,
    protocol: Protocol,
    algorithm: str,
    command: str | None = None,
    more: More | None = None,
    overwrite: bool = False,
    fill: float | None = None,
) -> dict[str, Path]:
    """Write the maps of a joint fit, on the grid of the fitted scan.

    The files are those of :func:`write_maps` for each contrast, but with one common amplitude. Goodness of fit and
    status are those of the joint fit, the same for all contrasts.

    Parameters
    ----------
    result
        Result of :func:`relaxnet.fit_joint` of ``scan.data``.
    scan
        The fitted scan. It gives the maps their names, their affine and their space.
    folder
        Output folder; it is made if it does not exist.
    protocol
        The fitted protocol, for the sidecars.
    algorithm
        Description of the fit, for the sidecars.
    command
        Command line of the fit, for the sidecars.
    more
        More files to be written with the maps, all or none: by path, what writes one to the path that it is given.
    overwrite
        Whether existing files may be replaced. A file is never left half written.
    fill
        Value of voxels that could not be fitted, in place of NaN, for programs that cannot take it.

    Returns
    -------
    dict
        Paths of the maps, with the keys of :func:`joint_map_paths`.

    Raises
    ------
    ValueError
        If a contrast has no name in files, or the result does not have the shape of the scan.
    FileExistsError
        If a file exists and ``overwrite`` is false.
    OSError
        If the folder is not writable. Existing files are not changed then.
    """
    of = "joint " + " and ".join(names_of(name).label for name in protocol.names)
    volumes = {
        joint_key(key, contrast): volume
        for contrast in protocol.names
        for key, volume in _volumes(result, scan, contrast, of, protocol.contrasts[0].times_ms[0]).items()
    }
    paths = joint_map_paths(scan.path, Path(folder), protocol.names)
    acquired = describe_protocol(protocol)
    return write_maps_of_scan(
        volumes, paths, scan, origin(algorithm, command, **acquired), more=more, overwrite=overwrite, fill=fill
    )


def _volumes(result: FitResult[Any], scan: Scan, contrast: str, of: str, first_ms: float = 0) -> dict[str, Volume]:
    """Collect the maps of a contrast, with the keys of :func:`map_paths`; ``of`` names the fit in descriptions."""
    if tuple(result.status.shape) != scan.data.shape[:-1]:
        raise ValueError(f"result has shape {tuple(result.status.shape)}, the scan {scan.data.shape[:-1]} and time.")
    title, at = title_of(contrast), f" at {first_ms:g} ms" if first_ms else ""
    volumes = {
        contrast: map_volume(result.maps[contrast], result.units[contrast], title),
        "m0": map_volume(result.maps["m0"], "signal", f"Amplitude of the fitted {of} signal{at}"),
        "std": map_volume(result.std[contrast], result.units[contrast], f"Standard error of the {title}"),
    }
    return volumes | quality_volumes(result, of)


def quality_volumes(result: FitResult[Any], of: str) -> dict[str, Volume]:
    """Collect the maps that tell how good a fit is; ``of`` names it in descriptions."""
    levels = {str(int(s)): f"{s.name}: {s.meaning}" for s in FitStatus}
    status = map_volume(result.status, "1", f"Status of the {of} fit of each voxel: see Levels")
    return {
        "r2": map_volume(result.r2, "1", f"Coefficient of determination of the {of} fit"),
        "rmse": map_volume(result.rmse, "signal", f"Root mean squared residual of the {of} fit"),
        "status": Volume(status.values.astype(np.uint8), status.sidecar | {"Levels": levels}),
    }


def map_volume(values: Any, unit: str, description: str) -> Volume:
    """Turn a map of a fit into a volume in the unit that it has in files."""
    on_file, divisor = on_disk("arbitrary" if unit == "signal" else unit)
    array = np.asarray(values.cpu() if isinstance(values, Tensor) else values).astype(np.float32)
    return Volume(array / np.float32(divisor), {"Description": description, "Units": on_file})
