"""Standard deviations in ms."""

import dataclasses

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.denoise._noise_level import image_noise
from relaxnet.training import PRESETS, Spread, Trained
from relaxnet.training._calibrate import calibrate
from relaxnet.training._data import gather
from relaxnet.training._spread import errors_in_ms

PROTOCOL = rx.protocols.LIVER_T1RHO_T2


@pytest.mark.parametrize("snr", [5, 20, 50])
def test_noise_of_smooth_images_is_found(snr, generator):
    ramp = torch.linspace(1, 2, 64).expand(3, 2, 64, 64) * torch.linspace(1, 2, 64)[:, None]
    air = torch.ones(64, 64)
    air[:, :20] = 0
    images = rx.signals.add_noise(ramp * air, 1 / snr, generator=generator)
    torch.testing.assert_close(image_noise(images), torch.full((3,), 1 / snr), rtol=0.1, atol=0)
    torch.testing.assert_close(image_noise(images.unsqueeze(2).repeat(1, 1, 4, 1, 1)), image_noise(images))
    torch.testing.assert_close(image_noise(1e4 * images), 1e4 * image_noise(images), rtol=1e-4, atol=0)


@pytest.fixture(scope="module")
def trained(cohort):
    preset = dataclasses.replace(PRESETS["smoke"], epochs=30, patience=30, learning_rate=5e-3, schedule="cosine")
    return rx.training.train(cohort, preset=preset, progress=False)


def test_nine_of_ten_voxels_are_covered_of_the_subjects_that_it_was_calibrated_with(cohort, trained):
    for name in PROTOCOL.names:
        inside = sum(coverage(trained, s)[name] * int(s.roi.sum()) for s in cohort)
        assert inside / sum(int(s.roi.sum()) for s in cohort) == pytest.approx(0.9, abs=0.005)


def coverage(trained, subject):
    maps = trained.predict(subject.images)
    return {
        name: rx.metrics.coverage(
            maps[name], maps[f"{name}_std"], subject.truth[name], subject.roi, levels=(0.9,), kind="gaussian"
        )[0.9]
        for name in PROTOCOL.names
    }


def test_more_noise_is_less_certain_and_the_gain_does_not_matter(cohort, trained):
    images = cohort[0].images
    maps = trained.predict(images)
    louder = trained.predict(1e4 * images)
    torch.testing.assert_close(louder["t2_std"], maps["t2_std"], rtol=1e-3, atol=0)
    noisy = rx.phantom.liver_cohort(n_subjects=1, slices=2, shape=(32, 32), snr=5, seed=0)[0]
    roi = noisy.roi
    assert trained.predict(noisy.images)["t2_std"][roi].mean() > 1.3 * maps["t2_std"][roi].mean()


def test_a_spoiled_voxel_has_no_standard_deviation_and_its_neighbours_have(cohort, trained):
    images = cohort[0].images.clone()
    images[0, 0, 3, 4] = torch.nan
    maps = trained.predict(images)
    for name in ("t1rho", "t1rho_std"):
        assert torch.isnan(maps[name]).nonzero().tolist() == [[0, 3, 4]]
    air = trained.predict(torch.zeros_like(images))
    assert torch.isfinite(air["t2"]).all()


@pytest.mark.parametrize("inputs", ["middle", "any"])
@pytest.mark.parametrize("uncertainty", [None, "heteroscedastic"])
def test_all_networks_can_be_calibrated(cohort, inputs, uncertainty):
    net = rx.nets.RelaxationNet(PROTOCOL, inputs, base=4, depth=2, uncertainty=uncertainty)
    _, scans = gather(cohort[:2], None)
    spread = calibrate(net, scans)
    assert set(spread.factors) == {"t1rho", "t2"}
    sets = {"any"} | (set(PROTOCOL.input_sets) if inputs == "any" else set())
    assert set(spread.factors["t2"]) == set(spread.growth["t2"]) == sets
    assert 0 < spread.usual_noise < 0.5
    seen = "short" if inputs == "any" else None
    maps = Trained(net, [], spread).predict(cohort[3].images, inputs=seen)
    assert set(maps) == {"t1rho", "t2", "t1rho_std", "t2_std"}
    assert (maps["t2_std"][cohort[3].roi] > 0).all()


def test_without_a_truth_the_unseen_images_are_the_reference(cohort):
    """A network that is off by a third everywhere needs about the same factor by its truth and by its reference."""

    class OffByAThird(rx.nets.RelaxationNet):
        def predict(self, images, **_):
            return {name: truth * 4 / 3 for name, truth in nearest(cohort, images).truth.items() if name != "m0"}

    net = OffByAThird(PROTOCOL, "middle", base=4, depth=2)
    _, phantoms = gather(cohort, None)
    _, patients = gather([subject.images for subject in cohort], PROTOCOL)
    by_truth, by_reference = calibrate(net, phantoms).factors, calibrate(net, patients).factors
    assert set(by_reference) == set(by_truth)
    for name in by_truth:
        assert by_reference[name]["any"] == pytest.approx(by_truth[name]["any"], rel=0.7)


def test_too_little_to_calibrate_with_is_said(cohort):
    net = rx.nets.RelaxationNet(PROTOCOL, (0, 1, 2, 3, 4, 5), base=4, depth=2)
    _, scans = gather([cohort[0].images], PROTOCOL)
    with pytest.warns(UserWarning, match="no standard deviations for t"):
        assert calibrate(net, scans).factors == {}


def test_calibration_is_saved(cohort, trained, tmp_path):
    trained.save(tmp_path / "net.safetensors")
    again = rx.load(tmp_path / "net.safetensors")
    assert again.calibration == trained.calibration
    assert torch.equal(again.predict(cohort[0].images)["t2_std"], trained.predict(cohort[0].images)["t2_std"])


def test_spread_is_that_of_the_information_bound():
    """For a map that is known and a scale that is given, it is the Cramér-Rao bound of a fit."""
    subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=1e6)[0]
    net = rx.nets.RelaxationNet(PROTOCOL, "middle", base=4, depth=2)
    maps = {name: subject.truth[name] for name in PROTOCOL.names}
    maps |= {f"{name}_scale": torch.full_like(maps[name], 7.0) for name in PROTOCOL.names}
    found = errors_in_ms(net, subject.images, maps)[0]["t2"][subject.roi]
    contrast = PROTOCOL.contrasts[1]
    bound = rx.information.crlb(rx.signals.MonoExponential(), subject.truth["m0"], subject.truth["t2"], contrast, 7.0)[
        "t"
    ]
    torch.testing.assert_close(found.double(), bound[subject.roi], rtol=1e-3, atol=0)


def test_with_less_noise_half_of_the_variance_stays(cohort, trained):
    images = cohort[0].clean
    silent = images / images.mean() * 100

    def std(usual_noise):
        spread = dataclasses.replace(trained.calibration, usual_noise=usual_noise)
        return Trained(trained.net, [], spread).predict(silent)["t2_std"]

    usual, noise_free, doubled = (std(k * trained.calibration.usual_noise) for k in (0, 1, 2))
    assert (noise_free > usual).all()
    ratio = (doubled**2 - usual**2 / 2) / (noise_free**2 - usual**2 / 2)
    torch.testing.assert_close(ratio, torch.full_like(ratio, 4.0), rtol=1e-3, atol=0)


def test_factors_grow_with_the_noise_beyond_the_usual(cohort, trained):
    """By the power that was found; and a set without factors of its own has those of all."""
    images = cohort[0].images
    for net, seen in ((trained.net, None), (rx.nets.RelaxationNet(PROTOCOL, "any", base=4, depth=2).eval(), (0, 1, 5))):
        errors, ratio = errors_in_ms(net, images, net.predict(images, inputs=seen), seen, usual_noise=0.01)
        assert (ratio > 1).all()
        spread = Spread(0.01, {"t2": {"any": 3.0, "short": 9.0}}, {"t2": {"any": 0.5, "short": 2.0}})
        found = Trained(net, [], spread).predict(images, inputs=seen)
        torch.testing.assert_close(found["t2_std"], 3 * ratio.sqrt()[:, None, None] * errors["t2"])
        assert "t1rho_std" not in found


def test_a_network_that_errs_more_than_in_proportion_to_the_noise_is_found_out():
    """Of one that errs by the square of the noise, intervals hold with half the SNR, as they would not else."""
    usual, noisy = (rx.phantom.liver_cohort(n_subjects=4, slices=2, shape=(64, 64), snr=k, seed=1) for k in (20, 10))

    class Squarer(rx.nets.RelaxationNet):
        def predict(self, images, **_):
            subject = nearest(usual, images)
            wrong = ((images[:, 0] - subject.clean[:, 0]) / subject.sigma) ** 2
            return {name: subject.truth[name] + wrong for name in PROTOCOL.names}

    net = Squarer(PROTOCOL, "middle", base=4, depth=2)
    spread = calibrate(net, gather(usual, None)[1])
    without = dataclasses.replace(spread, growth={name: {"any": 0.0} for name in spread.growth})
    held, missed = (
        np.mean([coverage(Trained(net, [], chosen), subject)["t2"] for subject in noisy])
        for chosen in (spread, without)
    )
    assert missed < 0.85 < held < 0.95


def nearest(cohort, images):
    return min(cohort, key=lambda subject: float((subject.images - images).abs().mean()))
