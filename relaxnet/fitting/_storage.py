"""Results of fits in files: arrays without pickles, and what they are called as JSON."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._files import replacing
from relaxnet._messages import brief
from relaxnet._version import __version__

_ABOUT = "about"
_WHOLE = ("rmse", "r2", "n_used", "status")  # maps of the fit, not of a parameter
_BROKEN = (AttributeError, EOFError, LookupError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)


def write(parts: dict[str, Any], path: Path) -> None:
    """Write the fields of a result, as arrays, to a file."""
    names, pairs = list(parts["maps"]), list(parts["covariances"])
    arrays = {key: parts[key] for key in _WHOLE}
    for k, name in enumerate(names):
        arrays |= {f"maps_{k}": parts["maps"][name], f"std_{k}": parts["std"][name]}
    arrays |= {f"covariances_{k}": parts["covariances"][pair] for k, pair in enumerate(pairs)}
    about = {"relaxnet": __version__, "maps": names, "covariances": pairs, "units": parts["units"]}
    arrays[_ABOUT] = np.array(json.dumps(about))
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def read(path: Path) -> dict[str, Any]:
    """Read the fields of a result; a ValueError names a file that holds none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            about = json.loads(str(file[_ABOUT]))
            names, pairs = about["maps"], [tuple(pair) for pair in about["covariances"]]
            parts: dict[str, Any] = {
                "maps": {name: file[f"maps_{k}"] for k, name in enumerate(names)},
                "std": {name: file[f"std_{k}"] for k, name in enumerate(names)},
                "covariances": {pair: file[f"covariances_{k}"] for k, pair in enumerate(pairs)},
                "units": {name: str(about["units"][name]) for name in names},
                **{key: file[key] for key in _WHOLE},
            }
    except _BROKEN as error:
        raise ValueError(f"{path}: this is no result that FitResult.save wrote: {brief(str(error))}") from error
    shapes = {array.shape for array in _arrays(parts)}
    if len(shapes) > 1:
        raise ValueError(f"{path}: its maps have different shapes: {brief(sorted(shapes))}.")
    return parts


def _arrays(parts: dict[str, Any]) -> list[NDArray[Any]]:
    of_parameters = [array for key in ("maps", "std", "covariances") for array in parts[key].values()]
    return [*of_parameters, *(parts[key] for key in _WHOLE)]
