"""What is compared: subjects as methods get them, controls without training, and scores."""

import math

import pytest
import torch

import relaxnet as rx
from relaxnet.experiments._harness.denoisers import DENOISERS
from relaxnet.experiments._harness.fits import ALL, JOINT, METHODS, denoised, with_images
from relaxnet.experiments._harness.networks import single_contrast
from relaxnet.experiments._harness.rows import AS_PAPER, ROWS
from relaxnet.experiments._harness.score import score
from relaxnet.experiments._harness.settings import SMOKE
from relaxnet.experiments._harness.small_networks import FEATURES, map_by_small_network


def some_subject(**changes):
    return SMOKE.folds(**changes)[0].test()[0]


def test_scores():
    subject = some_subject()
    maps = {name: subject.truth[name] + offset for name, offset in (("t1rho", 2.0), ("t2", -1.0))}
    scores = score([subject], lambda *_: maps, ["all"])["all"]
    assert scores["t1rho"]["truth_error"] == scores["t1rho"]["truth_bias"] == pytest.approx([2.0])
    assert scores["t2"]["truth_error"] == pytest.approx([1.0])
    assert scores["t2"]["truth_bias"] == pytest.approx([-1.0])
    assert scores["t2"]["truth_sd"] == pytest.approx([0.0], abs=1e-3)
    reference = METHODS["nlls-4"](subject, "")
    hidden = torch.where(torch.rand(subject.roi.shape) < 0.5, torch.nan, reference["t2"])
    some = score([subject], lambda *_: reference | {"t2": hidden}, ["all"])["all"]["t2"]
    assert 0.3 < some["missing"][0] < 0.7
    assert some["reference_error"] == [0.0]


def test_a_single_contrast():
    subject = some_subject()
    one = single_contrast(subject, "t2")
    assert one.protocol.names == ("t2",)
    assert torch.equal(one.images, subject.images[:, [0, 4, 5, 6]])
    assert torch.equal(one.clean, subject.clean[:, [0, 4, 5, 6]])
    assert single_contrast(subject, None) is subject


def test_fewer_images_are_those_of_a_shorter_protocol():
    subject = some_subject()
    few = with_images(subject, JOINT[4])
    assert [contrast.times_ms for contrast in few.protocol.contrasts] == [(0.0, 30.0), (0.0, 18.2, 51.0)]
    assert few.protocol.n_images == few.images.shape[1] == 4
    assert with_images(subject, JOINT[7]).protocol == subject.protocol


def test_two_points_of_an_input_set():
    subject = some_subject(snr=math.inf, texture=None)
    for inputs in subject.protocol.input_sets:
        for name, values in METHODS["two-point"](subject, inputs).items():
            torch.testing.assert_close(values[subject.roi], subject.truth[name][subject.roi], rtol=0.02, atol=0)


@pytest.mark.parametrize("name", ["voxelwise-3", "implicit-3"])
def test_small_networks_learn_the_maps_of_a_clean_subject(name):
    subject = some_subject(snr=math.inf, texture=None)
    few = with_images(subject, subject.protocol.channels("middle"))
    before, after = (map_by_small_network(few, FEATURES[name], steps) for steps in (1, 400))
    for contrast, truth in few.truth.items():
        if contrast in after:
            assert torch.isfinite(after[contrast][subject.roi]).all()
            first, last = ((maps[contrast] - truth)[subject.roi].abs().mean() for maps in (before, after))
            assert last < min(0.5 * first, 0.1 * truth[subject.roi].mean())
    again = map_by_small_network(few, FEATURES[name], 1)
    assert torch.equal(again["t2"].nan_to_num(0), before["t2"].nan_to_num(0))


@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_denoise_the_images_of_an_input_set_alone(name):
    subject = some_subject(shape=(64, 64), texture=None, pixel_mm=None)
    denoiser = DENOISERS[name]
    strength = denoiser.strengths[len(denoiser.strengths) // 2]

    def noise(one, channels):
        return (one.images - subject.clean)[:, channels][:, :, subject.roi[0]].std()

    few, every = (denoised(subject, inputs, strength, denoiser) for inputs in ("long", ALL))
    assert noise(every, range(7)) < 0.8 * noise(subject, range(7))
    assert not torch.equal(few.images[:, [0, 3, 6]], subject.images[:, [0, 3, 6]])
    assert torch.equal(few.images[:, [1, 2, 4, 5]], subject.images[:, [1, 2, 4, 5]])
    assert denoised(subject, "long", 0, None) is subject


def test_shrinking_a_fit_to_the_mean_of_the_liver_lowers_its_error():
    subject = some_subject()
    for name, values in METHODS["shrunk-7"](subject, ALL).items():
        plain = METHODS["joint-7"](subject, ALL)[name]
        error, before = ((one - subject.truth[name])[subject.roi].abs().nanmean() for one in (values, plain))
        assert error < 0.7 * before
        assert torch.isfinite(values[subject.roi]).all()


def test_one_value_for_a_liver_is_that_of_its_mean_images():
    subject = some_subject(snr=math.inf, texture=None)
    for name, values in METHODS["one-value"](subject, "middle").items():
        inside = values[subject.roi]
        assert inside.std() < 1e-3
        assert inside[0] == pytest.approx(float(subject.truth[name][subject.roi].mean()), rel=0.02)


def test_rows_of_the_paper_have_the_inputs_of_the_paper():
    for name in ("stsm", "st", "sl", "baseline", "heteu", "homou"):
        for recipe in ROWS[name].recipes:
            assert recipe.training == AS_PAPER == {"initial_estimates": (), "rate_shift": 0.0, "flips": False}
    assert rx.training.PRESETS["paper"].initial_estimates == ()
