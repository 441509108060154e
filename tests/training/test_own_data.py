"""Data as they are: missing voxels and contrasts, sizes, masks, noise levels and bounds."""

import dataclasses

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.training import PRESETS
from relaxnet.training._data import collate

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
T1RHO, T2 = (list(PROTOCOL.images_of(name)) for name in PROTOCOL.names)
LAPTOP_LIKE = dataclasses.replace(
    PRESETS["smoke"], max_degrees=10.0, max_shift=0.05, flips=True, initial_estimates=(0.0, "low-rank"), averaging=0.5
)


def train(data, **options):
    return rx.training.train(data, **{"preset": "smoke", "progress": False, **options})


@pytest.fixture(scope="module")
def scans(cohort):
    return [subject.images.clone() for subject in cohort]


def weights(trained):
    return torch.cat([p.flatten().float() for p in trained.net.state_dict().values()])


@pytest.mark.filterwarnings("ignore:no standard deviations")  # too few held-out images for any input set
@pytest.mark.parametrize("loss", ["held-out-orthogonal", "paper", "held-out-reconstruction", "supervised-nlls"])
@pytest.mark.parametrize("inputs", ["middle", "any"])
def test_a_missing_voxel_costs_itself_alone(scans, loss, inputs):
    holes = [images.clone() for images in scans]
    for images in holes:
        images[:, 0, 16, 16] = torch.nan
        images[0, 2, 10, 12] = torch.inf
        images[1, 6, 20, 20] = torch.nan  # held out
    options = {"protocol": PROTOCOL, "loss": loss, "inputs": inputs}
    trained = train(holes, **options, preset=LAPTOP_LIKE)
    assert torch.isfinite(weights(trained)).all()
    whole = train(scans, **options, preset=LAPTOP_LIKE)
    for one, other in zip(trained.history, whole.history, strict=True):
        assert one["val_residual"] == pytest.approx(other["val_residual"], rel=0.05)


@pytest.mark.parametrize("weighting", ["homoscedastic", "heteroscedastic", "profiled", "correlated", "fixed"])
def test_a_subject_without_one_contrast_trains_the_other(scans, weighting):
    lacking = [images.clone() for images in scans[:3]]
    lacking[2][:, T2[1:]] = torch.nan
    seen = []
    trained = train(
        lacking,
        protocol=PROTOCOL,
        weighting=weighting,
        preset=LAPTOP_LIKE,
        each_epoch=lambda *entry: seen.append(entry[2]),
    )
    assert torch.isfinite(weights(trained)).all()
    assert {"val_residual_t1rho", "val_residual_t2"} <= seen[0].keys()  # a complete one validates
    for name in PROTOCOL.names:
        assert torch.isfinite(trained.predict(scans[0])[name]).all()
    assert trained.calibration.factors.keys() == {"t1rho", "t2"}


@pytest.mark.filterwarnings("ignore:no standard deviations")
def test_what_is_missing_trains_nothing_else(scans):
    """All that a network learns from subjects without T2 is T1rho."""
    lacking = [images.clone() for images in scans]
    for images in lacking:
        images[:, T2[1:]] = torch.nan
    trained = train(lacking, protocol=PROTOCOL, weighting="profiled", preset=LAPTOP_LIKE)
    assert "val_residual_t1rho" in trained.history[0]
    assert "val_residual_t2" not in trained.history[0]
    assert "t2" not in trained.calibration.factors


def test_estimates_of_a_contrast_do_not_need_the_other(scans):
    net = rx.nets.RelaxationNet(PROTOCOL, "any", base=4, depth=2, initial_estimates=(0.0, 1.5)).eval()
    lacking = scans[0].clone()
    lacking[:, T2[1:]] = torch.nan
    with torch.no_grad():
        maps, expected = net(lacking).maps_ms, net(scans[0]).maps_ms
    torch.testing.assert_close(maps[:, 0], expected[:, 0], rtol=1e-4, atol=0)
    assert torch.isfinite(maps).all()


def test_subjects_of_different_sizes_train_together(cohort):
    others = rx.phantom.liver_cohort(n_subjects=2, slices=1, shape=(40, 33), snr=20, seed=3)
    for preset in (LAPTOP_LIKE, dataclasses.replace(LAPTOP_LIKE, fresh_noise=True)):
        trained = train([cohort[0], others[0], cohort[1], others[1]], preset=preset, validation=0.5)
        assert torch.isfinite(weights(trained)).all()
        assert trained.predict(others[0].images)["t2"].shape == (1, 40, 33)
        assert trained.calibration.factors.keys() == {"t1rho", "t2"}


def test_smaller_slices_are_padded_with_what_is_no_data():
    small, large = torch.ones(7, 4, 6), torch.ones(7, 5, 3)
    batch = collate([{"images": small, "sigma": torch.tensor(1.0)}, {"images": large, "sigma": torch.tensor(2.0)}])
    assert batch["images"].shape == (2, 7, 5, 6)
    assert torch.equal(batch["images"][0, :, :4], small)
    assert torch.equal(batch["images"][1, :, :, :3], large)
    assert batch["images"].isnan().sum() == 7 * (6 + 15)
    assert batch["sigma"].tolist() == [1, 2]


def test_only_what_is_in_the_mask_is_learnt_from(scans):
    masks = [torch.zeros(2, 32, 32, dtype=torch.bool) for _ in scans]
    for mask in masks:
        mask[:, 8:24, 8:24] = True
    spoilt = [torch.where(mask[:, None], images, 3 * images.flip(1)) for images, mask in zip(scans, masks, strict=True)]
    for images, mask in zip(spoilt, masks, strict=True):
        images[:, [0, 2, 5]] = scans[0][:, [0, 2, 5]]  # the inputs are seen everywhere
        images[:, [0, 2, 5]][mask[:, None].expand(-1, 3, -1, -1)] = 0
    plain, masked = ([images.clone() for images in scans] for _ in range(2))
    for images, mask in zip(masked, masks, strict=True):
        held_out = images[:, [1, 3, 4, 6]]
        images[:, [1, 3, 4, 6]] = torch.where(mask[:, None], held_out, 0)
    options = {"protocol": PROTOCOL, "mask": [m.numpy() for m in masks], "sigma": 30.0}
    torch.testing.assert_close(weights(train(plain, **options)), weights(train(masked, **options)))
    assert not torch.equal(weights(train(plain, **options)), weights(train(plain, **options | {"mask": None})))


@pytest.mark.filterwarnings("ignore:no standard deviations")
def test_a_noise_level_that_is_known_is_used(scans):
    both = [train(scans, protocol=PROTOCOL, sigma=sigma) for sigma in (30.0, [30.0, 30.0, 30.0, np.float32(30)])]
    assert torch.equal(*map(weights, both))
    assert not torch.equal(weights(both[0]), weights(train(scans, protocol=PROTOCOL, sigma=60.0)))


def test_bounds_are_those_of_the_network(scans):
    trained = train(scans, protocol=PROTOCOL, bounds_ms={"t2": (2, 3000)})
    assert trained.net.bounds_ms == {"t1rho": (5, 400), "t2": (2, 3000)}
    with pytest.raises(ValueError, match=r"bounds_ms=\(5, 400\): those of net are"):
        train(scans, protocol=PROTOCOL, net=trained, bounds_ms=(5, 400))


def test_noise_mask_and_bounds_decide_whether_a_run_is_resumed(scans, tmp_path):
    mask = [torch.ones(2, 32, 32) for _ in scans]
    options = {"protocol": PROTOCOL, "out": tmp_path, "sigma": 30.0, "mask": mask, "bounds_ms": (5, 400)}
    first = train(scans, **options)
    assert torch.equal(weights(train(scans, **options)), weights(first))
    mask[1] = mask[1].clone()
    mask[1][0, 0, 0] = 0
    for change, what in (({"sigma": 31.0}, "content"), ({}, "content"), ({"bounds_ms": (5, 500)}, "bounds_ms")):
        with pytest.raises(ValueError, match=f"other settings: .*{what}"):
            train(scans, **options | change)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": -1.0}, r"sigma=-1\.0: the noise level of subject 0 is a positive number"),
        ({"sigma": [1.0, 2.0]}, "sigma has 2 entries for 4 subjects"),
        ({"mask": [None]}, "mask has 1 entries for 4 subjects"),
        (
            {"mask": [None, np.ones((2, 32, 30)), None, None]},
            r"mask of subject 1 has shape \(2, 32, 30\): .*\(2, 32, 32\)",
        ),
        ({"mask": [None, None, np.full((2, 32, 32), 5), None]}, "mask of subject 2 is not of zeros and ones"),
        ({"mask": [None, None, np.zeros((2, 32, 32)), None]}, "mask of subject 2 .* has no one"),
        ({"bounds_ms": (5,)}, r"bounds_ms=\(5,\)"),
        ({"bounds_ms": {"t1": (5, 9)}}, "bounds_ms has the names"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_what_makes_no_sense_is_told(scans, options, message):
    with pytest.raises(ValueError, match=message):
        train(scans, protocol=PROTOCOL, **options)
    nothing = [scans[0], torch.full_like(scans[1], torch.nan)]
    with pytest.raises(ValueError, match="subject 1 has no voxel where all images of a contrast are finite"):
        train(nothing, protocol=PROTOCOL)


@pytest.mark.filterwarnings("ignore:no standard deviations")
def test_fluid_above_the_bounds_does_not_spoil_tissue():
    g = torch.Generator().manual_seed(0)
    fluid = torch.zeros(2, 32, 32, dtype=torch.bool)
    fluid[:, 20:, 20:] = True
    m0, times = torch.full((2, 32, 32), 1000.0), ((45.0, 1800.0), (32.0, 2000.0))
    t1rho, t2 = (
        contrast.model(m0, torch.where(fluid, *map(torch.tensor, pair[::-1])), contrast)
        for contrast, pair in zip(PROTOCOL.contrasts, times, strict=True)
    )
    clean = torch.cat((t1rho, t2[:, 1:]), dim=1)
    data = [rx.signals.add_noise(clean, sigma=30.0, kind="rician", generator=g) for _ in range(3)]
    preset = dataclasses.replace(LAPTOP_LIKE, epochs=10, steps=10, learning_rate=5e-3)
    maps = train(data, protocol=PROTOCOL, preset=preset).predict(data[0])
    for name, (tissue, _) in zip(PROTOCOL.names, times, strict=True):
        assert maps[name][~fluid].median().item() == pytest.approx(tissue, rel=0.1)
        assert maps[name][fluid].median() > 200


def test_maps_that_are_no_times():
    protocol = rx.Protocol((rx.Contrast("adc", (0, 200, 400, 800), model=rx.signals.Diffusion()),))
    subjects = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(32, 32), snr=30, protocol=protocol)
    preset = dataclasses.replace(LAPTOP_LIKE, rate_shift=0.2)
    trained = train(
        [s.images for s in subjects], protocol=protocol, loss="orthogonal", bounds_ms=(2e-4, 4e-3), preset=preset
    )
    maps, known = trained.predict(subjects[0].images), subjects[0].roi
    assert trained.net.bounds_ms == {"adc": (2e-4, 4e-3)}
    assert (maps["adc"][known] / subjects[0].truth["adc"][known]).log().abs().median() < 0.3


@pytest.mark.filterwarnings("ignore:data. subject . and subject . have the same images")
@pytest.mark.filterwarnings("ignore:no standard deviations")
def test_images_that_are_the_same_everywhere_and_of_two_sizes_train():
    """Nobody scans that, but it is what people try first."""
    decays = [1000 * np.exp(-np.array(c.times_ms) / t) for c, t in zip(PROTOCOL.contrasts, (45, 35), strict=True)]
    voxel = np.concatenate([decays[0], decays[1][1:]]).astype(np.float32)
    scans = [np.broadcast_to(voxel[:, None, None], (2, 7, *shape)).copy() for shape in ((32, 32), (32, 32), (40, 28))]
    trained = train(scans, protocol=PROTOCOL)
    assert np.isfinite(trained.predict(scans[2])["t1rho"]).all()
