"""Label maps and tissue tables, to make digital subjects from segmentations."""

from pathlib import Path

import numpy as np
from einops import rearrange
from numpy.typing import NDArray

from relaxnet._messages import brief
from relaxnet.errors import require
from relaxnet.io._labels import as_labels
from relaxnet.io._read import read_single
from relaxnet.io._sidecar import read_table
from relaxnet.phantom import Tissue

_HEADERS = (["label", "tissue"], ["index", "name"])


def read_label_map(path: Path | str) -> tuple[NDArray[np.int32], tuple[float, float, float]]:
    """Read a label map as axial slices in radiological orientation.

    Parameters
    ----------
    path
        A ``.nii`` or ``.nii.gz`` file of whole numbers, of shape (x, y, z), in any orientation. Oblique axes are
        replaced by the nearest anatomical ones.

    Returns
    -------
    labels : numpy.ndarray
        Labels (slice, row, column): slices from the feet to the head, the front of the body up, the patient's right at
        the left of the picture.
    voxel_mm : tuple of float
        Distance between slices, rows and columns in mm.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read (see :func:`read_nifti`), does not have three axes, or holds values that are no whole
        numbers.

    See Also
    --------
    read_tissue_table : Reads the tissue of each label.
    relaxnet.phantom.label_map_cohort : Makes digital subjects from a label map.

    Examples
    --------
    >>> import nibabel, tempfile
    >>> path = Path(tempfile.mkdtemp(), "map.nii.gz")
    >>> nibabel.save(nibabel.Nifti1Image(np.ones((4, 3, 2), np.uint8), np.diag((1.5, 2.0, 7.0, 1.0))), path)
    >>> labels, voxel_mm = rx.io.read_label_map(path)
    >>> labels.shape, voxel_mm
    ((2, 3, 4), (7.0, 2.0, 1.5))
    """
    path = Path(path)
    values, affine = read_single(path)
    labels = as_labels(values, path)
    orientations = require("nibabel.orientations", extra="io")
    stored, wanted = orientations.io_orientation(affine), orientations.axcodes2ornt("LPS")
    turned = orientations.apply_orientation(labels, orientations.ornt_transform(stored, wanted))
    lengths = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(stored[:, 0])]  # along L, P and S
    between, row, column = (round(float(length), 6) for length in lengths[::-1])  # single precision
    slices = rearrange(turned, "column row slice -> slice row column")
    return np.ascontiguousarray(slices), (between, row, column)


def read_tissue_table(path: Path | str) -> dict[int, Tissue]:
    r"""Read a table with the tissue of each label.

    Parameters
    ----------
    path
        A text file with tabs between its columns, which the first line names: ``label`` and ``tissue``, or as in BIDS
        and in the ``dseg.tsv`` of :func:`write_cohort`, ``index`` and ``name``. Tissues are those of
        :class:`relaxnet.phantom.Tissue`, in upper or lower case; further columns are ignored.

    Returns
    -------
    dict
        Tissues by label.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line is invalid. The message names file and line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "tissues.tsv")
    >>> _ = path.write_text("label\ttissue\n0\tair\n5\tliver\n")
    >>> rx.io.read_tissue_table(path)
    {0: <Tissue.AIR: 0>, 5: <Tissue.LIVER: 6>}
    """
    path = Path(path)
    rows = read_table(path)
    if not rows or [cell.lower() for cell in rows[0][1][:2]] not in _HEADERS:
        raise ValueError(f"{path}: its first line must name the columns label and tissue, with a tab between them.")
    tissues = {tissue.name.lower(): tissue for tissue in Tissue}
    table: dict[int, Tissue] = {}
    for number, cells in rows[1:]:
        where = f"{path}, line {number}"
        if len(cells) < 2:
            raise ValueError(f"{where}: {brief(repr(cells[0]))} is not a label, a tab and a tissue.")
        try:
            label = int(cells[0])
        except ValueError as error:
            raise ValueError(f"{where}: the label {brief(repr(cells[0]))} is no whole number.") from error
        if label in table:
            raise ValueError(f"{where}: the label {label} is there twice.")
        if cells[1].lower() not in tissues:
            known = ", ".join(tissues)
            raise ValueError(f"{where}: {brief(repr(cells[1]))} is no tissue of the phantom: use one of {known}.")
        table[label] = tissues[cells[1].lower()]
    return table
