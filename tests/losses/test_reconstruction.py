import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

import relaxnet as rx

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
ONE = rx.Protocol((rx.Contrast("t1rho", (0, 10, 30, 50)),))


def images_of(maps, m0):
    parts = [m0]
    for k, contrast in enumerate(PROTOCOL.contrasts):
        parts.append(rx.signals.MonoExponential()(m0[:, 0], maps[:, k], contrast.times_ms[1:]))
    return torch.cat(parts, dim=1)


@pytest.fixture
def truth(generator):
    maps = 20 + 60 * torch.rand(2, 2, 3, 4, dtype=torch.float64, generator=generator)
    m0 = 50 + 50 * torch.rand(2, 1, 3, 4, dtype=torch.float64, generator=generator)
    return maps, m0, images_of(maps, m0)


@pytest.mark.parametrize("held_out_from", [None, "short"])
def test_the_truth_leaves_no_residual(truth, held_out_from):
    maps, m0, images = truth
    reconstruction = rx.losses.Reconstruction(PROTOCOL, held_out_from=held_out_from)
    for amplitude in (None, m0, m0[:, 0], m0.expand(-1, 2, -1, -1)):
        assert reconstruction(maps, images, m0=amplitude).max() < 1e-9
    assert (reconstruction(maps, images, m0=1.1 * m0) > 0.1).all()


def test_distances_are_their_formulas(truth, generator):
    maps, m0, images = truth
    noisy = images + torch.randn(images.shape, dtype=images.dtype, generator=generator)
    difference = (noisy - images)[:, PROTOCOL.images_of("t2")]
    for distance, expected in {"l1": difference.abs(), "l2": difference**2}.items():
        residual = rx.losses.Reconstruction(PROTOCOL, distance=distance)(maps, noisy, m0=m0)
        torch.testing.assert_close(residual[:, 1], expected.mean(1))


def test_a_projected_amplitude_is_that_of_least_squares(truth, generator):
    maps, _, images = truth
    noisy = images + 5 * torch.randn(images.shape, dtype=images.dtype, generator=generator)
    residual = rx.losses.Reconstruction(PROTOCOL, distance="l2")(maps, noisy)
    samples = noisy[0, PROTOCOL.images_of("t1rho"), 1, 2].numpy()
    basis = np.exp(-np.array(PROTOCOL.contrasts[0].times_ms) / maps[0, 0, 1, 2].item())
    best = scipy.optimize.minimize_scalar(lambda m0: np.mean((samples - m0 * basis) ** 2))
    assert residual[0, 0, 1, 2].item() == pytest.approx(best.fun)


@given(st.floats(0.5, 10), st.floats(0.1, 10), st.floats(1, 5))
def test_rician_likelihood_is_that_of_scipy_but_for_a_constant(sample, amplitude, sigma):
    images = torch.tensor([[sample] * 4], dtype=torch.float64)
    reconstruction = rx.losses.Reconstruction(ONE, distance="rician-likelihood")
    forever = torch.full((1, 1), 1e9, dtype=torch.float64)
    values = []
    for a in (amplitude, 1.3 * amplitude):
        ours = reconstruction(forever, images, m0=torch.tensor([[a]]).double(), sigma=sigma).item()
        values.append(ours + scipy.stats.rice.logpdf(sample, a / sigma, scale=sigma))
    assert values[0] == pytest.approx(values[1], abs=1e-3)


def test_rician_mean_leaves_no_bias_where_the_plain_distance_has_one(generator):
    """At an SNR of 5, with the amplitude known, the best T of a region of 30 ms."""
    times = ONE.contrasts[0].times_ms
    t, m0 = torch.full((1, 100_000), 30.0).double(), torch.full((1, 1, 100_000), 5.0).double()
    images = rx.signals.add_noise(rx.signals.MonoExponential()(m0[:, 0], t, times), 1.0, generator=generator)

    def best(distance):
        reconstruction = rx.losses.Reconstruction(ONE, distance=distance)

        def cost(value):
            return float(reconstruction(torch.full_like(t, value).unsqueeze(1), images, m0=m0, sigma=1.0).mean())

        return scipy.optimize.minimize_scalar(cost, bounds=(20, 50), method="bounded").x

    assert best("l1") > 33
    assert best("rician-mean") == pytest.approx(30, abs=1.5)
    assert best("rician-likelihood") == pytest.approx(30, abs=0.5)


@pytest.mark.parametrize("distance", ["l1", "l2", "rician-mean", "rician-likelihood"])
@pytest.mark.parametrize("projected", [True, False])
def test_gradients(truth, distance, projected, generator):
    maps, m0, images = truth
    images = images + torch.randn(images.shape, dtype=images.dtype, generator=generator)
    reconstruction = rx.losses.Reconstruction(PROTOCOL, distance=distance)
    inputs = (maps[:1, :, :2, :2].clone().requires_grad_(), m0[:1, :, :2, :2].clone().requires_grad_())
    own = images[:1, :, :2, :2]
    assert torch.autograd.gradcheck(lambda t, a: reconstruction(t, own, m0=None if projected else a, sigma=2.0), inputs)


@pytest.mark.parametrize("distance", ["l1", "rician-mean", "rician-likelihood"])
def test_single_precision_is_safe_at_any_noise(distance):
    maps, m0 = torch.full((1, 1, 3), 1.0, requires_grad=True), torch.tensor([[[1e-3, 1.0, 1e4]]], requires_grad=True)
    images = torch.tensor([0.0, 1.0, 1e4]).expand(1, 4, 3)
    for sigma in (1e-2, 1.0, 1e3):
        residual = rx.losses.Reconstruction(ONE, distance=distance)(maps, images, m0=m0, sigma=sigma)
        residual.sum().backward()
        assert all(torch.isfinite(values).all() for values in (residual, maps.grad, m0.grad))


def test_noise_may_differ_between_samples(truth):
    maps, m0, images = truth
    reconstruction = rx.losses.Reconstruction(PROTOCOL, distance="rician-mean")
    both = reconstruction(maps, images, m0=m0, sigma=torch.tensor([1.0, 9.0]))
    for k, sigma in enumerate((1.0, 9.0)):
        alone = reconstruction(maps[k : k + 1], images[k : k + 1], m0=m0[k : k + 1], sigma=sigma)
        torch.testing.assert_close(both[k : k + 1], alone)


def test_a_spoiled_voxel_is_nan_without_gradient(truth):
    maps, m0, images = truth
    images[0, 2, 1, 1] = math.inf
    maps.requires_grad_()
    residual = rx.losses.Reconstruction(PROTOCOL)(maps, images, m0=1.2 * m0)
    assert torch.isnan(residual).nonzero().tolist() == [[0, 0, 1, 1]]
    residual[torch.isfinite(residual)].sum().backward()
    assert torch.isfinite(maps.grad).all()
    assert maps.grad[0, 0, 1, 1] == 0


def test_any_separable_model():
    t1 = rx.Contrast("t1", (100, 400, 1500, 4000), model=rx.signals.InversionRecovery.ideal(magnitude=False))
    t, m0 = torch.full((1, 5), 900.0), torch.full((1, 5), 10.0)
    images = t1.model(m0, t, t1)
    assert rx.losses.Reconstruction(rx.Protocol((t1,)))(t.unsqueeze(1), images).max() < 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rx.losses.Reconstruction(PROTOCOL, distance="l3"), "distance='l3' is unknown"),
        (
            lambda: rx.losses.Reconstruction(
                rx.Protocol((rx.Contrast("t2", (0, 20, 60), model=rx.signals.MonoExponentialWithOffset()),))
            ),
            r"contrast 't2' has the model MonoExponentialWithOffset\(\), whose constant",
        ),
        (lambda: rx.losses.Reconstruction(PROTOCOL, held_out_from=range(7)), "leaves 0 of 4 images of t1rho"),
        (
            lambda: rx.losses.Reconstruction(PROTOCOL, distance="rician-mean")(
                torch.ones(1, 2, 4), torch.ones(1, 7, 4)
            ),
            "sigma is missing",
        ),
        (
            lambda: rx.losses.Reconstruction(PROTOCOL)(
                torch.ones(1, 2, 4), torch.ones(1, 7, 4), m0=torch.ones(1, 3, 4)
            ),
            r"m0 has shape \(1, 3, 4\): \(batch, 1 or 2, \*space\)",
        ),
        (
            lambda: rx.losses.Reconstruction(PROTOCOL, held_out_from=(0, 1, 2))(
                torch.ones(1, 2, 4), torch.ones(1, 7, 4)
            ),
            "m0 is missing: of a single held-out image",
        ),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
