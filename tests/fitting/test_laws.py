"""What must hold for every estimator, whatever the signal."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import relaxnet as rx

METHODS = tuple(rx.fitting.METHODS)
TIMES_OF = dict.fromkeys(METHODS, (0.0, 10.0, 30.0, 50.0))
"""Four times or more; an estimator that needs others, such as evenly spaced ones, has them here."""
OPTIONS = {"rician": {"sigma": 5.0}}
TIMES = TIMES_OF["nlls"]
ROUNDING = {np.float64: 1e-9, np.float32: 1e-4}

relaxation_ms = hnp.arrays(np.float64, (5,), elements=st.floats(5.0, 400.0))
amplitude = hnp.arrays(np.float64, (5,), elements=st.floats(0.1, 1e4))
noise = hnp.arrays(np.float64, (5, 4), elements=st.floats(-0.05, 0.05))
methods = pytest.mark.parametrize("method", METHODS)
without_noise_level = pytest.mark.parametrize("method", [m for m in METHODS if m not in OPTIONS])


def decay(m0, t, times=TIMES):
    return m0[..., None] * np.exp(-np.asarray(times) / t[..., None])


def noisy_voxels(method="nlls", n=300, dtype=np.float64):
    """Voxels of all sorts: good ones, noise alone, and some invalid samples."""
    g, times = np.random.default_rng(0), TIMES_OF[method]
    signal = decay(g.uniform(50, 150, n), g.uniform(5, 300, n), times) + g.normal(0, 5, (n, len(times)))
    signal[::7] = g.normal(0, 5, signal[::7].shape)
    signal[3::11, 1] = np.nan
    signal[5::13] = 0
    return signal.astype(dtype)


def fit(signal, times=None, *, method="nlls", **options):
    times = TIMES_OF[method] if times is None else times
    return rx.fit(signal, times, method=method, **{**OPTIONS.get(method, {}), **options})


def assert_same(result, expected, *, rtol=0.0, t_factor=1.0, m0_factor=1.0):
    np.testing.assert_array_equal(result.status, expected.status)
    np.testing.assert_array_equal(result.n_used, expected.n_used)
    for attribute in ("maps", "std"):
        got, wanted = getattr(result, attribute), getattr(expected, attribute)
        np.testing.assert_allclose(got["t"], t_factor * np.asarray(wanted["t"]), rtol=rtol)
        np.testing.assert_allclose(got["m0"], m0_factor * np.asarray(wanted["m0"]), rtol=rtol)
    rmse = m0_factor * np.asarray(expected.rmse)
    rounding = 1e-12 * m0_factor * np.abs(np.asarray(expected.maps["m0"]))  # the residual of two points is nothing else
    good = expected.ok
    assert (np.abs(np.asarray(result.rmse) - rmse)[good] <= (rounding + rtol * rmse)[good]).all()


@without_noise_level
@given(amplitude, relaxation_ms)
def test_truth_is_recovered_without_noise(method, m0, t):
    result = fit(decay(m0, t, TIMES_OF[method]), method=method)
    assert result.ok.all()
    np.testing.assert_allclose(result.maps["t"], t, rtol=1e-9)
    np.testing.assert_allclose(result.maps["m0"], m0, rtol=1e-9)


@without_noise_level
@pytest.mark.parametrize("factor", [1e-12, 1e12, 2.0**-100, 2.0**90])
def test_scale_of_the_signal_does_not_matter(method, factor):
    signal = noisy_voxels(method)
    assert_same(fit(signal * factor, method=method), fit(signal, method=method), rtol=1e-7, m0_factor=factor)


@pytest.mark.parametrize("factor", [1e-12, 1e12, 2.0**90])
def test_scale_of_signal_and_noise_together_does_not_matter(factor):
    signal = noisy_voxels()
    scaled = fit(signal * factor, method="rician", sigma=5.0 * factor)
    assert_same(scaled, fit(signal, method="rician"), rtol=1e-6, m0_factor=factor)


@without_noise_level
@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_scale_does_not_matter_in_single_precision(method, factor):
    signal = decay(np.full(20, 100.0), np.linspace(10, 100, 20), TIMES_OF[method]).astype(np.float32)
    scaled = fit(signal * np.float32(factor), method=method)
    np.testing.assert_allclose(scaled.maps["t"], np.linspace(10, 100, 20), rtol=2e-5)


@methods
def test_unit_of_time_does_not_matter(method):
    signal, bounds = noisy_voxels(method), (1.0, 2000.0)
    expected = fit(signal, method=method, bounds=bounds)
    assert_same(
        fit(signal, [t / 1e3 for t in TIMES_OF[method]], unit="s", method=method, bounds=bounds), expected, rtol=1e-9
    )
    longer = fit(signal, [4 * t for t in TIMES_OF[method]], method=method, bounds=(4.0, 8000.0))
    assert_same(longer, expected, rtol=1e-7, t_factor=4.0)


@given(st.permutations(range(4)), amplitude, relaxation_ms, noise)
def test_order_of_the_images_does_not_matter(order, m0, t, n):
    signal = decay(m0, t) * (1 + n)
    permuted = fit(signal[:, order], [TIMES[k] for k in order])
    np.testing.assert_allclose(permuted.maps["t"], fit(signal, TIMES).maps["t"], rtol=1e-7)


@methods
@pytest.mark.parametrize("chunk_size", [7, 32, 99])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_voxels_do_not_know_of_each_other(method, chunk_size, dtype):
    signal, rounding = noisy_voxels(method, n=100, dtype=dtype), ROUNDING[dtype]
    whole = fit(signal, method=method)
    assert_same(fit(signal, method=method, chunk_size=chunk_size), whole, rtol=rounding)
    order = np.random.default_rng(1).permutation(len(signal))
    shuffled = fit(signal[order], method=method)
    np.testing.assert_allclose(shuffled.maps["t"], whole.maps["t"][order], rtol=rounding)
    np.testing.assert_array_equal(shuffled.status, whole.status[order])


@methods
def test_a_mask_is_the_same_as_leaving_voxels_out(method):
    signal = noisy_voxels(method).reshape(20, 15, -1)
    mask = np.random.default_rng(2).random((20, 15)) < 0.4
    masked, whole = (fit(signal, method=method, mask=m, dim=-1, chunk_size=50) for m in (mask, None))
    np.testing.assert_allclose(masked.maps["t"], np.where(mask, whole.maps["t"], np.nan), rtol=1e-9)
    np.testing.assert_array_equal(masked.status, np.where(mask, whole.status, rx.FitStatus.MASKED))


@methods
def test_a_sample_that_is_not_finite_is_a_sample_that_is_not_there(method):
    signal = noisy_voxels(method)
    signal[:, 2] = np.inf
    times = TIMES_OF[method]
    kept = [k for k in range(len(times)) if k != 2]
    without = fit(signal[:, kept], [times[k] for k in kept], method=method)
    assert_same(fit(signal, method=method), without, rtol=1e-9)


@methods
def test_neighbours_of_a_spoiled_voxel_are_bit_identical(method):
    signal = noisy_voxels(method, dtype=np.float32)
    clean = fit(signal, method=method)
    signal[100, 1] = np.nan
    invalid = fit(signal, method=method)
    others = np.arange(len(signal)) != 100
    np.testing.assert_array_equal(invalid.maps["t"][others], clean.maps["t"][others])
    assert invalid.n_used[100] == clean.n_used[100] - (method != "two-point")


@given(st.sampled_from(METHODS), st.sampled_from([0, 1, 2, -1, -2, -3]))
@settings(max_examples=20)
def test_the_time_axis_may_be_anywhere(method, dim):
    signal = noisy_voxels(method, n=60).reshape(12, 5, -1)
    moved = np.moveaxis(signal, -1, dim)
    assert_same(fit(moved, method=method, dim=dim), fit(signal, method=method, dim=-1), rtol=1e-9)


@methods
def test_memory_layout_does_not_matter_and_nothing_is_modified(method, tmp_path):
    signal = noisy_voxels(method).reshape(20, 15, -1)
    expected = fit(signal, method=method, dim=-1)
    np.save(tmp_path / "signal.npy", signal)
    read_only = signal.copy()
    read_only.flags.writeable = False
    for variant in (
        np.asfortranarray(signal),
        signal[::-1][::-1],
        np.repeat(signal, 2, axis=0)[::2],
        signal.astype(">f8"),
        read_only,
        np.load(tmp_path / "signal.npy", mmap_mode="r"),
        np.ma.MaskedArray(signal),
    ):
        before = np.array(variant)
        assert_same(fit(variant, method=method, dim=-1), expected, rtol=1e-9)
        np.testing.assert_array_equal(variant, before)
    constant = np.broadcast_to(signal[1, 1], (6, 5, signal.shape[-1]))
    np.testing.assert_allclose(fit(constant, method=method, dim=-1).maps["t"], expected.maps["t"][1, 1], rtol=1e-9)


@methods
def test_tensors_and_arrays_agree(method):
    signal = noisy_voxels(method)
    expected = fit(signal, method=method)
    result = fit(torch.from_numpy(signal), torch.tensor(TIMES_OF[method]), method=method)
    assert isinstance(result.maps["t"], torch.Tensor)
    assert isinstance(expected.maps["t"], np.ndarray)
    assert_same(result, expected, rtol=1e-9)


@methods
@pytest.mark.parametrize(
    ("given_dtype", "returned"),
    [
        (np.float16, np.float16),
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.uint16, np.float32),
        (np.int16, np.float32),
        (np.uint8, np.float32),
        (np.int64, np.float32),
    ],
)
def test_floating_point_comes_back_as_it_came_and_integers_as_single(method, given_dtype, returned):
    signal = decay(np.full(3, 200.0), np.array([20.0, 40.0, 60.0]), TIMES_OF[method]).round()
    expected = fit(signal.astype(given_dtype).astype(np.float64), method=method)
    for array in (signal.astype(given_dtype), torch.from_numpy(signal.astype(given_dtype))):
        result = fit(array, method=method)
        assert str(result.maps["t"].dtype).removeprefix("torch.") == np.dtype(returned).name
        np.testing.assert_allclose(
            result.maps["t"], expected.maps["t"], rtol=1e-3 if given_dtype == np.float16 else 1e-5
        )


def test_bfloat16_is_computed_in_single_precision():
    signal = torch.tensor([[100.0, 78.0, 47.0, 29.0]])
    result = fit(signal.to(torch.bfloat16), TIMES)
    assert result.maps["t"].dtype == torch.bfloat16
    torch.testing.assert_close(result.maps["t"].float(), fit(signal, TIMES).maps["t"], rtol=0.02, atol=0)


def test_boolean_signals_are_numbers():
    signal = np.array([[True, True, False, True]])
    assert_same(fit(signal, TIMES), fit(signal.astype(np.float32), TIMES))


@methods
def test_shapes_from_one_voxel_to_none(method):
    assert fit(decay(np.array(100.0), np.array(40.0), TIMES_OF[method]), method=method).maps["t"].shape == ()
    for space in [(0,), (3, 0), (0, 5, 2)]:
        result = fit(np.zeros((*space, len(TIMES_OF[method]))), method=method, dim=-1)
        assert result.status.shape == result.maps["t"].shape == space
        assert result.cov.shape == (2, 2, *space)
        assert "0 voxels" in result.summary()


def test_repeated_times_are_averaged():
    signal = np.array([[100.0, 104.0, 50.0, 20.0]])
    repeated = fit(signal, (0, 0, 20, 40))
    averaged = fit(np.array([[102.0, 50.0, 20.0]]), (0, 20, 40), sigma=(2**-0.5, 1, 1))
    np.testing.assert_allclose(repeated.maps["t"], averaged.maps["t"], rtol=1e-9)


def test_a_contrast_names_its_map():
    result = fit(decay(np.full(3, 100.0), np.full(3, 40.0)), rx.Contrast("t1rho", TIMES))
    assert set(result.maps) == set(result.std) == {"m0", "t1rho"}
