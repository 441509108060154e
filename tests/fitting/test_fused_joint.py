"""The compiled joint fit and that in torch are one fit: the same laws, the same statuses, the same maps."""

import numpy as np
import pytest
import torch
from decays import decay

import relaxnet as rx
from relaxnet import FitStatus
from relaxnet.fitting._core import fused

LIVER = rx.protocols.LIVER_T1RHO_T2
UNEVEN = rx.Protocol(
    (
        rx.Contrast("t2", (0, 12, 24, 36, 48, 60, 72)),
        rx.Contrast("t1rho", (0, 40)),
        rx.Contrast("t2star", (0, 5, 15, 30)),
    ),
    shared_first=True,
)
N = 3000


@pytest.fixture
def both(monkeypatch):
    """Fit by both implementations; return first the result of torch."""
    pytest.importorskip("numba")

    def fit(images, protocol, **options):
        results = []
        for least in (np.inf, 0):
            monkeypatch.setattr(fused, "LEAST_VOXELS", least)
            results.append(rx.fit_joint(images, protocol, **options))
        return results

    return fit


def tissue(protocol, snr, n=N, seed=0):
    """Simulate magnitudes with T of 15 to 100 ms, and the T of each contrast."""
    g = np.random.default_rng(seed)
    images, truth = np.zeros((n, protocol.n_images)), {}
    for contrast in protocol.contrasts:
        truth[contrast.name] = g.uniform(15, 100, n)
        clean = decay(np.full(n, 100.0), truth[contrast.name], np.array(contrast.times_ms))
        images[:, protocol.images_of(contrast.name)] = clean
    noise = g.normal(0, 100 / snr, (2, *images.shape))
    return np.hypot(images + noise[0], noise[1]).astype(np.float32), truth


def all_sorts(snr):
    """Tissue, air, zeros, constants, negative and rising signals, and samples that are missing."""
    g = np.random.default_rng(1)
    images = tissue(LIVER, snr)[0]
    images[::9] = np.hypot(*g.normal(0, 100 / snr, (2, *images[::9].shape)))
    images[1::9] = g.normal(0, 100, images[1::9].shape)
    images[2::31], images[3::31], images[4::31] = 0, 7, -7
    images[5::31] = np.sort(images[5::31], axis=1)
    images[6::17, 0], images[7::17, 3], images[8::17, 1:4], images[9::17, 5:] = np.nan, np.inf, np.nan, np.nan
    images[10::17], images[11::23, 3], images[12::23, -1], images[13::23, 5:] = np.nan, 0, 0, 0
    images[14::29] *= 1e-25
    images[15::29] *= 1e25
    images[16::29] = 1e-42
    return images


def assert_same(by_torch, compiled):
    """Maps agree to 1e-5 or, where they are known less well than that, to a thousandth of their standard errors.

    Standard errors agree to 2 in a thousand, and covariances to twice that, of voxels whose values exceed their errors.
    """
    np.testing.assert_array_equal(compiled.status, by_torch.status)
    np.testing.assert_array_equal(compiled.n_used, by_torch.n_used)
    ok = by_torch.ok
    sure = {}  # voxels whose standard error is smaller than the value
    for name, values in by_torch.maps.items():
        found, expected, std = compiled.maps[name], values.astype(np.float64), by_torch.std[name]
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        np.testing.assert_array_equal(np.isnan(compiled.std[name]), np.isnan(std))
        known = ok & np.isfinite(std)
        np.testing.assert_array_less(np.abs(found - expected)[known], (1e-5 * np.abs(expected) + 1e-3 * std)[known])
        sure[name] = known & (std < expected)
        np.testing.assert_allclose(compiled.std[name][sure[name]], std[sure[name]], rtol=2e-3)
        at_bound = by_torch.status == FitStatus.AT_BOUND
        np.testing.assert_allclose(found[at_bound], expected[at_bound], rtol=1e-3)
    for (a, b), covariance in by_torch.covariances.items():
        of = sure[a] & sure[b]
        size = by_torch.std[a][of] * by_torch.std[b][of]
        assert (np.abs(compiled.covariances[a, b][of] - covariance[of]) <= 4e-3 * size).all()
    np.testing.assert_allclose(compiled.rmse[known], by_torch.rmse[known], rtol=1e-3)
    np.testing.assert_allclose(compiled.r2[ok], by_torch.r2[ok], atol=1e-5)


@pytest.mark.parametrize("snr", [1, 3, 5, 10, 50, 500])
@pytest.mark.parametrize("protocol", [LIVER, UNEVEN])
def test_both_agree_on_tissue(both, protocol, snr):
    assert_same(*both(tissue(protocol, snr)[0], protocol))


@pytest.mark.parametrize("snr", [3, 20])
def test_both_agree_on_all_sorts_of_voxels(both, snr):
    by_torch, compiled = both(all_sorts(snr), LIVER)
    assert_same(by_torch, compiled)
    assert set(np.unique(compiled.status)) >= {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": 5.0},
        {"sigma": (4.0, 5.0, 6.0, 5.0, 7.0, 4.0, 5.0)},
        {"sigma": "by sample"},
        {"saturation": 90.0},
        {"bounds": (10, 70)},
        {"bounds": {"t2": (20, 1e5)}},
        {"mask": np.arange(N) % 3 == 0},
        {"chunk_size": 77},
    ],
)
def test_both_agree_under_all_options(both, options):
    images = all_sorts(20)
    if options.get("sigma") == "by sample":
        options = {"sigma": np.random.default_rng(1).uniform(4, 6, images.shape)}
    assert_same(*both(images, LIVER, **options))


def test_maps_alone_are_the_same_maps(both):
    images = tissue(LIVER, 20)[0]
    alone, whole = (both(images, LIVER, maps_only=only)[1] for only in (True, False))
    for name, values in whole.maps.items():
        np.testing.assert_array_equal(alone.maps[name], values)
    assert np.isnan(alone.std["t2"]).all()


@pytest.mark.parametrize("protocol", [LIVER, UNEVEN])
def test_truth_is_recovered_without_noise(implementation, protocol):
    del implementation
    images, truth = tissue(protocol, np.inf)
    result = rx.fit_joint(images, protocol)
    assert result.ok.all()
    for name, t in truth.items():
        np.testing.assert_allclose(result.maps[name], t, rtol=1e-4)
    np.testing.assert_allclose(result.maps["m0"], 100, rtol=1e-5)


@pytest.mark.parametrize("snr", [2, 20])
def test_no_point_of_a_grid_explains_more(implementation, snr):
    del implementation
    images = tissue(LIVER, snr, n=500)[0]
    images[::4] = np.hypot(*np.random.default_rng(3).normal(0, 1, (2, *images[::4].shape)))
    result = rx.fit_joint(images, LIVER, bounds=(5, 500))
    found = result.status <= FitStatus.AT_BOUND
    assert found.mean() > 0.5

    def explained(t1rho, t2, of):
        times = [np.array(contrast.times_ms) for contrast in LIVER.contrasts]
        basis = np.concatenate(
            [decay(np.ones_like(t1rho), t1rho, times[0]), decay(np.ones_like(t2), t2, times[1][1:])], -1
        )
        return (basis * of).sum(-1).clip(min=0) ** 2 / (basis**2).sum(-1)

    grid = np.meshgrid(*[np.geomspace(5, 500, 60)] * 2)
    for k in np.flatnonzero(found):
        of = images[k].astype(np.float64)
        reached = explained(*(result.maps[name][k].astype(np.float64) for name in ("t1rho", "t2")), of)
        assert reached >= explained(*grid, of).max() - 1e-6 * (of**2).sum()


def test_scale_order_and_neighbours_do_not_matter(implementation):
    del implementation
    images = tissue(LIVER, 20)[0]
    usual = rx.fit_joint(images, LIVER)
    scaled, some = rx.fit_joint(images * np.float32(2.0**40), LIVER), rx.fit_joint(images[::3], LIVER)
    np.testing.assert_array_equal(scaled.status, usual.status)
    for name in ("t1rho", "t2"):
        np.testing.assert_allclose(scaled.maps[name], usual.maps[name], rtol=1e-5)
        np.testing.assert_allclose(some.maps[name], usual.maps[name][::3], rtol=1e-5)


def test_hardly_a_voxel_is_left_to_torch(left, monkeypatch):
    monkeypatch.setattr(fused, "LEAST_VOXELS", 0)
    rx.fit_joint(tissue(LIVER, 10, n=20_000)[0], LIVER)
    assert sum(left) < 50


def test_gradients_are_those_of_torch(monkeypatch):
    pytest.importorskip("numba")
    gradients = []
    for least in (np.inf, 0):
        monkeypatch.setattr(fused, "LEAST_VOXELS", least)
        images = torch.from_numpy(tissue(LIVER, 50, n=500)[0]).requires_grad_()
        (gradient,) = torch.autograd.grad(rx.fit_joint(images, LIVER).maps["t2"].sum(), images)
        gradients.append(gradient)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


def test_other_joint_fits_are_those_of_torch(left, monkeypatch):
    monkeypatch.setattr(fused, "LEAST_VOXELS", 0)
    images = tissue(LIVER, 50, n=50)[0]
    rx.fit_joint(images.astype(np.float64), LIVER)
    stretched = [rx.Contrast(c.name, c.times_ms, rx.signals.StretchedExponential(0.7)) for c in LIVER.contrasts]
    rx.fit_joint(images, rx.Protocol(tuple(stretched), shared_first=True))
    assert not left
