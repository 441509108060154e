"""Large images, small masks, files larger than memory: what is read, and how much memory it takes."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet import FitStatus
from relaxnet.fitting._core.arguments import as_voxels
from relaxnet.fitting._core.decay import DecayShortcut
from relaxnet.fitting._core.engine import for_each
from relaxnet.fitting._core.voxels import Voxels, n_voxels, positions
from relaxnet.fitting._log_linear import LogLinear
from relaxnet.fitting._nlls import LeastSquares

TIMES = (0.0, 10.0, 30.0, 50.0)


def decays(*space, seed=0, noise=0.02):
    g = np.random.default_rng(seed)
    t = g.uniform(20, 80, space).astype(np.float32)
    signal = np.exp(-np.array(TIMES, dtype=np.float32) / t[..., None])
    return t, signal + g.normal(0, noise, signal.shape).astype(np.float32)


def test_a_whole_volume_with_voxels_spoiled_in_every_way_loses_no_good_one():
    t, signal = decays(256, 256, 30, noise=0.0)
    g = np.random.default_rng(1)
    invalid = g.random(t.shape) < 0.05
    nan, inf = np.nan, np.inf
    ways = np.array(
        [
            [nan] * 4,
            [0] * 4,
            [-1] * 4,
            [inf] * 4,
            [1, 2, 3, 4],
            [5] * 4,
            [nan, nan, 5, nan],
            [1e-44] * 4,
            [3e38, 1e-38, -3e38, nan],
            [1, 0, 0, 0],
        ]
    )
    signal[invalid] = ways[g.integers(len(ways), size=invalid.sum())]
    result = rx.fit(signal, TIMES, dim=-1)
    assert result.ok[~invalid].all()
    np.testing.assert_allclose(result.maps["t"][~invalid], t[~invalid], rtol=2e-5)
    assert not result.ok[invalid].any()
    assert (np.isfinite(result.maps["t"]) == (result.status <= FitStatus.AT_BOUND)).all()


@pytest.fixture
def samples_read(monkeypatch):
    counts = []
    read = Voxels.read

    def counting(self, block):
        samples = read(self, block)
        counts.append(samples.numel())
        return samples

    monkeypatch.setattr(Voxels, "read", counting)
    return counts


def test_a_small_mask_is_all_that_is_read(samples_read):
    _, signal = decays(100, 100, 10)
    mask = np.zeros((100, 100, 10), dtype=bool)
    mask[40:50, 40:50, 5] = True
    rx.fit(signal, TIMES, dim=-1, mask=mask)
    assert sum(samples_read) <= 2 * 4 * mask.sum()


def test_each_voxel_is_read_once(samples_read):
    _, signal = decays(100, 100, 3)
    result = rx.fit(signal, TIMES, dim=-1, chunk_size=1000)
    assert result.ok.all()
    assert signal.size <= sum(samples_read) < 1.1 * signal.size
    assert max(samples_read) <= 4 * 1000


@pytest.mark.parametrize("space", [(7,), (3, 5), (4, 3, 5), (1, 1), (2, 0, 3), ()])
@pytest.mark.parametrize("chunk_size", [1, 4, 1000])
def test_blocks_cover_every_voxel_once(space, chunk_size):
    options = {"sigma": None, "saturation": None, "unit": "ms", "dim": -1}
    g = np.random.default_rng(0)
    for mask in (None, g.random(space) < 0.5):
        if mask is not None and not mask.any():
            continue
        voxels = as_voxels(np.zeros((*space, 4)), TIMES, mask=mask, **options)
        seen = torch.zeros(voxels.space, dtype=torch.int)  # of a single curve, (1,)
        for block in voxels.blocks(chunk_size):
            assert voxels.read(block).shape[1] <= chunk_size
            seen[block] += 1
        np.testing.assert_array_equal(seen.reshape(space), np.ones(space) if mask is None else mask)


MEASURE = """
import resource, sys
import numpy as np, torch, relaxnet as rx

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

rx.fit(np.random.rand(200_000, 4).astype("f4"), (0, 10, 30, 50))  # what is loaded and cached once
signal = np.load(sys.argv[1], mmap_mode="r")
before = peak()
result = rx.fit(signal, (0, 10, 30, 50), maps_only=sys.argv[2] == "maps")
assert result.ok.mean() > 0.9
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="memory is measured as Unix counts it")
@pytest.mark.parametrize("what", ["maps", "everything"])
def test_memory_stays_below_twice_the_input_and_a_little(tmp_path, what):
    n = 6_000_000
    signal = np.lib.format.open_memmap(tmp_path / "signal.npy", mode="w+", dtype=np.float32, shape=(n, 4))
    signal[:] = np.resize(decays(10_000)[1], (n, 4))
    signal.flush()
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "signal.npy"), what]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    # Pages of the file count, too, as long as they are in memory: they are the input itself.
    assert grown < 3 * signal.nbytes + 200e6


# --- threads ------------------------------------------------------------------------------------------------------


def test_fits_in_threads_of_the_caller_agree():
    signals = [decays(3000, seed=k)[1] for k in range(8)]
    alone = [rx.fit(signal, TIMES).maps["t"] for signal in signals]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda signal: rx.fit(signal, TIMES, chunk_size=500).maps["t"], signals))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_the_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    for chunk_size in (None, 100):
        rx.fit(decays(3000)[1], TIMES, chunk_size=chunk_size)
        assert torch.get_num_threads() == before
    started: list[int] = []
    thread = threading.Thread(target=lambda: started.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert started == [before]


def test_an_error_in_a_thread_reaches_the_caller_and_leaves_threads_as_they_were(monkeypatch):
    def fail(*_, **__):
        raise MemoryError("no more")

    before = torch.get_num_threads()
    monkeypatch.setattr(DecayShortcut, "__call__", fail)
    with pytest.raises(MemoryError):
        rx.fit(decays(3000)[1], TIMES, chunk_size=100)
    assert torch.get_num_threads() == before


# --- the shortcut -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [TIMES, tuple(12.8 * k for k in range(1, 31)), (0.0, 5.0, 60.0), (0.0, 18.2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("snr", [3, 20, 200])
def test_what_the_shortcut_finds_is_what_the_careful_search_finds(times, dtype, snr, monkeypatch):
    g = np.random.default_rng(snr)
    t = np.exp(g.uniform(np.log(5), np.log(400), 2000))
    signal = (np.exp(-np.array(times) / t[:, None]) + g.normal(0, 1 / snr, (2000, len(times)))).astype(dtype)
    for sigma in (None, tuple(np.linspace(1, 2, len(times)))):
        quick = rx.fit(signal, times, sigma=sigma)
        with monkeypatch.context() as patch:
            patch.setattr("relaxnet.fitting._nlls.type", lambda _: None, raising=False)
            careful = rx.fit(signal, times, sigma=sigma)
        agree = quick.status == careful.status
        assert agree.mean() > (0.9999 if dtype == np.float64 else 0.998)
        both = agree & quick.ok & (careful.maps["t"] < 1000)
        rtol = {np.float64: 1e-8, np.float32: 5e-4}[dtype]
        np.testing.assert_allclose(quick.maps["t"][both], careful.maps["t"][both], rtol=rtol)
        np.testing.assert_allclose(quick.maps["m0"][both], careful.maps["m0"][both], rtol=rtol)
        if len(times) > 2:
            np.testing.assert_allclose(quick.std["t"][both], careful.std["t"][both], rtol=20 * rtol, atol=1e-4)
            np.testing.assert_allclose(quick.rmse[both], careful.rmse[both], rtol=20 * rtol, atol=1e-6)
            np.testing.assert_allclose(quick.r2[both], careful.r2[both], rtol=20 * rtol, atol=1e-5)
            np.testing.assert_allclose(quick.cov[0, 1][both], careful.cov[0, 1][both], rtol=50 * rtol, atol=1e-6)


@pytest.mark.parametrize("times", [TIMES, tuple(12.8 * k for k in range(1, 31)), (30.0, 0.0, 10.0), (5.0, 20.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
def test_lines_by_moments_are_those_that_are_drawn_one_by_one(times, dtype, scale, monkeypatch):
    g = np.random.default_rng(0)
    t = np.exp(g.uniform(np.log(5), np.log(400), 2000))
    signal = np.exp(-np.array(times) / t[:, None]) * (1 + g.normal(0, 0.05, (2000, len(times))))
    signal[::5] = g.normal(0, 1, signal[::5].shape)
    signal[1::50], signal[2::50, 1] = 0.5, np.inf
    signal = (scale * signal).astype(dtype)
    for sigma in (None, 0.1 * scale, tuple(np.linspace(scale, 2 * scale, len(times)))):
        quick = rx.fit(signal, times, method="log-linear", sigma=sigma)
        with monkeypatch.context() as patch:
            patch.setattr(LogLinear, "shortcut", lambda *_: None)
            one_by_one = rx.fit(signal, times, method="log-linear", sigma=sigma)
        assert quick.ok.mean() > 0.7
        np.testing.assert_array_equal(quick.status, one_by_one.status)
        np.testing.assert_array_equal(quick.n_used, one_by_one.n_used)
        rtol = {np.float64: 1e-11, np.float32: 1e-5}[dtype]
        good = quick.ok & (quick.maps["t"] < 1000)
        np.testing.assert_allclose(quick.maps["t"][good], one_by_one.maps["t"][good], rtol=rtol)
        np.testing.assert_allclose(quick.maps["m0"][good], one_by_one.maps["m0"][good], rtol=rtol)
        np.testing.assert_allclose(quick.std["t"][good], one_by_one.std["t"][good], rtol=100 * rtol, atol=1e-5)
        np.testing.assert_allclose(quick.rmse[good], one_by_one.rmse[good], rtol=100 * rtol, atol=1e-6 * scale)
        np.testing.assert_allclose(quick.r2[good], one_by_one.r2[good], rtol=100 * rtol, atol=1e-5)


def test_the_same_signal_gives_the_same_digits_wherever_it_lies_in_memory():
    _, signal = decays(1003)
    expected = rx.fit(signal, TIMES).maps["t"]
    for offset in range(5):
        moved = np.empty(signal.size + 16, dtype=np.float32)[offset : offset + signal.size].reshape(signal.shape)
        moved[:] = signal
        np.testing.assert_array_equal(rx.fit(moved, TIMES).maps["t"], expected)


def test_maps_only_leaves_the_rest_unknown_and_the_maps_alone():
    _, signal = decays(50, 40)
    everything, maps = rx.fit(signal, TIMES, dim=-1), rx.fit(signal, TIMES, dim=-1, maps_only=True)
    np.testing.assert_array_equal(maps.maps["t"], everything.maps["t"])
    np.testing.assert_array_equal(maps.status, everything.status)
    for unknown in (maps.std["t"], maps.std["m0"], maps.rmse, maps.r2, maps.cov):
        assert np.isnan(unknown).all()
        assert unknown.shape[-2:] == (50, 40)


# --- noise level of each sample -----------------------------------------------------------------------------------


def test_a_noise_level_of_each_sample_is_one_of_each_time_where_it_is_alike():
    _, signal = decays(30, 20)
    sigma = np.array([1.0, 2.0, 3.0, 1.5])
    by_time = rx.fit(signal, TIMES, dim=-1, sigma=sigma)
    by_sample = rx.fit(signal, TIMES, dim=-1, sigma=np.broadcast_to(sigma, signal.shape), chunk_size=70)
    np.testing.assert_allclose(by_sample.maps["t"], by_time.maps["t"], rtol=1e-4)
    np.testing.assert_allclose(by_sample.std["t"], by_time.std["t"], rtol=1e-3)


@pytest.mark.parametrize("by_time", [(1.0, 1.0, 1.0, 1.0), (1.0, 2.0, 3.0, 1.5)])
def test_a_noise_level_that_differs_between_voxels_takes_the_shortcut(by_time, monkeypatch):
    _, signal = decays(500)
    of_voxel = np.random.default_rng(0).uniform(0.5, 3, (500, 1)).astype(np.float32)
    sigma = of_voxel * np.array(by_time, dtype=np.float32)
    with monkeypatch.context() as patch:
        patch.setattr(LeastSquares, "estimate", None)
        result = rx.fit(signal, TIMES, sigma=sigma)
    shared = rx.fit(signal, TIMES, sigma=by_time)
    np.testing.assert_allclose(result.maps["t"], shared.maps["t"], rtol=1e-5)
    np.testing.assert_allclose(result.std["t"], shared.std["t"] * of_voxel[:, 0], rtol=1e-4)
    sigma[::2, 3] *= 2  # other weights: these voxels are fitted one by one
    mixed = rx.fit(signal, TIMES, sigma=sigma)
    np.testing.assert_allclose(mixed.maps["t"][1::2], result.maps["t"][1::2], rtol=1e-5)
    assert not np.allclose(mixed.maps["t"][::2], result.maps["t"][::2], rtol=1e-5)
    np.testing.assert_allclose(mixed.maps["t"], rx.fit(signal.astype("f8"), TIMES, sigma=sigma).maps["t"], rtol=2e-5)


def test_a_sample_of_great_noise_hardly_counts():
    _, signal = decays(200)
    invalid, sigma = signal.copy(), np.ones_like(signal)
    invalid[:100, 2] += 5
    sigma[:100, 2] = 1e6
    result = rx.fitting.nlls(torch.from_numpy(invalid), TIMES, sigma=torch.from_numpy(sigma))
    expected = rx.fit(signal[:100][:, [0, 1, 3]], [TIMES[k] for k in (0, 1, 3)])
    np.testing.assert_allclose(result.maps["t"][:100], expected.maps["t"], rtol=1e-4)
    np.testing.assert_allclose(result.maps["t"][100:], rx.fit(signal[100:], TIMES).maps["t"], rtol=1e-4)


# --- xarray -------------------------------------------------------------------------------------------------------


def test_a_dataset_holds_everything():
    pytest.importorskip("xarray")
    _, signal = decays(6, 5)
    result = rx.fit(torch.from_numpy(signal), rx.Contrast("t2", TIMES), dim=-1)
    dataset = result.to_dataset()
    assert set(dataset) == {"m0", "m0_std", "t2", "t2_std", "rmse", "r2", "n_used", "status"}
    np.testing.assert_array_equal(dataset.t2, result.maps["t2"])
    assert dataset.t2.attrs == {"units": "ms"}
    assert dataset.status.attrs["flag_meanings"].split()[:2] == ["CONVERGED", "AT_BOUND"]
    assert dataset.t2.dims == ("dim_0", "dim_1")


@pytest.mark.parametrize("indexed", [False, True])
def test_where_the_memory_of_a_device_runs_out_blocks_are_cut_once(indexed):
    space, done, largest = (6, 10), [], 20
    whole = (slice(0, 6),)
    block = positions(whole, torch.arange(60), space) if indexed else whole

    def work(part):
        n = n_voxels(part, space)
        if n > largest:
            raise torch.OutOfMemoryError
        done.append(positions(part, torch.arange(n), space))

    arguments = dict.fromkeys(("mask", "sigma", "saturation"))
    voxels = as_voxels(torch.empty(2, *space), (0, 10), unit="ms", dim=0, device="meta", **arguments)
    for_each(work, [block], voxels)
    rows, columns = (torch.cat(axis) for axis in zip(*done, strict=True))
    assert sorted((rows * 10 + columns).tolist()) == list(range(60))
    largest = 5
    with pytest.raises(torch.OutOfMemoryError, match="not enough for 15 voxels at once: pass a smaller chunk_size"):
        for_each(work, [block], voxels)


@pytest.mark.parametrize("method", ["nlls", "log-linear", "two-point", "rician"])
def test_zeros_among_voxels_are_answered_as_by_themselves(method):
    options = {"sigma": 0.02} if method == "rician" else {}
    _, signal = decays(60)
    signal[::3], signal[1::6, 1] = 0, np.nan
    among = rx.fit(signal, TIMES, method=method, **options)
    alone = rx.fit(np.zeros((1, 4), dtype=np.float32), TIMES, method=method, **options)
    assert (among.status[::3] == alone.status).all()
    assert (among.n_used[::3] == alone.n_used).all()
    assert np.isnan([among.maps["t"][::3], among.std["t"][::3], among.rmse[::3], among.r2[::3]]).all()
    others = rx.fit(signal[np.arange(60) % 3 > 0], TIMES, method=method, **options)
    np.testing.assert_array_equal(among.status[np.arange(60) % 3 > 0], others.status)
    np.testing.assert_allclose(among.maps["t"][np.arange(60) % 3 > 0], others.maps["t"], rtol=1e-6)


def test_zeros_and_long_trains_need_no_search(monkeypatch):
    searched = []
    estimate = LeastSquares.estimate
    monkeypatch.setattr(
        LeastSquares, "estimate", lambda self, s: searched.append(s.values.shape[1]) or estimate(self, s)
    )
    rx.fit(np.zeros((1000, 4), dtype=np.float32), TIMES)
    assert not searched
    train, g = np.arange(10.0, 330, 10), np.random.default_rng(0)
    signal = np.exp(-train / g.uniform(20, 80, 5000)[:, None]) + g.normal(0, 0.02, (5000, 32))
    assert rx.fit(signal.astype(np.float32), train).ok.all()
    assert sum(searched) < 500


@pytest.mark.parametrize("model", [rx.signals.MonoExponential(), rx.signals.Diffusion()])
def test_a_constant_ends_where_the_signal_is_flattest_as_its_neighbours_do(model):
    """The search agrees: a constant with one sample a little lower ends at the same bound."""
    times = (0.0, 100.0, 300.0, 500.0)
    level = np.array([[5.0] * 4, [-5.0] * 4])
    constant, nearly = rx.fit(level, times, model=model), rx.fit(level * [1, 1, 1, 1 - 1e-9], times, model=model)
    np.testing.assert_array_equal(constant.status, nearly.status)
    assert constant.status.tolist() == [FitStatus.AT_BOUND, FitStatus.NO_SIGNAL]
    name = (
        model.parameter.name if model.parameter.name in constant.maps else next(n for n in constant.maps if n != "m0")
    )
    np.testing.assert_allclose(constant.maps[name], nearly.maps[name], rtol=1e-12)
    np.testing.assert_allclose(constant.maps["m0"], nearly.maps["m0"], rtol=1e-8)
