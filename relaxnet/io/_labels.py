"""Labels of voxels: whole numbers, and their names in the table beside them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._messages import brief
from relaxnet.io._bids import stem
from relaxnet.io._formats import name_of
from relaxnet.io._sidecar import read_text


def as_labels(values: NDArray[Any], path: Path) -> NDArray[np.int32]:
    """Return voxels as whole numbers; a ValueError names the file if they are none."""
    labels = values.astype(np.int32) if np.isfinite(values).all() and (abs(values) < 2**24).all() else None
    if labels is None or not np.array_equal(labels, values):
        raise ValueError(f"{path}: it holds values that are no whole numbers: this is no label map.")
    return labels


def table_of(path: Path) -> Path:
    """Return the file beside a label map that holds the names of its labels, if there is one."""
    named = name_of(path)
    return named.with_name(f"{stem(named)}.tsv")


def read_names(path: Path) -> dict[int, str]:
    """Read names by label, from a table with the columns ``index`` and ``name`` of BIDS; errors name file and line."""
    text = read_text(path)
    lines = (line.split("\t" if "\t" in text else ",") for line in text.splitlines())
    rows = [(number, [cell.strip() for cell in line]) for number, line in enumerate(lines, start=1) if any(line)]
    header = [cell.lower() for cell in rows[0][1]] if rows else []
    if not {"index", "name"} <= {*header}:
        raise ValueError(
            f"{path}: its first line must name the columns index and name, with a tab or a comma between them."
        )
    index, name = header.index("index"), header.index("name")
    names = {}
    for number, cells in rows[1:]:
        try:
            names[int(cells[index])] = cells[name]
        except (ValueError, IndexError) as error:
            told = brief(repr("\t".join(cells)))
            raise ValueError(f"{path}, line {number}: {told} is no whole number and a name.") from error
    return names
