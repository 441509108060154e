"""Maps from files, in the unit that they have in memory."""

import math
from pathlib import Path

import numpy as np

from relaxnet._messages import brief
from relaxnet.io._bids import sidecar_path
from relaxnet.io._formats import name_of, read_image
from relaxnet.io._read import Scan
from relaxnet.io._read_mask import on_grid
from relaxnet.io._sidecar import read_object

_MS = {"s": 1000.0, "ms": 1.0}


def read_map(path: Path | str, *, like: Scan | None = None) -> tuple[Scan, str]:
    """Read a map of one volume, and its unit from the JSON file beside it.

    Parameters
    ----------
    path
        A file of shape (x, y, z), as :func:`write_maps` writes it, or in another format that :func:`read_scan` takes.
    like
        Another map, on whose grid it must lie; it may be stored in another orientation.

    Returns
    -------
    scan : Scan
        The map as a scan of one image, (x, y, z, 1), in ms if the file holds seconds.
    unit : str
        Its unit: ``"ms"``, what else the JSON file calls it, or nothing if there is none.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, holds more than one volume, or has another grid.

    Examples
    --------
    >>> import nibabel, tempfile
    >>> path = Path(tempfile.mkdtemp(), "scan_T2map.nii.gz")
    >>> nibabel.Nifti1Image(np.full((3, 2, 1), 0.04, "float32"), np.eye(4)).to_filename(path)
    >>> _ = path.with_name("scan_T2map.json").write_text('{"Units": "s"}')
    >>> scan, unit = rx.io.read_map(path)
    >>> scan.data.shape, round(float(scan.data[0, 0, 0, 0])), unit
    ((3, 2, 1, 1), 40, 'ms')
    """
    path = Path(path)
    if like is None:
        image = read_image(path)
        shape = image.data.shape
        if len(shape) < 3 or math.prod(shape[3:]) != 1:
            raise ValueError(f"{path}: shape {shape} is not (x, y, z), that of a map.")
        values, affine, code = image.data.reshape(shape[:3], order="F"), image.affine, image.space_code
    else:
        values, affine, code = on_grid(path, like=like, name="map"), like.affine, like.space_code
    sidecar = sidecar_path(name_of(path))
    told = read_object(sidecar).get("Units", "") if sidecar.is_file() else ""
    if not isinstance(told, str):
        raise ValueError(f"{sidecar}: Units is {brief(told)}, not the name of a unit.")  # noqa: TRY004
    values = np.asarray(values, dtype=float) * _MS.get(told, 1.0)
    return Scan(path, values[..., None], affine, code), "ms" if told in _MS else told
