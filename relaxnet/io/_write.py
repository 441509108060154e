"""Writing the maps of a fit as NIfTI files, each with a sidecar that says what it is."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from relaxnet._files import check_targets, prepare_folder
from relaxnet.fitting import FitResult, FitStatus
from relaxnet.io._bids import map_paths, names_of, on_disk, sidecar_path, time_key, title_of
from relaxnet.io._read import Scan
from relaxnet.io._volumes import GENERATED_BY, Volume, write_volumes
from relaxnet.signals import MonoExponential, SignalModel, describe_model
from relaxnet.times import TIME


class _Map(NamedTuple):
    """One file to be written."""

    values: NDArray[Any]
    units: str
    description: str


def write_maps(
    result: FitResult[Any],
    scan: Scan,
    folder: Path | str,
    *,
    times_ms: Iterable[float],
    model: SignalModel | None = None,
    algorithm: str,
    command: str | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write the maps of a fit beside each other, on the grid of the scan that was fitted.

    For ``scan.nii.gz`` these are ``scan_T1rho.nii.gz`` (``scan_T2map.nii.gz`` for T2) in seconds,
    ``scan_S0map.nii.gz``, ``scan_desc-std_T1rho.nii.gz``, and likewise ``desc-r2``, ``desc-rmse`` and ``desc-status``;
    each with a JSON sidecar. Voxels that could not be fitted are NaN.

    Parameters
    ----------
    result
        What a fit of ``scan.data`` returned, for a contrast that has a name in files.
    scan
        The scan that was fitted. It gives the maps their names, their affine and their space.
    folder
        Where the maps go; it is made if need be.
    times_ms
        The times in ms that were fitted, for the sidecars.
    model
        The signal model that was fitted; a mono-exponential decay by default.
    algorithm
        How it was fitted, in words, for the sidecars.
    command
        The command line that asked for the fit, for the sidecars.
    overwrite
        Whether existing files may be replaced. Each is whole at any moment: the old one, or the new one.

    Returns
    -------
    dict
        Paths of the maps, as :func:`map_paths` names them.

    Raises
    ------
    ValueError
        If the result is of another contrast, or does not have the shape of the scan.
    FileExistsError
        If a file exists and ``overwrite`` is false.
    OSError
        If the folder cannot be written to. Files that were there before are as they were.
    """
    contrast = next(name for name in result.maps if name != "m0")
    if tuple(result.status.shape) != scan.data.shape[:-1]:
        raise ValueError(f"result has shape {tuple(result.status.shape)}, the scan {scan.data.shape[:-1]} and time.")
    paths = map_paths(scan.path, Path(folder), contrast)
    check_targets([*paths.values(), *map(sidecar_path, paths.values())], inputs=[scan.path], overwrite=overwrite)
    prepare_folder(Path(folder))
    common = _common(contrast, list(times_ms), model or MonoExponential(), algorithm, command)
    volumes = volumes_of(result, contrast, common)
    write_volumes({paths[key]: volume for key, volume in volumes.items()}, scan.affine, scan.space_code)
    return paths


def volumes_of(
    result: FitResult[Any], contrast: str, common: Mapping[str, Any], *, of: str | None = None
) -> dict[str, Volume]:
    """Gather what is written of a contrast, under the keys of :func:`map_paths`.

    Parameters
    ----------
    result
        The fit.
    contrast
        Name of the contrast.
    common
        What all sidecars say.
    of
        What was fitted, in words; by default, this contrast.

    Returns
    -------
    dict
        Voxels and sidecars.
    """
    volumes = {}
    for key, (values, units, description) in _maps(result, contrast, of).items():
        sidecar = {"Description": description, "Units": units, **common}
        if key == "status":
            sidecar["Levels"] = {str(int(s)): f"{s.name}: {s.meaning}" for s in FitStatus}
        volumes[key] = Volume(values, sidecar)
    return volumes


def _maps(result: FitResult[Any], contrast: str, of: str | None) -> dict[str, _Map]:

    def array(values: Any) -> NDArray[Any]:
        return np.asarray(values.cpu() if isinstance(values, Tensor) else values)

    def floats(values: Any) -> NDArray[np.float32]:
        return array(values).astype(np.float32)

    name, title = names_of(contrast).label, title_of(contrast)
    fit = f"{of or name} fit"
    unit, divisor = on_disk(result.units[contrast])
    by = np.float32(divisor)
    return {
        contrast: _Map(floats(result.maps[contrast]) / by, unit, title),
        "m0": _Map(floats(result.maps["m0"]), "arbitrary", f"Signal at time 0 of the {of or name} decay"),
        "std": _Map(floats(result.std[contrast]) / by, unit, f"Standard error of the {title}"),
        "r2": _Map(floats(result.r2), "1", f"Coefficient of determination of the {fit}"),
        "rmse": _Map(floats(result.rmse), "arbitrary", f"Root mean squared residual of the {fit}"),
        "status": _Map(array(result.status).astype(np.uint8), "1", f"How the {fit} of a voxel ended: see Levels"),
    }


def _common(
    contrast: str, times_ms: list[float], model: SignalModel, algorithm: str, command: str | None
) -> dict[str, Any]:
    """Say what the sidecars of all maps of a fit have in common."""
    in_seconds = model.axis == TIME
    return {
        "EstimationAlgorithm": algorithm,
        "Contrasts": [contrast],
        time_key(contrast, model.axis, times_ms): [
            round(float(t) / 1000, 12) if in_seconds else float(t) for t in times_ms
        ],
        **({} if model == MonoExponential() else {"SignalModels": {contrast: describe_model(model)}}),
        "SkullStripped": False,
        "GeneratedBy": GENERATED_BY,
        **({"CommandLine": command} if command else {}),
    }
