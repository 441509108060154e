"""The noise level, from background and from residuals."""

import numpy as np
import pytest
import torch
from decays import TIMES, magnitudes

import relaxnet as rx
from relaxnet.fitting import estimate_sigma


def test_noise_level_from_background_and_from_residuals():
    signal = magnitudes(20_000, 25, np.full(20_000, 45.0))
    assert estimate_sigma(signal, TIMES) == pytest.approx(4.0, rel=0.03)
    air = np.hypot(*np.random.default_rng(1).normal(0, 4, (2, 20_000, 4)))
    both = np.concatenate((signal, air))
    background = np.arange(40_000) >= 20_000
    assert estimate_sigma(both, TIMES, background=background) == pytest.approx(4.0, rel=0.01)
    assert estimate_sigma(both, TIMES, mask=~background) == pytest.approx(4.0, rel=0.03)


def test_a_few_voxels_of_another_kind_do_not_spoil_it():
    signal = magnitudes(5000, 25, np.full(5000, 45.0))
    signal[:500] = np.random.default_rng(0).uniform(0, 100, (500, 4))
    signal[500:600, 2] = np.nan
    assert estimate_sigma(torch.from_numpy(signal), TIMES) == pytest.approx(4.0, rel=0.08)


@pytest.mark.parametrize("dim", [1, -1])
def test_what_the_model_does_not_describe_is_no_noise(dim):
    """Two compartments and a first image that is too bright: residuals are several times the noise."""
    times = (0, 10, 20, 40, 80, 120)
    y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    time = torch.tensor(times)[:, None, None]
    clean = (100 + 50 * torch.sin(5 * x) * y) * (torch.exp(-time / (20 + 20 * x)) + torch.exp(-time / (150 + 99 * y)))
    clean[0] *= 1.4
    noisy = rx.signals.add_noise(clean[None] / 2, 4.5, generator=torch.Generator().manual_seed(0)).movedim(1, dim)
    for signal in (noisy, noisy.numpy()):
        assert estimate_sigma(signal, times, dim=dim) == pytest.approx(4.5, rel=0.05)
    mask = (torch.rand(64, 64, generator=torch.Generator().manual_seed(1)) < 0.99)[None]
    assert estimate_sigma(noisy, times, dim=dim, mask=mask) == pytest.approx(4.5, rel=0.1)


def test_texture_is_no_noise():
    """Neighbours that differ by more than the noise leave the estimate from residuals."""
    signal = magnitudes(64 * 64, 25, np.random.default_rng(2).uniform(20, 90, 64 * 64)).reshape(1, 64, 64, 4)
    assert estimate_sigma(signal, TIMES, dim=-1) == pytest.approx(4.0, rel=0.05)


def test_noise_level_needs_something_to_learn_from():
    signal = magnitudes(5, 25, np.full(5, 45.0))
    everywhere, nowhere = np.ones(5), np.zeros(5)
    with pytest.raises(ValueError, match="both given"):
        estimate_sigma(signal, TIMES, background=everywhere, mask=everywhere)
    with pytest.raises(ValueError, match="no voxel leaves a residual"):
        estimate_sigma(signal[:, :2], TIMES[:2])
    with (
        pytest.warns(UserWarning, match="mask is empty"),
        pytest.raises(ValueError, match="background holds no sample"),
    ):
        estimate_sigma(signal, TIMES, background=nowhere)
