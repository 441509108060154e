"""A result that is saved is loaded unchanged, and goes to NIfTI under any name."""

import json
import pickle

import numpy as np
import pytest
import torch

import relaxnet as rx

nibabel = pytest.importorskip("nibabel")

TIMES_MS = (10, 20, 40, 80)
AFFINE = np.diag((-2.0, 2.0, 5.0, 1.0))


@pytest.fixture
def images():
    t = np.linspace(20, 90, 24).reshape(4, 3, 2, 1)
    images = (1000 * np.exp(-np.array(TIMES_MS) / t)).astype(np.float32)
    images[0, 0, 0] = np.nan
    return images


def arrays(result):
    parts = {**result.maps, **{f"std {k}": v for k, v in result.std.items()}, **result.covariances}
    return parts | {key: getattr(result, key) for key in ("rmse", "r2", "n_used", "status")}


@pytest.mark.parametrize("name", ["fit.npz", "of no ending"])
def test_a_saved_result_is_loaded_unchanged(images, tmp_path, name):
    result = rx.fit(images, rx.Contrast("t2", TIMES_MS), dim=-1)
    result.save(tmp_path / name)
    loaded = rx.fitting.FitResult.load(tmp_path / name)
    assert loaded.units == result.units
    assert list(loaded.maps) == list(result.maps)
    for key, values in arrays(result).items():
        found = arrays(loaded)[key]
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(loaded.cov, result.cov)
    assert loaded.summary() == result.summary()


@pytest.mark.parametrize("kind", ["tensor", "dask"])
def test_tensors_and_dask_arrays_are_saved_as_arrays(images, tmp_path, kind):
    expected = rx.fit(images, TIMES_MS, dim=-1)
    as_kind = torch.from_numpy if kind == "tensor" else pytest.importorskip("dask.array").from_array
    result = rx.fit(as_kind(images), TIMES_MS, dim=-1)
    result.save(tmp_path / "fit.npz")
    loaded = rx.fitting.FitResult.load(tmp_path / "fit.npz")
    np.testing.assert_allclose(loaded.maps["t"], expected.maps["t"], rtol=1e-5)
    assert result.regions()[1]["n_failed"] == expected.regions()[1]["n_failed"] == 1
    assert result.to_nifti(tmp_path, like=nibabel.Nifti1Image(images, AFFINE))["t"].exists()


def test_a_single_curve_is_saved(tmp_path):
    result = rx.fit(np.array([100.0, 82, 51, 33]), (0, 10, 30, 50))
    result.save(tmp_path / "fit.npz")
    assert rx.fitting.FitResult.load(tmp_path / "fit.npz").maps["t"] == result.maps["t"]


def test_files_that_hold_no_result_are_told(images, tmp_path):
    load, path = rx.fitting.FitResult.load, tmp_path / "fit.npz"
    with pytest.raises(FileNotFoundError, match=r"fit\.npz: there is no such file"):
        load(path)
    good = rx.fit(images, TIMES_MS, dim=-1)
    good.save(path)
    whole = path.read_bytes()
    np.savez(tmp_path / "other.npz", a=1)
    bad = [b"", b"text", whole[: len(whole) // 2], pickle.dumps({"a": 1}), (tmp_path / "other.npz").read_bytes()]
    for content in bad:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"fit\.npz: this is no result"):
            load(path)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    with pytest.raises(ValueError, match="no result"):
        load(path.with_suffix(".npy"))


@pytest.mark.parametrize("kind", ["scan", "image", "path"])
def test_maps_go_to_nifti_like_a_scan(images, tmp_path, kind):
    path = tmp_path / "leg.nii.gz"
    image = nibabel.Nifti1Image(images, AFFINE)
    image.to_filename(path)
    like = {"scan": lambda: rx.io.read_nifti(path), "image": lambda: nibabel.load(path), "path": lambda: path}[kind]()
    result = rx.fit(images, rx.Contrast("t2", TIMES_MS), dim=-1)
    paths = result.to_nifti(tmp_path / "out", like=like)
    assert {key: path.name for key, path in paths.items()} == {
        "m0": "leg_S0map.nii.gz",
        "m0_std": "leg_desc-std_S0map.nii.gz",
        "t2": "leg_T2map.nii.gz",
        "t2_std": "leg_desc-std_T2map.nii.gz",
        "r2": "leg_desc-r2_T2map.nii.gz",
        "rmse": "leg_desc-rmse_T2map.nii.gz",
        "status": "leg_desc-status_T2map.nii.gz",
    }
    found = nibabel.load(paths["t2"])
    np.testing.assert_array_equal(found.get_fdata(dtype=np.float32), result.maps["t2"] / np.float32(1000))
    np.testing.assert_allclose(found.affine, AFFINE)
    sidecar = json.loads(rx.io.sidecar_path(paths["t2"]).read_text())
    assert (sidecar["Units"], sidecar["Sources"]) == ("s", ["leg.nii.gz"])
    with pytest.raises(FileExistsError):
        result.to_nifti(tmp_path / "out", like=like)
    result.to_nifti(tmp_path / "out", like=like, fill=0, overwrite=True)
    assert nibabel.load(paths["t2"]).get_fdata()[0, 0, 0] == 0


def test_parameters_of_any_name_have_files(images, tmp_path):
    image = nibabel.Nifti1Image(images, AFFINE)
    result = rx.fit(torch.from_numpy(images), TIMES_MS, dim=-1)
    paths = result.to_nifti(tmp_path, like=image)
    assert paths["t"].name == "maps_t.nii.gz"
    assert json.loads(rx.io.sidecar_path(paths["t"]).read_text())["Sources"] == []
    contrast = rx.Contrast("t2", TIMES_MS, model=rx.signals.MonoExponentialWithOffset())
    paths = rx.fit(images, contrast, dim=-1).to_nifti(tmp_path / "knee.nii", like=image)
    assert paths["offset"].name == "knee_desc-offset_T2map.nii.gz"
    assert paths["offset_std"].name == "knee_desc-offsetstd_T2map.nii.gz"


def test_an_image_of_another_grid_is_told(images, tmp_path):
    result = rx.fit(images, TIMES_MS, dim=-1)
    with pytest.raises(ValueError, match=r"like has shape \(3, 3, 2\), the maps \(4, 3, 2\)"):
        result.to_nifti(tmp_path, like=nibabel.Nifti1Image(images[1:], AFFINE))
    with pytest.raises(ValueError, match="like is ndarray: a scan, an image of nibabel, or the path"):
        result.to_nifti(tmp_path, like=images)
    with pytest.raises(FileNotFoundError, match="no such file"):
        result.to_nifti(tmp_path, like=tmp_path / "none.nii")
    assert not any(tmp_path.iterdir())
