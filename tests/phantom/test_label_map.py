"""Label maps become digital subjects with their anatomy; all else is as in procedural subjects."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.phantom import TOTALSEGMENTATOR_CT, TOTALSEGMENTATOR_MR, Tissue, label_map_subject
from relaxnet.phantom._appearance import Appearance

DATA = Path(os.environ.get("RELAXNET_TEST_DATA", "../shared/data"))
VOXEL_MM = (5.0, 3.0, 4.0)


@pytest.fixture(scope="module")
def labels():
    """A liver at the left of the picture, a spleen at the right, a body of muscle around them."""
    labels = np.zeros((2, 40, 50), np.int16)
    labels[:, 3:37, 4:46] = 201
    labels[:, 8:30, 8:26] = 5
    labels[:, 15:28, 34:42] = 1
    labels[1, 18:20, 15:18] = 25
    return labels


@pytest.fixture(scope="module")
def subject(labels):
    return label_map_subject(labels, VOXEL_MM, TOTALSEGMENTATOR_MR, snr=30, seed=4, index=6)


def test_a_label_map_becomes_a_subject(subject, labels):
    expected = np.vectorize(TOTALSEGMENTATOR_MR.__getitem__)(labels)
    assert torch.equal(subject.labels, torch.from_numpy(expected.astype(np.uint8)))
    assert (subject.name, subject.voxel_mm, subject.field_tesla) == ("sub-007", VOXEL_MM, 3.0)
    assert subject.images.shape == (2, 7, 40, 50)
    appearance = Appearance.draw(4, 6, field_tesla=3.0)
    assert subject.disease == appearance.disease
    for tissue in (Tissue.LIVER, Tissue.SPLEEN):
        for name in ("t1rho", "t2"):
            mean = float(subject.truth[name][subject.labels == int(tissue)].mean())
            assert mean == pytest.approx(appearance.t_ms[name][tissue], rel=0.05)
    air = subject.labels == int(Tissue.AIR)
    assert (subject.truth["m0"][air] == 0).all()
    assert subject.truth["t2"][air].isnan().all()
    assert float(subject.clean[:, 0][subject.roi].mean()) / subject.sigma == pytest.approx(30)


def test_the_region_of_interest_is_inside_the_liver(subject):
    assert (subject.labels[subject.roi] == int(Tissue.LIVER)).all()
    rows, columns = (torch.where(subject.roi[0])[k] for k in range(2))
    assert (rows.min() - 8) * VOXEL_MM[1] >= 3
    assert (columns.min() - 8) * VOXEL_MM[2] >= 3
    assert not subject.roi[1, 17:21, 14:19].any()  # the vessel
    assert subject.roi.float().mean() > 0.05


def test_coils_make_the_front_brighter_than_the_middle(subject):
    muscle = torch.where(subject.labels[0] == int(Tissue.MUSCLE), subject.truth["m0"][0], torch.nan)
    assert muscle[4, 10:40].mean() > muscle[20, 28:33].mean()


def test_seed_and_index_determine_a_subject(labels):
    one, same, other = (label_map_subject(labels, VOXEL_MM, TOTALSEGMENTATOR_MR, index=index) for index in (0, 0, 1))
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.labels, other.labels)
    assert not torch.equal(one.truth["t2"], other.truth["t2"])


def test_partial_volume_averages_labels(labels):
    whole = label_map_subject(labels, VOXEL_MM, TOTALSEGMENTATOR_MR, snr=math.inf)
    half = label_map_subject(labels[:, :39], VOXEL_MM, TOTALSEGMENTATOR_MR, snr=math.inf, partial_volume=True)
    assert half.voxel_mm == (5.0, 6.0, 8.0)
    assert half.images.shape == (2, 7, 19, 25)
    mixed = half.clean[0, 3, 1, 10]  # air above, the body below
    assert 0.3 < float(mixed / half.clean[0, 3, 2, 10]) < 0.7
    assert float(half.truth["t2"][half.roi].mean()) == pytest.approx(
        float(whole.truth["t2"][whole.roi].mean()), rel=0.02
    )


def test_a_subject_can_be_written_corrupted_and_used_for_training(subject, labels, tmp_path):
    pytest.importorskip("nibabel")
    pytest.importorskip("lightning")
    subjects = [label_map_subject(labels, VOXEL_MM, TOTALSEGMENTATOR_MR, index=k) for k in range(2)]
    cohort = rx.io.read_cohort(rx.io.write_cohort(subjects, tmp_path))
    assert torch.equal(cohort[1].images, subjects[1].images)
    trained = rx.training.train(cohort, preset="smoke", progress=False)
    moved = rx.phantom.corrupted(subject, [rx.phantom.Breathing()])
    assert trained.predict(moved.images)["t2"].shape == (2, 40, 50)


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": {0: Tissue.AIR, 5: Tissue.LIVER}}, r"labels hold \[1, 25, 201\], which table lacks"),
        ({"table": {**TOTALSEGMENTATOR_MR, 5: Tissue.SPLEEN}}, "no liver"),
        ({"table": {**TOTALSEGMENTATOR_MR, 5: 99}}, "99"),
        ({"labels": np.zeros((4, 4), int)}, "shape"),
        ({"labels": np.zeros((1, 4, 4))}, "float64"),
        ({"voxel_mm": (1.0, 1.0)}, "voxel_mm"),
        ({"voxel_mm": (1.0, 0.0, 1.0)}, "voxel_mm"),
        ({"snr": 0}, "snr=0"),
        ({"seed": -1}, "seed=-1"),
        ({"index": -1}, "index=-1"),
        ({"field_tesla": 7.0}, "field_tesla=7.0"),
    ],
)
def test_bad_arguments_are_refused(labels, change, message):
    arguments = {"labels": labels, "voxel_mm": VOXEL_MM, "table": TOTALSEGMENTATOR_MR, **change}
    with pytest.raises(ValueError, match=message):
        label_map_subject(**arguments)


# --- real anatomies ---------------------------------------------------------------------------------------------------


def real(name):
    path = DATA / f"totalseg_abdomen_{name}.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not here: set RELAXNET_TEST_DATA to the folder of the tests' data")
    with np.load(path) as data:
        return {key: data[key] for key in data.files}


def test_an_abdomen_segmented_by_ct():
    data = real("ct_labels")
    row, column, between = data["zoom_mm"].tolist()
    labels = np.moveaxis(data["labels"], -1, 0)[8:10]
    subject = label_map_subject(labels, (between, row, column), TOTALSEGMENTATOR_CT, partial_volume=True)
    assert subject.images.shape == (2, 7, 136, 236)
    assert subject.roi.sum() > 2000
    columns = torch.where(subject.roi)[2].float()
    assert columns.mean() < 110  # the liver is at the left of the picture
    found = rx.fit(subject.images[:, :4], subject.protocol.contrasts[0]).maps["t1rho"][subject.roi]
    assert float((found - subject.truth["t1rho"][subject.roi]).median().abs()) < 2


def test_an_abdomen_segmented_by_mr():
    data = real("mr")
    labels = data["labels"].transpose(2, 1, 0)[9:11]  # stored as (x, y, z), x to the patient's left, y to the back
    subject = label_map_subject(labels, (3.0, 3.0, 3.0), TOTALSEGMENTATOR_MR)
    assert subject.roi.sum() > 200
    assert torch.where(subject.roi)[2].float().mean() < 50  # the liver is at the left of the picture
    spine = subject.labels == int(Tissue.BONE_MARROW)
    assert torch.where(spine)[1].float().mean() > torch.where(subject.roi)[1].float().mean()  # the front is up
    assert set(subject.labels.unique().tolist()) >= {int(Tissue.LIVER), int(Tissue.SPLEEN), int(Tissue.BONE_MARROW)}
