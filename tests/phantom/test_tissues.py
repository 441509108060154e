"""Relaxation times are those of the table, and vary as tissue does."""

import pytest
import torch

from relaxnet.phantom import Disease, Tissue
from relaxnet.phantom._tissues import CONTRASTS, LIVER, TISSUES


def test_the_table_is_complete():
    assert set(TISSUES) == set(Tissue) - {Tissue.AIR, Tissue.LIVER}
    assert set(LIVER) == set(Disease)
    for properties in (*TISSUES.values(), *LIVER.values()):
        assert set(properties.t) == set(CONTRASTS)
        assert properties.m0 > 0
        assert all(value.mean > value.sd > 0 and value.source for value in properties.t.values())
        assert properties.t["t1rho"].mean >= properties.t["t2"].mean


def test_times_are_physical(many):
    for subject in many:
        inside = subject.labels != Tissue.AIR
        t1rho, t2, m0 = (subject.truth[name][inside] for name in ("t1rho", "t2", "m0"))
        assert (t2 >= 10).all()
        assert (t1rho >= t2).all()
        assert t1rho.max() < 4500  # the T1 of water
        assert (m0 > 0).all()
        liver_t2 = subject.truth["t2"][subject.roi]
        assert liver_t2.min() > 15
        assert liver_t2.max() < 60


def test_subjects_scatter_about_the_table(many):
    healthy = [subject for subject in many if subject.disease is Disease.HEALTHY]
    for name, value in LIVER[Disease.HEALTHY].t.items():
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
    # Without texture the amplitude of muscle would be the same everywhere: what varies is the sensitivity.
    m0 = noise_free.truth["m0"][noise_free.labels == Tissue.MUSCLE]
    assert 1.1 < float(m0.max() / m0.min()) < 3
