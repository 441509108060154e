"""A voxel at a border holds a mixture, and its signal is the sum of its parts."""

import math

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.phantom import Tissue
from relaxnet.phantom._partial_volume import clean_images, mix

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
NO_ROI = np.zeros((8, 8), dtype=bool)


def painted(labels, seed=0):
    """Maps of random values, and air where the label is air."""
    rng = np.random.default_rng(seed)
    air = labels == Tissue.AIR
    t2 = np.where(air, np.nan, rng.uniform(20, 300, labels.shape))
    m0 = np.where(air, 0, rng.uniform(100, 1500, labels.shape))
    return {"t1rho": t2 * rng.uniform(1, 2, labels.shape), "t2": t2, "m0": m0}


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(1).integers(0, 4, (8, 8)).astype(np.uint8)


def test_the_image_of_a_mixture_is_the_mean_of_images(labels):
    maps = painted(labels)
    images = clean_images({name: torch.from_numpy(values).float() for name, values in maps.items()}, PROTOCOL)
    parts = torch.stack([images[:, i::2, j::2] for i in range(2) for j in range(2)])
    torch.testing.assert_close(mix(labels, NO_ROI, maps, PROTOCOL).clean, parts.mean(0))


def test_a_mixture_starts_to_decay_with_its_true_time(labels):
    early = rx.Protocol((rx.Contrast("t1rho", (0, 0.5, 2)), rx.Contrast("t2", (0, 0.5, 2))), shared_first=True)
    voxels = mix(labels, NO_ROI, painted(labels), early)
    for name in early.names:
        first, second = voxels.clean[list(early.images_of(name))][:2].double()
        slope = (first - second) / 0.5
        body = voxels.truth["m0"] > 0
        torch.testing.assert_close((first / slope)[body], voxels.truth[name].double()[body], rtol=0.03, atol=0)


def test_a_mixture_never_decays_faster_than_the_truth_says(labels):
    voxels = mix(labels, NO_ROI, painted(labels), PROTOCOL)
    body = voxels.truth["m0"] > 0
    for contrast in PROTOCOL.contrasts:
        for image, t in zip(PROTOCOL.images_of(contrast.name), contrast.times_ms, strict=True):
            least = voxels.truth["m0"] * torch.exp(-t / voxels.truth[contrast.name])
            assert (voxels.clean[image] >= least * (1 - 1e-5))[body].all()
    assert (voxels.truth["t1rho"] >= voxels.truth["t2"])[body].all()


def test_the_truth_of_a_mixture_lies_between_its_parts(labels):
    maps = painted(labels)
    truth = mix(labels, NO_ROI, maps, PROTOCOL).truth["t2"].numpy()
    parts = np.stack([maps["t2"][i::2, j::2] for i in range(2) for j in range(2)])
    body = ~np.isnan(parts).all(0)
    assert (truth[body] >= np.nanmin(parts[:, body], axis=0) * (1 - 1e-5)).all()
    assert (truth[body] <= np.nanmax(parts[:, body], axis=0) * (1 + 1e-5)).all()


def test_a_voxel_of_equal_points_has_their_values():
    labels = np.full((2, 2), Tissue.LIVER, dtype=np.uint8)
    maps = {"t1rho": np.full((2, 2), 45.0), "t2": np.full((2, 2), 34.0), "m0": np.full((2, 2), 900.0)}
    voxels = mix(labels, np.ones((2, 2), dtype=bool), maps, PROTOCOL)
    assert [float(voxels.truth[name]) for name in ("t1rho", "t2", "m0")] == pytest.approx([45, 34, 900])
    assert int(voxels.labels) == Tissue.LIVER
    assert bool(voxels.roi)


@pytest.mark.parametrize(
    ("points", "label"),
    [
        ((6, 6, 6, 1), 6),
        ((1, 6, 6, 6), 6),
        ((1, 6, 2, 6), 6),
        ((6, 1, 6, 1), 6),  # of two that are as common, the first
        ((1, 6, 6, 1), 1),
        ((0, 0, 0, 1), 1),  # air only where there is nothing else
        ((0, 0, 0, 0), 0),
    ],
)
def test_the_label_is_the_most_frequent(points, label):
    labels = np.array(points, dtype=np.uint8).reshape(2, 2)
    voxels = mix(labels, NO_ROI[:2, :2], painted(labels), PROTOCOL)
    assert int(voxels.labels) == label
    assert bool(voxels.truth["t2"].isnan()) == (label == Tissue.AIR)
    assert bool(voxels.truth["m0"] == 0) == (label == Tissue.AIR)


@pytest.mark.parametrize("missing", range(4))
def test_the_region_holds_whole_voxels_only(missing):
    roi = np.ones(4, dtype=bool)
    roi[missing] = False
    labels = np.full((2, 2), Tissue.LIVER, dtype=np.uint8)
    assert not mix(labels, roi.reshape(2, 2), painted(labels), PROTOCOL).roi.any()


@pytest.mark.parametrize("index", range(4))
def test_there_is_no_mixture_in_the_region_of_interest(index):
    subject = rx.phantom.liver_cohort(index + 1, slices=2, shape=(160, 160), snr=math.inf)[index]
    for contrast in subject.protocol.contrasts:
        for image, t in zip(subject.protocol.images_of(contrast.name), contrast.times_ms, strict=True):
            expected = subject.truth["m0"] * torch.exp(-t / subject.truth[contrast.name])
            torch.testing.assert_close(subject.clean[:, image][subject.roi], expected[subject.roi], rtol=5e-3, atol=0)


def test_there_are_mixtures_at_the_border_of_the_liver(noise_free):
    t = noise_free.protocol.contrasts[0].times_ms[-1]
    image = noise_free.clean[:, noise_free.protocol.images_of("t1rho")[-1]]
    pure = noise_free.truth["m0"] * torch.exp(-t / noise_free.truth["t1rho"])
    mixed = (image / pure > 1.01) & (noise_free.labels == Tissue.LIVER)
    assert 0.01 < float(mixed.sum() / (noise_free.labels == Tissue.LIVER).sum()) < 0.4
    assert not (mixed & noise_free.roi).any()
