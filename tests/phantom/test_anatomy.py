"""The anatomy is plausible and in radiological convention, at every resolution."""

from functools import cache

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.phantom import Disease, Tissue
from relaxnet.phantom._anatomy.abdomen import Anatomy
from relaxnet.phantom._anatomy.geometry import Grid
from relaxnet.phantom._appearance import Appearance
from relaxnet.phantom._disease import draw_disease


@cache
def one(shape, *, slices=1, seed=0, index=0):
    return rx.phantom.liver_cohort(index + 1, slices=slices, shape=shape, seed=seed)[index]


def centre(mask):
    """Mean row and column as fractions of the picture."""
    rows, columns = torch.nonzero(mask, as_tuple=True)
    return float(rows.float().mean()) / mask.shape[0], float(columns.float().mean()) / mask.shape[1]


def test_roi_is_parenchyma_and_in_every_slice(many):
    for subject in many:
        assert (subject.labels[subject.roi] == Tissue.LIVER).all()
        assert subject.roi.flatten(1).sum(1).min() > 20
        assert (subject.labels == Tissue.LIVER).sum() > subject.roi.sum()


@pytest.mark.parametrize("shape", [(32, 32), (32, 100), (100, 32), (48, 64), (64, 64), (128, 96)])
def test_any_shape_shows_the_whole_body(shape):
    subject = one(shape)
    assert subject.labels.shape == (1, *shape)
    assert subject.roi.any()
    label = subject.labels[0]
    border = torch.cat((label[0], label[-1], label[:, 0], label[:, -1]))
    assert (border == Tissue.AIR).all()
    pixel_mm2 = subject.voxel_mm[1] * subject.voxel_mm[2]
    body_mm2 = float((label != Tissue.AIR).sum()) * pixel_mm2
    reference = one((64, 64))
    reference_mm2 = float((reference.labels != Tissue.AIR).sum()) * 6.0**2
    assert body_mm2 == pytest.approx(reference_mm2, rel=0.08)  # the coarser, the more voxels hold skin and air


def test_extreme_slices_still_show_liver():
    for index in range(3):
        assert one((32, 32), slices=16, index=index).roi.flatten(1).any(1).all()


def test_radiological_convention(many):
    for subject in many:
        label = subject.labels[0]
        liver, spleen = centre(label == Tissue.LIVER), centre(label == Tissue.SPLEEN)
        bone = label == Tissue.BONE_MARROW
        bone[:, :12], bone[:, 20:] = False, False  # ribs
        spine, stomach = centre(bone), centre(label == Tissue.STOMACH_CONTENT)
        assert liver[1] < 0.5 < spleen[1]
        assert 0.4 < spine[1] < 0.6
        assert stomach[1] > 0.5
        assert spine[0] > liver[0]  # the back is down
        assert spleen[0] > stomach[0]


def test_every_tissue_occurs(many):
    present = torch.cat([subject.labels.flatten() for subject in many]).unique()
    assert set(present.tolist()) == set(Tissue)


@pytest.mark.parametrize("seed", range(20))
def test_the_body_is_inside_the_field_of_view(seed):
    label = one((96, 128), seed=seed).labels[0]  # the field of view and nothing else
    border = torch.cat((label[0], label[-1], label[:, 0], label[:, -1]))
    assert (border == Tissue.AIR).all()


def test_a_finer_grid_samples_the_same_anatomy():
    # Every third point of the fine grid is a point of the coarse one.
    anatomy, appearance = Anatomy.draw(0, 0), Appearance.draw(0, 0, field_tesla=3.0)
    coarse, fine = Grid((64, 64)), Grid((192, 192))
    z = anatomy.body.middle_mm
    (labels, roi), (fine_labels, fine_roi) = (anatomy.slice(grid, z) for grid in (coarse, fine))
    np.testing.assert_array_equal(labels, fine_labels[1::3, 1::3])
    np.testing.assert_array_equal(roi, fine_roi[1::3, 1::3])
    painted, finely_painted = (
        appearance.paint(points, grid.x, grid.y, z, ("t1rho", "t2"))
        for points, grid in ((labels, coarse), (fine_labels, fine))
    )
    for name, values in painted.items():
        np.testing.assert_allclose(values, finely_painted[name][1::3, 1::3], rtol=1e-9)


@pytest.mark.parametrize("index", [0, 3])
def test_areas_agree_between_resolutions(index):
    coarse, fine = (one((n, n), index=index).labels for n in (64, 256))
    for tissue in Tissue:
        shares = [float((labels == tissue).float().mean()) for labels in (coarse, fine)]
        on_skin = tissue in (Tissue.AIR, Tissue.FAT)  # a voxel of both is fat
        assert shares[0] == pytest.approx(shares[1], abs=0.015 if on_skin else 0.004)
        if tissue is Tissue.LIVER:
            assert shares[0] == pytest.approx(shares[1], rel=0.04)


def test_slices_of_a_subject_are_neighbours():
    labels = one((64, 64), slices=9).labels
    body = labels[4] != Tissue.AIR
    agreement = [float((labels[4] == labels[4 + k])[body].float().mean()) for k in (1, 2, 4)]
    assert agreement[0] > 0.85
    assert agreement[0] > agreement[1] > agreement[2]
    assert float((labels[:, body] == labels[4][body]).float().mean()) > 0.7


def test_organs_are_where_they_belong(many):
    for subject in many:
        label = subject.labels[0]  # the lower slice
        cortex = label == Tissue.KIDNEY_CORTEX
        for half, side in ((cortex[:, :16], "right"), (cortex[:, 16:], "left")):
            if half.any():
                assert centre(half)[0] > centre(label == Tissue.LIVER)[0], side  # kidneys lie behind
        if (pancreas := label == Tissue.PANCREAS).any():
            assert 0.3 < centre(pancreas)[1] < 0.75
        if (bile := label == Tissue.GALLBLADDER).any():
            assert centre(bile)[1] < 0.5


def test_kidneys_come_with_lower_slices_and_lungs_with_upper_ones():
    for index in range(4):
        labels = one((64, 64), slices=13, index=index).labels  # from the feet to the head
        kidneys = ((labels == Tissue.KIDNEY_CORTEX) | (labels == Tissue.KIDNEY_MEDULLA)).flatten(1).sum(1)
        lungs = (labels == Tissue.LUNG).flatten(1).sum(1)
        assert kidneys[0] > kidneys[6]
        assert kidneys[-1] == 0
        assert lungs[0] == 0
        assert (lungs.diff() >= 0).all()
        assert lungs[-1] > 0


def test_the_middle_slice_stays_when_others_are_added():
    alone, among = one((48, 48)), one((48, 48), slices=3)
    assert torch.equal(alone.labels[0], among.labels[1])
    assert alone.voxel_mm == among.voxel_mm == (7.0, 8.0, 8.0)
    assert one((48, 48), slices=29).voxel_mm[0] == 3.5


def test_livers_differ_in_shape_and_disease(many):
    areas = torch.tensor([float((subject.labels == Tissue.LIVER).float().mean()) for subject in many])
    assert areas.std() / areas.mean() > 0.05
    assert {subject.disease for subject in many} == set(Disease)
    with_lesion = [bool(((s.labels == Tissue.CYST) | (s.labels == Tissue.TUMOUR)).any()) for s in many]
    assert 0.15 < sum(with_lesion) / len(many) < 0.75


def test_cirrhosis_shows_in_the_shape():
    sick, well = (
        [index for index in range(60) if (draw_disease(0, index) is Disease.CIRRHOSIS) == sick]
        for sick in (True, False)
    )
    spleens = [
        np.mean([Anatomy.draw(0, index).organs.spleen[:, 2].mean() for index in group]) for group in (sick, well)
    ]
    assert spleens[0] > 1.1 * spleens[1]
    assert {Anatomy.draw(0, index).nodules_mm > 0 for index in sick} == {True}
    assert {Anatomy.draw(0, index).nodules_mm > 0 for index in well} == {False}
