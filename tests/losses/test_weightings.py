"""Laws of the weightings."""

import math

import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Laplace
from torchjd.scalarization import IMTLL
from weightings import WEIGHTINGS, every_weighting, residuals

import relaxnet as rx

positive = st.floats(1e-3, 1e3)


@given(positive, positive)
def test_fixed_weights_weigh_task_means(a, b):
    residual = residuals(3, 2, 4, 5)
    means = residual.mean(dim=(0, 2, 3))
    loss = rx.losses.FixedWeights((a, b))(residual)
    expected = torch.tensor(a * means[0].item() + b * means[1].item()).double()
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)


def test_a_task_of_weight_zero_does_not_count():
    assert rx.losses.FixedWeights((2.0, 0.0))(torch.ones(1, 2, 3)) == 2


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
    weighting(residual)
    weighting.eval()  # with running means and random weights at rest
    assert torch.autograd.gradcheck(weighting, (residual,))


WITH_STATE = ("profiled, running", "uw-so", "random")  # of their losses in training mode


@every_weighting
def test_further_derivatives_are_those_of_finite_differences(make):
    weighting = make().double()
    weighting(residuals(2, 2, 3))
    weighting.eval()
    residual = residuals(2, 2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradgradcheck(weighting, (residual,))


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_torch_func_transforms_it(name):
    """Without a change of its buffers, so a loss that depends on them has to be told to leave them alone."""
    residual, mask = residuals(3, 2, 4), torch.arange(12).reshape(3, 4) % 3 > 0
    weighting = WEIGHTINGS[name]().double()
    weighting(residuals(3, 2, 4, seed=1))
    before = {key: value.clone() for key, value in weighting.state_dict().items()}
    if name in WITH_STATE:
        with pytest.raises(ValueError, match=r"changes with each batch.*call its eval\(\) first"):
            torch.func.grad(weighting)(residual)
        weighting.eval()

    def loss(values, used=mask):
        return weighting(values, mask=used)

    slope = torch.func.grad(loss)(residual)
    of_each = torch.func.vmap(lambda r, m: loss(r[None], m[None]))(residual, mask)
    torch.testing.assert_close(dict(weighting.state_dict()), before, rtol=0, atol=0, equal_nan=True)
    weighting.eval()
    torch.testing.assert_close(of_each, torch.stack([loss(residual[[k]], mask[[k]]) for k in range(3)]))
    (expected,) = torch.autograd.grad(loss(residual.requires_grad_()), residual)
    torch.testing.assert_close(slope, expected)


def test_scales_that_wait_for_data_are_not_found_in_a_transform():
    weighting = rx.losses.HomoscedasticLaplace(2, init="data")
    with pytest.raises(ValueError, match="HomoscedasticLaplace changes with each batch"):
        torch.func.grad(weighting)(residuals(1, 2, 3))
    weighting(residuals(1, 2, 3))
    assert torch.isfinite(torch.func.grad(weighting)(residuals(1, 2, 3))).all()


@every_weighting
def test_gradients_of_two_batches_can_be_taken_at_once(make):
    """What the second batch records is no longer what the gradient of the first one needs."""
    weighting, other = make(), make()
    first, second = residuals(1, 2, 3).requires_grad_(), residuals(1, 2, 3, seed=1).requires_grad_()
    (weighting(first) + weighting(second)).backward()
    for residual in (first, second):
        (expected,) = torch.autograd.grad(other(residual), residual)
        torch.testing.assert_close(residual.grad, expected)


@every_weighting
@pytest.mark.parametrize("space", [(), (5,), (4, 3), (2, 4, 3)])
def test_a_mask_is_the_same_as_leaving_voxels_out(make, space):
    residual, weighting = residuals(3, 2, *space), make()
    weighting(residual)
    weighting.eval()
    assert torch.equal(weighting(residual, mask=torch.ones(3, *space, dtype=torch.bool)), weighting(residual))
    mask = torch.rand(3, *space, generator=torch.Generator().manual_seed(1)) < 0.6
    kept = residual.transpose(0, 1)[:, mask].T  # (voxel, task)
    weighting(residual, mask=mask)
    assert weighting.count == (int(mask.sum()), int((~mask).sum()), 0)
    torch.testing.assert_close(weighting(residual, mask=mask), weighting(kept))
    for kind in (torch.uint8, torch.int64, torch.float32):
        assert torch.equal(weighting(residual, mask=mask.to(kind)), weighting(residual, mask=mask))


@every_weighting
def test_what_is_masked_out_may_be_anything(make):
    residual, mask = residuals(1, 2, 3, 3), torch.ones(1, 3, 3, dtype=torch.bool)
    mask[0, 1, 1] = False
    invalid = residual.clone()
    invalid[:, :, 1, 1] = torch.nan
    invalid.requires_grad_()
    weighting = make()
    loss = weighting(invalid, mask=mask)
    loss.backward()
    assert weighting.count == (8, 1, 1)
    torch.testing.assert_close(loss, make()(residual, mask=mask))
    assert torch.isfinite(invalid.grad).all()


@every_weighting
def test_an_empty_mask_is_a_loss_of_zero_with_a_gradient_of_zero(make):
    residual, weighting = residuals(2, 2, 3, 3).requires_grad_(), make()
    loss = weighting(residual, mask=torch.zeros(2, 3, 3, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert (residual.grad == 0).all()
    assert all((parameter.grad == 0).all() for parameter in weighting.parameters())
    assert torch.isfinite(weighting.weights).all()


@every_weighting
def test_what_is_used_has_to_be_finite(make):
    invalid = residuals(1, 2, 3, 3)
    invalid[0, 1, 0, :2] = torch.nan
    invalid[0, 0, 2, 2] = torch.inf
    with pytest.raises(ValueError, match="residual is not finite in 3 of 9 voxels to use"):
        make()(invalid)
    with pytest.raises(ValueError, match="residual is not finite in 2 of 5 voxels to use"):
        make()(invalid, mask=torch.arange(9).reshape(1, 3, 3) < 5)


@every_weighting
def test_state_survives_saving(make):
    first, second = make(), make()
    for parameter in first.parameters():
        parameter.data += 1.5
    for _ in range(3):
        first(residuals(2, 2, 3, 3).float())
        getattr(first, "step", lambda: None)()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.weights, second.weights)
    torch.testing.assert_close(first(residuals(1, 2, 4)), second(residuals(1, 2, 4)), rtol=0, atol=0)
    second.reset()
    make().load_state_dict(second.state_dict())


@every_weighting
def test_only_what_is_learnt_is_given_to_the_optimiser(make):
    weighting = make()
    groups = weighting.parameter_groups(lr=0.05)
    assert [parameter for group in groups for parameter in group["params"]] == list(weighting.parameters())
    assert all(group["lr"] == 0.05 and group["weight_decay"] == 0 for group in groups)
    assert not weighting.weights.requires_grad
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(1))])
    optimizer.add_param_group(*groups)
    optimizer.step()


@given(positive, positive)
def test_profiled_is_homoscedastic_at_its_best_scale(a, b):
    residual = residuals(2, 2, 6) * torch.tensor([a, b], dtype=torch.float64).reshape(1, 2, 1)
    expected = 0.0
    for mean in residual.mean(dim=(0, 2)).tolist():
        cost = lambda s, mean=mean: mean * math.exp(-s) + s + math.log(2)  # noqa: E731
        expected += scipy.optimize.minimize_scalar(
            cost, bounds=(-20, 20), method="bounded", options={"xatol": 1e-9}
        ).fun
    weighting = rx.losses.ProfiledLaplace()
    assert weighting(residual).item() == pytest.approx(expected, abs=1e-7)
    torch.testing.assert_close(weighting.scales.double(), residual.mean(dim=(0, 2)), rtol=1e-5, atol=0)


def test_profiled_with_momentum_has_the_gradient_of_a_running_scale():
    weighting = rx.losses.ProfiledLaplace(momentum=0.9)
    weighting(torch.full((1, 2, 4), 1.0))
    residual = torch.full((1, 2, 4), 2.0, requires_grad=True)
    weighting(residual).backward()
    torch.testing.assert_close(weighting.scales, torch.full((2,), 1.1))
    torch.testing.assert_close(residual.grad, torch.full((1, 2, 4), 1 / 1.1 / 4))


def test_a_task_without_residual_has_no_gradient():
    residual = torch.tensor([[0.0, 1.0]], requires_grad=True)
    loss = rx.losses.ProfiledLaplace()(residual)
    loss.backward()
    assert torch.isfinite(loss)
    assert residual.grad.tolist() == [[0.0, 1.0]]


def test_homoscedastic_is_the_loss_of_an_independent_library():
    """IMTL-L learns the negative of our log-scale; it lacks the constant."""
    means = torch.tensor([0.3, 7.0])
    ours, theirs = rx.losses.HomoscedasticLaplace(n_tasks=2), IMTLL(2)
    log_scale = torch.tensor([-0.7, 1.4])
    with torch.no_grad():
        ours.log_scale.copy_(log_scale)
        next(theirs.parameters()).copy_(-log_scale)
    torch.testing.assert_close(ours(means.reshape(1, 2)), theirs(means) + 2 * math.log(2))


def test_scales_can_start_from_the_data():
    residual = residuals(2, 2, 9).float() * torch.tensor([1e-3, 1e4]).reshape(1, 2, 1)
    weighting = rx.losses.HomoscedasticLaplace(n_tasks=2, init="data")
    weighting(torch.zeros(1, 2, 3), mask=torch.zeros(1, 3) > 0)  # an empty batch tells nothing
    assert torch.equal(weighting.scales, torch.ones(2))
    loss = weighting(residual)
    torch.testing.assert_close(weighting.scales, residual.mean(dim=(0, 2)))
    torch.testing.assert_close(loss, rx.losses.ProfiledLaplace()(residual))
    weighting(10 * residual)
    torch.testing.assert_close(weighting.scales, residual.mean(dim=(0, 2)))
    weighting.reset()
    weighting(10 * residual)
    torch.testing.assert_close(weighting.scales, 10 * residual.mean(dim=(0, 2)))
    torch.testing.assert_close(rx.losses.HomoscedasticLaplace(n_tasks=2, init=(0.5, 3)).scales, torch.tensor([0.5, 3]))


def test_a_scale_far_out_still_comes_back():
    weighting = rx.losses.HomoscedasticLaplace(n_tasks=1)
    for wild in (-1e4, 1e4):
        weighting.log_scale.data.fill_(wild)
        weighting.zero_grad()
        weighting(torch.ones(1, 1, 3)).backward()
        assert torch.isfinite(weighting.scales).all()
        assert weighting.log_scale.grad * wild > 0


def test_heteroscedastic_is_the_laplace_likelihood():
    residual, log_scale = residuals(2, 2, 4, 5), residuals(2, 2, 4, 5, seed=1) * 4 - 2
    expected = -Laplace(0, log_scale.exp()).log_prob(residual).mean(dim=(0, 2, 3)).sum()
    weighting = rx.losses.HeteroscedasticLaplace()
    torch.testing.assert_close(weighting(residual, log_scale), expected)
    torch.testing.assert_close(weighting.weights.double(), (-log_scale).exp().mean(dim=(0, 2, 3)), rtol=1e-5, atol=0)
    mask = residuals(2, 4, 5, seed=2) < 0.5
    kept = [values.transpose(0, 1)[:, mask].T for values in (residual, log_scale)]
    torch.testing.assert_close(weighting(residual, log_scale, mask=mask), weighting(*kept))


@pytest.mark.parametrize("options", [{}, {"beta": 0.5}, {"beta": 1.0}, {"faithful": True}])
def test_gradients_of_heteroscedastic_variants(options):
    residual, log_scale = residuals(1, 2, 3).requires_grad_(), (residuals(1, 2, 3, seed=1) - 0.5).requires_grad_()
    loss = rx.losses.HeteroscedasticLaplace(**options)(residual, log_scale)
    by_residual, by_scale = torch.autograd.grad(loss, (residual, log_scale))
    sigma = log_scale.detach().exp()
    beta = options.get("beta", 0.0)
    expected = torch.ones_like(sigma) if options.get("faithful") else sigma ** (beta - 1)
    torch.testing.assert_close(by_residual, expected / 3)
    torch.testing.assert_close(by_scale, sigma**beta * (1 - residual.detach() / sigma) / 3)
    if not options:
        assert torch.autograd.gradcheck(rx.losses.HeteroscedasticLaplace(), (residual, log_scale))


def test_heteroscedastic_masks_and_checks_scales_too():
    residual, log_scale = residuals(1, 2, 4), residuals(1, 2, 4, seed=1)
    log_scale[0, 0, 0] = torch.nan
    weighting = rx.losses.HeteroscedasticLaplace()
    with pytest.raises(ValueError, match="not finite in 1 of 4"):
        weighting(residual, log_scale)
    log_scale.requires_grad_()
    loss = weighting(residual, log_scale, mask=torch.tensor([[0, 1, 1, 1]]))
    loss.backward()
    assert torch.isfinite(log_scale.grad).all()
    assert weighting(residual, log_scale, mask=torch.zeros(1, 4)) == 0


def test_number_of_tasks_is_found_out_and_saved():
    weighting = rx.losses.ProfiledLaplace()
    weighting(torch.ones(1, 3, 4))
    assert weighting.scales.shape == (3,)
    again = rx.losses.ProfiledLaplace()
    again.load_state_dict(weighting.state_dict())
    assert again.n_tasks == 3
    with pytest.raises(ValueError, match="axis 1 needs 3 tasks"):
        again(torch.ones(1, 2, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rx.losses.FixedWeights((1, 1))([torch.ones(2), torch.ones(3)]), r"shapes \[\(2,\), \(3,\)\]"),
        (lambda: rx.losses.FixedWeights((1, 1))([]), "one for each task is needed"),
        (lambda: rx.losses.FixedWeights((1, -1)), "finite and not negative"),
        (lambda: rx.losses.FixedWeights((1, math.nan)), "finite and not negative"),
        (lambda: rx.losses.FixedWeights(()), "n_tasks=0"),
        (lambda: rx.losses.HomoscedasticLaplace(n_tasks=0), "n_tasks=0"),
        (lambda: rx.losses.HomoscedasticLaplace(n_tasks=2, init=-1.0), "init=-1.0"),
        (lambda: rx.losses.HomoscedasticLaplace(n_tasks=2, init="date"), "init='date'"),
        (lambda: rx.losses.HeteroscedasticLaplace(beta=2), "beta=2"),
        (lambda: rx.losses.HomoscedasticLaplace(n_tasks=2, init=(1.0, 2.0, 3.0)), "one for each of 2 tasks"),
        (lambda: rx.losses.Reconstruction(rx.protocols.LIVER_T1RHO_T2, held_out_from=3), "held_out_from=3: give"),
        (lambda: rx.losses.HeteroscedasticLaplace(beta=0.5, faithful=True), "choose one"),
        (lambda: rx.losses.HeteroscedasticLaplace()(torch.ones(1, 2, 3), torch.ones(1, 2, 4)), "log_scale has shape"),
        (
            lambda: rx.losses.HeteroscedasticLaplace()(*[torch.ones(1, 2, 4)] * 2, mask=torch.ones(1, 3)),
            r"mask has shape \(1, 3\), but \(1, 4\)",
        ),
        (
            lambda: rx.losses.CorrelatedLaplace(n_tasks=2)(torch.ones(1, 2, 6, 4), mask=torch.ones(1, 3)),
            r"mask has shape \(1, 6, 3\), but \(1, 6, 4\)",
        ),
        (lambda: rx.losses.ProfiledLaplace(momentum=1.0), "momentum=1.0"),
        (lambda: rx.losses.DynamicWeightAverage(n_tasks=2, temperature=0), "temperature=0"),
        (lambda: rx.losses.SoftOptimalWeighting(n_tasks=2, temperature=0), "temperature=0"),
        (lambda: rx.losses.CorrelatedLaplace(n_tasks=2, distribution="cauchy"), "distribution='cauchy'"),
        (lambda: rx.losses.CorrelatedLaplace(n_tasks=2)(torch.ones(1, 3, 4)), "axis 1 needs 2 tasks"),
        (lambda: rx.losses.CorrelatedLaplace(n_tasks=1)(torch.ones(1, 1), torch.ones(1, 1)), "pass both, or none"),
        (lambda: rx.losses.supervised(torch.ones(1, 2, 4), torch.ones(1, 2, 5)), "reference_ms"),
        (lambda: rx.losses.supervised(torch.ones(1, 2, 4), torch.full((1, 2, 4), math.nan)), "4 of 4 voxels"),
        (lambda: rx.losses.FixedWeights((1, 1))(torch.ones(1, 3, 4)), "axis 1 needs 2 tasks"),
        (lambda: rx.losses.FixedWeights((1, 1))(torch.ones(3)), "axis 1 needs 2 tasks"),
        (
            lambda: rx.losses.FixedWeights((1, 1))(torch.ones(1, 2, 4), mask=torch.full((1, 4), 0.5)),
            "other than 0 and 1",
        ),
        (
            lambda: rx.losses.FixedWeights((1, 1))(torch.ones(1, 2, 4), mask=torch.ones(1, 3, 4) > 0),
            r"mask has shape \(1, 3, 4\), but \(1, 4\)",
        ),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
