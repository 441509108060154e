"""The compiled Rician fit and that in torch are one fit: the same statuses, the same maps."""

import numpy as np
import pytest
import torch
from decays import TIMES, magnitudes

import relaxnet as rx
from relaxnet import FitStatus
from relaxnet.fitting._core import fused

pytest.importorskip("numba")

TRAIN = 10.0 * np.arange(1, 9)
N = 3000


@pytest.fixture
def fit(monkeypatch):
    """Fit by one of the implementations, however few voxels there are."""

    def by(least, signal, times, **options):
        monkeypatch.setattr(fused, "LEAST_VOXELS", least)
        return rx.fit(signal, times, method="rician", **options)

    return by


@pytest.fixture
def both(fit):
    return lambda *given, **options: [fit(least, *given, **options) for least in (np.inf, 0)]


def tissue(snr, times=TIMES, seed=0):
    """Simulate noise of 100/snr and T of 20 to 80 ms, as most users have it."""
    t = np.random.default_rng(seed).uniform(20, 80, N)
    return magnitudes(N, snr, t, seed, times).astype(np.float32)


def assert_same_maps(by_torch, compiled, among=True, rtol=1e-5):
    """Maps agree to 1e-5 or, where they are known less well than that, to a thousandth of their standard errors."""
    np.testing.assert_array_equal(compiled.n_used, by_torch.n_used)
    ok = by_torch.ok & compiled.ok & among
    np.testing.assert_array_equal(np.isnan(compiled.std["t"][ok]), np.isnan(by_torch.std["t"][ok]))
    ok &= np.isfinite(by_torch.std["t"])
    for name in ("m0", "t"):
        found, expected = compiled.maps[name][ok], by_torch.maps[name][ok]
        np.testing.assert_array_less(
            np.abs(found - expected), rtol * np.abs(expected) + 1e-3 * by_torch.std[name][ok] + 1e-12
        )
        sure = ok & (by_torch.std[name] < by_torch.maps[name])
        np.testing.assert_allclose(compiled.std[name][sure], by_torch.std[name][sure], rtol=1e-2)
    sure = ok & (by_torch.std["t"] < by_torch.maps["t"])
    np.testing.assert_allclose(compiled.covariances["m0", "t"][sure], by_torch.covariances["m0", "t"][sure], rtol=2e-2)
    np.testing.assert_allclose(compiled.rmse[ok], by_torch.rmse[ok], rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(compiled.r2[ok], by_torch.r2[ok], atol=1e-4)


@pytest.mark.parametrize("snr", [3, 5, 10, 50, 1000])
@pytest.mark.parametrize("times", [TIMES, np.array([30.0, 5.0, 60.0]), TRAIN])
def test_both_agree_on_tissue(fit, both, times, snr):
    signal = tissue(snr, times)
    by_torch, compiled = both(signal, times, sigma=100 / snr)
    # Where a fast decay leaves a single sample, rounding decides: in torch, too, so that another unit changes it.
    other = fit(np.inf, signal * np.float32(3.7), times, sigma=370 / snr)
    differs, differs_itself = (
        (result.status != by_torch.status)
        | (np.isnan(result.std["t"]) != np.isnan(by_torch.std["t"]))
        | (np.abs(result.maps["t"] - by_torch.maps["t"]) > 1e-3 * by_torch.maps["t"])
        for result in (compiled, other)
    )
    assert differs.sum() <= max(differs_itself.sum(), 0 if snr >= 5 else 3)
    # Single precision itself is good to no more than that, far above the noise.
    assert_same_maps(by_torch, compiled, ~differs, rtol=1e-4 if snr > 100 else 1e-5)


@pytest.mark.parametrize("times", [TIMES, TRAIN])
def test_both_agree_on_all_sorts_of_voxels(both, times):
    signal = tissue(20, times)
    signal[::17, 1], signal[1::17, -1], signal[2::17] = np.nan, np.inf, np.nan
    signal[3::17], signal[4::17], signal[5::17] = 0, 7, -signal[5::17]
    signal[6::17, -1] *= -1
    signal[7::17, -1], signal[8::17, 2:] = 0, 0
    signal[9::17] = np.sort(signal[9::17], axis=1)
    signal[10::17, 1:] = np.nan
    by_torch, compiled = both(signal, times, sigma=5.0)
    np.testing.assert_array_equal(compiled.status, by_torch.status)
    assert set(np.unique(compiled.status)) >= {0, 2, 3, 4}
    assert_same_maps(by_torch, compiled)


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": (4.0, 5.0, 6.0, 5.0)},
        {"sigma": "by sample"},
        {"sigma": 5.0, "saturation": 90.0},
        {"sigma": 5.0, "bounds": (25, 60)},
        {"sigma": 5.0, "mask": np.arange(N) % 3 == 0},
        {"sigma": 5.0, "chunk_size": 77},
    ],
)
def test_both_agree_under_all_options(both, options):
    signal = tissue(20)
    if options["sigma"] == "by sample":
        options = {"sigma": np.random.default_rng(1).uniform(4, 6, signal.shape)}
    by_torch, compiled = both(signal, TIMES, **options)
    np.testing.assert_array_equal(compiled.status, by_torch.status)
    assert_same_maps(by_torch, compiled)


def test_maps_alone_are_the_same_maps(fit):
    signal = tissue(10)
    alone, whole = (fit(0, signal, TIMES, sigma=10.0, maps_only=only) for only in (True, False))
    np.testing.assert_array_equal(alone.maps["t"], whole.maps["t"])
    assert np.isnan(alone.std["t"]).all()


def test_scale_and_neighbours_do_not_matter(fit):
    signal = tissue(10)
    usual = fit(0, signal, TIMES, sigma=10.0)
    for scale in (2.0**40, 2.0**-40):
        scaled = fit(0, signal * np.float32(scale), TIMES, sigma=10 * scale)
        np.testing.assert_array_equal(scaled.maps["t"], usual.maps["t"])
    np.testing.assert_array_equal(fit(0, signal[::3], TIMES, sigma=10.0).maps["t"], usual.maps["t"][::3])


def test_it_is_the_most_likely(fit):
    """No pair of amplitude and T of a fine grid is more likely than what is found."""
    signal, sigma = tissue(5)[:40].astype(np.float64), 20.0
    result = fit(0, signal.astype(np.float32), TIMES, sigma=sigma)
    t, m0 = np.meshgrid(np.geomspace(1, 5000, 400), np.geomspace(0.2, 400, 400))

    def cost(m0, t, of):
        amplitude = torch.as_tensor(m0[..., None] * np.exp(-TIMES / t[..., None]))
        z = torch.as_tensor(of) * amplitude / sigma**2
        return ((torch.as_tensor(of) - amplitude) ** 2 / (2 * sigma**2) - torch.log(torch.special.i0e(z))).sum(-1)

    for k in np.flatnonzero(result.status <= FitStatus.AT_BOUND):
        found = cost(*(result.maps[name][k].astype(np.float64).reshape(1) for name in ("m0", "t")), signal[k])
        assert found <= cost(m0, t, signal[k]).min() + 1e-4


def test_hardly_a_voxel_is_left_to_torch(fit, left):
    fit(0, tissue(10), TIMES, sigma=10.0)
    assert sum(left) < 0.005 * N
