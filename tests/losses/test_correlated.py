import math

import numpy as np
import pytest
import torch

import relaxnet as rx


def signed(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_one_task_is_the_homoscedastic_laplace_loss():
    x = signed(3, 1, 5)
    correlated, homoscedastic = rx.losses.CorrelatedLaplace(n_tasks=1), rx.losses.HomoscedasticLaplace(n_tasks=1)
    for weighting in (correlated, homoscedastic):
        weighting.log_scale.data.fill_(0.4)
    torch.testing.assert_close(correlated(x), homoscedastic(x.abs()))
    torch.testing.assert_close(correlated.scales, homoscedastic.scales)


def test_started_from_the_data_it_does_not_depend_on_units():
    x, units = signed(2, 2, 3, 5).float(), torch.tensor([1e-3, 1e4])
    mask = torch.rand(2, 5, generator=torch.Generator().manual_seed(2)) < 0.7
    found = []
    for factors in (torch.ones(2), units):
        weighting = rx.losses.CorrelatedLaplace(n_tasks=2, init="data")
        optimizer = torch.optim.Adam(*[weighting.parameter_groups(lr=5e-2)])
        weighting(torch.zeros(1, 2, 3), mask=torch.zeros(1, 3))  # an empty batch tells nothing
        assert torch.equal(weighting.scales, torch.ones(2))
        for _ in range(20):
            optimizer.zero_grad()
            weighting(x * factors.reshape(1, 2, 1, 1), mask=mask).backward()
            optimizer.step()
        found.append((weighting.scales / factors, weighting.correlation))
        weighting.reset()
        assert torch.equal(weighting.covariance, torch.eye(2))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("distribution", ["laplace", "gaussian"])
def test_it_is_a_density(distribution):
    """Its exponential has an integral of 1 over both tasks."""
    weighting = rx.losses.CorrelatedLaplace(n_tasks=2, distribution=distribution).double()
    weighting.log_scale.data = torch.tensor([0.3, -0.5], dtype=torch.float64)
    weighting.coupling.data = torch.tensor([0.8], dtype=torch.float64)

    axis = torch.linspace(-25, 25, 401, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    loss = torch.func.vmap(lambda point: weighting(point[None]))(points).detach()
    mass = torch.exp(-loss).sum() * (axis[1] - axis[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=1e-3)


def test_gaussian_is_that_of_torch():
    weighting = rx.losses.CorrelatedLaplace(n_tasks=3, distribution="gaussian").double()
    weighting.log_scale.data = signed(3, seed=1)
    weighting.coupling.data = signed(3, seed=2)
    x = signed(4, 3, 6)
    normal = torch.distributions.MultivariateNormal(torch.zeros(3, dtype=torch.float64), weighting.covariance)
    torch.testing.assert_close(weighting(x), -normal.log_prob(x.transpose(1, 2)).mean())


@pytest.mark.parametrize("distribution", ["laplace", "gaussian"])
def test_a_known_correlation_is_learnt(distribution):
    covariance = torch.tensor([[4.0, 2.4], [2.4, 9.0]], dtype=torch.float64)
    x = torch.linalg.cholesky(covariance) @ signed(2, 20_000)
    if distribution == "laplace":  # an elliptical Laplace vector in the plane: a direction, and a Gamma(2) length
        x = x / torch.linalg.vector_norm(torch.linalg.cholesky(covariance).inverse() @ x, dim=0)
        x = x * torch.from_numpy(np.random.default_rng(0).gamma(2, size=20_000))
    weighting = rx.losses.CorrelatedLaplace(n_tasks=2, distribution=distribution).double()
    optimizer = torch.optim.LBFGS(weighting.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = weighting(x.unsqueeze(0))
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(weighting.covariance, covariance, rtol=0.05, atol=0.1)
    assert weighting.correlation[0, 1].item() == pytest.approx(0.4, abs=0.02)
    torch.testing.assert_close(weighting.scales, torch.tensor([2.0, 3.0]).double(), rtol=0.03, atol=0)
    torch.testing.assert_close(weighting.weights, 1 / weighting.scales)
    weighting.reset()
    assert torch.equal(weighting.covariance, torch.eye(2).double())


def test_maps_of_scale_and_coupling_take_the_place_of_the_learnt_ones():
    weighting, x = rx.losses.CorrelatedLaplace(n_tasks=2).double(), signed(2, 2, 3, 4)
    weighting.log_scale.data, weighting.coupling.data = signed(2, seed=1), signed(1, seed=2)
    maps = (
        weighting.log_scale.detach().reshape(1, 2, 1, 1).expand(2, 2, 3, 4),
        weighting.coupling.detach().reshape(1, 1, 1, 1).expand(2, 1, 3, 4),
    )
    torch.testing.assert_close(weighting(x, *maps), weighting(x))
    inputs = [values.clone().requires_grad_() for values in (x, *maps)]
    assert torch.autograd.gradcheck(weighting, inputs)


def test_masks_and_pairs():
    protocol = rx.protocols.LIVER_T1RHO_T2
    maps, images = torch.rand(2, 2, 3, 4).double() * 50 + 10, torch.rand(2, 7, 3, 4).double()
    images[0, 0, 0, 0] = math.nan
    x = rx.losses.PairwiseConstraint(protocol, pairs="orthogonal").signed(maps, images)
    weighting = rx.losses.CorrelatedLaplace(n_tasks=2).double()
    with pytest.raises(ValueError, match="not finite in 6 of 144"):
        weighting(x)
    mask = torch.isfinite(images).all(1)
    x.requires_grad_()
    loss = weighting(x, mask=mask)
    loss.backward()
    assert torch.isfinite(x.grad).all()
    of_each = mask.unsqueeze(1).expand(2, 6, 3, 4)
    torch.testing.assert_close(loss, weighting(x.detach(), mask=of_each))
    torch.testing.assert_close(loss, weighting(x.detach().movedim(1, -1)[of_each]))
    assert weighting(x, mask=torch.zeros_like(mask)) == 0


def test_a_voxel_without_residual_has_the_smallest_loss_there_is():
    weighting, tiny = rx.losses.CorrelatedLaplace(n_tasks=2).double(), torch.full((1, 2, 3), 1e-9, dtype=torch.float64)
    none = torch.zeros_like(tiny)
    torch.testing.assert_close(weighting(none), weighting(tiny), rtol=0, atol=1e-7)
    assert weighting(none) < weighting(tiny) < weighting(2 * tiny)


def test_a_voxel_without_residual_has_finite_derivatives():
    x = torch.zeros(1, 2, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(rx.losses.CorrelatedLaplace(n_tasks=2)(x), x, create_graph=True)
    assert (slope == 0).all()
    assert torch.isfinite(torch.autograd.grad(slope.sum(), x)[0]).all()


@pytest.mark.parametrize("distribution", ["laplace", "gaussian"])
def test_further_derivatives_are_those_of_finite_differences(distribution):
    weighting = rx.losses.CorrelatedLaplace(n_tasks=2, distribution=distribution).double()
    assert torch.autograd.gradgradcheck(weighting, (signed(1, 2, 3).requires_grad_(),))
