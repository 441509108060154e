"""Subjects of one label map share their anatomy and nothing else."""

import math
import pickle

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.phantom import TOTALSEGMENTATOR_MR, Tissue, label_map_cohort, label_map_subject

VOXEL_MM = (5.0, 3.0, 4.0)


@pytest.fixture(scope="module")
def labels():
    labels = np.zeros((2, 40, 50), np.int16)
    labels[:, 3:37, 4:46] = 201
    labels[:, 8:30, 8:26] = 5
    return labels


def test_a_subject_depends_on_its_number_only(labels):
    cohort = label_map_cohort(labels, VOXEL_MM, TOTALSEGMENTATOR_MR, 4, snr=30, seed=2, field_tesla=1.5)
    one, other = cohort[1:][0], cohort[2]
    expected = label_map_subject(labels, VOXEL_MM, TOTALSEGMENTATOR_MR, snr=30, seed=2, index=1, field_tesla=1.5)
    assert torch.equal(one.images, expected.images)
    assert torch.equal(one.labels, other.labels)
    assert not torch.equal(one.truth["t2"], other.truth["t2"])
    assert len(cohort) == 4
    assert "4 subjects" in repr(cohort)
    assert cohort != label_map_cohort(labels[:1], VOXEL_MM, TOTALSEGMENTATOR_MR, 4)
    assert torch.equal(pickle.loads(pickle.dumps(cohort))[1].images, one.images)  # noqa: S301


def test_interrupted_writing_is_resumed(labels, tmp_path):
    pytest.importorskip("nibabel")
    cohort = label_map_cohort(labels, VOXEL_MM, TOTALSEGMENTATOR_MR, 2, snr=math.inf)
    folder = rx.io.write_cohort(cohort[:1], tmp_path / "one")
    with pytest.raises(FileExistsError, match="other settings"):
        rx.io.write_cohort(cohort, folder)
    folder = rx.io.write_cohort(cohort, tmp_path / "two")
    (folder / "sub-002" / "anat" / "sub-002_images.json").unlink()  # as an interruption leaves it
    first = (folder / "sub-001" / "anat" / "sub-001_images.nii.gz").stat().st_mtime_ns
    read = rx.io.read_cohort(rx.io.write_cohort(cohort, folder))
    assert (folder / "sub-001" / "anat" / "sub-001_images.nii.gz").stat().st_mtime_ns == first
    assert torch.equal(read[1].images, cohort[1].images)
    other = labels.copy()
    other[0, 8, 8] = 201
    with pytest.raises(FileExistsError, match="other settings"):
        rx.io.write_cohort(label_map_cohort(other, VOXEL_MM, TOTALSEGMENTATOR_MR, 2, snr=math.inf), folder)


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_subjects": 0}, "n_subjects=0"),
        ({"seed": -1}, "seed=-1"),
        ({"protocol": rx.Protocol((rx.Contrast("mtr", (1, 2)),))}, "mtr"),
        ({"snr": -1.0}, "snr=-1.0"),
        ({"field_tesla": 7.0}, "field_tesla=7.0"),
        ({"table": {0: Tissue.AIR}}, r"\[5, 201\], which table lacks"),
        ({"table": {**TOTALSEGMENTATOR_MR, 5: Tissue.SPLEEN}}, "no liver"),
    ],
)
def test_bad_arguments_are_refused_before_simulation(labels, change, message):
    arguments = {"labels": labels, "voxel_mm": VOXEL_MM, "table": TOTALSEGMENTATOR_MR, **change}
    with pytest.raises(ValueError, match=message):
        label_map_cohort(**arguments)
