"""Log-linear, Rician and joint fits, and the noise level, against independent implementations."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
import torch

import relaxnet as rx
from relaxnet import FitStatus
from relaxnet.fitting import estimate_sigma, fit_joint, log_linear, nlls, rician
from relaxnet.fitting._core import bessel

TIMES = np.array([0.0, 10.0, 30.0, 50.0])
PROTOCOL = rx.protocols.LIVER_T1RHO_T2


def decay(m0, t, times=TIMES):
    return np.asarray(m0)[..., None] * np.exp(-times / np.asarray(t)[..., None])


def magnitudes(n, snr, t, seed=0, times=TIMES):
    g = np.random.default_rng(seed)
    clean = decay(np.full(n, 100.0), t, times)
    noise = g.normal(0, 100 / snr, (2, *clean.shape))
    return np.hypot(clean + noise[0], noise[1])


# --- log-linear ---------------------------------------------------------------------------------------------------


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


# --- Rician -------------------------------------------------------------------------------------------------------


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


# --- noise level --------------------------------------------------------------------------------------------------


def test_noise_level_from_background_and_from_residuals():
    signal = magnitudes(20_000, 25, np.full(20_000, 45.0))
    assert estimate_sigma(signal, TIMES) == pytest.approx(4.0, rel=0.03)
    air = np.hypot(*np.random.default_rng(1).normal(0, 4, (2, 20_000, 4)))
    both = np.concatenate((signal, air))
    background = np.arange(40_000) >= 20_000
    assert estimate_sigma(both, TIMES, background=background) == pytest.approx(4.0, rel=0.01)
    assert estimate_sigma(both, TIMES, mask=~background) == pytest.approx(4.0, rel=0.03)


def test_a_few_voxels_of_another_kind_do_not_spoil_it():
    signal = magnitudes(5000, 25, np.full(5000, 45.0))
    signal[:500] = np.random.default_rng(0).uniform(0, 100, (500, 4))
    signal[500:600, 2] = np.nan
    assert estimate_sigma(torch.from_numpy(signal), TIMES) == pytest.approx(4.0, rel=0.08)


@pytest.mark.parametrize("dim", [1, -1])
def test_what_the_model_does_not_describe_is_no_noise(dim):
    """Two compartments and a first image that is too bright: residuals are several times the noise."""
    times = (0, 10, 20, 40, 80, 120)
    y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    time = torch.tensor(times)[:, None, None]
    clean = (100 + 50 * torch.sin(5 * x) * y) * (torch.exp(-time / (20 + 20 * x)) + torch.exp(-time / (150 + 99 * y)))
    clean[0] *= 1.4
    noisy = rx.signals.add_noise(clean[None] / 2, 4.5, generator=torch.Generator().manual_seed(0)).movedim(1, dim)
    for signal in (noisy, noisy.numpy()):
        assert estimate_sigma(signal, times, dim=dim) == pytest.approx(4.5, rel=0.05)
    mask = (torch.rand(64, 64, generator=torch.Generator().manual_seed(1)) < 0.99)[None]
    assert estimate_sigma(noisy, times, dim=dim, mask=mask) == pytest.approx(4.5, rel=0.1)


def test_texture_is_no_noise():
    """Neighbours that differ by more than the noise leave the estimate from residuals."""
    signal = magnitudes(64 * 64, 25, np.random.default_rng(2).uniform(20, 90, 64 * 64)).reshape(1, 64, 64, 4)
    assert estimate_sigma(signal, TIMES, dim=-1) == pytest.approx(4.0, rel=0.05)


def test_noise_level_needs_something_to_learn_from():
    signal = magnitudes(5, 25, np.full(5, 45.0))
    everywhere, nowhere = np.ones(5), np.zeros(5)
    with pytest.raises(ValueError, match="both given"):
        estimate_sigma(signal, TIMES, background=everywhere, mask=everywhere)
    with pytest.raises(ValueError, match="no voxel leaves a residual"):
        estimate_sigma(signal[:, :2], TIMES[:2])
    with (
        pytest.warns(UserWarning, match="mask is empty"),
        pytest.raises(ValueError, match="background holds no sample"),
    ):
        estimate_sigma(signal, TIMES, background=nowhere)


# --- joint --------------------------------------------------------------------------------------------------------


def joint_signal(m0, t1rho, t2):
    parts = [decay(m0, t1rho), decay(m0, t2, np.array(PROTOCOL.contrasts[1].times_ms[1:]))]
    return np.concatenate(parts, axis=-1)


def noisy_joint(n, snr, seed=0):
    g = np.random.default_rng(seed)
    t1rho, t2 = g.uniform(20, 100, n), g.uniform(15, 80, n)
    clean = joint_signal(np.full(n, 100.0), t1rho, t2)
    return clean + g.normal(0, 100 / snr, clean.shape)


def test_a_joint_fit_recovers_the_truth_and_matches_curve_fit():
    signal = noisy_joint(20, 50)
    result = fit_joint(signal, PROTOCOL)
    assert tuple(result.maps) == ("m0", "t1rho", "t2")
    assert result.ok.all()
    for k, voxel in enumerate(signal):
        found = [result.maps[name][k] for name in result.maps]
        best, cov = scipy.optimize.curve_fit(
            lambda _, m0, a, b: joint_signal(m0, a, b), np.zeros(7), voxel, p0=found, xtol=1e-14, ftol=1e-14
        )
        np.testing.assert_allclose(found, best, rtol=1e-6)
        np.testing.assert_allclose(result.cov[..., k], cov, rtol=1e-3)


@pytest.mark.parametrize("snr", [2, 5, 20])
def test_no_point_of_a_grid_leads_scipy_to_a_better_joint_optimum(snr):
    bounds = (5.0, 500.0)
    signal = noisy_joint(20, snr, seed=snr)
    result = fit_joint(signal, PROTOCOL, bounds=bounds)
    found = result.status <= FitStatus.AT_BOUND
    assert found.mean() > 0.6
    a, b = np.meshgrid(*[np.geomspace(*bounds, 150)] * 2)
    basis = joint_signal(np.ones_like(a), a, b)
    for k in np.flatnonzero(found):
        ours = ((signal[k] - joint_signal(*(result.maps[name][k] for name in result.maps))) ** 2).sum()
        m0 = np.maximum(basis @ signal[k] / (basis**2).sum(-1), 0)
        best = ((signal[k] - m0[..., None] * basis) ** 2).sum(-1).argmin()
        start = [one.flat[best] for one in (m0, a, b)]
        assert ours <= ((signal[k] - joint_signal(*start)) ** 2).sum() * (1 + 1e-9)
        lower, upper = np.array([0, 5, 5]), np.array([np.inf, 500, 500])
        theirs = scipy.optimize.least_squares(
            lambda p, s=signal[k]: s - joint_signal(*p),
            np.clip(start, lower + 1e-6, upper - 1e-6),
            bounds=(lower, upper),
        )
        assert ours <= 2 * theirs.cost * (1 + 1e-6)


@pytest.mark.parametrize("snr", [2, 5, 10, 50])
def test_contrasts_by_themselves_are_a_start_as_good_as_a_search(snr, monkeypatch):
    signal = noisy_joint(3000, snr)
    quick = fit_joint(signal, PROTOCOL)
    monkeypatch.setattr("relaxnet.fitting._joint.SURE", np.inf)
    searched = fit_joint(signal, PROTOCOL)
    np.testing.assert_array_equal(quick.status, searched.status)
    for name in ("m0", "t1rho", "t2"):
        np.testing.assert_allclose(quick.maps[name], searched.maps[name], rtol=1e-9)


def test_a_common_amplitude_is_more_precise_than_two():
    signal = noisy_joint(5000, 20)
    joint = fit_joint(signal, PROTOCOL, sigma=5.0)
    for contrast in PROTOCOL.contrasts:
        apart = rx.fit(signal[:, PROTOCOL.images_of(contrast.name)], contrast, sigma=5.0)
        both = joint.ok & apart.ok
        assert np.median(joint.std[contrast.name][both]) < np.median(apart.std[contrast.name][both])


def test_any_number_of_contrasts():
    names = ("a", "b", "c")
    protocol = rx.Protocol(
        tuple(rx.Contrast(name, (0, 15 + k, 40 + k)) for k, name in enumerate(names)), shared_first=True
    )
    truth = np.array([[30.0, 50.0, 80.0], [60.0, 20.0, 40.0]])
    images = np.zeros((2, 7))
    for k, contrast in enumerate(protocol.contrasts):
        images[:, protocol.images_of(contrast.name)] = decay(np.full(2, 9.0), truth[:, k], np.array(contrast.times_ms))
    result = fit_joint(images, protocol)
    np.testing.assert_allclose([result.maps[name] for name in names], truth.T, rtol=1e-8)
    assert result.cov.shape == (4, 4, 2)
    single = fit_joint(images[:, :3], rx.Protocol(protocol.contrasts[:1]))
    np.testing.assert_allclose(single.maps["a"], truth[:, 0], rtol=1e-8)


def test_spoiled_voxels_of_a_joint_fit():
    good = joint_signal(np.full(1, 100.0), np.full(1, 45.0), np.full(1, 34.0))[0]
    without_first, one_missing, no_t2, rising = (good.copy() for _ in range(4))
    without_first[0] = np.nan
    one_missing[2] = np.inf
    no_t2[4:] = np.nan
    rising[4:] = 100, 130, 160
    result = fit_joint(
        np.array([good, without_first, one_missing, no_t2, rising, np.zeros(7), np.full(7, np.nan)]), PROTOCOL
    )
    names = [FitStatus(s).name for s in result.status]
    assert names == ["CONVERGED"] * 3 + ["TOO_FEW_SAMPLES", "NO_DECAY", "NO_SIGNAL", "TOO_FEW_SAMPLES"]
    np.testing.assert_allclose(result.maps["t2"][:3], 34, rtol=1e-8)
    assert result.n_used.tolist() == [7, 6, 6, 4, 7, 7, 0]


def test_a_common_first_image_may_be_later_than_0():
    """Its signal is the amplitude then: only what later images have lost since depends on T."""
    contrasts = [rx.Contrast(c.name, tuple(t + 2.5 for t in c.times_ms)) for c in PROTOCOL.contrasts]
    signal = joint_signal(np.full(5, 100.0), np.linspace(30, 60, 5), np.linspace(50, 20, 5))
    signal = signal + np.random.default_rng(0).normal(0, 2, signal.shape)
    later, usual = (fit_joint(signal, p) for p in (rx.Protocol(tuple(contrasts), shared_first=True), PROTOCOL))
    for name, values in usual.maps.items():
        np.testing.assert_allclose(later.maps[name], values, rtol=1e-9)
        np.testing.assert_allclose(later.std[name], usual.std[name], rtol=1e-9)


def test_bounds_of_a_joint_fit_may_differ():
    signal = joint_signal(np.full(1, 100.0), np.full(1, 45.0), np.full(1, 34.0))
    result = fit_joint(signal, PROTOCOL, bounds={"t2": (5, 20)})
    assert FitStatus(result.status[0]) is FitStatus.AT_BOUND
    assert result.maps["t2"][0] == 20
    assert result.maps["t1rho"][0] < 50


@pytest.mark.parametrize(
    ("protocol", "options", "message"),
    [
        (rx.Protocol(PROTOCOL.contrasts), {}, "common first image at 0 ms"),
        (
            rx.Protocol(
                tuple(rx.Contrast(n, (5, 20), rx.signals.StretchedExponential(0.7)) for n in "ab"), shared_first=True
            ),
            {},
            "common first image at 0 ms",
        ),
        (PROTOCOL, {"bounds": {"t1": (1, 2)}}, r"names \('t1',\): the contrasts are"),
        (PROTOCOL, {"bounds": (10, 1)}, "smallest < largest"),
        (PROTOCOL, {"dim": 0}, "7 times"),
    ],
)
def test_joint_fits_that_cannot_be(protocol, options, message):
    with pytest.raises(ValueError, match=message):
        fit_joint(np.ones((3, protocol.n_images)), protocol, **options)


# --- an estimator of one's own ------------------------------------------------------------------------------------


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
