"""The Rician likelihood, against SciPy."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
import torch
from decays import TIMES, decay, magnitudes
from hypothesis import given, settings
from hypothesis import strategies as st

import relaxnet as rx
from relaxnet import FitStatus
from relaxnet.fitting import nlls, rician
from relaxnet.fitting._core import bessel


def negative_log_likelihood(parameters, voxel, sigma):
    amplitude = decay(*parameters)
    z = voxel * amplitude / sigma**2
    return ((voxel - amplitude) ** 2 / (2 * sigma**2) - np.log(scipy.special.i0e(z))).sum(-1)


@pytest.mark.parametrize("snr", [2, 5, 20, 100])
def test_no_point_of_a_grid_leads_scipy_to_a_likelier_optimum(snr):
    sigma, bounds = 100 / snr, (5.0, 500.0)
    signal = magnitudes(25, snr, np.linspace(15, 80, 25), seed=snr)
    result = rician(signal, TIMES, sigma=sigma, bounds=bounds)
    assert (result.status <= FitStatus.AT_BOUND).mean() > 0.8
    for k, voxel in enumerate(signal):
        if result.status[k] > FitStatus.AT_BOUND:
            continue
        ours = negative_log_likelihood((result.maps["m0"][k], result.maps["t"][k]), voxel, sigma)
        grid = np.stack(np.meshgrid(np.linspace(1e-3, 2 * voxel.max(), 200), np.geomspace(*bounds, 200)))
        start = grid.reshape(2, -1)[:, negative_log_likelihood(grid, voxel, sigma).argmin()]
        theirs = scipy.optimize.minimize(
            negative_log_likelihood, start, (voxel, sigma), bounds=((1e-3, None), bounds), method="L-BFGS-B"
        )
        assert theirs.fun <= negative_log_likelihood(start, voxel, sigma)
        assert ours <= theirs.fun + 1e-5 * (1 + abs(theirs.fun))


def test_likelihood_has_no_bias_where_least_squares_has():
    t, snr = 20.0, 10
    signal = magnitudes(40_000, snr, np.full(40_000, t))
    medians = {}
    for method in ("nlls", "rician"):
        result = rx.fit(signal, TIMES, method=method, sigma=100 / snr)
        medians[method] = np.median(result.maps["t"][result.ok])
    assert medians["nlls"] / t - 1 > 0.05
    assert abs(medians["rician"] / t - 1) < 0.01


def test_a_decay_that_has_vanished_by_a_late_second_image_is_found():
    times, sigma = 12.8 * np.arange(1, 31), 3.15
    rise = [751, 6, 36, 0, 0, 31, 35, 99, 108, 43, 131, 83, 131, 110, 168, 96, 175, 131, 82, 142]
    signal = np.array([[*rise, 123, 145, 65, 112, 99, 80, 101, 100, 88, 149]], np.float64)
    result = rician(signal, times, sigma=sigma)
    assert result.status[0] == FitStatus.CONVERGED  # a valley that bends once took more steps than there are

    def cost(t):
        amplitude = np.abs(signal[0, 0]) * np.exp((times[0] - times) / t)  # m0 follows T
        z = signal[0] * amplitude / sigma**2
        return ((signal[0] - amplitude) ** 2 / (2 * sigma**2) - np.log(scipy.special.i0e(z))).sum()

    grid = np.geomspace(1, 5000, 20_000)
    np.testing.assert_allclose(result.maps["t"], grid[np.argmin([cost(t) for t in grid])], rtol=2e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("snr", [1e-3, 0.5, 3, 30, 1000, 1e5])
def test_likelihood_is_safe_at_any_signal_to_noise_ratio(snr, dtype):
    signal = magnitudes(300, snr, np.full(300, 40.0)).astype(dtype)
    result = rician(signal, TIMES, sigma=100 / snr)
    assert (result.status != FitStatus.NOT_CONVERGED).all()
    known = np.isfinite(result.maps["t"])
    np.testing.assert_array_equal(known, result.status <= FitStatus.AT_BOUND)
    assert np.isfinite(result.std["t"][result.ok]).mean() > 0.99
    if snr >= 30:
        np.testing.assert_allclose(result.maps["t"], nlls(signal, TIMES).maps["t"], rtol=3 / snr)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("snr", [3, 10, 12, 20, 50])
@pytest.mark.parametrize("times", [TIMES, np.arange(10.0, 90, 10)], ids=["spin-lock", "multi-echo"])
def test_the_start_by_least_squares_ends_where_the_one_by_likelihood_ends(snr, dtype, times, monkeypatch):
    t = np.exp(np.random.default_rng(0).uniform(np.log(5), np.log(300), 3000))
    signal = magnitudes(3000, snr, t, seed=snr, times=times).astype(dtype)
    quick = rician(signal, times, sigma=100 / snr)
    monkeypatch.setattr("relaxnet.fitting._rician.BRIGHT", np.inf)
    by_likelihood = rician(signal, times, sigma=100 / snr)
    np.testing.assert_array_equal(quick.status, by_likelihood.status)
    for name in ("t", "m0"):
        np.testing.assert_allclose(
            quick.maps[name], by_likelihood.maps[name], rtol={np.float32: 1e-4, np.float64: 1e-9}[dtype]
        )


@settings(deadline=None, max_examples=15)
@given(exponent=st.integers(-100, 100), snr=st.sampled_from([0.3, 1, 3, 20]))
def test_a_unit_that_is_a_power_of_two_changes_no_digit(exponent, snr):
    signal, unit = magnitudes(300, snr, np.linspace(10, 90, 300)).astype(np.float32), np.float32(2.0**exponent)
    result, other = rician(signal, TIMES, sigma=100 / snr), rician(signal * unit, TIMES, sigma=100 / snr * float(unit))
    np.testing.assert_array_equal(other.status, result.status)
    np.testing.assert_array_equal(other.maps["t"], result.maps["t"])
    np.testing.assert_array_equal(other.maps["m0"], result.maps["m0"] * unit)


@settings(deadline=None, max_examples=8)
@given(unit=st.floats(1e-12, 1e12), snr=st.sampled_from([0.3, 1, 3, 20]))
def test_any_other_unit_changes_no_more_than_the_rounding_of_the_images(unit, snr):
    signal = magnitudes(1000, snr, np.linspace(10, 90, 1000)).astype(np.float32)
    result = rician(signal, TIMES, sigma=100 / snr)
    other = rician(signal * np.float32(unit), TIMES, sigma=100 / snr * float(np.float32(unit)))
    # Where hardly any amplitude is left, the last digit of an image decides whether it is the signal or the decay that
    # is missing.
    assert (other.status == result.status).mean() > 0.99
    both = (other.status <= FitStatus.AT_BOUND) & (result.status <= FitStatus.AT_BOUND)
    assert np.isclose(other.maps["t"][both], result.maps["t"][both], rtol=1e-4).mean() > 0.99


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 2e-6), (torch.float64, 1e-12)])
def test_bessel_functions_are_those_of_scipy(dtype, rtol):
    z = torch.cat((torch.linspace(0, 12, 4001), torch.logspace(1, 9, 400), torch.tensor([3.75]))).to(dtype)
    exact = z.double().numpy()
    np.testing.assert_allclose(bessel.log_i0e(z).exp(), scipy.special.i0e(exact), rtol=rtol)
    expected = scipy.special.i1e(exact) / scipy.special.i0e(exact)
    np.testing.assert_allclose(bessel.ratio(z), expected, rtol=rtol)


def test_intervals_of_the_likelihood_cover_the_truth():
    signal = magnitudes(10_000, 15, np.full(10_000, 40.0))
    result = rician(signal, TIMES, sigma=100 / 15)
    inside = np.abs(result.maps["t"] - 40) < 1.96 * result.std["t"]
    assert 0.93 < inside.mean() < 0.97


def test_residuals_are_those_to_the_rician_mean():
    signal = scipy.stats.rice.mean(decay(np.full(1, 100.0), np.full(1, 20.0)) / 10, scale=10)
    result = rician(np.tile(signal, (1, 1)), TIMES, sigma=10.0)
    assert result.rmse[0] < 1.0


@pytest.mark.usefixtures("as_user")
def test_likelihood_needs_the_noise_level_and_no_offset():
    with pytest.raises(ValueError, match="estimate_sigma"):
        rx.fit(np.ones((1, 4)), TIMES, method="rician")
    with pytest.raises(ValueError, match="offset"):
        rician(np.ones((1, 4)), TIMES, sigma=1.0, model=rx.signals.MonoExponentialWithOffset())


def test_negative_samples_are_no_magnitudes():
    result = rician(np.array([[100.0, -1, 50, 30], [-1.0, -1, -1, 3]]), TIMES, sigma=1.0)
    assert result.n_used.tolist() == [3, 1]
    assert FitStatus(result.status[1]) is FitStatus.TOO_FEW_SAMPLES
