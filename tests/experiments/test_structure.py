"""What tables say of structure, intervals and floors, on maps whose faults are known."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from relaxnet.experiments._harness.intervals import LEFT_OUT, judge
from relaxnet.experiments._harness.score import score
from relaxnet.experiments._harness.settings import SMOKE
from relaxnet.experiments._harness.structure import edge_residuals, edge_width, lesion_bias, within_liver
from relaxnet.phantom import Texture, Tissue, liver_cohort


@pytest.fixture(scope="module")
def subjects():
    texture = Texture(lesions=8.0, vessels=0.0)
    cohort = liver_cohort(4, 1, (128, 128), seed=5, texture=texture, pixel_mm=2.0)
    return [subject for subject in cohort if (subject.labels == Tissue.TUMOUR).any()]


def test_a_constant_explains_nothing_of_a_liver(subjects):
    truth = subjects[0].truth["t2"][subjects[0].roi].double()
    assert within_liver(torch.full_like(truth, 40.0), truth) == {"r2": 0.0, "correlation": 0.0}
    assert within_liver(truth + 3, truth) == pytest.approx({"r2": 1.0, "correlation": 1.0})
    noisy = truth + 2 * truth.std() * torch.randn(len(truth), generator=torch.Generator().manual_seed(0))
    found = within_liver(noisy, truth)
    assert found["r2"] < -2
    assert 0.3 < found["correlation"] < 0.6


def test_lesions_that_are_smoothed_away_are_biased(subjects):
    for subject in subjects:
        truth = subject.truth["t2"]
        assert lesion_bias(truth, truth, subject) == 0
        assert lesion_bias(1.1 * truth, truth, subject) == pytest.approx(0.1)
        constant = torch.full_like(truth, float(truth[subject.roi].mean()))
        assert lesion_bias(constant, truth, subject) < -0.2


@pytest.mark.parametrize("width_mm", [0.0, 1.5, 3.0, 4.0])
def test_the_width_of_edges_is_that_of_the_blur(subjects, width_mm):
    def blurred(subject):
        liver = torch.isin(subject.labels, torch.tensor([Tissue.LIVER, Tissue.TUMOUR])).double().numpy()
        smooth = gaussian_filter(liver * subject.truth["t2"].nan_to_num(0).numpy(), (0, width_mm / 2, width_mm / 2))
        with np.errstate(invalid="ignore"):
            own = smooth / gaussian_filter(liver, (0, width_mm / 2, width_mm / 2))
        generator = torch.Generator().manual_seed(0)
        return 0.9 * torch.from_numpy(own) + 1 + torch.randn(own.shape, generator=generator)

    found = sum(np.array(edge_residuals(blurred(one), "t2", one)) for one in subjects)
    assert edge_width(found) == pytest.approx(2.563 * width_mm, abs=0.8)


def test_without_lesions_there_is_no_bias_and_no_edge():
    (fold, *_) = SMOKE.folds(texture=None, n_subjects=3)
    scores = score(fold.test(), lambda subject, _: subject.truth, ["all"])["all"]["t2"]
    without = [not (subject.labels == Tissue.TUMOUR).any() for subject in fold.test()]
    assert any(without)
    assert [math.isnan(bias) for bias in scores["lesion_bias"]] >= without
    assert all(not any(row) for row, none in zip(scores["edge_residuals"], without, strict=True) if none)
    assert math.isnan(edge_width(np.zeros(17)))


def test_intervals_as_wide_as_the_errors_hold_what_they_should(subjects):
    subject, generator = subjects[0], torch.Generator().manual_seed(0)
    std = {name: 1 + torch.rand(subject.roi.shape, generator=generator) for name in ("t1rho", "t2")}
    noise = {name: torch.randn(subject.roi.shape, generator=generator) * some for name, some in std.items()}
    maps = {name: subject.truth[name] + some for name, some in noise.items()}

    def deviations(name, region):
        return {"right": float(std[name][region].square().sum().sqrt() / region.sum()), "none": 0.0}

    for found in judge(subject, maps, std, deviations).values():
        assert found["voxels"] == [pytest.approx(0.9, abs=0.03)]
        assert found["regions-right"][0] > 0.6
        assert found["regions-none"] == [0]
        (risks,) = found["risks"]
        assert len(risks) == len(LEFT_OUT)
        assert risks[0] > risks[4] > risks[8]
