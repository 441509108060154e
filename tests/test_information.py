import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

import relaxnet as rx
from relaxnet.information import crlb, crlb_joint, fisher, optimal_times
from relaxnet.signals import (
    InversionRecovery,
    MonoExponential,
    MonoExponentialWithOffset,
    SaturationRecovery,
)

TIMES = (0.0, 10.0, 30.0, 50.0)
PROTOCOL = rx.protocols.LIVER_T1RHO_T2
DECAY = MonoExponential()


@given(st.floats(10, 200), st.floats(1, 1e4), st.floats(0.1, 10))
def test_bound_scales_with_noise_signal_and_time(t, m0, factor):
    bound = crlb(DECAY, m0, t, TIMES, sigma=1.0)
    assert crlb(DECAY, m0, t, TIMES, sigma=factor)["t"] == pytest.approx(factor * bound["t"])
    assert crlb(DECAY, m0 * factor, t, TIMES, sigma=factor)["t"] == pytest.approx(bound["t"])
    slower = crlb(DECAY, m0, 2 * t, [2 * time for time in TIMES], sigma=1.0)
    assert slower["t"] == pytest.approx(2 * bound["t"])
    assert slower["m0"] == pytest.approx(bound["m0"])


@given(st.floats(10, 200), st.floats(0, 60))
def test_another_image_never_hurts(t, time):
    before, after = (crlb(DECAY, 100.0, t, times, sigma=1.0) for times in (TIMES, (*TIMES, time)))
    assert after["t"] <= before["t"] * (1 + 1e-9)


def test_repeating_all_images_is_averaging():
    once, four_times = (crlb(DECAY, 100.0, 45.0, TIMES * n, sigma=1.0) for n in (1, 4))
    assert four_times["t"] == pytest.approx(once["t"] / 2)


@pytest.mark.parametrize(
    "model", [DECAY, MonoExponentialWithOffset(), InversionRecovery(magnitude=False), SaturationRecovery()]
)
def test_information_is_that_of_finite_differences(model):
    times, m0, t, sigma = np.array([20.0, 60, 100, 200]), 80.0, 55.0, (1.0, 2.0, 1.5, 1.0)

    def signal(p):
        clean = p[0] * model.basis(torch.tensor(p[1], dtype=torch.float64), torch.from_numpy(times)).numpy()
        return clean + p[2] if model.has_offset else clean

    p = [m0, t, 5.0][: 2 + model.has_offset]
    jacobian = []
    for k in range(len(p)):
        up, down = list(p), list(p)
        up[k], down[k] = p[k] + 1e-4, p[k] - 1e-4
        jacobian.append((signal(up) - signal(down)) / 2e-4)
    jacobian = np.array(jacobian) / np.array(sigma)
    np.testing.assert_allclose(fisher(model, m0, t, times, sigma), jacobian @ jacobian.T, rtol=1e-6)
    expected = np.sqrt(np.diag(np.linalg.inv(jacobian @ jacobian.T)))
    np.testing.assert_allclose(list(crlb(model, m0, t, times, sigma).values()), expected, rtol=1e-5)


@pytest.mark.parametrize("snr", [0.05, 0.5, 2.0, 5.0, 20.0])
def test_information_under_rician_noise_is_that_of_its_density(snr):
    """One image at time 0: the information on m0 is that on the amplitude of the Rice distribution."""

    def integrand(x):
        h = 1e-4
        score = (scipy.stats.rice.logpdf(x, snr + h) - scipy.stats.rice.logpdf(x, snr - h)) / (2 * h)
        return score**2 * scipy.stats.rice.pdf(x, snr)

    expected, _ = scipy.integrate.quad(integrand, max(0.0, snr - 9) + 1e-9, snr + 9, limit=300)
    found = fisher(DECAY, snr, 40.0, (0.0,), sigma=1.0, noise="rician")[0, 0]
    assert found == pytest.approx(expected, rel=1e-4)


def test_rician_bound_approaches_the_gaussian_one_from_above():
    ratios = [
        crlb(DECAY, snr, 40.0, TIMES, 1.0, noise="rician")["t"] / crlb(DECAY, snr, 40.0, TIMES, 1.0)["t"]
        for snr in (2.0, 5.0, 20.0, 100.0, 1e4, 1e6)
    ]
    assert ratios[0] > ratios[1] > ratios[2]
    assert ratios[0] > 1.2
    assert ratios[-1] == pytest.approx(1, abs=1e-6)
    assert all(ratio >= 1 - 1e-9 for ratio in ratios)


def test_maps_are_computed_voxel_by_voxel_and_come_back_as_they_came():
    m0, t = np.linspace(50, 100, 12).reshape(3, 4), np.linspace(20, 80, 12).reshape(3, 4)
    for noise in ("gaussian", "rician"):
        maps = crlb(DECAY, m0, t, TIMES, sigma=5.0, noise=noise)
        assert isinstance(maps["t"], np.ndarray)
        single = [crlb(DECAY, a, b, TIMES, sigma=5.0, noise=noise)["t"] for a, b in zip(m0.flat, t.flat, strict=True)]
        np.testing.assert_allclose(maps["t"].ravel(), single)
        tensors = crlb(DECAY, torch.from_numpy(m0), torch.from_numpy(t), TIMES, sigma=5.0, noise=noise)
        assert isinstance(tensors["t"], torch.Tensor)
        np.testing.assert_allclose(tensors["t"], maps["t"])
    assert crlb(DECAY, 100.0, t, TIMES, sigma=5.0)["m0"].shape == (3, 4)


def test_what_is_not_determined_has_an_infinite_bound():
    assert math.isinf(crlb(DECAY, 100.0, 40.0, (10.0,), sigma=1.0)["t"])
    assert math.isinf(crlb(DECAY, 0.0, 40.0, TIMES, sigma=1.0)["t"])
    bounds = crlb(DECAY, np.array([100.0, 0.0]), 40.0, TIMES, sigma=1.0)
    np.testing.assert_array_equal(np.isinf(bounds["t"]), [False, True])


# --- the bound and the fits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [20.0, 30.0, 45.0, 60.0])
def test_least_squares_reaches_the_bound(t):
    """Mean squared error within 4 % of the bound at SNR 50, at the paper's spin-lock times; intervals of 95 %."""
    g = np.random.default_rng(int(t))
    n, sigma = 60_000, 2.0
    signal = 100 * np.exp(-np.array(TIMES) / t) + g.normal(0, sigma, (n, 4))
    result = rx.fit(signal, TIMES, sigma=sigma)
    bound = crlb(DECAY, 100.0, t, TIMES, sigma)["t"]
    error = np.mean((result.maps["t"] - t) ** 2)
    assert 0.97 < error / bound**2 < 1.04
    covered = np.abs(result.maps["t"] - t) < 1.96 * result.std["t"]
    assert 0.94 < covered.mean() < 0.96


def test_standard_errors_are_the_bound_at_the_fit():
    signal = 100 * np.exp(-np.array(TIMES) / np.linspace(20, 80, 9)[:, None])
    result = rx.fit(signal, TIMES, sigma=3.0)
    bound = crlb(DECAY, result.maps["m0"], result.maps["t"], TIMES, 3.0)
    np.testing.assert_allclose(result.std["t"], bound["t"], rtol=1e-6)
    np.testing.assert_allclose(result.std["m0"], bound["m0"], rtol=1e-6)


def test_likelihood_under_rician_noise_comes_near_its_bound():
    g = np.random.default_rng(0)
    clean, sigma = 100 * np.exp(-np.array(TIMES) / 30.0), 5.0
    signal = np.hypot(clean + g.normal(0, sigma, (40_000, 4)), g.normal(0, sigma, (40_000, 4)))
    result = rx.fit(signal, TIMES, method="rician", sigma=sigma)
    bound = crlb(DECAY, 100.0, 30.0, TIMES, sigma, noise="rician")["t"]
    assert 0.95 < result.maps["t"][result.ok].std() / bound < 1.1
    assert np.median(result.std["t"][result.ok]) == pytest.approx(bound, rel=0.05)


def test_gradient_of_a_fit_propagates_noise_to_the_bound():
    """The delta method through the gradient is the bound: two ways to one number."""
    signal = DECAY(torch.tensor([100.0]).double(), torch.tensor([45.0]).double(), TIMES).requires_grad_()
    (by_signal,) = torch.autograd.grad(rx.fit(signal, TIMES).maps["t"].sum(), signal)
    assert 3.0 * by_signal.norm() == pytest.approx(crlb(DECAY, 100.0, 45.0, TIMES, 3.0)["t"], rel=1e-6)


# --- several contrasts --------------------------------------------------------------------------------------------


def test_joint_bound_is_that_of_the_joint_fit():
    truth = {"t1rho": 45.0, "t2": 34.0}
    images = np.empty((1, 7))
    for contrast in PROTOCOL.contrasts:
        images[:, PROTOCOL.images_of(contrast.name)] = 100 * np.exp(-np.array(contrast.times_ms) / truth[contrast.name])
    result = rx.fit_joint(images, PROTOCOL, sigma=5.0)
    bound = crlb_joint(PROTOCOL, 100.0, truth, sigma=5.0)
    assert set(bound) == {"m0", "t1rho", "t2"}
    for name, value in bound.items():
        assert result.std[name][0] == pytest.approx(value, rel=1e-6)


def test_joint_bound_of_three_images_is_that_of_two_points():
    truth = {"t1rho": 45.0, "t2": 34.0}
    bound = crlb_joint(PROTOCOL, 100.0, truth, sigma=5.0, inputs="middle")
    assert bound["t1rho"] == pytest.approx(crlb(DECAY, 100.0, 45.0, (0, 30), 5.0)["t"])
    assert bound["t2"] == pytest.approx(crlb(DECAY, 100.0, 34.0, (0, 34.6), 5.0)["t"])
    assert math.isinf(crlb_joint(PROTOCOL, 100.0, truth, sigma=5.0, inputs=(0, 1, 2))["t2"])


def test_joint_bound_is_below_each_contrast_alone():
    truth = {"t1rho": np.array([30.0, 60.0]), "t2": 34.0}
    together = crlb_joint(PROTOCOL, 100.0, truth, sigma=5.0)
    for contrast in PROTOCOL.contrasts:
        alone = crlb(DECAY, 100.0, truth[contrast.name], contrast.times_ms, 5.0)
        assert (together[contrast.name] < alone["t"]).all()


# --- when to acquire ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [10.0, 45.0, 300.0])
def test_the_exact_answer_for_two_images_and_one_t(t):
    first, second = optimal_times(DECAY, (t, t), n=2, max_ms=1000)
    assert first == pytest.approx(0, abs=1e-3 * t)
    x = second / t
    assert x == pytest.approx(1 + math.exp(-2 * x), abs=1e-4)
    assert x == pytest.approx(1.109, abs=1e-3)
    first, second = optimal_times(DECAY, (t, t), n=2, max_ms=1000, min_ms=5)
    assert first == pytest.approx(5)
    assert (second - first) / t == pytest.approx(1.109, abs=1e-3)


def test_chosen_times_beat_those_of_the_paper_and_all_others():
    def cost(times):
        t = np.geomspace(30, 60, 24)
        return np.mean((crlb(DECAY, 1.0, t, times, 1.0)["t"] / t) ** 2)

    best = optimal_times(DECAY, (30, 60), n=4, max_ms=60)
    assert len(best) == 4
    assert list(best) == sorted(best)
    assert 0 <= best[0] <= best[-1] <= 60
    assert cost(best) < cost(TIMES)
    g = np.random.default_rng(0)
    for _ in range(200):
        others = g.uniform(0, 60, 4)
        if np.ptp(others) > 1:
            assert cost(best) <= cost(others) * (1 + 1e-6)


def test_the_same_seed_chooses_the_same_times():
    first, second = (optimal_times(MonoExponentialWithOffset(), (30, 60), n=4, max_ms=200) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("noise", ["gaussian", "rician"])
@pytest.mark.parametrize("model", [DECAY, MonoExponentialWithOffset(), rx.signals.InversionRecovery()])
def test_numbers_go_where_the_maps_are(model, noise):
    """The device that holds no numbers stands for those that are not at hand."""
    away = torch.full((2, 3), 40.0, device="meta")
    for m0, t in ((100.0, away), (away, 40.0), (np.array(100.0), away), (torch.tensor(100.0), away), (away, away)):
        for sigma in (5.0, [1.0, 2.0, 1.0, 2.0], torch.tensor(5.0)):
            bound = crlb(model, m0, t, TIMES, sigma, noise=noise)
            assert bound["t"].device.type == "meta"
            assert bound["t"].shape == (2, 3)
    joint = crlb_joint(PROTOCOL, 100.0, {"t1rho": away, "t2": 30.0}, 5.0, noise=noise)
    assert joint["t2"].device.type == "meta"


def test_maps_on_two_devices_are_refused():
    with pytest.raises(ValueError, match="maps are on cpu and meta: bring them to one device"):
        crlb(DECAY, torch.ones(3), torch.full((3,), 40.0, device="meta"), TIMES, 5.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: crlb(DECAY, 1.0, 40.0, TIMES, sigma=0.0), "positive and finite"),
        (lambda: crlb(DECAY, 1.0, 40.0, TIMES, sigma=(1.0, 2.0)), r"shape \(2,\).*4 images"),
        (lambda: crlb(DECAY, 1.0, 40.0, (0, 0.01), sigma=1.0), "look like seconds"),
        (lambda: crlb(DECAY, 1.0, 40.0, TIMES, 1.0, noise="pink"), "noise='pink'"),
        (lambda: crlb_joint(PROTOCOL, 1.0, {"t1rho": 1.0}, 1.0), "relaxation times of"),
        (
            lambda: crlb_joint(rx.Protocol(PROTOCOL.contrasts), 1.0, {"t1rho": 1.0, "t2": 1.0}, 1.0),
            "common first image",
        ),
        (lambda: optimal_times(DECAY, (30, 60), n=1, max_ms=60), "n=1: 2 parameters"),
        (lambda: optimal_times(MonoExponentialWithOffset(), (30, 60), n=2, max_ms=60), "n=2: 3 parameters"),
        (lambda: optimal_times(DECAY, (60, 30), n=3, max_ms=60), "shortest <= longest"),
        (lambda: optimal_times(DECAY, (0, 30), n=3, max_ms=60), "0 < shortest"),
        (lambda: optimal_times(DECAY, (30, 60), n=3, max_ms=10, min_ms=20), "min_ms < max_ms"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
