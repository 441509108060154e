"""Regions of a scan: label maps in, tables of their values out."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._files import replacing
from relaxnet._messages import brief
from relaxnet.io._bids import sidecar_path
from relaxnet.io._read import Scan
from relaxnet.io._read_mask import on_grid
from relaxnet.io._sidecar import read_table

_MISSING = "n/a"  # as BIDS writes it


def read_labels(path: Path | str, *, like: Scan) -> tuple[NDArray[np.int32], dict[int, str] | None]:
    r"""Read the regions of a scan, and their names where a table beside them gives names.

    Parameters
    ----------
    path
        A NIfTI file of whole numbers on the grid of the scan, 0 for the background.
    like
        The scan.

    Returns
    -------
    labels : numpy.ndarray
        Label of each voxel, (x, y, z).
    names : dict or None
        Names by label, from a table ``index\tname`` in the ``.tsv`` file of the same name, as BIDS has it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it has another grid, holds other values, or nothing but background, or if a line of the table is invalid.
    """
    path = Path(path)
    values = on_grid(path, like=like, name="label map")
    labels = values.astype(np.int32) if np.isfinite(values).all() and (abs(values) < 2**24).all() else None
    if labels is None or not np.array_equal(labels, values):
        raise ValueError(f"{path}: it holds values that are no whole numbers: this is no label map.")
    if not labels.any():
        raise ValueError(f"{path}: it holds nothing but 0, the background: there is no region.")
    table = sidecar_path(path).with_suffix(".tsv")
    return labels, _names(table) if table.is_file() else None


def _names(path: Path) -> dict[int, str]:
    rows = read_table(path)
    header = [cell.lower() for cell in rows[0][1]] if rows else []
    if not {"index", "name"} <= {*header}:
        raise ValueError(f"{path}: its first line must name the columns index and name, with a tab between them.")
    index, name = header.index("index"), header.index("name")
    names = {}
    for number, cells in rows[1:]:
        try:
            names[int(cells[index])] = cells[name]
        except (ValueError, IndexError) as error:
            told = brief(repr("\t".join(cells)))
            raise ValueError(f"{path}, line {number}: {told} is no whole number and a name.") from error
    return names


def write_regions(rows: Sequence[Mapping[str, Any]], path: Path | str) -> None:
    r"""Write the rows of :meth:`relaxnet.fitting.FitResult.regions` as a text table.

    Parameters
    ----------
    rows
        The rows; all have the same columns.
    path
        The file, which is replaced in one step if it exists. Columns are separated by tabs, or by commas if its name
        ends in ``.csv``. A number that is missing is ``n/a``, as in BIDS.

    Raises
    ------
    ValueError
        If there is no row.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "rois.tsv")
    >>> rx.io.write_regions([{"label": 1, "mean": 40.0, "sd": float("nan")}], path)
    >>> path.read_text()
    'label\tmean\tsd\n1\t40\tn/a\n'
    """
    path = Path(path)
    if not rows:
        raise ValueError("rows holds no row: there is nothing to write.")
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
        table.writerow(rows[0])
        table.writerows([_cell(value) for value in row.values()] for row in rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.7g}" if np.isfinite(value) else _MISSING
    return str(value) or _MISSING
