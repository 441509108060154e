"""Denoisers: agreement with a slow oracle, laws of layout and scale, and what becomes of missing voxels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relaxnet as rx

DENOISERS = (rx.denoise.low_rank, rx.denoise.non_local_means)
SIGMA = 3.0


def decays(shape: tuple[int, ...] = (2, 4, 18, 14), seed: int = 0) -> torch.Tensor:
    """Make two tissues with a border, and noise."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.where(torch.arange(shape[-1]) < shape[-1] // 2, 30.0, 60.0).expand(shape[0], *shape[2:])
    clean = rx.signals.MonoExponential()(torch.full_like(t, 100.0), t, torch.linspace(0, 60, shape[1]))
    return rx.signals.add_noise(clean, sigma=SIGMA, generator=generator)


def low_rank_of_patches(images: np.ndarray, sigma: float, patch: int, factor: float) -> np.ndarray:
    """Do by loops over patches and singular value decompositions what :func:`relaxnet.denoise.low_rank` does."""
    out, count = np.zeros_like(images), np.zeros(images.shape[-2:])
    height, width = min(patch, images.shape[1]), min(patch, images.shape[2])
    for i in range(images.shape[1] - height + 1):
        for j in range(images.shape[2] - width + 1):
            box = (slice(None), slice(i, i + height), slice(j, j + width))
            good = np.isfinite(images[box]).all(axis=0)
            u, s, vh = np.linalg.svd(images[box][:, good].T, full_matrices=False)
            s[s <= factor * sigma * (np.sqrt(good.sum()) + np.sqrt(len(images)))] = 0
            out[box][:, good] += ((u * s) @ vh).T
            count[box[1:]] += 1
    return np.where(np.isfinite(images).all(axis=0), out / count, np.nan)


@pytest.mark.parametrize("patch", [3, 5, 17])
def test_low_rank_agrees_with_singular_value_decompositions(patch):
    images = decays()[0].double().numpy()
    images[1, 4, 7] = np.nan
    images[:, 12:, 3] = np.inf
    found = rx.denoise.low_rank(images[None], SIGMA, patch=patch)[0]
    np.testing.assert_allclose(found, low_rank_of_patches(images, SIGMA, patch, 1.3), rtol=1e-10, atol=1e-10)


def test_strips_do_not_show(monkeypatch):
    whole = rx.denoise.low_rank(decays(), SIGMA)
    monkeypatch.setattr("relaxnet.denoise._low_rank._TOGETHER", 1000)
    torch.testing.assert_close(rx.denoise.low_rank(decays(), SIGMA), whole)


@pytest.mark.parametrize("denoise", DENOISERS)
class TestAll:
    def test_noise_falls_and_borders_stay(self, denoise):
        noisy = decays()
        t = torch.where(torch.arange(14) < 7, 30.0, 60.0).expand(2, 18, 14)
        clean = rx.signals.MonoExponential()(torch.full_like(t, 100.0), t, torch.linspace(0, 60, 4))
        assert (denoise(noisy, SIGMA) - clean).std() < 0.6 * (noisy - clean).std()

    def test_noise_level_is_estimated_for_each_slice(self, denoise):
        images = decays((2, 4, 40, 40))
        images[1] *= 10
        torch.testing.assert_close(denoise(images)[1:], denoise(images[1:]))

    def test_layouts(self, denoise):
        images = decays()
        usual = denoise(images, SIGMA)
        as_file = images.permute(2, 3, 0, 1).numpy()  # row, column, slice, image
        np.testing.assert_allclose(denoise(as_file, SIGMA, dim=-1), usual.permute(2, 3, 0, 1).numpy(), rtol=1e-5)
        torch.testing.assert_close(denoise(images[0], SIGMA, dim=0), usual[0])
        volume = images.movedim(0, 1)[None]  # batch, image, slice, row, column
        torch.testing.assert_close(denoise(volume, SIGMA)[0].movedim(1, 0), usual)
        torch.testing.assert_close(denoise(images.mT, SIGMA, plane=(-1, -2)).mT, usual)

    def test_missing_voxels(self, denoise):
        images = decays()
        images[0, 2, 3, 4] = torch.nan
        images[1, :, 5] = torch.inf
        found = denoise(images, SIGMA)
        missing = torch.zeros(2, 18, 14, dtype=torch.bool)
        missing[0, 3, 4] = missing[1, 5] = True
        assert torch.equal(torch.isnan(found).all(1), missing)
        assert torch.isfinite(found.movedim(1, 0)[:, ~missing]).all()
        assert torch.isnan(denoise(images * torch.nan, SIGMA)).all()

    def test_kinds_of_numbers(self, denoise):
        images = decays()
        assert denoise(images.to(torch.int16), SIGMA).dtype == torch.float32
        assert denoise(images.double(), SIGMA).dtype == torch.float64
        assert denoise(images.half(), SIGMA).dtype == torch.float16
        assert denoise(images.numpy().astype(">f4"), SIGMA).dtype == np.float32

    @pytest.mark.parametrize(
        ("images", "options", "message"),
        [
            (decays(), {"sigma": 0.0}, "sigma=0.0: give the noise level"),
            (decays(), {"sigma": torch.nan}, "sigma=nan"),
            (decays() * 0, {}, "sigma is needed"),
            (decays()[..., :1], {}, "sigma is needed"),
            (decays()[0, 0], {}, "images has shape"),
            (decays(), {"dim": 4}, "dim=4"),
            (decays(), {"plane": (1, 2)}, r"plane=\(1, 2\)"),
            (decays() + 0j, {}, "images is complex"),
            (["no"], {}, "images is a list"),
        ],
    )
    def test_bad_arguments(self, denoise, images, options, message):
        with pytest.raises(ValueError, match=message):
            denoise(images, **options)


@given(scale=st.floats(1e-3, 1e3))
def test_low_rank_follows_the_scale(scale):
    images = decays().double()
    found = rx.denoise.low_rank(images * scale, SIGMA * scale)
    torch.testing.assert_close(found, rx.denoise.low_rank(images, SIGMA) * scale)


def test_low_rank_keeps_what_is_of_low_rank():
    images = decays().double()
    torch.testing.assert_close(rx.denoise.low_rank(images, SIGMA, threshold=0), images)
    shape = torch.rand(1, 1, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 10
    one = shape * torch.tensor([4.0, 3, 2, 1]).view(1, 4, 1, 1)
    torch.testing.assert_close(rx.denoise.low_rank(one, 0.1), one)


def test_bad_arguments_of_one():
    for patch in (0, 4):
        with pytest.raises(ValueError, match="patch="):
            rx.denoise.low_rank(decays(), SIGMA, patch=patch)
    with pytest.raises(ValueError, match="threshold=-1"):
        rx.denoise.low_rank(decays(), SIGMA, threshold=-1)
    with pytest.raises(ValueError, match="strength=-1"):
        rx.denoise.non_local_means(decays(), SIGMA, strength=-1)
