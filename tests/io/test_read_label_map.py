"""Label maps are read in radiological orientation; errors in tables name the line."""

import itertools

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.phantom import Tissue

SIZE_MM = {"R": 1.5, "A": 2.0, "S": 7.0}
OPPOSITE = {"R": "L", "A": "P", "S": "I"}


def stored(canonical, codes, path):
    """Store labels that run to the right, the front and the head along other axes."""
    to = nibabel.orientations.axcodes2ornt(codes)
    turn = nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), to)
    image = nibabel.Nifti1Image(canonical, np.diag((*SIZE_MM.values(), 1.0))).as_reoriented(turn)
    image.set_sform(image.affine, 1)
    image.set_qform(image.affine, 1)
    image.to_filename(path)
    return path


@pytest.mark.parametrize("axes", list(itertools.permutations("RAS")), ids="".join)
@pytest.mark.parametrize("flips", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
def test_labels_do_not_depend_on_how_the_file_stores_them(axes, flips, tmp_path):
    canonical = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    codes = [OPPOSITE[axis] if flip else axis for axis, flip in zip(axes, flips, strict=True)]
    labels, voxel_mm = rx.io.read_label_map(stored(canonical, codes, tmp_path / "map.nii"))
    np.testing.assert_array_equal(labels, canonical[::-1, ::-1].transpose(2, 1, 0))
    assert voxel_mm == (7.0, 2.0, 1.5)
    assert labels.dtype == np.int32


def test_oblique_axes_keep_their_lengths(tmp_path):
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag((-1.5, 2.0, 7.0))
    labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    nibabel.Nifti1Image(labels, affine).to_filename(tmp_path / "map.nii.gz")
    found, voxel_mm = rx.io.read_label_map(tmp_path / "map.nii.gz")
    assert voxel_mm == pytest.approx((7.0, 2.0, 1.5), rel=1e-5)
    np.testing.assert_array_equal(found, labels[:, ::-1].transpose(2, 1, 0))


def test_a_written_label_map_becomes_a_subject_of_the_same_anatomy(tmp_path):
    subject = rx.phantom.liver_cohort(1, slices=2, shape=(64, 72), seed=3)[0]
    folder = rx.io.write_cohort([subject], tmp_path)
    truth = folder / "derivatives" / "truth"
    labels, voxel_mm = rx.io.read_label_map(truth / "sub-001" / "anat" / "sub-001_dseg.nii.gz")
    np.testing.assert_array_equal(labels, subject.labels)
    assert voxel_mm == pytest.approx(subject.voxel_mm, rel=1e-5)
    table = rx.io.read_tissue_table(truth / "dseg.tsv")
    assert table == {int(tissue): tissue for tissue in Tissue}
    again = rx.phantom.label_map_cohort(labels, voxel_mm, table, 2)[1]
    np.testing.assert_array_equal(again.labels, subject.labels)


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.full((2, 2, 2), 0.5, np.float32), "whole numbers"),
        (np.full((2, 2, 2), np.nan, np.float32), "whole numbers"),
        (np.full((2, 2, 2), 1e9, np.float32), "whole numbers"),
        (np.ones((2, 2, 2, 3), np.uint8), r"\(2, 2, 2, 3\)"),
        (np.ones((2, 2), np.uint8), r"\(2, 2\)"),
        (np.ones((2, 2, 2), np.complex64), "complex"),
    ],
)
def test_a_file_that_is_no_label_map_is_named(tmp_path, values, problem):
    path = tmp_path / "map.nii"
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(path)
    with pytest.raises(ValueError, match=f"{path}.*{problem}"):
        rx.io.read_label_map(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        rx.io.read_label_map(tmp_path / "nowhere.nii")


def test_a_handwritten_table_is_read(tmp_path):
    path = tmp_path / "tissues.tsv"
    path.write_text("\ufeffLabel\tTissue\tnote\n5\tLiver\t\n\n 200 \tfat \tby threshold\n-1\tAIR\n", encoding="utf-8")
    assert rx.io.read_tissue_table(path) == {5: Tissue.LIVER, 200: Tissue.FAT, -1: Tissue.AIR}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "columns label and tissue"),
        ("5\tliver\n", "columns label and tissue"),
        ("label,tissue\n5,liver\n", "columns label and tissue"),
        ("label\ttissue\n0\tair\n5\tlivre\n", "line 3: 'livre' is no tissue.*liver"),
        ("label\ttissue\n\n5.5\tliver\n", "line 3: the label '5.5'"),
        ("label\ttissue\n5 liver\n", "line 2: '5 liver'"),
        ("label\ttissue\n5\tliver\n5\tspleen\n", "line 3: the label 5 .*twice"),
    ],
)
def test_a_bad_table_is_named_with_its_line(tmp_path, text, problem):
    path = tmp_path / "tissues.tsv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path}.*{problem}"):
        rx.io.read_tissue_table(path)


def test_a_missing_or_binary_table(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        rx.io.read_tissue_table(tmp_path / "nowhere.tsv")
    (tmp_path / "table.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not text"):
        rx.io.read_tissue_table(tmp_path / "table.tsv")
