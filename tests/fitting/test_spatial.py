"""Laws of the spatial fit."""

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.fitting import FitStatus, SpatialPrior
from relaxnet.fitting._spatial.result import UNSURE

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
T2 = rx.Contrast("t2", (10, 20, 40, 80))
PRIOR = SpatialPrior(np.array([50.0, 400.0, 400.0]))
SINGLE = SpatialPrior(np.array([50.0, 400.0]))
SIGMA = 20.0


def decays(t, m0=1000.0, sigma=SIGMA, seed=0):
    """Simulate a batch of images of one contrast, with Gaussian noise."""
    t = torch.as_tensor(t, dtype=torch.float64)
    images = T2.model(torch.full_like(t, m0), t, T2)
    return images + sigma * torch.randn(images.shape, dtype=images.dtype, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def subject():
    return rx.phantom.liver_cohort(n_subjects=1, slices=2, shape=(40, 40), snr=20, seed=5)[0]


@pytest.fixture(scope="module")
def spatial(subject):
    return rx.fit_spatial(subject.images, PROTOCOL, mask=subject.labels > 0)


def error(result, subject, name):
    return float((result.maps[name] - subject.truth[name])[subject.roi].abs().mean())


def test_it_errs_less_than_a_fit_of_each_voxel_and_knows_by_how_much(subject, spatial):
    joint = rx.fit_joint(subject.images, PROTOCOL, mask=subject.labels > 0)
    for name in PROTOCOL.names:
        assert error(spatial, subject, name) < 0.6 * error(joint, subject, name)
        z = ((spatial.maps[name] - subject.truth[name]) / spatial.std[name])[subject.roi]
        assert 0.75 < float((z.abs() < 1.645).double().mean()) <= 1
        mean = spatial.roi_mean(subject.roi)[name]
        assert abs(mean.value - float(subject.truth[name][subject.roi].mean())) < 4 * mean.std
    assert spatial.sigma == pytest.approx(subject.sigma, rel=0.1)


def test_maps_have_the_shape_and_kind_of_the_images(subject, spatial):
    assert spatial.maps["t1rho"].shape == spatial.status.shape == (2, 40, 40)
    assert spatial.maps["t1rho"].dtype == torch.float32
    assert list(spatial.maps) == ["m0", "t1rho", "t2"]
    inside = subject.labels > 0
    assert (spatial.status[~inside] == FitStatus.MASKED).all()
    assert spatial.maps["t2"][~inside].isnan().all()
    arrays = rx.fit_spatial(
        subject.images.movedim(1, -1).numpy(),
        PROTOCOL,
        mask=inside.numpy(),
        dim=-1,
        spacing=(np.inf, 1, 1),
        prior=spatial.prior,
        sigma=spatial.sigma,
    )
    tensors = rx.fit_spatial(subject.images, PROTOCOL, mask=inside, prior=spatial.prior, sigma=spatial.sigma)
    assert isinstance(arrays.maps["t2"], np.ndarray)
    np.testing.assert_array_equal(arrays.maps["t2"], tensors.maps["t2"].numpy())
    assert arrays.sigma is None


def test_strong_data_give_the_fit_of_each_voxel():
    t = torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(2)) * 60 + 20
    images = decays(t, sigma=1e-3)
    spatial = rx.fit_spatial(images, T2, sigma=1e-3, prior=SINGLE)
    apart = rx.fit(images, T2, sigma=1e-3)
    torch.testing.assert_close(spatial.maps["t2"], apart.maps["t2"], rtol=1e-4, atol=0)
    torch.testing.assert_close(spatial.std["t2"], apart.std["t2"], rtol=0.1, atol=0)


def test_a_small_lesion_keeps_its_value():
    y, x = torch.meshgrid(torch.arange(40), torch.arange(40), indexing="ij")
    lesion = ((y - 20) ** 2 + (x - 20) ** 2 <= 6)[None]
    t = torch.where(lesion, 60.0, 40.0)
    found = [
        rx.fit_spatial(decays(t, sigma=50.0, seed=k), T2, sigma=50.0, prior=SINGLE).maps["t2"][lesion].mean()
        for k in range(8)
    ]
    assert float(torch.stack(found).mean()) > 52  # 49 by differences of the images as they are


def test_a_missing_sample_is_no_border():
    images = decays(torch.full((1, 20, 20), 40.0), sigma=50.0)
    whole = rx.fit_spatial(images, T2, sigma=50.0, prior=SINGLE)
    images[:, 0, :, 10:] = torch.nan
    spoiled = rx.fit_spatial(images, T2, sigma=50.0, prior=SINGLE)
    assert (spoiled.status == FitStatus.CONVERGED).all()
    assert float((spoiled.std["t2"] / whole.std["t2"]).mean(dim=1).max()) < 2  # 1.4 by the missing image


def test_infinite_smoothing_gives_one_value():
    images = decays(torch.full((1, 12, 12), 45.0))
    stiff = SpatialPrior(np.array([1e7, 1e7]))
    spatial = rx.fit_spatial(images, T2, sigma=SIGMA, prior=stiff, labels=np.ones((1, 12, 12), int))
    mean = rx.signals.remove_rician_bias(images, SIGMA).mean((0, 2, 3))
    one = rx.fit(mean, T2, sigma=SIGMA / 12)
    torch.testing.assert_close(spatial.maps["t2"], one.maps["t2"].expand(1, 12, 12), rtol=2e-3, atol=0)
    std = spatial.roi_mean(np.ones((1, 12, 12)))["t2"].std
    assert std == pytest.approx(UNSURE * float(one.std["t2"]), rel=0.03)


@pytest.mark.parametrize("turn", [lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.transpose(-1, -2)])
def test_turned_images_give_turned_maps(turn):
    images = decays(30 + 20 * (torch.arange(16) > 7).expand(1, 16, 16))
    there, turned = (rx.fit_spatial(i, T2, sigma=SIGMA, prior=SINGLE) for i in (images, turn(images).contiguous()))
    torch.testing.assert_close(turned.maps["t2"], turn(there.maps["t2"]), rtol=1e-3, atol=0)


def test_slices_do_not_meet():
    images = decays(torch.full((2, 12, 12), 45.0))
    both = rx.fit_spatial(images, T2, sigma=SIGMA, prior=SINGLE)
    other = images.clone()
    other[1] *= 0.3
    changed = rx.fit_spatial(other, T2, sigma=SIGMA, prior=SINGLE)
    torch.testing.assert_close(changed.maps["t2"][0], both.maps["t2"][0], rtol=2e-3, atol=0)
    volume = rx.fit_spatial(images, T2, sigma=SIGMA, prior=SINGLE, spacing=(1, 1, 1))
    assert (volume.std["t2"] < both.std["t2"]).double().mean() > 0.9


def test_one_bad_voxel_costs_itself_alone():
    images = decays(torch.full((1, 16, 16), 45.0))
    whole = rx.fit_spatial(images, T2, sigma=SIGMA, prior=SINGLE)
    images[0, :, 5, 7] = torch.nan
    images[0, :, 9, 9] = 0
    holed = rx.fit_spatial(images, T2, sigma=SIGMA, prior=SINGLE)
    assert holed.status[0, 5, 7] == FitStatus.TOO_FEW_SAMPLES
    assert holed.status[0, 9, 9] == FitStatus.NO_SIGNAL
    assert holed.maps["t2"].isnan().sum() == holed.std["t2"].isnan().sum() == 2
    both = holed.ok
    assert ((holed.maps["t2"] - whole.maps["t2"]).abs() < whole.std["t2"])[both].all()
    assert whole.ok.all()
    assert both.sum() == 254


def test_a_missing_sample_is_left_out():
    images = decays(torch.full((1, 12, 12), 45.0))
    images[0, 1, 4, 4] = torch.nan
    result = rx.fit_spatial(images, T2, sigma=SIGMA, prior=SINGLE)
    assert result.ok.all()
    assert result.n_used[0, 4, 4] == 3


def test_borders_of_labels_are_kept():
    side = (torch.arange(16) > 7).expand(1, 16, 16)
    images = decays(torch.where(side, 60.0, 40.0), m0=300)
    stiff = SpatialPrior(np.array([400.0, 2000.0]))
    maps = rx.fit_spatial(images, T2, sigma=SIGMA, prior=stiff, labels=side.long()).maps["t2"]
    assert abs(float(maps[..., 7].mean()) - 40) < 2
    assert abs(float(maps[..., 8].mean()) - 60) < 3


@pytest.mark.parametrize(
    ("model", "t", "times"),
    [
        (rx.signals.InversionRecovery(), 900.0, (50, 200, 600, 1500, 4000)),
        (rx.signals.InversionRecovery.ideal(magnitude=False), 900.0, (50, 200, 600, 1500, 4000)),
        (rx.signals.MonoExponentialWithOffset(), 40.0, (5, 15, 30, 60, 120)),
        (rx.signals.VariableFlipAngle(tr_ms=15.0), 900.0, (3, 8, 15, 25)),
        (rx.signals.Diffusion(), 0.001, (0, 200, 400, 800)),
    ],
)
def test_any_model(model, t, times, generator):
    contrast = rx.Contrast("x", times, model)
    offset = {"offset": torch.full((1, 16, 16), 30.0)} if model.has_offset else {}
    if isinstance(model, rx.signals.InversionRecovery) and model.has_offset:
        offset = {"offset": torch.full((1, 16, 16), -20.0)}
    clean = model(torch.full((1, 16, 16), 1000.0), torch.full((1, 16, 16), t), contrast, **offset)
    images = clean + clean.abs().max() / 50 * torch.randn(clean.shape, generator=generator)
    sigma = float(clean.abs().max()) / 50
    spatial, apart = rx.fit_spatial(images, contrast, sigma=sigma), rx.fit(images, contrast, sigma=sigma)
    assert spatial.ok.double().mean() > 0.95
    errors = [float((r.maps["x"] - t)[r.ok].abs().mean()) for r in (spatial, apart)]
    assert errors[0] < 0.8 * errors[1]  # as much as neighbours may differ by


def test_a_line_of_voxels_and_no_voxel():
    line = rx.fit_spatial(decays(torch.full((1, 30), 45.0)), T2, sigma=SIGMA, prior=SINGLE)
    assert line.ok.all()
    with pytest.warns(UserWarning, match="mask is empty"):
        nothing = rx.fit_spatial(decays(torch.full((1, 8, 8), 45.0)), T2, mask=np.zeros((1, 8, 8)), sigma=SIGMA)
    assert (nothing.status == FitStatus.MASKED).all()
    with pytest.raises(ValueError, match="region holds no converged voxel"):
        nothing.roi_mean(np.ones((1, 8, 8)))


def test_a_prior_found_elsewhere_and_files(spatial, subject, tmp_path):
    assert spatial.prior.precision.shape == (3,)
    spatial.save(tmp_path / "fit.npz")
    kept = rx.FitResult.load(tmp_path / "fit.npz")
    np.testing.assert_array_equal(kept.maps["t2"], spatial.maps["t2"].numpy())
    assert type(spatial.numpy()) is rx.FitResult
    assert {row["map"] for row in spatial.regions(subject.roi)} == {"m0", "t1rho", "t2"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing": (1, 1)}, r"spacing=\(1, 1\): give a positive distance for each of the 3 axes"),
        ({"spacing": (np.inf,) * 3}, "needs neighbours along one to three axes"),
        ({"labels": np.zeros((4, 4))}, r"labels has shape \(4, 4\), the maps \(1, 12, 12\)"),
        ({"prior": PRIOR}, "give a positive precision for each of the 2 maps"),
        ({"prior": SpatialPrior(-np.ones(2))}, "give a positive precision"),
        ({"draws": 1}, "draws=1: two or more are needed"),
        ({"dim": 2}, "dim=2 has 12 images"),
    ],
)
def test_bad_arguments(options, message, as_user):
    del as_user
    with pytest.raises(ValueError, match=message):
        rx.fit_spatial(torch.ones(1, 4, 12, 12), T2, **{"sigma": 1.0, **options})


def test_an_unknown_noise_level_is_asked_for():
    with pytest.raises(ValueError, match="sigma is needed"):
        rx.fit_spatial(np.ones((1, 2, 3, 3)), T2.at((0, 1)))


@pytest.mark.parametrize(
    ("region", "message"), [(np.ones((2, 2)), "region has shape"), (np.full((2, 40, 40), 3), "other than 0 and 1")]
)
def test_bad_regions(spatial, region, message):
    with pytest.raises(ValueError, match=message):
        spatial.roi_mean(region)
