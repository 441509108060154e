"""Subjects whose maps are pictures: what they hold, for any protocol, and what a network learns from them."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import relaxnet as rx

TEN = rx.Protocol((rx.Contrast("t2", times_ms=tuple(range(10, 110, 10))),))
LIVER = rx.protocols.LIVER_T1RHO_T2
INVERSION = rx.Protocol(
    (rx.Contrast("t1", times_ms=(50, 200, 600, 1500, 4000), model=rx.signals.InversionRecovery().ideal()),)
)


@pytest.mark.parametrize("protocol", [TEN, LIVER, INVERSION])
def test_images_follow_the_truth(protocol):
    subject = rx.phantom.texture_cohort(protocol, 2, 2, (40, 50), snr=1e6)[1]
    assert subject.images.shape == (2, protocol.n_images, 40, 50)
    torch.testing.assert_close(subject.images, subject.clean, rtol=0, atol=0.1)
    for contrast in protocol.contrasts:
        t = subject.truth[contrast.name]
        low, high = contrast.model.parameter.network_bounds
        assert t.min() >= low
        assert t.max() <= high
        assert t.max() - t.min() > 0.5 * (high - low)
        own = subject.clean[:, protocol.images_of(contrast.name)]
        result = rx.fit(own, contrast, mask=subject.truth["m0"] > 10, bounds=(low / 2, high * 2))
        np.testing.assert_allclose(result.maps[contrast.name][result.ok], t[result.ok], rtol=1e-2)
        assert result.ok.float().mean() > 0.8


def test_subjects_and_slices_differ_and_come_again():
    cohort = rx.phantom.texture_cohort(TEN, 3, 2, (40, 40), bounds_ms={"t2": (20, 90)}, photographs=False)
    first, second, _ = cohort
    assert torch.equal(cohort[0].images, first.images)
    assert torch.equal(rx.phantom.texture_cohort(TEN, 1, 2, (40, 40), bounds_ms=(20, 90))[0].images, first.images)
    for one, other in ((first.images[0], first.images[1]), (first.images, second.images)):
        assert np.corrcoef(one.flatten(), other.flatten())[0, 1] < 0.9
    assert first.truth["t2"].min() >= 20
    assert first.truth["t2"].max() <= 90


def test_noise_levels_lie_between_the_two():
    cohort = rx.phantom.texture_cohort(TEN, 12, shape=(32, 32), snr=(10, 40))
    ratios = [float(s.clean[:, 0].mean()) / s.sigma for s in cohort]
    assert 10 <= min(ratios) < 20 < max(ratios) <= 40
    subject = rx.phantom.texture_cohort(TEN, 1, shape=(64, 64), snr=math.inf)[0]
    assert subject.sigma == 0
    assert torch.equal(subject.images, subject.clean)


def test_leaves_have_edges_and_flat_parts():
    picture = rx.phantom.texture_cohort(TEN, 1, shape=(128, 128))[0].truth["t2"][0]
    steps = (picture[1:] - picture[:-1]).abs()
    assert steps.quantile(0.99) > 5 * steps.median() > 0


def test_photographs_are_of_every_other_subject():
    pytest.importorskip("skimage")
    plain, mixed = (rx.phantom.texture_cohort(LIVER, 4, shape=(48, 60), photographs=own) for own in (False, True))
    same = [torch.equal(one.images, other.images) for one, other in zip(plain, mixed, strict=True)]
    assert same == [True, False, True, False]
    large = rx.phantom.texture_cohort(TEN, 2, shape=(700, 20), photographs=True)[1]  # larger than a photograph
    assert torch.isfinite(large.images).all()


def test_a_network_learns_from_them():
    pytest.importorskip("lightning")
    preset = dataclasses.replace(
        rx.training.PRESETS["smoke"], epochs=1, steps=40, initial_estimates=(0.0, 1.0), fresh_noise=True
    )
    options = {"shape": (32, 32), "bounds_ms": (20, 200), "snr": 6}
    cohort = rx.phantom.texture_cohort(TEN, 8, **options)
    training = {"inputs": range(10), "loss": "supervised-truth", "bounds_ms": (20, 200), "preset": preset}
    trained = rx.training.train(cohort, **training, progress=False)
    subject = rx.phantom.texture_cohort(TEN, 1, **options, seed=9)[0]
    truth, roi = subject.truth["t2"], subject.roi
    fit = rx.fit(subject.images, TEN.contrasts[0], bounds=(20, 200)).maps["t2"]
    error, of_fit = ((maps - truth)[roi].abs().nanmean() for maps in (trained.predict(subject.images)["t2"], fit))
    assert error < 0.9 * of_fit


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"protocol": "t2"}, TypeError, "protocol='t2' is a str"),
        ({"snr": 0}, ValueError, "snr=0: give a positive number"),
        ({"snr": (40, 10)}, ValueError, "snr=.40, 10.: give a positive number"),
        ({"snr": (1, 2, 3)}, ValueError, "snr=.1, 2, 3.: give a positive number"),
        ({"shape": 64}, ValueError, "shape=64: give height and width"),
        ({"shape": (64, 4)}, ValueError, "shape: its width=4"),
        ({"n_subjects": 0}, ValueError, "n_subjects=0"),
        ({"bounds_ms": (20, 10)}, ValueError, "bounds_ms=.20, 10."),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        rx.phantom.texture_cohort(**{"protocol": TEN, **options})
