"""What BIDS calls things: suffixes of maps, keys of times, files that belong together."""

import json
from collections.abc import Iterable
from pathlib import Path

from relaxnet._contrasts import AXIS_KEYS, KNOWN_CONTRASTS, KnownContrast
from relaxnet.times import TIME, Axis


def names_of(contrast: str) -> KnownContrast:
    """Look up how files speak of a contrast; a ValueError says which contrasts there are."""
    if contrast not in KNOWN_CONTRASTS:
        raise ValueError(
            f"contrast={contrast!r} has no name in files: use one of {tuple(KNOWN_CONTRASTS)}, as in "
            f"Contrast('t2', ...)."
        )
    return KNOWN_CONTRASTS[contrast]


def title_of(contrast: str) -> str:
    """Name what a map of a contrast shows, for descriptions."""
    return f"{names_of(contrast).label} {'coefficient' if contrast == 'adc' else 'relaxation time'}"


def on_disk(unit: str) -> tuple[str, float]:
    """Return the unit in which files keep a map, and by what to divide it to get there: seconds for milliseconds."""
    return ("s", 1000.0) if unit == "ms" else (unit, 1.0)


def time_key(contrast: str, axis: Axis, times: Iterable[float]) -> str:
    """Choose the key under which a sidecar holds the times of a contrast."""
    if axis != TIME:
        return AXIS_KEYS[axis.name]
    # BIDS forbids an EchoTime of 0; an image at 0 ms was prepared, not refocused.
    return names_of(contrast).time_keys[-1 if 0 in times else 0]


def stem(path: Path) -> str:
    """Take ``.nii`` or ``.nii.gz`` off the name of a file.

    Parameters
    ----------
    path
        Path of a NIfTI file.

    Returns
    -------
    str
        Its name without folder and ending.

    Raises
    ------
    ValueError
        If the name ends otherwise.

    Examples
    --------
    >>> stem(Path("raw/sub-01.v2.nii.gz"))
    'sub-01.v2'
    """
    for ending in (".nii", ".nii.gz"):
        if path.name.lower().endswith(ending) and len(path.name) > len(ending):
            return path.name[: -len(ending)]
    raise ValueError(f"{path}: the name does not end in .nii or .nii.gz, so this is not taken for a NIfTI file.")


def sidecar_path(path: Path) -> Path:
    """Return where the JSON sidecar of a NIfTI file is.

    Parameters
    ----------
    path
        Path of a NIfTI file.

    Returns
    -------
    Path
        Path of a file beside it, there or not.

    Examples
    --------
    >>> rx.io.sidecar_path(Path("raw/scan.nii.gz")).as_posix()
    'raw/scan.json'
    """
    return path.with_name(stem(path) + ".json")


def map_paths(scan: Path, folder: Path, contrast: str) -> dict[str, Path]:
    """List the files that :func:`~relaxnet.io.write_maps` makes of a scan; each has a JSON sidecar.

    Parameters
    ----------
    scan
        Path of the scan.
    folder
        Where the maps go.
    contrast
        Name of what they are maps of, such as ``"t2"``.

    Returns
    -------
    dict
        Paths of the map (under the contrast's name), of ``"m0"``, ``"std"``, ``"r2"``, ``"rmse"`` and ``"status"``.
        ``"m0"`` is ``scan_S0map.nii.gz``; where that belongs to another contrast of the same scan, it is
        ``scan_desc-T2map_S0map.nii.gz``.

    Raises
    ------
    ValueError
        If the contrast or the ending of the scan is unknown.

    Examples
    --------
    >>> paths = rx.io.map_paths(Path("scan.nii"), Path("out"), "t2")
    >>> paths["t2"].as_posix(), paths["std"].as_posix()
    ('out/scan_T2map.nii.gz', 'out/scan_desc-std_T2map.nii.gz')
    """
    name, suffix = stem(scan), names_of(contrast).suffix
    taken = _is_of_others(folder / f"{name}_S0map.json", (contrast,))
    endings = {contrast: suffix, "m0": f"desc-{suffix}_S0map" if taken else "S0map"}
    endings |= {key: f"desc-{key}_{suffix}" for key in ("std", "r2", "rmse", "status")}
    return {key: folder / f"{name}_{ending}.nii.gz" for key, ending in endings.items()}


def joint_map_paths(scan: Path, folder: Path, contrasts: Iterable[str]) -> dict[str, Path]:
    """List the files that :func:`~relaxnet.io.write_joint_maps` makes of a scan; each has a JSON sidecar.

    Parameters
    ----------
    scan
        Path of the scan.
    folder
        Where the maps go.
    contrasts
        What it was fitted for, such as ``"t1rho"`` and ``"t2"``.

    Returns
    -------
    dict
        Paths of ``"m0"``, and for each contrast those that :func:`map_paths` tells, under ``"t2"``, ``"t2_std"``,
        ``"t2_r2"`` and so on. ``"m0"`` is ``scan_S0map.nii.gz``; where that belongs to the fit of one contrast, it is
        ``scan_desc-joint_S0map.nii.gz``.

    Raises
    ------
    ValueError
        If a contrast or the ending of the scan is unknown.

    Examples
    --------
    >>> paths = rx.io.joint_map_paths(Path("scan.nii"), Path("out"), ("t1rho", "t2"))
    >>> paths["m0"].as_posix(), paths["t2_std"].as_posix()
    ('out/scan_S0map.nii.gz', 'out/scan_desc-std_T2map.nii.gz')
    """
    contrasts = tuple(contrasts)
    taken = _is_of_others(folder / f"{stem(scan)}_S0map.json", contrasts)
    paths = {"m0": folder / f"{stem(scan)}_{'desc-joint_' if taken else ''}S0map.nii.gz"}
    for contrast in contrasts:
        for key, path in map_paths(scan, folder, contrast).items():
            if key != "m0":
                paths[key if key == contrast else f"{contrast}_{key}"] = path
    return paths


def _is_of_others(sidecar: Path, contrasts: tuple[str, ...]) -> bool:
    """Return whether a sidecar is that of other contrasts than these."""
    try:
        held = json.loads(sidecar.read_text(encoding="utf-8-sig"))["Contrasts"]
    except (OSError, ValueError, TypeError, KeyError):
        return False  # there is none, or it is not one of ours
    return bool(held != list(contrasts))
