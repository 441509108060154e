"""What BIDS calls things: suffixes of maps, keys of times, files that belong together."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Names(NamedTuple):
    """How files speak of a contrast."""

    suffix: str
    """Suffix of its map."""
    time_keys: tuple[str, ...]
    """Keys under which a JSON sidecar may hold its times in seconds. Only ``EchoTime`` is BIDS's own."""


_NAMES = {  # BIDS has no T1rhomap
    "t1rho": Names("T1rho", ("SpinLockTime",)),
    "t2": Names("T2map", ("EchoTime", "T2PreparationTime")),
}


def names_of(contrast: str) -> Names:
    """Look up how files speak of a contrast; a ValueError says which contrasts there are."""
    if contrast not in _NAMES:
        raise ValueError(
            f"contrast={contrast!r} has no name in files: use one of {tuple(_NAMES)}, as in Contrast('t2', ...)."
        )
    return _NAMES[contrast]


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
    """Tell where the JSON sidecar of a NIfTI file is.

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
    """Tell which files :func:`~relaxnet.io.write_maps` makes of a scan; each has a JSON sidecar.

    Parameters
    ----------
    scan
        Path of the scan.
    folder
        Where the maps go.
    contrast
        What they are maps of: ``"t1rho"`` or ``"t2"``.

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
    """Tell which files :func:`~relaxnet.io.write_joint_maps` makes of a scan; each has a JSON sidecar.

    Parameters
    ----------
    scan
        Path of the scan.
    folder
        Where the maps go.
    contrasts
        What it was fitted for: ``"t1rho"`` and ``"t2"``.

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
    """Tell whether a sidecar holds the times of other contrasts than these."""
    try:
        keys = set(json.loads(sidecar.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, TypeError):
        return False  # there is none, or it is not one of ours
    held = {contrast for contrast, names in _NAMES.items() if keys & set(names.time_keys)}
    return bool(held) and held != set(contrasts)
