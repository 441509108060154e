"""A result of Python as NIfTI files, whatever its parameters are called."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from relaxnet._contrasts import KNOWN_CONTRASTS, label
from relaxnet._files import naming
from relaxnet.errors import require
from relaxnet.fitting import FitResult
from relaxnet.io._bids import is_nifti, path_start, stem
from relaxnet.io._read import Scan
from relaxnet.io._volumes import Volume, write_maps_of_scan
from relaxnet.io._write import map_volume, quality_volumes

_NAMELESS = Path("maps.nii.gz")


def write_result(
    result: FitResult[Any], path: Path | str, *, like: Any, fill: float | None = None, overwrite: bool = False
) -> dict[str, Path]:
    """Write what :meth:`relaxnet.fitting.FitResult.to_nifti` writes, and return the paths."""
    path, scan = Path(path), _grid_of(like)
    if tuple(result.status.shape) != scan.data.shape[:3]:
        raise ValueError(
            f"like has shape {scan.data.shape[:3]}, the maps {tuple(result.status.shape)}: both must agree."
        )
    named, folder = (path, path.parent) if is_nifti(path) else (scan.path, path)
    main = next((name for name in result.maps if name != "m0"), "m0")
    start = path_start(named, folder, main)
    endings, volumes = dict[str, str](), dict[str, Volume]()
    for name, values in result.maps.items():
        known = name == "m0" or name in KNOWN_CONTRASTS or main not in KNOWN_CONTRASTS
        endings[name] = _suffix(name) if known else f"desc-{_plain(name)}_{_suffix(main)}"
        endings[f"{name}_std"] = f"desc-{'' if known else _plain(name)}std_{_suffix(name if known else main)}"
        title = "Signal at time 0" if name == "m0" else label(name)
        volumes[name] = map_volume(values, result.units[name], title)
        volumes[f"{name}_std"] = map_volume(result.std[name], result.units[name], f"Standard error of the {title}")
    quality = quality_volumes(result, label(main))
    endings |= {key: f"desc-{key}_{_suffix(main)}" for key in quality}
    paths = {key: Path(f"{start}_{ending}.nii.gz") for key, ending in endings.items()}
    about: dict[str, Any] = {"Sources": []} if scan.path == _NAMELESS else {}
    return write_maps_of_scan(volumes | quality, paths, scan, about, more=None, overwrite=overwrite, fill=fill)


def _suffix(name: str) -> str:
    if name == "m0":
        return "S0map"
    return KNOWN_CONTRASTS[name].suffix if name in KNOWN_CONTRASTS else _plain(name)


def _plain(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", name) or "map"


def _grid_of(like: Any) -> Scan:
    """Take path, affine and shape of a scan, of an image of nibabel, or of a file."""
    if isinstance(like, Scan):
        return like
    if isinstance(like, str | Path):
        stem(Path(like))  # checks the ending of the name
        if not Path(like).exists():
            raise FileNotFoundError(f"{like}: there is no such file.")
        with naming(Path(like)):
            like = require("nibabel", extra="io").load(like)
    if not hasattr(like, "affine") or not hasattr(like, "get_filename"):
        raise ValueError(f"like is {type(like).__name__}: a scan, an image of nibabel, or the path of one is needed.")
    if like.affine is None:
        raise ValueError("like has no affine: an image with a position in space is needed.")
    codes = [int(like.header[key]) for key in ("sform_code", "qform_code") if key in like.header]
    path = Path(like.get_filename() or _NAMELESS)
    path = path if is_nifti(path) else path.with_suffix(".nii.gz")
    return Scan(
        path, np.empty((*like.shape[:3], 0), np.float32), np.asarray(like.affine, float), next(filter(None, codes), 0)
    )
