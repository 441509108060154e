"""Estimators of one's own."""

import numpy as np
import torch
from decays import TIMES, decay

import relaxnet as rx
from relaxnet import FitStatus


class FirstAndLast(rx.fitting.Estimator):
    """It does not look at weights, and takes whatever samples it is given for good ones."""

    def estimate(self, samples):
        time, (first, *_, last) = self.design.time[:, 0], samples.values
        t = (time[-1] - time[0]) / torch.log(first / last)
        m0 = first * torch.exp(time[0] / t)
        return rx.fitting.Estimate(torch.stack((m0, t)), torch.full_like(t, FitStatus.CONVERGED, dtype=torch.uint8))


def test_an_estimator_that_ignores_weights_is_given_used_samples_alone():
    signal = decay(np.full(5, 100.0), np.full(5, 45.0))
    signal[1, -1] = signal[2, 0] = signal[3, 1] = np.nan
    signal[4, 1:] = np.nan
    result = rx.fitting.run(FirstAndLast, signal, TIMES)
    np.testing.assert_allclose(result.maps["t"], [45.0] * 4 + [np.nan], rtol=1e-9)
    assert result.n_used.tolist() == [4, 3, 3, 3, 1]
    assert FitStatus(result.status[4]) is FitStatus.TOO_FEW_SAMPLES


def test_saturation_and_sigma_serve_an_estimator_of_ones_own():
    signal = decay(np.full(2, 100.0), np.full(2, 45.0))
    result = rx.fitting.run(FirstAndLast, signal, TIMES, saturation=99.0, sigma=1.0)
    np.testing.assert_allclose(result.maps["t"], 45.0, rtol=1e-9)
    assert result.n_used.tolist() == [3, 3]
    assert np.isfinite(result.std["t"]).all()


class Hopeless(rx.fitting.Estimator):
    """It says that it converged, with parameters that are not finite."""

    obeys_weights = True

    def estimate(self, samples):
        n = samples.values.shape[1]
        return rx.fitting.Estimate(torch.full((2, n), torch.nan), torch.full((n,), FitStatus.CONVERGED))


def test_what_is_not_finite_has_not_converged():
    result = rx.fitting.run(Hopeless, decay(np.full(2, 100.0), np.full(2, 45.0)), TIMES)
    assert [FitStatus(s) for s in result.status] == [FitStatus.NOT_CONVERGED] * 2
