"""Relaxation times are those of the table, and vary as tissue does."""

import re

import numpy as np
import pytest
import torch

from relaxnet.phantom import Disease, Tissue
from relaxnet.phantom._appearance import Appearance
from relaxnet.phantom._tissues import CONTRASTS, FIELDS, LIVER, TISSUES

EVERY = [*TISSUES.items(), *LIVER.items()]


def test_the_table_is_complete():
    assert set(TISSUES) == set(Tissue) - {Tissue.AIR, Tissue.LIVER}
    assert set(LIVER) == set(Disease)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("tissue", "properties"), EVERY)
def test_every_value_has_a_source_at_both_fields(tissue, properties, field):
    assert set(properties.t) == set(FIELDS)
    values = properties.t[field]
    assert set(values) == set(CONTRASTS), tissue
    assert properties.m0 > 0
    assert all(value.mean > 2 * value.sd > 0 for value in values.values())
    assert values["t1rho"].mean >= values["t2"].mean
    for value in values.values():
        assert value.source.startswith(("derived", "assumed")) or re.search(r"\d{4}|table|Mount Sinai", value.source)


def test_times_are_not_longer_at_the_higher_field():
    for tissue, properties in EVERY:
        if tissue not in (Tissue.SPINAL_CORD, Tissue.MUSCLE):  # which were measured to be, within the error
            for contrast in CONTRASTS:
                assert properties.t[1.5][contrast].mean >= properties.t[3.0][contrast].mean


def test_numbers_of_tissues_stay():
    # Label maps on disk hold them: a new tissue comes at the end.
    front = ("AIR", "FAT", "MUSCLE", "BONE_MARROW", "CEREBROSPINAL_FLUID", "SPINAL_CORD", "LIVER", "BLOOD", "SPLEEN")
    assert tuple(tissue.name for tissue in Tissue)[:9] == front
    middle = ("STOMACH", "STOMACH_CONTENT", "CYST", "TUMOUR", "KIDNEY_CORTEX", "KIDNEY_MEDULLA", "PANCREAS")
    assert tuple(tissue.name for tissue in Tissue)[9:16] == middle
    assert [tissue.value for tissue in Tissue] == list(range(len(Tissue)))


def test_a_subject_deviates_by_as_much_at_every_field():
    for index in range(5):
        deviations = []
        for field in FIELDS:
            appearance = Appearance.draw(0, index, field_tesla=field)
            tissues = {**TISSUES, Tissue.LIVER: LIVER[appearance.disease]}
            deviations.append(
                [
                    (appearance.t_ms[contrast][tissue] - value.mean) / value.sd
                    for tissue, properties in tissues.items()
                    for contrast, value in properties.t[field].items()
                ]
            )
        assert deviations[0] == pytest.approx(deviations[1])
        assert max(map(abs, deviations[0])) <= 2 + 1e-9


def test_paint_takes_any_label_map():
    appearance = Appearance.draw(0, 0, field_tesla=3.0)
    labels = np.zeros((5, 9), dtype=np.uint8)
    labels[1:3, 2:7], labels[2, 4] = Tissue.MUSCLE, Tissue.KIDNEY_CORTEX
    x, y = np.linspace(-40, 40, 9)[None], np.linspace(20, -20, 5)[:, None]
    maps = appearance.paint(labels, x, y, 3.0, CONTRASTS)
    assert set(maps) == {*CONTRASTS, "m0"}
    for name in CONTRASTS:
        np.testing.assert_array_equal(np.isnan(maps[name]), labels == Tissue.AIR)
        assert maps[name][2, 4] == pytest.approx(appearance.t_ms[name][Tissue.KIDNEY_CORTEX], rel=0.2)
    np.testing.assert_array_equal(maps["m0"] == 0, labels == Tissue.AIR)
    empty = appearance.paint(np.zeros_like(labels), x, y, 3.0, CONTRASTS)
    assert np.isnan(empty["t2"]).all()
    assert (empty["m0"] == 0).all()


def test_times_are_physical(many):
    for subject in many:
        inside = subject.labels != Tissue.AIR
        t1rho, t2, m0 = (subject.truth[name][inside] for name in ("t1rho", "t2", "m0"))
        assert (t2 >= 10).all()
        assert (t1rho >= t2).all()
        assert t1rho.max() < 4500  # the T1 of water
        assert (m0 > 0).all()
        liver_t2 = subject.truth["t2"][subject.roi]
        assert liver_t2.min() > 10
        assert liver_t2.max() < 60


def test_subjects_scatter_about_the_table(many):
    healthy = [subject for subject in many if subject.disease is Disease.HEALTHY]
    for name, value in LIVER[Disease.HEALTHY].t[3.0].items():
        means = torch.stack([subject.truth[name][subject.roi].mean() for subject in healthy])
        assert float(means.mean()) == pytest.approx(value.mean, abs=3 * value.sd / len(healthy) ** 0.5)
        assert 0.5 * value.sd < float(means.std()) < 1.5 * value.sd


def test_fibrosis_raises_t1rho(many):
    means = {
        disease: torch.stack([s.truth["t1rho"][s.roi].mean() for s in many if s.disease is disease]).mean()
        for disease in Disease
    }
    assert means[Disease.FIBROSIS] > means[Disease.HEALTHY] + 3
    assert means[Disease.CIRRHOSIS] > means[Disease.HEALTHY] + 5
    assert abs(means[Disease.STEATOSIS] - means[Disease.HEALTHY]) < 4


def test_iron_shortens_both_times_together():
    drawn = [Appearance.draw(1, index, field_tesla=3.0) for index in range(300)]
    iron = np.array([[a.t_ms[c][Tissue.LIVER] for c in CONTRASTS] for a in drawn if a.disease is Disease.IRON])
    healthy = np.array([[a.t_ms[c][Tissue.LIVER] for c in CONTRASTS] for a in drawn if a.disease is Disease.HEALTHY])
    assert (iron.max(axis=0) < healthy.min(axis=0)).all()
    assert np.corrcoef(iron.T)[0, 1] > 0.7 > np.corrcoef(healthy.T)[0, 1] > 0.25


def test_texture_is_slight_smooth_and_shared_in_part(noise_free):
    roi = noise_free.roi
    t1rho, t2 = (noise_free.truth[name][roi] / noise_free.truth[name][roi].mean() for name in CONTRASTS)
    assert 0.015 < float(t1rho.std()) < 0.08
    assert 0.2 < float(torch.corrcoef(torch.stack((t1rho, t2)))[0, 1]) < 0.8
    neighbours = roi[:, :, 1:] & roi[:, :, :-1]
    step = noise_free.truth["t2"].diff(dim=2)[neighbours]
    assert float(step.std()) < float(noise_free.truth["t2"][roi].std())


def test_amplitude(many):
    for subject in many:
        liver = subject.truth["m0"][subject.roi].mean()
        assert 700 < liver < 1300
        for dark in (Tissue.BLOOD, Tissue.FAT):
            inside = subject.labels == dark
            assert 0 < subject.truth["m0"][inside].mean() < 0.35 * liver


def test_receive_sensitivity_is_smooth(noise_free):
    # Without texture the amplitude of muscle would be uniform: only the sensitivity varies.
    m0 = noise_free.truth["m0"][noise_free.labels == Tissue.MUSCLE]
    assert 1.1 < float(m0.max() / m0.min()) < 3
