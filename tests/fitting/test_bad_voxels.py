"""Every voxel is accounted for: the fitting rows of the bad inputs that concern voxels."""

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet import FitStatus

TIMES = (0.0, 10.0, 30.0, 50.0)
GOOD = 100 * np.exp(-np.array(TIMES) / 40)
nan, inf = np.nan, np.inf


@pytest.mark.parametrize(
    ("voxel", "status", "n_used"),
    [
        (GOOD, FitStatus.CONVERGED, 4),
        ([100, nan, 50, 30], FitStatus.CONVERGED, 3),
        ([100, inf, 50, -inf], FitStatus.CONVERGED, 2),
        ([100, nan, nan, nan], FitStatus.TOO_FEW_SAMPLES, 1),
        ([nan] * 4, FitStatus.TOO_FEW_SAMPLES, 0),
        ([0] * 4, FitStatus.NO_SIGNAL, 4),
        ([-3, -2, -1, -1], FitStatus.NO_SIGNAL, 4),
        ([10, 20, 30, 40], FitStatus.NO_DECAY, 4),
        ([10, 10, 10, 10.001], FitStatus.NO_DECAY, 4),
        ([70, 70, 70, 70], FitStatus.AT_BOUND, 4),
        ([100, 0, 0, 0], FitStatus.TOO_FEW_SAMPLES, 1),
        ([100, 60, 20, -5], FitStatus.CONVERGED, 4),
        ([1e-42, 5e-43, 1e-43, 1e-44], FitStatus.NO_SIGNAL, 4),
    ],
)
def test_status_of_nonlinear_least_squares(voxel, status, n_used):
    signal = np.array([GOOD, voxel, GOOD], dtype=np.float32)
    result = rx.fit(signal, TIMES)
    assert FitStatus(result.status[1]) is status
    assert result.n_used[1] == n_used
    assert np.isfinite(result.maps["t"][1]) == np.isfinite(result.maps["m0"][1]) == (status <= FitStatus.AT_BOUND)
    np.testing.assert_allclose(result.maps["t"][[0, 2]], 40, rtol=1e-5)
    np.testing.assert_array_equal(result.ok, result.status == FitStatus.CONVERGED)


@pytest.mark.parametrize(
    ("voxel", "status", "n_used"),
    [
        (GOOD, FitStatus.CONVERGED, 2),
        ([100, nan, nan, 50], FitStatus.CONVERGED, 2),
        ([nan, 60, 50, 40], FitStatus.TOO_FEW_SAMPLES, 1),
        ([100, 60, 50, 0], FitStatus.TOO_FEW_SAMPLES, 1),
        ([100, 60, 50, -1], FitStatus.TOO_FEW_SAMPLES, 1),
        ([0] * 4, FitStatus.TOO_FEW_SAMPLES, 0),
        ([10, 0, 0, 40], FitStatus.NO_DECAY, 2),
        ([70, 0, 0, 70], FitStatus.AT_BOUND, 2),
        ([1e9, 0, 0, 1e-20], FitStatus.AT_BOUND, 2),
    ],
)
def test_status_of_two_points(voxel, status, n_used):
    result = rx.fit(np.array([GOOD, voxel], dtype=np.float32), TIMES, method="two-point")
    assert FitStatus(result.status[1]) is status
    assert result.n_used[1] == n_used
    assert np.isfinite(result.maps["t"][1]) == (status <= FitStatus.AT_BOUND)


def test_a_flat_signal_is_at_the_upper_bound():
    result = rx.fit(np.full((1, 4), 70.0), TIMES, bounds=(1, 300))
    assert result.maps["t"] == 300
    assert result.maps["m0"] == pytest.approx(70, rel=0.1)
    assert np.isnan(result.r2)
    assert np.isnan(result.std["t"])


@pytest.mark.parametrize("method", ["nlls", "two-point"])
@pytest.mark.parametrize("truth", [3.0, 900.0])
def test_a_truth_beyond_the_bounds_is_set_to_the_bound_and_says_so(method, truth):
    signal = (100 * np.exp(-np.array(TIMES) / truth))[None]
    result = rx.fit(signal, TIMES, method=method, bounds=(10, 300))
    assert FitStatus(result.status[0]) is FitStatus.AT_BOUND
    assert result.maps["t"][0] == pytest.approx(10 if truth < 10 else 300, rel=1e-6)
    assert "AT_BOUND" in result.summary()


def test_a_single_spike_is_finite_and_fits_badly():
    result = rx.fit(np.array([[0.0, 0.0, 100.0, 0.0]]), TIMES)
    assert FitStatus(result.status[0]) in (FitStatus.CONVERGED, FitStatus.AT_BOUND, FitStatus.NO_DECAY)
    assert not result.r2[0] > 0.5


def test_clipped_samples_can_be_left_out():
    signal = 8000 * np.exp(-np.array(TIMES) / 40)[None]
    clipped = np.minimum(signal, 4095)
    assert rx.fit(clipped, TIMES).maps["t"][0] > 45
    result = rx.fit(clipped, TIMES, saturation=4095)
    assert result.maps["t"][0] == pytest.approx(40)
    assert result.n_used[0] == 2
    assert FitStatus(rx.fit(np.full((1, 4), 4095), TIMES, saturation=4095).status[0]) is FitStatus.TOO_FEW_SAMPLES


def test_as_many_samples_as_parameters_give_no_error():
    result = rx.fit(np.array([[100.0, nan, nan, 40.0]]), TIMES)
    assert result.ok.all()
    assert np.isnan(result.std["t"]).all()
    assert np.isnan(result.cov).all()
    assert np.isfinite(rx.fit(np.array([[100.0, nan, nan, 40.0]]), TIMES, sigma=1.0).std["t"]).all()


def test_two_samples_at_one_time_are_one():
    result = rx.fit(np.array([[100.0, 90.0, nan]]), (0, 0, 30))
    assert FitStatus(result.status[0]) is FitStatus.TOO_FEW_SAMPLES


def test_a_masked_array_keeps_its_mask():
    signal = np.ma.MaskedArray(np.tile(GOOD, (2, 1)), mask=False)
    signal[0, 1] = 1e6
    signal[0, 1] = np.ma.masked
    result = rx.fit(signal, TIMES)
    np.testing.assert_allclose(result.maps["t"], 40)
    assert result.n_used.tolist() == [3, 4]
    assert not isinstance(result.maps["t"], np.ma.MaskedArray)


def test_a_late_first_echo_keeps_the_search_where_signal_is_left():
    times = (100.0, 150.0, 200.0)
    signal = np.array([[1.0, 0.0, 0.0], [1.0, 0.3, 0.1]], dtype=np.float32)
    result = rx.fit(signal, times)
    assert FitStatus(result.status[0]) is FitStatus.AT_BOUND
    assert result.maps["t"][0] == pytest.approx(2.5)
    assert np.isfinite(result.maps["m0"]).all()
    assert result.ok[1]


def test_a_spoiled_volume_loses_no_good_voxel():
    g = np.random.default_rng(0)
    t = g.uniform(20, 80, (64, 64, 6)).astype(np.float32)
    signal = 100 * np.exp(-np.array(TIMES, dtype=np.float32) / t[..., None])
    invalid = g.random(t.shape) < 0.05
    ways = np.array([[nan] * 4, [0] * 4, [-1] * 4, [inf] * 4, [1, 2, 3, 4], [5] * 4, [nan, nan, 5, nan], [1e-44] * 4])
    signal[invalid] = ways[g.integers(len(ways), size=invalid.sum())]
    result = rx.fit(signal, TIMES, dim=-1)
    assert result.ok[~invalid].all()
    np.testing.assert_allclose(result.maps["t"][~invalid], t[~invalid], rtol=1e-4)
    assert not result.ok[invalid].any()


def test_voxels_that_do_not_settle_are_not_passed_off_as_results(monkeypatch):
    monkeypatch.setattr("relaxnet.fitting._core.projection.MAX_STEPS", 1)
    result = rx.fit(np.array([[100.0, nan, 25.0, 20.0]]), TIMES)
    assert FitStatus(result.status[0]) is FitStatus.NOT_CONVERGED
    assert np.isnan(result.maps["t"]).all()


def test_summary_counts_every_voxel():
    signal = np.array([GOOD, GOOD, np.zeros(4), [1, 2, 3, 4]])
    text = rx.fit(torch.from_numpy(signal), TIMES).summary()
    assert "4 voxels" in text
    assert text.count("%") == 5
    for line in (
        "CONVERGED                2   50.0 %",
        "NO_SIGNAL                1   25.0 %",
        "NO_DECAY                 1   25.0 %",
    ):
        assert line in text


ESTIMATORS = [("nlls", {}), ("two-point", {}), ("log-linear", {}), ("rician", {"sigma": 5.0})]


@pytest.mark.parametrize(("method", "options"), ESTIMATORS)
@pytest.mark.parametrize("curve", [[100, 60, 70, 30.0], [100, 60, 50, 30.0], [1, 2, 3, 4.0], [0.0] * 4, [nan] * 4])
def test_row_13_one_axis_is_one_voxel(method, options, curve):
    for single in (np.array(curve), torch.tensor(curve)):
        alone = rx.fit(single, TIMES, method=method, **options)
        among = rx.fit(np.array([GOOD, curve]), TIMES, method=method, **options)
        assert alone.status.shape == alone.maps["t"].shape == ()
        assert int(alone.status) == among.status[1]
        np.testing.assert_allclose(np.asarray(alone.maps["t"]), among.maps["t"][1], rtol=1e-5)


def test_row_13_one_axis_is_one_voxel_of_a_joint_fit():
    alone = rx.fit_joint(np.array([100, 60, 70, 30, 80, 20, 50.0]), rx.protocols.LIVER_T1RHO_T2)
    assert alone.maps["t2"].shape == ()
    assert np.isfinite(alone.maps["t2"])


OFFSET_TIMES = (0, 10, 20, 40, 80, 160)


def best_above_a_constant(signal, grid):
    """Share of the variance that the best decay with a positive amplitude explains, above a constant."""
    centred, best = signal - signal.mean(1, keepdims=True), np.zeros(len(signal))
    for t in grid:
        basis = np.exp(-np.array(OFFSET_TIMES) / t)
        basis -= basis.mean()
        best = np.maximum(best, (centred @ basis).clip(min=0) ** 2 / (basis @ basis))
    return best / (centred**2).sum(1)


@pytest.mark.parametrize("bounds", [(1, 5000), (200, 400)])
def test_a_decay_above_a_constant_is_found_where_there_is_one(bounds):
    rng = np.random.default_rng(0)
    signal = np.concatenate([rng.uniform(0, 1, (1500, 6)), rng.normal(0, 1, (500, 6))])
    signal[0] = (0.5942, 0.8836, 1.0, 0.8534, 0.6187, 0.8176)
    result = rx.fit(signal, OFFSET_TIMES, model=rx.signals.MonoExponentialWithOffset(), bounds=bounds)
    share = best_above_a_constant(signal, np.geomspace(*bounds, 400))
    found = result.status <= FitStatus.AT_BOUND
    assert (found == (share > 0)).all()
    assert (result.r2[found] >= share[found] - 1e-9).all()
    assert result.status[0] == FitStatus.CONVERGED


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("level", [1.0, 70.0, 3e-5, 1e6])
def test_row_6_a_signal_that_varies_by_rounding_alone_has_no_t(dtype, level):
    rng = np.random.default_rng(1)
    flat = np.full((500, 6), level, dtype=dtype)
    for _ in range(2):
        flat = np.nextafter(flat, np.where(rng.random(flat.shape) < 0.5, flat, 2 * flat).astype(dtype))
    above = rx.fit(flat, OFFSET_TIMES, model=rx.signals.MonoExponentialWithOffset())
    assert (above.status == FitStatus.NO_DECAY).all()
    alone = rx.fit(flat, OFFSET_TIMES)
    assert np.isin(alone.status, (FitStatus.AT_BOUND, FitStatus.NO_DECAY)).all()


@pytest.mark.parametrize("scale", [1e-18, 1e-20, 1e-21, 1e-22, 1e-23, 1e-30, 1e-36, 1e15, 1e30])
@pytest.mark.parametrize("maps_only", [False, True])
def test_row_9_scale_changes_neither_t_nor_its_error(scale, maps_only):
    signal = (GOOD * (1, 1.02, 0.97, 1.01) / 100).astype(np.float32)[None]
    usual, scaled = (rx.fit((signal * s).astype(np.float32), TIMES, maps_only=maps_only) for s in (1.0, scale))
    np.testing.assert_allclose(scaled.maps["t"], usual.maps["t"], rtol=1e-5)
    np.testing.assert_allclose(scaled.std["t"], usual.std["t"], rtol=1e-3)
    np.testing.assert_allclose(scaled.r2, usual.r2, rtol=1e-5)
    np.testing.assert_allclose(scaled.rmse / scale, usual.rmse, rtol=1e-3)
