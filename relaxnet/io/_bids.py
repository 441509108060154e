"""Names of files and contrasts in BIDS."""

import json
from collections.abc import Iterable
from pathlib import Path

from relaxnet._contrasts import KNOWN_CONTRASTS, KnownContrast
from relaxnet._messages import brief
from relaxnet.io._data_set import placed, root_of


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


def is_nifti(path: Path) -> bool:
    """Return whether a name is that of a NIfTI file."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


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


def map_paths(scan: Path, folder: Path, contrast: str, *, rates: bool = False) -> dict[str, Path]:
    """Return the paths of the files that :func:`~relaxnet.io.write_maps` writes; each has a JSON sidecar.

    Maps of a scan with a BIDS name have the names of a BIDS derivative, and their place in it: those of
    ``sub-01_echo-1_MESE.nii.gz`` are ``sub-01/anat/sub-01_T2map.nii.gz`` and so on. Beside the scan, they have no
    folders of their own.

    Parameters
    ----------
    scan
        Path of the scan.
    folder
        Output folder.
    contrast
        Name of the contrast, such as ``"t2"``.
    rates
        Whether there is a map of the rate, 1/T.

    Returns
    -------
    dict
        Paths of the map (under the name of the contrast), ``"m0"``, ``"std"``, ``"r2"``, ``"rmse"`` and ``"status"``,
        and of the ``"rate"``.
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
    >>> rx.io.map_paths(Path("sub-01_run-2_echo-1_MESE.nii"), Path("out"), "t2")["t2"].as_posix()
    'out/sub-01/anat/sub-01_run-2_T2map.nii.gz'
    """
    suffix = names_of(contrast).suffix
    start = path_start(scan, folder, contrast)
    taken = _is_of_others(Path(f"{start}_S0map.json"), (contrast,))
    endings = {contrast: suffix, "m0": f"desc-{suffix}_S0map" if taken else "S0map"}
    endings |= {key: f"desc-{key}_{suffix}" for key in ("std", "r2", "rmse", "status")}
    if rates:
        endings["rate"] = rate_suffix(contrast)
    return {key: Path(f"{start}_{ending}.nii.gz") for key, ending in endings.items()}


def joint_map_paths(scan: Path, folder: Path, contrasts: Iterable[str], *, rates: bool = False) -> dict[str, Path]:
    """Return the paths of the files that :func:`~relaxnet.io.write_joint_maps` writes; each has a JSON sidecar.

    Parameters
    ----------
    scan
        Path of the scan.
    folder
        Output folder.
    contrasts
        Names of the contrasts, such as ``"t1rho"`` and ``"t2"``.
    rates
        Whether there are maps of the rates.

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
    start = path_start(scan, folder, contrasts[0])
    taken = _is_of_others(Path(f"{start}_S0map.json"), contrasts)
    m0 = Path(f"{start}_{'desc-joint_' if taken else ''}S0map.nii.gz")
    return {
        joint_key(key, contrast): m0 if key == "m0" else path
        for contrast in contrasts
        for key, path in map_paths(scan, folder, contrast, rates=rates).items()
    }


def rate_suffix(contrast: str) -> str:
    """Return the suffix of the map of a rate; a ValueError if the contrast has none."""
    suffix = names_of(contrast).rate
    if suffix is None:
        raise ValueError(f"rates=True, but {contrast} is no relaxation time: it has no rate.")
    return suffix


def path_start(scan: Path, folder: Path, contrast: str) -> Path:
    """Return where maps of a scan go, and what their names begin with."""
    return placed(stem(scan), folder, beside=folder == scan.parent, datatype="dwi" if contrast == "adc" else "anat")


def regions_path(scan: Path, folder: Path, contrasts: Iterable[str]) -> Path:
    """Return the path of the table of regions of a fit.

    Parameters
    ----------
    scan
        Path of the scan.
    folder
        Output folder.
    contrasts
        Names of the fitted contrasts.

    Returns
    -------
    Path
        ``scan_rois.tsv``, or ``scan_desc-T2map_rois.tsv`` if the former belongs to another contrast.

    Examples
    --------
    >>> rx.io.regions_path(Path("scan.nii"), Path("out"), ("t2",)).as_posix()
    'out/scan_rois.tsv'
    """
    contrasts = tuple(contrasts)
    start = path_start(scan, folder, contrasts[0])
    path = Path(f"{start}_rois.tsv")
    own = "joint" if len(contrasts) > 1 else names_of(contrasts[0]).suffix
    if not path.is_file():
        return path
    held = {*path.read_text(encoding="utf-8-sig", errors="replace").replace("\n", "\t").split("\t")}
    return path if {*KNOWN_CONTRASTS} & held == {*contrasts} else Path(f"{start}_desc-{own}_rois.tsv")


def picture_path(path: Path) -> Path:
    """Return the path of the picture of a map.

    Parameters
    ----------
    path
        Path of the map.

    Returns
    -------
    Path
        Beside the map; in a BIDS data set in ``figures``, as ``anat`` is for images.

    Examples
    --------
    >>> rx.io.picture_path(Path("out/scan_T2map.nii.gz")).as_posix()
    'out/scan_T2map.png'
    >>> rx.io.picture_path(Path("out/sub-01/anat/sub-01_T2map.nii.gz")).as_posix()
    'out/sub-01/figures/sub-01_T2map.png'
    """
    name = f"{stem(path)}.png"
    return path.parent.parent / "figures" / name if root_of(path) else path.with_name(name)


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
