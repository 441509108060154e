"""Label maps are read with their names; tables are what BIDS calls TSV."""

import csv

import nibabel
import numpy as np
import pytest

import relaxnet as rx

AFFINE = np.diag((2.0, 2.0, 5.0, 1.0))


@pytest.fixture
def scan(tmp_path):
    return rx.io.Scan(tmp_path / "scan.nii.gz", np.ones((3, 2, 1, 4), np.float32), AFFINE, 1)


@pytest.fixture
def labelled(tmp_path):
    def write(values, table=None):
        path = tmp_path / "seg.nii.gz"
        nibabel.save(nibabel.Nifti1Image(np.asarray(values).reshape(3, 2, 1), AFFINE), path)
        if table is not None:
            (tmp_path / "seg.tsv").write_text(table)
        return path

    return write


def test_labels_and_their_names(scan, labelled):
    values = np.array([0, 1, 2, 2, 300, 0], np.int16)
    labels, names = rx.io.read_labels(labelled(values), like=scan)
    np.testing.assert_array_equal(labels.ravel(), values)
    assert names is None
    table = "index\tname\tcolor\n1\tliver\tred\n2\tleft kidney\tblue\n"
    assert rx.io.read_labels(labelled(values, table), like=scan)[1] == {1: "liver", 2: "left kidney"}


@pytest.mark.parametrize(
    ("values", "table", "told"),
    [
        (np.zeros(6, np.uint8), None, "seg.nii.gz: .* there is no region"),
        (np.full(6, 0.5, np.float32), None, "seg.nii.gz: .* no whole numbers"),
        (np.ones(6, np.uint8), "label,name\n1,liver\n", "seg.tsv: its first line must name"),
        (np.ones(6, np.uint8), "index\tname\none\tliver\n", "seg.tsv, line 2: "),
        (np.ones(6, np.uint8), "index\tname\n1\n", "seg.tsv, line 2: "),
    ],
)
def test_bad_labels_are_told(scan, labelled, values, table, told):
    with pytest.raises(ValueError, match=told):
        rx.io.read_labels(labelled(values, table), like=scan)


@pytest.mark.parametrize(("ending", "delimiter"), [("tsv", "\t"), ("csv", ",")])
def test_a_table_is_read_unchanged(tmp_path, ending, delimiter):
    rows = [
        {"label": 1, "name": "liver, left", "mean": 41.25, "sd": np.nan},
        {"label": 2, "name": "", "mean": 1e-3, "sd": 1.0},
    ]
    path = tmp_path / f"rois.{ending}"
    rx.io.write_regions(rows, path)
    with path.open(newline="") as stream:
        header, *cells = csv.reader(stream, delimiter=delimiter)
    assert header == ["label", "name", "mean", "sd"]
    assert cells == [["1", "liver, left", "41.25", "n/a"], ["2", "n/a", "0.001", "1"]]
    with pytest.raises(ValueError, match="rows holds no row"):
        rx.io.write_regions([], path)
