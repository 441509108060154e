"""Regions of a scan: label maps in, tables of their values out."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._files import replacing
from relaxnet.io._labels import as_labels, read_names, table_of
from relaxnet.io._read import Scan
from relaxnet.io._read_mask import on_grid

_MISSING = "n/a"  # as BIDS writes it


def read_labels(
    path: Path | str, *, like: Scan, resample: bool = False
) -> tuple[NDArray[np.int32], dict[int, str] | None]:
    r"""Read the regions of a scan, and their names where a table beside them gives names.

    Parameters
    ----------
    path
        A NIfTI file of whole numbers on the grid of the scan, 0 for the background.
    like
        The scan.
    resample
        Whether to take labels from the nearest voxel where they lie on another grid.

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
    labels = as_labels(on_grid(path, like=like, name="label map", resample=resample), path)
    if not labels.any():
        raise ValueError(f"{path}: it holds nothing but 0, the background: there is no region.")
    table = table_of(path)
    return labels, read_names(table) if table.is_file() else None


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
