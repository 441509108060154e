"""The straight line through logarithms, against NumPy."""

import numpy as np
import pytest
from decays import TIMES, decay, magnitudes

import relaxnet as rx
from relaxnet import FitStatus
from relaxnet.fitting import log_linear


def test_an_unweighted_line_is_that_of_polyfit():
    signal = magnitudes(30, 20, np.full(30, 40.0))
    result = log_linear(signal, TIMES, weights=None)
    for k, voxel in enumerate(signal):
        (slope, intercept), cov = np.polyfit(TIMES, np.log(voxel), 1, cov=True)
        np.testing.assert_allclose(result.maps["t"][k], -1 / slope, rtol=1e-9)
        np.testing.assert_allclose(result.maps["m0"][k], np.exp(intercept), rtol=1e-9)
        np.testing.assert_allclose(result.std["t"][k], np.sqrt(cov[0, 0]) / slope**2, rtol=1e-6)
        np.testing.assert_allclose(result.std["m0"][k], np.exp(intercept) * np.sqrt(cov[1, 1]), rtol=1e-6)


def test_a_weighted_line_has_the_weights_of_its_first_pass():
    signal = magnitudes(30, 20, np.full(30, 40.0))
    result = log_linear(signal, TIMES)
    for k, voxel in enumerate(signal):
        first = np.polyfit(TIMES, np.log(voxel), 1, w=voxel)
        second = np.polyfit(TIMES, np.log(voxel), 1, w=np.exp(np.polyval(first, TIMES)))
        np.testing.assert_allclose(result.maps["t"][k], -1 / second[0], rtol=1e-9)


@pytest.mark.parametrize("weights", ["signal", None])
def test_errors_of_a_line_are_those_that_occur(weights):
    signal = decay(np.full(20_000, 100.0), np.full(20_000, 40.0)) + np.random.default_rng(0).normal(0, 1, (20_000, 4))
    result = log_linear(signal, TIMES, weights=weights, sigma=1.0)
    np.testing.assert_allclose(result.maps["t"].std(), result.std["t"].mean(), rtol=0.03)
    np.testing.assert_allclose(result.maps["m0"].std(), result.std["m0"].mean(), rtol=0.03)
    measured = np.cov(result.maps["m0"], result.maps["t"])[0, 1]
    np.testing.assert_allclose(result.cov[0, 1].mean(), measured, rtol=0.05)


def test_a_line_leaves_samples_without_logarithm_aside():
    result = log_linear(np.array([[100.0, 50, -1, 0], [100.0, 0, 0, 0], [5.0, 5, 5, 5], [1.0, 2, 3, 4]]), TIMES)
    assert result.n_used.tolist() == [2, 1, 4, 4]
    names = [FitStatus(s).name for s in result.status]
    assert names == ["CONVERGED", "TOO_FEW_SAMPLES", "AT_BOUND", "NO_DECAY"]


@pytest.mark.usefixtures("as_user")
def test_unknown_weights():
    with pytest.raises(ValueError, match="weights='snr'"):
        rx.fit(np.ones((1, 4)), TIMES, method="log-linear", weights="snr")
