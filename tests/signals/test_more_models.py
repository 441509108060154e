"""Stretched decays, flip angles, b-values, imperfect pulses and T2*, against formulas and fits written elsewhere."""

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import torch

import relaxnet as rx
from relaxnet.signals import (
    Diffusion,
    InversionRecovery,
    MonoExponential,
    SaturationRecovery,
    StretchedExponential,
    VariableFlipAngle,
)


def simulate(contrast, m0, t):
    m0, t = (torch.as_tensor(np.atleast_1d(x).astype(float)) for x in np.broadcast_arrays(m0, t))
    return contrast.model(m0, t, contrast).numpy()


def noisy(images, sigma, seed=0):
    return images + np.random.default_rng(seed).normal(0, sigma, images.shape)


def assert_is_curve_fit(contrast, formula, t, sigma):
    """Compare values and standard errors with those of scipy."""
    signal = noisy(simulate(contrast, 100.0, t), sigma)
    result = rx.fit(signal, contrast, sigma=sigma)
    for k, voxel in enumerate(signal):
        found, covariance = scipy.optimize.curve_fit(
            formula, np.array(contrast.times_ms), voxel, (90.0, t[k]), np.full(len(voxel), sigma), absolute_sigma=True
        )
        np.testing.assert_allclose(result.maps[contrast.name][k], found[1], rtol=1e-4)
        np.testing.assert_allclose(result.std[contrast.name][k], np.sqrt(covariance[1, 1]), rtol=1e-3)


# --- stretched exponential ----------------------------------------------------------------------------------------


def test_an_exponent_of_one_is_a_plain_decay():
    t, time = torch.tensor([20.0, 80.0]), torch.tensor([[0.0], [15.0], [90.0]])
    for ours, plain in zip(
        StretchedExponential(1.0).basis_with_derivatives(t, time),
        MonoExponential().basis_with_derivatives(t, time),
        strict=True,
    ):
        torch.testing.assert_close(ours, plain)


def test_an_exponent_of_a_half_is_the_mean_of_decays_with_the_levy_distribution_of_rates():
    # exp(-sqrt(x)) is the Laplace transform of the density exp(-1/(4 s)) / (2 sqrt(pi) s^1.5), in closed form.
    density = lambda s: np.exp(-1 / (4 * s)) / (2 * np.sqrt(np.pi) * s**1.5)  # noqa: E731
    for x in (0.2, 1.0, 3.0):
        mean, _ = scipy.integrate.quad(lambda s, x=x: density(s) * np.exp(-x * s), 0, np.inf)
        ours = StretchedExponential(0.5).basis(torch.tensor(1.0), torch.tensor(x))
        np.testing.assert_allclose(float(ours), mean, rtol=1e-6)


def test_a_stretched_fit_is_that_of_curve_fit():
    contrast = rx.Contrast("t2", (0, 10, 30, 50, 80), model=StretchedExponential(0.7))
    assert_is_curve_fit(contrast, lambda x, m0, t: m0 * np.exp(-((x / t) ** 0.7)), np.array([20.0, 45, 80]), 1.0)


@pytest.mark.parametrize("method", ["nlls", "log-linear", "two-point"])
@pytest.mark.parametrize("alpha", [0.3, 0.8, 1.7])
def test_all_fits_of_decays_fit_a_stretched_one(method, alpha):
    contrast = rx.Contrast("t2", (0, 10, 30, 50, 80), model=StretchedExponential(alpha))
    t = np.array([20.0, 33.0, 45.0])
    np.testing.assert_allclose(rx.fit(simulate(contrast, 100.0, t), contrast, method=method).maps["t2"], t, rtol=1e-6)


# --- flip angles --------------------------------------------------------------------------------------------------


def test_the_largest_signal_is_at_the_ernst_angle():
    model, t1 = VariableFlipAngle(tr_ms=10.0), 800.0
    angle = np.linspace(1, 90, 8901)
    signal = model.basis(torch.tensor(t1), torch.from_numpy(angle)).numpy()
    np.testing.assert_allclose(angle[signal.argmax()], np.rad2deg(np.arccos(np.exp(-10.0 / t1))), atol=0.02)


def test_the_steady_state_is_what_pulses_and_recovery_arrive_at():
    tr, t1, angle, m = 8.0, 600.0, np.deg2rad(12.0), 1.0
    for _ in range(2000):  # each pulse tips the magnetisation, what is transverse is spoiled, and the rest recovers
        m = 1 + (m * np.cos(angle) - 1) * np.exp(-tr / t1)
    ours = VariableFlipAngle(tr_ms=tr).basis(torch.tensor(t1).double(), torch.tensor(12.0).double())
    np.testing.assert_allclose(float(ours), m * np.sin(angle), rtol=1e-9)


def test_a_flip_angle_fit_is_that_of_curve_fit():
    contrast = rx.Contrast("t1", (2, 5, 10, 15, 20), model=VariableFlipAngle(tr_ms=5.0))

    def formula(angle, m0, t1):
        e, a = np.exp(-5.0 / t1), np.deg2rad(angle)
        return m0 * np.sin(a) * (1 - e) / (1 - e * np.cos(a))

    assert_is_curve_fit(contrast, formula, np.array([300.0, 800, 1400]), 0.02)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_flip_angles_determine_t1(dtype):
    contrast = rx.Contrast("t1", (3, 17), model=VariableFlipAngle(tr_ms=5.0))
    t1 = np.array([200.0, 900, 2500])
    result = rx.fit(simulate(contrast, 100.0, t1).astype(dtype), contrast, method="two-point")
    np.testing.assert_allclose(result.maps["t1"], t1, rtol=2e-3 if dtype == np.float32 else 1e-9)


def test_flip_angles_in_radians_are_refused():
    with pytest.raises(
        ValueError, match=r"look like radians; relaxnet takes flip angles in degrees. Use numpy.rad2deg"
    ):
        rx.Contrast("t1", (0.035, 0.17, 0.35), model=VariableFlipAngle(tr_ms=5.0))
    with pytest.raises(ValueError, match=r"tr_ms=0"):
        VariableFlipAngle(tr_ms=0)
    with pytest.raises(ValueError, match="unit='s'"):
        rx.fit(np.ones((1, 3)), (2, 5, 10), model=VariableFlipAngle(tr_ms=5.0), unit="s")


# --- diffusion ----------------------------------------------------------------------------------------------------


def test_the_adc_of_two_images_is_the_textbook_formula():
    adc = rx.Contrast("adc", (0, 800), model=Diffusion())
    result = rx.fit(np.array([[1000.0, 450.0]]), adc, method="two-point")
    np.testing.assert_allclose(result.maps["adc"], np.log(1000 / 450) / 800)
    assert result.units["adc"] == "mm²/s"


def test_an_adc_fit_is_that_of_curve_fit():
    contrast = rx.Contrast("adc", (0, 200, 400, 800), model=Diffusion())
    assert_is_curve_fit(contrast, lambda b, m0, d: m0 * np.exp(-b * d), np.array([0.7e-3, 1.5e-3, 3e-3]), 0.5)


def test_slow_and_fast_diffusion_lie_within_the_bounds():
    contrast = rx.Contrast("adc", (0, 200, 800), model=Diffusion())
    adc = np.array([0.02e-3, 0.15e-3, 2e-3, 10e-3])
    result = rx.fit(simulate(contrast, 500.0, adc), contrast)
    assert result.ok.all()
    np.testing.assert_allclose(result.maps["adc"], adc, rtol=1e-6)


def test_a_signal_that_rises_with_the_b_value_has_no_adc():
    contrast = rx.Contrast("adc", (0, 200, 800), model=Diffusion())
    result = rx.fit(np.array([[100.0, 120.0, 150.0]]), contrast)
    assert rx.FitStatus(result.status[0]) is rx.FitStatus.NO_DECAY


def test_b_values_in_other_units_are_refused():
    with pytest.raises(ValueError, match=r"look like ms/µm²; relaxnet takes b-values in s/mm². Multiply by 1000"):
        rx.Contrast("adc", (0, 0.5, 1.0), model=Diffusion())


# --- recovery -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [InversionRecovery(efficiency=0.9), SaturationRecovery(efficiency=0.8)])
def test_an_imperfect_pulse_is_accounted_for(model):
    time, t1 = np.array((50.0, 150, 350, 700, 1200, 2500)), np.array([500.0, 900, 1300])
    factor = 2 * 0.9 if isinstance(model, InversionRecovery) else 0.8
    signal = np.abs(1000 * (1 - factor * np.exp(-time / t1[:, None])))
    result = rx.fit(signal, rx.Contrast("t1", tuple(time), model=model))
    np.testing.assert_allclose(result.maps["t1"], t1, rtol=1e-6)
    found = rx.fit(signal, rx.Contrast("t1", tuple(time), model=type(model)()))
    np.testing.assert_allclose(found.maps["t1"], t1, rtol=1e-6)
    perfect = rx.fit(signal, rx.Contrast("t1", tuple(time), model=type(model).ideal()))
    assert (np.abs(perfect.maps["t1"] / t1 - 1) > 0.05).all()  # which is what it is for


@pytest.mark.parametrize("kind", [InversionRecovery, SaturationRecovery])
@pytest.mark.parametrize("efficiency", [0, -1, 1.1, float("nan")])
def test_an_efficiency_lies_between_0_and_1(kind, efficiency):
    with pytest.raises(ValueError, match="efficiency="):
        kind(efficiency=efficiency)


def test_a_pulse_of_half_the_efficiency_saturates():
    t, time = torch.tensor([800.0]), torch.tensor([[100.0], [900.0]])
    torch.testing.assert_close(InversionRecovery(efficiency=0.5).basis(t, time), SaturationRecovery().basis(t, time))


# --- T2* ----------------------------------------------------------------------------------------------------------


def test_t2_star_is_the_plain_decay_over_echo_times():
    contrast = rx.Contrast("t2star", (2.3, 4.6, 6.9, 11.5))
    assert_is_curve_fit(contrast, lambda x, m0, t: m0 * np.exp(-x / t), np.array([5.0, 15, 30]), 0.5)


# --- all ----------------------------------------------------------------------------------------------------------


def test_models_are_equal_where_their_settings_are():
    assert StretchedExponential(0.8) == StretchedExponential(0.8) != StretchedExponential(0.7)
    assert InversionRecovery() != SaturationRecovery()
    assert len({VariableFlipAngle(5.0), VariableFlipAngle(5.0), VariableFlipAngle(6.0)}) == 2
    assert repr(VariableFlipAngle(5.0)) == "VariableFlipAngle(tr_ms=5.0)"


@pytest.mark.parametrize("tr_ms", [None, 3000.0])
def test_magnitudes_turn_where_an_image_is_nulled(tr_ms):
    model = rx.signals.InversionRecovery.ideal(tr_ms=tr_ms)
    time = torch.tensor([0.0, 300.0, 700.0, 1200.0], dtype=torch.float64)
    points = model.non_smooth_points(time)
    assert len(points) == 3
    signed = rx.signals.InversionRecovery.ideal(magnitude=False, tr_ms=tr_ms)
    nulled = signed.basis(points.double(), time[1:])
    torch.testing.assert_close(nulled, torch.zeros_like(nulled), rtol=0, atol=1e-6)
