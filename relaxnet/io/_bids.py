"""Names of files and contrasts in BIDS."""

import json
from collections.abc import Iterable
from pathlib import Path

from relaxnet._contrasts import KNOWN_CONTRASTS, KnownContrast
from relaxnet._messages import brief


def names_of(contrast: str) -> KnownContrast:
    """Return the names of a contrast in files; a ValueError lists the known contrasts."""
    if contrast not in KNOWN_CONTRASTS:
        raise ValueError(
            f"contrast={brief(repr(contrast))} has no name in files: use one of {tuple(KNOWN_CONTRASTS)}, as in "
            f"Contrast('t2', ...)."
        )
    return KNOWN_CONTRASTS[contrast]


def title_of(contrast: str) -> str:
    """Return the quantity that a map of a contrast shows, for descriptions."""
    return f"{names_of(contrast).label} {'coefficient' if contrast == 'adc' else 'relaxation time'}"


def on_disk(unit: str) -> tuple[str, float]:
    """Return the unit of a map in files and the divisor to get there: seconds and 1000 for milliseconds."""
    return ("s", 1000.0) if unit == "ms" else (unit, 1.0)


def stem(path: Path) -> str:
    """Return the name of a NIfTI file without its ending; a ValueError if that is not ``.nii`` or ``.nii.gz``.

    Examples
    --------
    >>> stem(Path("raw/sub-01.v2.nii.gz"))
    'sub-01.v2'
    """
    for ending in (".nii", ".nii.gz"):
        if path.name.lower().endswith(ending) and path.name[: -len(ending)].strip("."):
            return path.name[: -len(ending)]
    raise ValueError(f"{path}: the name of a NIfTI file must have letters and end in .nii or .nii.gz.")


def sidecar_path(path: Path) -> Path:
    """Return the path of the JSON sidecar of a NIfTI file.

    Parameters
    ----------
    path
        Path of a NIfTI file.

    Returns
    -------
    Path
        Path beside the file, whether the sidecar exists or not.

    Examples
    --------
    >>> rx.io.sidecar_path(Path("raw/scan.nii.gz")).as_posix()
    'raw/scan.json'
    """
    return path.with_name(stem(path) + ".json")


def map_paths(scan: Path, folder: Path, contrast: str) -> dict[str, Path]:
    """Return the paths of the files that :func:`~relaxnet.io.write_maps` writes; each has a JSON sidecar.

    Parameters
    ----------
    scan
        Path of the scan.
    folder
        Output folder.
    contrast
        Name of the contrast, such as ``"t2"``.

    Returns
    -------
    dict
        Paths of the map (under the name of the contrast), ``"m0"``, ``"std"``, ``"r2"``, ``"rmse"`` and ``"status"``.
        ``"m0"`` is ``scan_S0map.nii.gz``, or ``scan_desc-T2map_S0map.nii.gz`` if the former belongs to another contrast
        of the same scan.

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
    """Return the paths of the files that :func:`~relaxnet.io.write_joint_maps` writes; each has a JSON sidecar.

    Parameters
    ----------
    scan
        Path of the scan.
    folder
        Output folder.
    contrasts
        Names of the contrasts, such as ``"t1rho"`` and ``"t2"``.

    Returns
    -------
    dict
        Paths of ``"m0"``, and for each contrast those of :func:`map_paths`, under ``"t2"``, ``"t2_std"``, ``"t2_r2"``
        and so on. ``"m0"`` is ``scan_S0map.nii.gz``, or ``scan_desc-joint_S0map.nii.gz`` if the former belongs to the
        fit of one contrast.

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
    m0 = folder / f"{stem(scan)}_{'desc-joint_' if taken else ''}S0map.nii.gz"
    return {
        joint_key(key, contrast): m0 if key == "m0" else path
        for contrast in contrasts
        for key, path in map_paths(scan, folder, contrast).items()
    }


def joint_key(key: str, contrast: str) -> str:
    """Return the key that a key of :func:`map_paths` has among those of :func:`joint_map_paths`."""
    return key if key in (contrast, "m0") else f"{contrast}_{key}"


def _is_of_others(sidecar: Path, contrasts: tuple[str, ...]) -> bool:
    """Return whether a sidecar exists and belongs to other contrasts."""
    try:
        held = json.loads(sidecar.read_text(encoding="utf-8-sig"))["Contrasts"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False  # there is none, or relaxnet did not write it
    return bool(held != list(contrasts))
