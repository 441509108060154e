import math

import numpy as np
import pytest
import scipy.stats
import torch

import relaxnet as rx


@pytest.mark.parametrize("signal", [0.0, 1.0, 5.0, 50.0])
def test_rician_noise_has_its_distribution(signal, generator):
    sigma = 2.0
    samples = rx.signals.add_noise(
        torch.full((20_000,), signal * sigma, dtype=torch.float64), sigma, generator=generator
    )
    assert scipy.stats.kstest(samples.numpy(), scipy.stats.rice(b=signal, scale=sigma).cdf).pvalue > 0.01


def test_gaussian_noise_has_its_distribution(generator):
    samples = rx.signals.add_noise(torch.full((20_000,), 3.0), sigma=2.0, kind="gaussian", generator=generator)
    assert scipy.stats.kstest(samples.numpy(), scipy.stats.norm(3, 2).cdf).pvalue > 0.01


def test_the_same_generator_state_gives_the_same_noise():
    images = torch.ones(3, 4)
    first, second = (rx.signals.add_noise(images, 1.0, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, rx.signals.add_noise(images, 1.0, generator=torch.Generator().manual_seed(8)))


def test_sigma_may_differ_between_images(generator):
    sigma = torch.tensor([0.0, 3.0]).reshape(1, 2, 1)
    noisy = rx.signals.add_noise(torch.full((1, 2, 10_000), 100.0), sigma, generator=generator)
    assert noisy[0, 0].std() == 0
    assert math.isclose(noisy[0, 1].std(), 3.0, rel_tol=0.05)


@pytest.mark.parametrize(
    ("sigma", "kind"), [(-1.0, "rician"), (math.nan, "rician"), (math.inf, "rician"), (1.0, "pink")]
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(sigma, kind):
    with pytest.raises(ValueError, match="kind='pink'" if kind == "pink" else "sigma="):
        rx.signals.add_noise(torch.ones(3), sigma, kind=kind)


def test_rician_mean_is_that_of_scipy():
    signal = torch.tensor([0.0, 0.1, 1.0, 3.0, 10.0, 60.0], dtype=torch.float64)
    expected = scipy.stats.rice.mean(signal.numpy() / 2.0, scale=2.0)
    np.testing.assert_allclose(rx.signals.rician_mean(signal, 2.0), expected, rtol=1e-9)
    assert rx.signals.rician_mean(torch.tensor([1e8]), 1e-3).item() == pytest.approx(1e8)


def test_removing_the_bias_leaves_little_of_it(generator):
    clean = torch.full((200_000,), 3.0)
    noisy = rx.signals.add_noise(clean, 1.0, generator=generator)
    assert noisy.mean() > 3.15
    assert rx.signals.remove_rician_bias(noisy, 1.0).median().item() == pytest.approx(3.0, abs=0.03)
    assert (
        rx.signals.remove_rician_bias(torch.tensor([0.5, 2.0]), torch.tensor([1.0, 0.0])) == torch.tensor([0, 2])
    ).all()


@pytest.mark.parametrize("sigma", [-1.0, float("nan")])
def test_noise_levels_that_make_no_sense(sigma):
    for function in (rx.signals.rician_mean, rx.signals.remove_rician_bias):
        with pytest.raises(ValueError, match="sigma="):
            function(torch.ones(3), sigma)
