"""The parts of the spatial fit agree with dense algebra on a small region."""

import math

import numpy as np
import pytest
import torch

from relaxnet.fitting._core.design import Design
from relaxnet.fitting._spatial.edges import laplacian, within
from relaxnet.fitting._spatial.evidence import best_prior, cut, linearised_tiles, log_evidence
from relaxnet.fitting._spatial.gauss_newton import Data, most_probable, normal_equations
from relaxnet.fitting._spatial.posterior import Posterior
from relaxnet.fitting._spatial.prior import WEAK, Field
from relaxnet.signals import MonoExponential

SHAPE = (1, 5, 4)
N = math.prod(SHAPE)
TIMES = (0.0, 0.0, 10.0, 30.0, 20.0, 50.0)
OWNER = (0, 1, 0, 0, 1, 1)


def dense(apply, n=3 * N):
    """Write out a linear operator on three maps."""
    columns = apply(torch.eye(n, dtype=torch.float64).view(n, n // N, *SHAPE))
    return columns.reshape(n, n).T


def of_each(apply):
    return lambda x: torch.stack([apply(one) for one in x])


@pytest.fixture
def problem(generator):
    precision = 50 + 100 * torch.rand(3, dtype=torch.float64, generator=generator)
    inside = torch.ones(SHAPE, dtype=torch.bool)
    inside[0, 2, 2] = False
    edges = tuple(w * torch.rand(w.shape, dtype=torch.float64, generator=generator) for w in within(inside, (1.0, 1.5)))
    field = Field(precision, edges)
    design = Design(
        (MonoExponential(),) * 2,
        torch.tensor(TIMES, dtype=torch.float64)[:, None],
        ("t1rho", "t2"),
        torch.tensor(OWNER),
    )
    mean = torch.log(torch.tensor([100.0, 45.0, 35.0], dtype=torch.float64))
    x = mean.view(3, 1, 1, 1) + 0.2 * torch.randn(3, *SHAPE, dtype=torch.float64, generator=generator)
    clean, _ = design.linearise(torch.exp(x).flatten(1))
    noise = torch.randn(clean.shape, dtype=torch.float64, generator=generator)
    sigma = 4.0
    data = Data(
        samples=(clean + sigma * noise).view(6, *SHAPE),
        root=(inside / sigma).to(torch.float64).expand(6, *SHAPE).contiguous(),
        design=design,
        mean=mean,
        low=torch.log(torch.tensor([1e-3, 1.0, 1.0], dtype=torch.float64)),
        high=torch.log(torch.tensor([1e6, 5e3, 5e3], dtype=torch.float64)),
        offset_scale=1.0,
    )
    return data, field, generator


def by_hand(data, field):
    """Minimise the negative log posterior by dense Newton steps, all derivatives automatic."""
    space = dense(lambda x: laplacian(field.edges, x), n=N).contiguous()
    q = torch.kron(torch.diag(field.precision), space) + WEAK * torch.eye(3 * N, dtype=torch.float64)
    times, owner = data.design.time[:, 0], data.design.owner
    mean = data.mean.repeat_interleave(N)

    def residuals(flat):
        m0, t = torch.exp(flat.reshape(3, N)[0]), torch.exp(flat.reshape(3, N)[1:])
        return (
            data.root.reshape(6, N) * (data.samples.reshape(6, N) - m0 * torch.exp(-times[:, None] / t[owner]))
        ).reshape(-1)

    flat = mean.contiguous().clone()
    for _ in range(60):
        j = torch.autograd.functional.jacobian(residuals, flat.contiguous())
        h = j.T @ j + q
        flat = flat - torch.linalg.solve(h, j.T @ residuals(flat) + q @ (flat - mean))
    return flat, h, q, j, residuals(flat)


def test_maps_and_posterior_are_those_of_dense_algebra(problem):
    data, field, _ = problem
    flat, h, q, _, _ = by_hand(data, field)
    x, settled = most_probable(data, field, data.grid(data.mean).expand(3, *SHAPE).clone(), steps=60, tolerance=1e-9)
    assert settled.all()
    torch.testing.assert_close(x.flatten(), flat, rtol=0, atol=1e-8)
    torch.testing.assert_close(dense(of_each(field.apply)), q, rtol=1e-10, atol=1e-9)
    square, _, _ = normal_equations(data, x)
    posterior = Posterior(square, field)
    torch.testing.assert_close(dense(posterior.apply), h, rtol=1e-6, atol=1e-6)
    identity = torch.eye(3 * N, dtype=torch.float64).view(3 * N, 3, *SHAPE)
    torch.testing.assert_close(
        posterior.solve(identity, 1e-10).reshape(3 * N, -1), torch.linalg.inv(h), rtol=1e-6, atol=1e-9
    )


def test_covariance_of_draws_tends_to_that_of_the_posterior(problem):
    data, field, _ = problem
    flat, h, _, _, _ = by_hand(data, field)
    square, _, _ = normal_equations(data, flat.reshape(3, *SHAPE))
    covariance = Posterior(square, field).covariance(4000, seed=0, tolerance=1e-5)
    exact = torch.linalg.inv(h).view(3, N, 3, N).diagonal(dim1=1, dim2=3).view(3, 3, *SHAPE)
    scale = torch.einsum("aa...->a...", exact).sqrt()
    error = (covariance - exact) / (scale[:, None] * scale[None])
    assert error.abs().max() < 0.1


def test_noise_of_the_prior_has_its_precision(problem):
    _, field, generator = problem
    draws = field.noise(40_000, generator).flatten(1)
    q = dense(of_each(field.apply))
    scale = q.diagonal().sqrt()
    assert ((draws.T @ draws / len(draws) - q) / (scale[:, None] * scale)).abs().max() < 0.03


@pytest.mark.parametrize("noise", [1.0, 1.3])
def test_evidence_is_that_of_dense_algebra(problem, noise):
    data, field, _ = problem
    flat, _, q, j, residual = by_hand(data, field)
    z = residual - j @ (flat - data.mean.repeat_interleave(N))
    used = data.root.flatten() > 0
    covariance = j @ torch.linalg.inv(q) @ j.T + noise**2 * torch.eye(len(j), dtype=torch.float64)
    exact = torch.distributions.MultivariateNormal(
        torch.zeros(int(used.sum()), dtype=torch.float64), covariance[used][:, used]
    )
    tiles = linearised_tiles(data, flat.reshape(3, *SHAPE), field.edges)
    found = log_evidence(tiles, tiles.spectrum, field.precision, noise)
    assert found.value == pytest.approx(float(exact.log_prob(z[used])), rel=1e-6)


def test_derivatives_of_the_evidence(problem):
    data, field, _ = problem
    flat, *_ = by_hand(data, field)
    tiles = linearised_tiles(data, flat.reshape(3, *SHAPE), field.edges)
    step = 1e-5

    def value(change, k):
        precision, noise = field.precision.clone(), 1.2
        if k < 3:
            precision[k] *= math.exp(change)
        else:
            noise *= math.exp(change)
        return log_evidence(tiles, tiles.spectrum, precision, noise)

    found = value(0.0, 0)
    for k, derivative in enumerate([*found.by_precision.tolist(), found.by_noise]):
        difference = (value(step, k).value - value(-step, k).value) / (2 * step)
        assert derivative == pytest.approx(difference, rel=1e-5, abs=1e-6)


def test_evidence_finds_the_prior_that_the_maps_were_drawn_from():
    generator = torch.Generator().manual_seed(3)
    shape = (1, 64, 64)
    edges = within(torch.ones(shape, dtype=torch.bool), (1.0, 1.0))
    edges = tuple(w.double() for w in edges)
    truth = torch.tensor([100.0, 300.0], dtype=torch.float64)
    field = Field(truth, edges)
    nothing = torch.zeros(2, 2, *shape, dtype=torch.float64)
    maps = Posterior(nothing, field).solve(field.noise(1, generator), 1e-6)[0]
    # Three images of each map, whose noise is 0.03.
    square = torch.eye(2, dtype=torch.float64).view(2, 2, 1, 1, 1).expand(2, 2, *shape) * 3 / 0.03**2
    samples = maps + 0.03 * torch.randn(3, *maps.shape, dtype=torch.float64, generator=generator)
    tiles = cut(square, samples.sum(0) / 0.03**2, samples.square().sum((0, 1)) / 0.03**2, torch.full(shape, 6), edges)
    precision, noise = best_prior(tiles, truth.new_tensor([50.0, 50.0]), fit_noise=True)
    np.testing.assert_allclose(precision, truth, rtol=0.3)
    assert noise == pytest.approx(1, abs=0.03)
