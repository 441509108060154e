"""Fits of dask arrays are those of NumPy arrays, computed block by block when asked for."""

import numpy as np
import pytest

import relaxnet as rx
from relaxnet import FitStatus

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

T1RHO = rx.Contrast("t1rho", (0, 10, 30, 50))


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    t = rng.uniform(20, 80, (9, 8, 5, 1))
    image = 1000 * np.exp(-np.array(T1RHO.times_ms) / t) + rng.normal(0, 10, (9, 8, 5, 4))
    image[0, 0, 0, 1] = np.nan
    return image.astype(np.float32)


def computed(result):
    return dask.compute(
        result.maps, result.std, result.covariances, result.rmse, result.r2, result.n_used, result.status
    )


@pytest.mark.parametrize("chunks", [(9, 8, 5, 4), (4, 3, 5, 2), (9, 8, 1, 1)], ids=str)
@pytest.mark.parametrize("given", ["nothing", "mask", "sigma", "both"])
def test_maps_are_those_of_a_numpy_array(image, chunks, given):
    options = {}
    if given in ("mask", "both"):
        options["mask"] = np.zeros((9, 8, 5), bool)
        options["mask"][2:6, 1] = True
    if given in ("sigma", "both"):
        options["sigma"] = np.full(image.shape, 10.0)
    expected = rx.fit(image, T1RHO, dim=-1, **options)
    lazy = rx.fit(da.from_array(image, chunks), T1RHO, dim=-1, **options)
    assert lazy.status.dtype == expected.status.dtype
    assert lazy.maps["t1rho"].dtype == expected.maps["t1rho"].dtype
    for found, wanted in zip(computed(lazy), computed(expected), strict=True):
        for name in wanted if isinstance(wanted, dict) else (...,):
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=1e-5)


def test_nothing_is_read_before_a_map_is_asked_for(image):
    read = []

    def block(part):
        read.append(part.shape)
        return part

    source = da.from_array(image, (3, 8, 5, 4)).map_blocks(block, meta=np.empty((0,) * 4, np.float32))
    result = rx.fit(source, T1RHO, dim=-1)
    assert not read
    result.maps["t1rho"][:3].compute(scheduler="synchronous")
    assert read == [(3, 8, 5, 4)]


def test_a_dataset_of_maps_lands_in_zarr_in_one_pass(image, tmp_path):
    xarray, _ = pytest.importorskip("xarray"), pytest.importorskip("zarr")
    result = rx.fit(da.from_array(image, (3, 8, 5, 4)), T1RHO, dim=-1)
    result.to_dataset().to_zarr(tmp_path / "maps.zarr", consolidated=False)
    with xarray.open_zarr(tmp_path / "maps.zarr", consolidated=False) as stored:
        np.testing.assert_array_equal(stored["t1rho"], rx.fit(image, T1RHO, dim=-1).maps["t1rho"])
        assert stored["t1rho"].attrs["units"] == "ms"
    assert result.cov.shape == (2, 2, 9, 8, 5)
    assert (result.ok.compute() == (result.status.compute() == FitStatus.CONVERGED)).all()
    assert "360 voxels" in result.summary()


def test_chunks_without_voxels_and_single_curves(image):
    empty = da.concatenate([da.from_array(image), da.from_array(image[:0])])
    assert rx.fit(empty, T1RHO, dim=-1).maps["t1rho"].compute().shape == (9, 8, 5)
    curve = rx.fit(da.from_array(image[1, 1, 1]), T1RHO)
    assert curve.maps["t1rho"].compute() == pytest.approx(rx.fit(image[1, 1, 1], T1RHO).maps["t1rho"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 1}, r"signal: axis dim=1 has 8 images, times_ms has 4 times; did you mean dim=-1"),
        ({"dim": -1, "mask": np.ones((9, 8), bool)}, r"mask has shape \(9, 8\), \(9, 8, 5\) is needed"),
        ({"dim": -1, "sigma": np.ones((9, 8))}, r"sigma has shape"),
        ({"dim": -1, "sigma": -1.0}, r"sigma=-1.0: a noise level is positive"),
        ({"dim": -1, "bounds": (5, 1)}, "bounds"),
    ],
    ids=str,
)
def test_arguments_are_checked_at_once(image, options, message):
    with pytest.raises(ValueError, match=message):
        rx.fit(da.from_array(image), T1RHO, **options)
