"""Masks: of zeros and one other value, or one label of several, on the grid of a scan in any storage order."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from relaxnet._messages import brief
from relaxnet.errors import require
from relaxnet.io._formats import read_image
from relaxnet.io._image import Image
from relaxnet.io._labels import read_names, table_of
from relaxnet.io._read import Scan
from relaxnet.io._resample import on_grid_of, same_grid

NOISE = 1e-3
"""Values that differ by less, as a share of the largest, are taken as equal: interpolation leaves such noise."""


def read_mask(
    path: Path | str,
    *,
    like: Scan,
    label: int | str | None = None,
    table: Path | str | None = None,
    resample: bool = False,
) -> NDArray[np.bool_]:
    """Read a mask on the grid of a scan.

    Parameters
    ----------
    path
        A file of shape (x, y, z): zeros and one other whole number, such as 1 or 255, or labels.
    like
        The scan. The mask must lie on the same grid, within 0.001 mm; it may be stored in another orientation.
    label
        The label to use, of several: its number, or its name.
    table
        Names of labels: a file with the columns ``index`` and ``name`` of BIDS; by default ``.tsv`` beside the mask.
    resample
        Whether to take values from the nearest voxel where the mask lies on another grid.

    Returns
    -------
    numpy.ndarray
        The mask, (x, y, z), in the orientation of the scan.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read (see :func:`read_scan`), has another grid, holds several labels of which none is chosen, or
        values between.
    """
    path = Path(path)
    values = on_grid(path, like=like, name="mask", resample=resample)
    whole = np.round(values)
    largest = float(np.abs(values).max(initial=0)) if np.isfinite(values).all() else np.nan
    noise = NOISE * max(largest, 1)
    if not (np.abs(values - whole) <= min(noise, 0.1)).all():
        raise ValueError(f"{path}: the mask holds values other than 0 and 1, and between whole numbers.")
    there = [int(value) for value in np.unique(whole)]
    if label is not None:
        number = _number(label, path, table)
        if number not in there:
            told = brief(", ".join(str(value) for value in there if value))
            raise ValueError(f"{path}: label={label} is not there: it holds {told or 'zeros alone'}.")
        return cast("NDArray[np.bool_]", whole == number)
    labels = [value for value in there if value]
    if len(labels) > 1 or (labels not in ([], [1]) and 0 not in there):
        held = brief(", ".join(map(str, labels)))
        choice = f"pick one label, as label={labels[0]}"
        raise ValueError(f"{path}: the mask holds values other than 0 and 1, the labels {held}: {choice}.")
    return cast("NDArray[np.bool_]", whole != 0)


def on_grid(path: Path, *, like: Scan, name: str, resample: bool = False) -> NDArray[Any]:
    """Read a volume on the grid of a scan, and bring it to the scan's orientation; ``name`` is its name in messages."""
    space = like.data.shape[:3]
    image = read_image(path)
    shape = image.data.shape
    differs = f"{path}: the {name} has shape {shape}, {like.path} has {space}."
    if len(shape) < 3 or any(n != 1 for n in shape[3:]):
        raise ValueError(differs)
    image = replace(image, data=image.data.reshape(shape[:3], order="F"))
    if not same_grid(like, image):
        image = _reoriented(image, like.affine)
    if resample:
        return on_grid_of(like, image, nearest=True)
    if image.data.shape != space:
        raise ValueError(differs)
    if not same_grid(like, image):
        told = f"the {name} has another affine than {like.path}"
        raise ValueError(f"{path}: {told}: use resample=True to bring it to the scan's grid.")
    return image.data


def _reoriented(image: Image, target: NDArray[np.float64]) -> Image:
    """Flip and exchange axes so that they point where those of another affine do."""
    orientations = require("nibabel.orientations", extra="io")
    way = orientations.ornt_transform(orientations.io_orientation(image.affine), orientations.io_orientation(target))
    turned = np.ascontiguousarray(orientations.apply_orientation(image.data, way))
    return replace(image, data=turned, affine=image.affine @ orientations.inv_ornt_aff(way, image.data.shape))


def _number(label: int | str, path: Path, table: Path | str | None) -> int:
    """Return the number of a label that may be given by its name."""
    if isinstance(label, int) or re.fullmatch(r"-?\d+", label):
        return int(label)
    table = Path(table) if table else table_of(path)
    if not table.is_file():
        raise FileNotFoundError(f"{table}: there is no such file to read the number of label={label} from.")
    names = read_names(table)
    found = [number for number, name in names.items() if name.lower() == label.lower()]
    if len(found) != 1:
        told = f"label={label} is {'several' if found else 'none'} of its names"
        raise ValueError(f"{table}: {told}: {brief(', '.join(names.values()).lower()) or 'there are none'}.")
    return found[0]
