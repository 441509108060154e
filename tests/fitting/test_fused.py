"""The compiled fit and that in torch are one fit: the same laws, the same statuses, the same maps."""

import dataclasses
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from decays import all_sorts, decays

import relaxnet as rx
from relaxnet import FitStatus
from relaxnet.fitting._core import fused

TIMES = (0.0, 10.0, 30.0, 50.0)
TRAIN = tuple(12.8 * k for k in range(1, 31))
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")


@pytest.fixture(params=["numba", "triton"])
def kernel(request, monkeypatch):
    """Compile by numba, or by Triton, whose interpreter runs a kernel for GPUs where there is none."""
    pytest.importorskip(request.param)
    if request.param == "triton" and not torch.cuda.is_available():
        if not INTERPRETED:
            pytest.skip("no GPU, and TRITON_INTERPRET is not 1")
        of_decays = "least squares", rx.signals.MonoExponential
        monkeypatch.setitem(fused._KINDS, (*of_decays, "cpu"), fused._KINDS[(*of_decays, "cuda")])
    with np.errstate(all="ignore"):  # the interpreter computes with NumPy, which warns of what a GPU just does
        yield request.param


@pytest.fixture
def n(kernel):
    """How many voxels are fitted: the interpreter is slow."""
    return 1500 if kernel == "triton" and INTERPRETED else 6000


@pytest.fixture
def both(kernel, monkeypatch):
    """Fit by both implementations; return first the result of torch."""
    on_gpu = kernel == "triton" and torch.cuda.is_available()

    def fit(signal, times, **options):
        if on_gpu:
            signal = torch.as_tensor(signal, device="cuda")
        results = []
        for least in (np.inf, 0):
            monkeypatch.setattr(fused, "LEAST_VOXELS", least)
            result = rx.fit(signal, times, **options)
            results.append(on_cpu(result) if on_gpu else result)
        return results

    return fit


def on_cpu(result):
    """Bring a result from the GPU to NumPy."""
    changed = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, torch.Tensor):
            changed[field.name] = value.cpu().numpy()
        elif isinstance(value, dict):
            changed[field.name] = {
                key: part.cpu().numpy() if isinstance(part, torch.Tensor) else part for key, part in value.items()
            }
    return dataclasses.replace(result, **changed)


def assert_same(by_torch, compiled, signal, times, **options):
    """Maps agree to 1e-5 or, where they are known less well than that, to what noise of 1e-4 would change."""
    np.testing.assert_array_equal(compiled.status, by_torch.status)
    np.testing.assert_array_equal(compiled.n_used, by_torch.n_used)
    for get in (
        lambda r: [*r.maps.values(), *r.std.values(), *r.covariances.values(), r.rmse],
        lambda r: [values[r.ok] for values in (*r.maps.values(), r.r2)],
    ):
        for row, other in zip(get(compiled), get(by_torch), strict=True):
            np.testing.assert_array_equal(np.isnan(row), np.isnan(other))
    sigma = np.asarray(options.get("sigma", 1.0))
    same = {key: value for key, value in options.items() if key in ("dim", "bounds", "saturation")}
    unit = rx.fit(signal.astype(np.float64), times, sigma=sigma / sigma.min(), **same)  # errors from noise of 1
    dim = same.get("dim", 1)
    peak = np.abs(np.where(np.isfinite(signal), signal, 0)).max(dim).astype(np.float64)
    ok, noise = by_torch.ok & unit.ok, 1e-4 * peak
    assert ok.sum() >= 0.95 * by_torch.ok.sum()
    for name in ("m0", "t"):
        found, expected = compiled.maps[name][ok].astype(np.float64), by_torch.maps[name][ok].astype(np.float64)
        far = np.abs(found - expected) > np.maximum(1e-5 * np.abs(expected), (noise * unit.std[name])[ok])
        assert not far.any(), (name, found[far], expected[far])
    at_bound = by_torch.status == FitStatus.AT_BOUND
    np.testing.assert_array_equal(compiled.maps["t"][at_bound], by_torch.maps["t"][at_bound])
    np.testing.assert_allclose(compiled.maps["m0"][at_bound], by_torch.maps["m0"][at_bound], rtol=1e-5)
    sure = ok & (by_torch.maps["t"] < 300) & (by_torch.std["t"] < by_torch.maps["t"]) & (by_torch.rmse > 1e-2 * peak)
    for name in ("m0", "t"):
        np.testing.assert_allclose(compiled.std[name][sure], by_torch.std[name][sure], rtol=1e-2)
    np.testing.assert_allclose(compiled.covariances["m0", "t"][sure], by_torch.covariances["m0", "t"][sure], rtol=2e-2)
    np.testing.assert_allclose(compiled.rmse[sure], by_torch.rmse[sure], rtol=1e-4)
    np.testing.assert_allclose(compiled.r2[sure], by_torch.r2[sure], atol=1e-5)


@pytest.mark.parametrize("snr", [3, 5, 10, 20, 50, 1000])
@pytest.mark.parametrize("times", [TIMES, TRAIN, (30.0, 5.0, 60.0), (0.0, 18.2), tuple(10.0 * k for k in range(1, 9))])
def test_both_agree_on_all_sorts_of_voxels(both, n, times, snr):
    signal = all_sorts(n, times, snr)
    assert_same(*both(signal, times), signal, times)


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": 0.05},
        {"sigma": "by time"},
        {"sigma": "by sample"},
        {"saturation": 0.9},
        {"bounds": (10, 300)},
        {"bounds": (2, 1e5)},
        {"mask": "some"},
        {"maps_only": True},
        {"chunk_size": 77},
    ],
)
def test_both_agree_under_all_options(both, n, options):
    signal = all_sorts(n, TIMES, 20)
    g, some = np.random.default_rng(2), dict(options)
    if "mask" in some:
        some["mask"] = g.random(n) < 0.3
    if some.get("sigma") == "by time":
        some["sigma"] = (0.05, 0.1, 0.05, 0.2)
    if some.get("sigma") == "by sample":
        some["sigma"] = g.uniform(0.05, 0.2, signal.shape)
    by_torch, compiled = both(signal, TIMES, **some)
    if "maps_only" in some:
        assert np.isnan(compiled.std["t"]).all()
        expected = both(signal, TIMES)[1]
        np.testing.assert_array_equal(compiled.maps["t"], expected.maps["t"])
        np.testing.assert_array_equal(compiled.status, by_torch.status)
    else:
        assert_same(by_torch, compiled, signal, TIMES, **some)


@pytest.mark.parametrize("sigma", [None, "by sample"])
@pytest.mark.parametrize("snr", [3, 20])
@pytest.mark.parametrize(
    "times", [TIMES, TRAIN, (30.0, 5.0, 60.0), (0.0, 18.2), (10.0, 25.0, 50.0, 90.0, 150.0, 250.0)]
)
def test_single_precision_decides_as_double_precision_does(both, n, times, snr, sigma):
    signal = all_sorts(n, times, snr)
    signal[15::29] = 0  # what single precision cannot hold
    given = {} if sigma is None else {"sigma": np.random.default_rng(3).uniform(0.05, 0.2, signal.shape)}
    exact = rx.fit(signal.astype(np.float64), times, **given)
    for result in both(signal, times, **given):
        np.testing.assert_array_equal(result.status, exact.status)
        np.testing.assert_allclose(result.maps["t"], exact.maps["t"], rtol=2e-3)


@pytest.mark.parametrize(
    ("samples", "times", "status", "t"),
    [
        # Of a decay that has vanished by the second image, T is the shortest there is.
        ((31, 0, 0, 0, 33, 10), (10, 25, 50, 90, 150, 250), FitStatus.AT_BOUND, 1.0),
        ((132, 0, 0, 0, 5, 158), (10, 25, 50, 90, 150, 250), FitStatus.AT_BOUND, 1.0),
        # Of one that has nearly, many T explain as much within rounding.
        ((1, 1.4987e-4), (0, 18.2), FitStatus.CONVERGED, 18.2 / np.log(1 / 1.4987e-4)),
    ],
)
def test_what_rounding_would_decide_is_found_in_double_precision(both, n, samples, times, status, t):
    for result in both(np.tile(np.float32(samples), (n // 10, 1)), times):
        assert (result.status == status).all()
        np.testing.assert_allclose(result.maps["t"], t, rtol=1e-4)


@pytest.mark.parametrize(
    "name", ["santini_brain_se.npz", "nist_site3_ge_plate5.npz", "qmrlab_brain_mese_small.npz", "open_leg_mese.npz"]
)
def test_both_agree_on_real_images(both, n, real_data, name):
    data = real_data(name)
    signal = data["signal"].astype(np.float32)
    if n < signal[..., 0].size:  # the interpreter is slow
        signal = signal.reshape(-1, signal.shape[-1])[:: signal[..., 0].size // n]
    assert_same(*both(signal, data["times_ms"], dim=-1), signal, data["times_ms"], dim=-1)


def test_truth_is_recovered_without_noise(implementation):
    del implementation
    t, _ = decays(3000, TIMES, 50)
    t = t[t < 500]
    result = rx.fit(np.exp(-np.array(TIMES) / t[:, None]).astype(np.float32), TIMES)
    assert result.ok.all()
    np.testing.assert_allclose(result.maps["t"], t, rtol=1e-4)
    np.testing.assert_allclose(result.maps["m0"], 1, rtol=1e-5)


@pytest.mark.parametrize("times", [TIMES, TRAIN, tuple(48.0 * k for k in range(1, 7))])
@pytest.mark.parametrize("snr", [3, 50])
def test_no_point_of_a_fine_grid_explains_more(implementation, times, snr):
    del implementation
    signal = decays(2000, times, snr)[1]
    signal[::4] = np.hypot(*np.random.default_rng(3).normal(0, 1, (2, *signal[::4].shape)))
    result = rx.fit(signal, times)
    found = result.status <= FitStatus.AT_BOUND
    assert found.mean() > 0.5
    grid = np.exp(-np.array(times) / np.geomspace(max(1, times[0] / 40), 5000, 2000)[:, None])
    explained = (signal[found].astype(float) @ grid.T).clip(min=0) ** 2 / (grid**2).sum(1)
    own = np.exp(-np.array(times) / result.maps["t"][found, None].astype(float))
    reached = (signal[found] * own).sum(1) ** 2 / (own**2).sum(1)
    assert (reached >= explained.max(1) - 1e-6 * (signal[found] ** 2).sum(1)).all()


def test_scale_order_and_neighbours_do_not_matter(implementation):
    del implementation
    signal = decays(3000, TIMES, 20)[1]
    usual = rx.fit(signal, TIMES)
    good = usual.ok & (usual.maps["t"] < 500)
    scaled = rx.fit(signal * np.float32(2.0**40), TIMES)
    np.testing.assert_array_equal(scaled.status, usual.status)
    np.testing.assert_allclose(scaled.maps["t"][good], usual.maps["t"][good], rtol=1e-5)
    order = [2, 0, 3, 1]
    moved = rx.fit(signal[:, order], [TIMES[k] for k in order])
    np.testing.assert_allclose(moved.maps["t"][good], usual.maps["t"][good], rtol=1e-4)
    np.testing.assert_array_equal(rx.fit(signal[::3], TIMES).maps["t"], usual.maps["t"][::3])


def test_hardly_a_voxel_is_left_to_torch(left, monkeypatch):
    monkeypatch.setattr(fused, "LEAST_VOXELS", 0)
    rx.fit(decays(20_000, TIMES, 10)[1], TIMES)
    assert sum(left) < 50


@needs_numba
def test_gradients_are_those_of_torch(monkeypatch):
    signal = decays(500, TIMES, 50)[1]
    gradients = []
    for least in (np.inf, 0):
        monkeypatch.setattr(fused, "LEAST_VOXELS", least)
        tensor = torch.from_numpy(signal).requires_grad_()
        result = rx.fit(tensor, TIMES)
        good = result.ok & (result.maps["t"] < 200)
        (gradient,) = torch.autograd.grad(result.maps["t"][good].sum(), tensor)
        gradients.append(gradient)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("signal", "options"),
    [
        (np.ones((50, 4)), {}),  # double precision
        (np.ones((50, 4)), {"model": rx.signals.MonoExponentialWithOffset()}),
        (np.ones((50, 4), dtype=np.float32), {"model": rx.signals.StretchedExponential(0.7)}),
        (np.ones((50, 4), dtype=np.float32), {"method": "log-linear"}),
    ],
)
def test_other_fits_are_those_of_torch(signal, options, monkeypatch):
    monkeypatch.setattr(fused, "LEAST_VOXELS", 0)
    for kind in fused._KINDS:
        monkeypatch.setitem(fused._KINDS, kind, (None, "math", "fused"))
    rx.fit(signal, TIMES, **options)
    rx.fit(np.ones((50, 4), dtype=np.float32), (0, 10, 10, 30))  # repeated times


def test_without_numba_or_with_a_broken_one_torch_fits(monkeypatch, caplog):
    monkeypatch.setattr(fused, "LEAST_VOXELS", 0)
    signal = decays(50, TIMES, 50)[1]
    monkeypatch.setattr(fused, "find_spec", lambda _: None)
    fused._load.cache_clear()
    without = rx.fit(signal, TIMES)

    def broken(_):
        raise ImportError("Numba needs NumPy 1.0 or less")

    monkeypatch.setattr(fused, "find_spec", lambda _: True)
    monkeypatch.setattr(fused, "import_module", broken)
    fused._load.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert_same(without, rx.fit(signal, TIMES), signal, TIMES)
    fused._load.cache_clear()
    assert "numba cannot be loaded" in caplog.text


def test_only_a_large_fit_loads_numba():
    code = "import sys, numpy as np, relaxnet as rx; rx.fit(np.ones((100, 4), 'f4'), (0, 10, 30, 50))"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'numba' not in sys.modules"], check=True)


@needs_numba
@pytest.mark.parametrize("writable", [True, False])
def test_the_compiled_fit_is_kept_where_one_can_write(tmp_path, writable):
    """An installation that cannot be written to keeps it in the user's cache, or compiles it in each process."""
    code = (
        "import numba.core.caching as c\n"
        "c.InTreeCacheLocator.from_function = classmethod(lambda *_: None)\n"
        "from relaxnet.fitting._core.kernels import decay as k\n"
        "print(type(k.fit_decays._cache).__name__)"
    )
    cache = tmp_path / "cache"
    if not writable:
        cache.write_text("a file where a folder should be")
    else:
        cache.mkdir()
    environment = {**os.environ, "HOME": str(cache), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("FunctionCache" if writable else "NullCache")


@needs_numba
def test_a_kernel_is_compiled_anew_when_one_of_its_parts_changes(tmp_path):
    """The compiler itself looks at the file of the kernel alone."""
    from relaxnet.fitting._core.kernels import decay, parts  # noqa: PLC0415 (numba may be missing)

    usual = parts.version(Path(parts.__file__).parent)
    assert usual in decay.fit_decays.py_func.__qualname__  # of which the name of its file is made
    copy = shutil.copytree(Path(parts.__file__).parents[1], tmp_path / "core") / "kernels"
    texts = "".join(file.read_text() for file in copy.glob("*.py"))
    elsewhere = {*re.findall(r"from relaxnet\.fitting\._core\.(\w+) import", texts)}
    assert parts.version(copy) == usual
    known = {usual}
    for file in (copy / "grid.py", *(copy.parent / f"{name}.py" for name in elsewhere)):
        file.write_text(file.read_text() + "# changed")
        assert parts.version(copy) not in known
        known.add(parts.version(copy))


def test_the_kernel_for_gpus_compiles_without_one():
    """For a card of the kind of an H100: in a process of its own, which is not told to interpret."""
    pytest.importorskip("triton")
    code = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from relaxnet.fitting._core.decay_triton import _fit_decays

numbers = {"shortest": "fp32", "longest": "fp32", "saturation": "fp32", "status": "*u8", "n_used": "*i16"}
arrays = dict.fromkeys(("samples", "weight", "noise", "times", "rates", "floor", "table"), "*fp32")
sizes = {"N_TIMES": 4, "ROWS": 4, "N_GRID": 32, "N_RESULTS": 7, "BLOCK": 128}
kinds = {name: "i32" for name in _fit_decays.arg_names} | numbers | arrays | dict.fromkeys(sizes, "constexpr")
source = ASTSource(fn=_fit_decays, signature=kinds, constexprs=sizes)
assert "cubin" in triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm
"""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
