import math

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
