import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Laplace

import relaxnet as rx

positive = st.floats(1e-3, 1e3)
WEIGHTINGS = {
    "fixed": lambda: rx.losses.FixedWeights((0.3, 2.0)),
    "homoscedastic": lambda: rx.losses.HomoscedasticLaplace(n_tasks=2),
}
every_weighting = pytest.mark.parametrize("make", WEIGHTINGS.values(), ids=WEIGHTINGS.keys())


def residuals(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@given(positive, positive)
def test_fixed_weights_weigh_task_means(a, b):
    residual = residuals(3, 2, 4, 5)
    means = residual.mean(dim=(0, 2, 3))
    loss = rx.losses.FixedWeights((a, b))(residual)
    torch.testing.assert_close(
        loss, torch.tensor(a * means[0].item() + b * means[1].item()).double(), rtol=1e-6, atol=0
    )


@given(positive, positive)
def test_homoscedastic_is_the_laplace_likelihood(a, b):
    residual = residuals(3, 2, 4, 5)
    weighting = rx.losses.HomoscedasticLaplace(n_tasks=2)
    weighting.log_scale.data = torch.tensor([math.log(a), math.log(b)])
    scale = weighting.scales.double()
    expected = -Laplace(torch.zeros(2, 1, 1), scale.reshape(2, 1, 1)).log_prob(residual).mean(dim=(0, 2, 3)).sum()
    torch.testing.assert_close(weighting(residual), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(weighting.weights, 1 / weighting.scales)


def test_learnt_scales_arrive_at_the_mean_residuals():
    residual = residuals(8, 2, 6, 6).float() * torch.tensor([0.1, 20.0]).reshape(1, 2, 1, 1)
    weighting = rx.losses.HomoscedasticLaplace(n_tasks=2)
    optimizer = torch.optim.Adam(weighting.parameter_groups(lr=5e-2))
    for _ in range(400):
        optimizer.zero_grad()
        weighting(residual).backward()
        optimizer.step()
    torch.testing.assert_close(weighting.scales, residual.mean(dim=(0, 2, 3)), rtol=0.02, atol=0)
    torch.testing.assert_close(weighting.weights * residual.mean(dim=(0, 2, 3)), torch.ones(2), rtol=0.02, atol=0)
    weighting.reset()
    assert torch.equal(weighting.scales, torch.ones(2))


@every_weighting
def test_gradients(make):
    residual = residuals(2, 2, 3, 3).requires_grad_()
    weighting = make().double()
    assert torch.autograd.gradcheck(weighting, (residual,))


@every_weighting
@pytest.mark.parametrize("space", [(), (5,), (4, 3), (2, 4, 3)])
def test_a_mask_is_the_same_as_leaving_voxels_out(make, space):
    residual, weighting = residuals(3, 2, *space), make()
    assert torch.equal(weighting(residual, mask=torch.ones(3, *space, dtype=torch.bool)), weighting(residual))
    mask = torch.rand(3, *space, generator=torch.Generator().manual_seed(1)) < 0.6
    kept = residual.transpose(0, 1)[:, mask].T  # (voxel, task)
    torch.testing.assert_close(weighting(residual, mask=mask), weighting(kept))
    for kind in (torch.uint8, torch.int64, torch.float32):
        assert torch.equal(weighting(residual, mask=mask.to(kind)), weighting(residual, mask=mask))


@every_weighting
def test_what_is_masked_out_may_be_anything(make):
    residual, mask = residuals(1, 2, 3, 3), torch.ones(1, 3, 3, dtype=torch.bool)
    mask[0, 1, 1] = False
    spoiled = residual.clone()
    spoiled[:, :, 1, 1] = torch.nan
    spoiled.requires_grad_()
    loss = make()(spoiled, mask=mask)
    loss.backward()
    torch.testing.assert_close(loss, make()(residual, mask=mask))
    assert torch.isfinite(spoiled.grad).all()


@every_weighting
def test_an_empty_mask_is_a_loss_of_zero_with_a_gradient_of_zero(make):
    residual, weighting = residuals(2, 2, 3, 3).requires_grad_(), make()
    loss = weighting(residual, mask=torch.zeros(2, 3, 3, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert (residual.grad == 0).all()
    assert all((parameter.grad == 0).all() for parameter in weighting.parameters())


@every_weighting
def test_state_survives_saving(make):
    first, second = make(), make()
    for parameter in first.parameters():
        parameter.data += 1.5
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.weights, second.weights)


@every_weighting
def test_only_what_is_learnt_is_given_to_the_optimiser(make):
    weighting = make()
    groups = weighting.parameter_groups(lr=0.05)
    assert [parameter for group in groups for parameter in group["params"]] == list(weighting.parameters())
    assert all(group["lr"] == 0.05 and group["weight_decay"] == 0 for group in groups)
    assert not weighting.weights.requires_grad
    weighting.reset()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rx.losses.FixedWeights((1, -1)), "finite and not negative"),
        (lambda: rx.losses.FixedWeights((1, math.nan)), "finite and not negative"),
        (lambda: rx.losses.FixedWeights(()), "n_tasks=0"),
        (lambda: rx.losses.HomoscedasticLaplace(n_tasks=0), "n_tasks=0"),
        (lambda: rx.losses.FixedWeights((1, 1))(torch.ones(1, 3, 4)), "axis 1 needs 2 tasks"),
        (lambda: rx.losses.FixedWeights((1, 1))(torch.ones(2)), "axis 1 needs 2 tasks"),
        (
            lambda: rx.losses.FixedWeights((1, 1))(torch.ones(1, 2, 4), mask=torch.full((1, 4), 0.5)),
            "other than 0 and 1",
        ),
        (
            lambda: rx.losses.FixedWeights((1, 1))(torch.ones(1, 2, 4), mask=torch.ones(1, 2, 4) > 0),
            r"mask has shape \(1, 2, 4\), but \(1, 4\)",
        ),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
