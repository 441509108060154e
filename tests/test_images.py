"""Images that know more than their numbers: data arrays of xarray, and images of nibabel."""

import dask.array
import nibabel
import numpy as np
import pytest
import torch
import xarray

import relaxnet as rx

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
T1RHO = PROTOCOL.contrasts[0]
SUBJECT = rx.phantom.liver_cohort(n_subjects=1, slices=2, shape=(32, 40), snr=20, seed=0)[0]
IMAGES = SUBJECT.images.numpy()
DIMS, COORDS = ("z", "image", "y", "x"), {"z": [0.0, 7.0], "x": np.arange(40) * 9.6, "image": np.arange(7)}
AFFINE = np.array([[-2.0, 0, 0, 10], [0, 3, 0, 20], [0, 0, 5, 30], [0, 0, 0, 1]])
NAMED = xarray.DataArray(IMAGES, COORDS, DIMS, attrs={"units": "signal"})
GRID = nibabel.Nifti1Image(np.ascontiguousarray(np.moveaxis(IMAGES, (3, 2, 0, 1), (0, 1, 2, 3))), AFFINE)
BODY = SUBJECT.labels.numpy() > 0


def trained(inputs="any"):
    torch.manual_seed(0)
    net = rx.nets.RelaxationNet(PROTOCOL, inputs, base=2, depth=1).eval()
    by_set = {"any": 1.0}
    spread = rx.training.Spread(0.05, {"t1rho": by_set, "t2": by_set}, {"t1rho": {"any": 0.0}, "t2": {"any": 0.0}})
    return rx.training.Trained(net, [], spread)


FITS = {
    "nlls": lambda images, **options: rx.fit(images[:, :4], T1RHO, **options),
    "two-point": lambda images, **options: rx.fit(images[:, :4], T1RHO, method="two-point", **options),
    "a function": lambda images, **options: rx.fitting.log_linear(signal=images[:, :4], times_ms=T1RHO, **options),
    "joint": lambda images, **options: rx.fit_joint(images, PROTOCOL, **options),
    "spatial": lambda images, **options: rx.fit_spatial(images, PROTOCOL, **options),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_maps_of_a_data_array_have_its_dimensions(fit):
    plain = fit(IMAGES, mask=BODY)
    mask = xarray.DataArray(BODY, dims=("z", "y", "x")).transpose("x", "y", "z")
    named = fit(NAMED, mask=mask, dim="image")
    assert type(named) is type(plain)
    for name, values in plain.maps.items():
        found = named.maps[name]
        assert (found.dims, set(found.coords), found.attrs) == (("z", "y", "x"), {"z", "x"}, {})
        np.testing.assert_array_equal(found.values, values)
        np.testing.assert_array_equal(named.std[name].sel(z=7.0), plain.std[name][1])
    assert named.summary() == plain.summary()
    assert named.ok.dims == ("z", "y", "x")
    dataset = named.to_dataset()
    assert dict(dataset.sizes) == {"z": 2, "y": 32, "x": 40}
    assert dataset["t1rho"].attrs == {"units": "ms"}
    assert named.regions(mask.astype(int).transpose("z", "y", "x")) == plain.regions(BODY.astype(int))


def test_lazy_data_arrays_stay_lazy(tmp_path):
    lazy = NAMED.isel(image=slice(4)).chunk({"z": 1, "y": 16})
    result = rx.fit(lazy, T1RHO, dim="image")
    assert isinstance(result.maps["t1rho"].data, dask.array.Array)
    assert result.maps["t1rho"].dims == ("z", "y", "x")
    expected = rx.fit(IMAGES[:, :4], T1RHO)
    np.testing.assert_array_equal(result.maps["t1rho"].compute().values, expected.maps["t1rho"])
    assert "<table" not in result._repr_html_()  # which would compute it
    result.to_dataset().to_zarr(tmp_path / "fit.zarr", consolidated=False)
    with xarray.open_zarr(tmp_path / "fit.zarr", consolidated=False) as stored:
        np.testing.assert_array_equal(stored["status"].values, expected.status)
        assert stored["t1rho"].dims == ("z", "y", "x")


def test_an_image_of_nibabel_is_fitted_and_written_where_it_is(tmp_path):
    data = np.asanyarray(GRID.dataobj)
    mask = nibabel.Nifti1Image((data[..., 0] > 100).astype(np.uint8), AFFINE)
    result = rx.fit_joint(GRID, PROTOCOL, mask=mask)
    expected = rx.fit_joint(data, PROTOCOL, dim=-1, mask=np.asanyarray(mask.dataobj))
    np.testing.assert_array_equal(result.maps["t2"], expected.maps["t2"])
    written = nibabel.load(result.to_nifti(tmp_path)["t2"])
    np.testing.assert_array_equal(written.affine, AFFINE)
    np.testing.assert_allclose(written.get_fdata(), result.maps["t2"] / 1e3, rtol=1e-6)
    result.save(tmp_path / "fit.npz")
    again = rx.FitResult.load(tmp_path / "fit.npz")
    np.testing.assert_array_equal(again.maps["t2"], result.maps["t2"])
    for positionless in (again, expected):
        with pytest.raises(ValueError, match="like is needed: an array was fitted"):
            positionless.to_nifti(tmp_path / "other")


def test_a_spatial_fit_of_an_image_knows_regions_and_grid(tmp_path):
    spatial = rx.fit_spatial(GRID, PROTOCOL, spacing=(2, 3, 5))
    liver = np.moveaxis(SUBJECT.roi.numpy(), (2, 1, 0), (0, 1, 2))
    mean = spatial.roi_mean(nibabel.Nifti1Image(liver.astype(np.uint8), AFFINE))["t1rho"]
    assert mean == spatial.roi_mean(liver)["t1rho"]
    assert nibabel.load(spatial.to_nifti(tmp_path)["t1rho"]).shape == (40, 32, 2)


@pytest.mark.parametrize("denoise", [rx.denoise.low_rank, rx.denoise.non_local_means])
def test_denoised_images_are_what_they_were(denoise):
    plain = denoise(IMAGES)
    named = denoise(NAMED, dim="image")
    assert named.identical(NAMED.copy(data=plain))
    image = denoise(GRID)
    assert type(image) is nibabel.Nifti1Image
    np.testing.assert_array_equal(image.affine, AFFINE)
    found = np.moveaxis(np.asanyarray(image.dataobj), (0, 1, 2, 3), (3, 2, 0, 1))
    np.testing.assert_allclose(found, plain, rtol=1e-4)


def test_maps_of_a_network_are_as_the_images():
    network = trained()
    plain = network.predict(IMAGES)
    for name, values in network.predict(NAMED).items():
        assert values.dims == ("z", "y", "x")
        np.testing.assert_array_equal(values, plain[name])
    few = NAMED.isel(image=[0, 2, 5])
    np.testing.assert_array_equal(
        network.predict(few, inputs="middle")["t2"], network.predict(IMAGES, inputs="middle")["t2"]
    )


def test_maps_of_a_network_lie_on_the_grid_of_an_image(tmp_path):
    network = trained()
    GRID.to_filename(tmp_path / "scan.nii.gz")
    network.save(tmp_path / "network.safetensors")
    outcome = rx.workflows.predict_scan(tmp_path / "network.safetensors", tmp_path / "scan.nii.gz")
    for name, values in network.predict(GRID).items():
        assert values.shape == (40, 32, 2)
        np.testing.assert_allclose(nibabel.load(outcome.files[name]).get_fdata(), values / 1e3, rtol=1e-5)


@pytest.mark.usefixtures("as_user")
def test_names_belong_to_data_arrays():
    with pytest.raises(ValueError, match="dim='image', but signal has 4 axes"):
        rx.fit(IMAGES, T1RHO, dim="image")
    with pytest.raises(ValueError, match="dim=image"):
        rx.denoise.low_rank(IMAGES, dim="image")
