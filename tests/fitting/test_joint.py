"""Several contrasts with a common first image, against SciPy."""

import numpy as np
import pytest
import scipy.optimize
from decays import decay

import relaxnet as rx
from relaxnet import FitStatus
from relaxnet.fitting import fit_joint

PROTOCOL = rx.protocols.LIVER_T1RHO_T2


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
