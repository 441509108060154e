"""The compiled fit above a constant and that in torch are one fit: the same statuses, the same maps."""

import numpy as np
import pytest
import torch
from decays import all_sorts, decays
from hypothesis import given, settings
from hypothesis import strategies as st

import relaxnet as rx
from relaxnet import FitStatus
from relaxnet.fitting._core import fused

pytest.importorskip("numba")

TIMES = (0.0, 10.0, 30.0, 50.0)
TRAIN = tuple(12.8 * k for k in range(1, 31))
EIGHT = tuple(10.0 * k for k in range(1, 9))
MODEL = rx.signals.MonoExponentialWithOffset()
NAMES = "m0", "t", "offset"
N = 4000
ROUNDING = 2e-6  # of the variation of a voxel, by which torch may miss the best T in single precision


@pytest.fixture
def both(monkeypatch):
    """Fit by both implementations; return first the result of torch."""

    def fit(signal, times, **options):
        results = []
        for least in (np.inf, 0):
            monkeypatch.setattr(fused, "LEAST_VOXELS", least)
            results.append(rx.fit(signal, times, model=MODEL, **options))
        return results

    return fit


def raised(signal, seed=5):
    """Add a constant of up to a third of the largest sample to every other voxel."""
    g = np.random.default_rng(seed)
    most = np.abs(np.where(np.isfinite(signal), signal, 0)).max(1, keepdims=True)
    signal[::2] += (g.uniform(0, 0.3, most.shape) * most)[::2].astype(np.float32)
    return signal


def tissue(n, times, snr, seed=0):
    """Simulate T of 20 to 80 ms with an offset, and Rician noise."""
    g = np.random.default_rng(seed)
    clean = np.exp(-np.array(times) / g.uniform(20, 80, (n, 1))) + g.uniform(0, 0.2, (n, 1))
    noise = g.normal(0, 1 / snr, (2, *clean.shape))
    return np.hypot(clean + noise[0], noise[1]).astype(np.float32)


def unexplained(signal, times, t):
    """Compute what is left of the variation of complete voxels by the best fit with a T, all of it without one."""
    lost = np.expm1((min(times) - np.array(times)) / t[:, None].astype(np.float64))
    lost -= lost.mean(1, keepdims=True)
    centred = signal - signal.mean(1, keepdims=True, dtype=np.float64)
    total = (centred**2).sum(1)
    explained = (centred * lost).sum(1).clip(min=0) ** 2 / (lost**2).sum(1)
    return (total - np.nan_to_num(explained)) / np.where(total > 0, total, 1)


def assert_same(by_torch, compiled, signal, times, *, doubtful=0, **options):
    """Compare maps as far as torch itself is near the optimum in double precision.

    Where several T are as good within rounding, a voxel is left to torch; what it chooses, depends on the voxels that
    are fitted together. So few statuses are ``doubtful``, and what is found then is as good. Where torch did not
    converge, the compiled fit may.
    """
    same = (compiled.status == by_torch.status) | (by_torch.status == FitStatus.NOT_CONVERGED)
    assert (~same).sum() <= doubtful
    np.testing.assert_array_equal(compiled.n_used, by_torch.n_used)
    dim = options.get("dim", 1)
    rows, results = np.moveaxis(signal, dim, -1).reshape(-1, len(times)), (by_torch, compiled)
    if "sigma" not in options and "mask" not in options:
        complete = np.isfinite(rows).all(1) & (by_torch.n_used.ravel() == len(times))
        left = [unexplained(rows[complete], times, result.maps["t"].ravel()[complete]) for result in results]
        assert (left[1] <= left[0] + ROUNDING).all()
    for get in (
        lambda r: [*r.maps.values(), *r.std.values(), *r.covariances.values(), r.rmse],
        lambda r: [np.where(r.ok, values, 0) for values in (*r.maps.values(), r.r2)],
    ):
        for row, other in zip(get(compiled), get(by_torch), strict=True):
            np.testing.assert_array_equal(np.isnan(row[same]), np.isnan(other[same]))
    at_bound = same & (by_torch.status == FitStatus.AT_BOUND)
    np.testing.assert_array_equal(compiled.maps["t"][at_bound], by_torch.maps["t"][at_bound])
    sigma, double = np.asarray(options.get("sigma", 1.0)), signal.astype(np.float64)
    exact = rx.fit(double, times, model=MODEL, **options)
    unit = rx.fit(double, times, model=MODEL, **options | {"sigma": sigma / sigma.min()})  # errors from noise of 1
    peak = np.abs(np.where(np.isfinite(signal), signal, 0)).max(dim).astype(np.float64)
    ok = np.logical_and.reduce([r.status == FitStatus.CONVERGED for r in (by_torch, compiled, exact, unit)])
    assert ok.sum() >= 0.6 * (by_torch.status == FitStatus.CONVERGED).sum()  # where T is short, torch errs often

    def assert_near(get, among, tolerance):
        found, expected, true = (get(result)[among].astype(np.float64) for result in (compiled, by_torch, exact))
        far = np.abs(found - expected) > tolerance(true) + 2 * np.abs(expected - true)
        assert not far.any(), (found[far], expected[far], true[far])

    for name in NAMES:
        noise = (1e-4 * peak * unit.std[name])[ok]
        assert_near(lambda r, name=name: r.maps[name], ok, lambda true, n=noise: np.maximum(1e-5 * np.abs(true), n))
    sure = ok & (exact.std["t"] < exact.maps["t"]) & (exact.rmse > 1e-2 * peak) & (peak < 1e15)  # else squares overflow
    for name in NAMES:
        assert_near(lambda r, name=name: r.std[name], sure, lambda true: 5e-2 * true)
    for a, b in by_torch.covariances:
        most = 5e-2 * (exact.std[a] * exact.std[b])[sure]
        assert_near(lambda r, pair=(a, b): r.covariances[pair], sure, lambda _, most=most: most)
    assert_near(lambda r: r.rmse, sure, lambda true: 1e-3 * true)
    assert_near(lambda r: r.r2, sure, lambda _: 1e-5)


@pytest.mark.parametrize("snr", [3, 10, 50, 1000])
@pytest.mark.parametrize("times", [TIMES, TRAIN, EIGHT, (30.0, 5.0, 60.0), (0.0, 18.2, 40.0)])
def test_both_agree_on_all_sorts_of_voxels(both, times, snr):
    signal = raised(all_sorts(N, times, snr))
    assert_same(*both(signal, times), signal, times, doubtful=6)


@pytest.mark.parametrize("snr", [5, 10, 20, 50])
@pytest.mark.parametrize("times", [TIMES, TRAIN, EIGHT])
def test_both_agree_on_tissue(both, times, snr):
    signal = tissue(N, times, snr)
    assert_same(*both(signal, times), signal, times, doubtful=1)


@pytest.mark.parametrize("times", [TIMES, TRAIN, EIGHT])
def test_both_agree_on_air(both, times):
    signal = np.hypot(*np.random.default_rng(3).normal(0, 1, (2, N, len(times)))).astype(np.float32)
    assert_same(*both(signal, times), signal, times, doubtful=1)


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": 0.05},
        {"sigma": (0.05, 0.1, 0.05, 0.2)},
        {"sigma": "by sample"},
        {"saturation": 0.9},
        {"bounds": (10, 300)},
        {"bounds": (2, 1e5)},
        {"mask": np.arange(N) % 3 == 0},
        {"chunk_size": 77},
    ],
)
def test_both_agree_under_all_options(both, options):
    signal = raised(all_sorts(N, TIMES, 20))
    if options.get("sigma") == "by sample":
        options = {"sigma": np.random.default_rng(2).uniform(0.05, 0.2, signal.shape)}
    assert_same(*both(signal, TIMES, **options), signal, TIMES, doubtful=4, **options)


@pytest.mark.parametrize(
    "name", ["santini_brain_se.npz", "nist_site3_ge_plate5.npz", "qmrlab_brain_mese_small.npz", "open_leg_mese.npz"]
)
def test_both_agree_on_real_images(both, real_data, name):
    data = real_data(name)
    signal = data["signal"].astype(np.float32)
    doubtful = 20 if "santini" in name else 2  # of 49,152: no T of 1 to 3 ms leaves any signal after 48 ms
    assert_same(*both(signal, data["times_ms"], dim=-1), signal, data["times_ms"], dim=-1, doubtful=doubtful)


def test_what_does_not_decay_is_told(implementation):
    del implementation
    signal = np.zeros((70, 4), np.float32)
    signal[10:20], signal[20:30], signal[30:40] = 7, -7, 0.1 + np.arange(4) / 10
    signal[40:50], signal[50:60, :2], signal[50:60, 2:] = (np.nan, 5, 3, np.inf), 1, np.nan
    signal[60:] = 5 + 4 * np.exp(-np.array(TIMES) / 40)
    result = rx.fit(signal, TIMES, model=MODEL)
    assert result.status.reshape(7, 10).tolist() == [[int(status)] * 10 for status in (4, 3, 3, 3, 2, 2, 0)]
    assert np.isnan(result.maps["offset"][:60]).all()
    np.testing.assert_allclose(result.maps["offset"][60:], 5, rtol=1e-5)


@pytest.mark.parametrize("times", [TIMES, TRAIN, (40.0, 10.0, 90.0, 20.0)])
def test_truth_is_recovered_without_noise(implementation, times):
    del implementation
    t = np.geomspace(5, 200, 2000)
    clean = np.exp(-np.array(times) / t[:, None]) + 0.2
    result = rx.fit(clean.astype(np.float32), times, model=MODEL)
    assert result.ok.all()
    np.testing.assert_allclose(result.maps["t"], t, rtol=1e-3)
    np.testing.assert_allclose(result.maps["m0"], 1, rtol=1e-3)
    np.testing.assert_allclose(result.maps["offset"], 0.2, atol=1e-3)


@pytest.mark.parametrize("times", [TIMES, TRAIN])
@pytest.mark.parametrize("snr", [3, 50])
def test_no_point_of_a_fine_grid_explains_more(implementation, times, snr):
    del implementation
    signal = raised(decays(1000, times, snr)[1])
    signal[::4] = np.hypot(*np.random.default_rng(3).normal(0, 1, (2, *signal[::4].shape)))
    result = rx.fit(signal, times, model=MODEL)
    found = result.status <= FitStatus.AT_BOUND
    assert found.mean() > 0.5
    reached = unexplained(signal[found], times, result.maps["t"][found])
    for t in np.geomspace(1, 5000, 500):
        assert (reached <= unexplained(signal[found], times, np.full(found.sum(), t)) + ROUNDING).all()


def test_scale_order_and_neighbours_do_not_matter(both):
    signal = tissue(3000, TIMES, 20)
    usual = both(signal, TIMES)[1]
    good = usual.ok & (usual.maps["t"] < 200)
    scaled = both(signal * np.float32(2.0**40), TIMES)[1]
    np.testing.assert_array_equal(scaled.status, usual.status)
    order = [2, 0, 3, 1]
    moved = both(signal[:, order], [TIMES[k] for k in order])[1]
    some = both(signal[::3], TIMES)[1]
    for name in NAMES:
        np.testing.assert_allclose(scaled.maps["t"][good], usual.maps["t"][good], rtol=1e-5)
        np.testing.assert_allclose(moved.maps["t"][good], usual.maps["t"][good], rtol=2e-4)
        np.testing.assert_allclose(some.maps[name][good[::3]], usual.maps[name][::3][good[::3]], rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(
    times=st.lists(st.integers(0, 200), min_size=3, max_size=9, unique=True),
    high=st.sampled_from((200, 5000)),
    snr=st.sampled_from((3, 20, 200)),
)
def test_both_agree_at_any_times(times, high, snr):
    signal = tissue(500, times, snr)
    with pytest.MonkeyPatch.context() as patch:
        results = []
        for least in (np.inf, 0):
            patch.setattr(fused, "LEAST_VOXELS", least)
            results.append(rx.fit(signal, times, model=MODEL, bounds=(5, high)))
    by_torch, compiled = results
    same = (compiled.status == by_torch.status) | (by_torch.status == FitStatus.NOT_CONVERGED)
    assert (~same).sum() <= 5
    left = [unexplained(signal, times, result.maps["t"]) for result in results]
    assert (left[1] <= left[0] + ROUNDING).all()


def test_maps_alone_are_the_same_maps(both):
    signal = tissue(N, TIMES, 20)
    alone, whole = (both(signal, TIMES, maps_only=only)[1] for only in (True, False))
    for name in NAMES:
        np.testing.assert_array_equal(alone.maps[name], whole.maps[name])
    assert np.isnan(alone.std["offset"]).all()


@pytest.mark.parametrize(("times", "share"), [(TIMES, 0.03), (EIGHT, 0.03), (TRAIN, 0.001)])
def test_few_voxels_are_left_to_torch(both, left, times, share):
    both(tissue(20_000, times, 10), times)
    assert sum(left) <= share * 20_000


def test_gradients_are_those_of_torch(monkeypatch):
    signal = tissue(500, EIGHT, 50)
    gradients = []
    for least in (np.inf, 0):
        monkeypatch.setattr(fused, "LEAST_VOXELS", least)
        tensor = torch.from_numpy(signal).requires_grad_()
        result = rx.fit(tensor, EIGHT, model=MODEL)
        good = result.ok & (result.std["t"] < 0.2 * result.maps["t"])
        (gradient,) = torch.autograd.grad(result.maps["t"][good].sum(), tensor)
        gradients.append(gradient)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-2)


def test_double_precision_and_small_images_are_fitted_in_torch(monkeypatch, left):
    signal = tissue(50, TIMES, 50)
    rx.fit(signal, TIMES, model=MODEL)
    monkeypatch.setattr(fused, "LEAST_VOXELS", 0)
    rx.fit(signal.astype(np.float64), TIMES, model=MODEL)
    rx.fit(signal, (0.0, 10.0, 10.0, 50.0), model=MODEL)  # repeated times
    assert not left
