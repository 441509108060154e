"""Masks for each task: data that lack one contrast train the other."""

import math

import pytest
import torch

import relaxnet as rx
from relaxnet import losses

every = pytest.mark.parametrize(
    "make",
    [
        lambda: losses.FixedWeights((1.0, 2.0)),
        lambda: losses.HomoscedasticLaplace(2, init="data"),
        losses.ProfiledLaplace,
        lambda: losses.ProfiledLaplace(momentum=0.9, n_tasks=2),
        lambda: losses.RandomWeighting(2),
        lambda: losses.DynamicWeightAverage(2),
        lambda: losses.SoftOptimalWeighting(2),
    ],
)


def residuals(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) + 0.1


@every
def test_each_task_has_the_mean_over_its_own_voxels(make):
    residual = residuals(3, 2, 4, 4)
    mask = torch.rand(3, 2, 4, 4, generator=torch.Generator().manual_seed(1)) < 0.6
    means = torch.stack([residual[:, k][mask[:, k]].mean() for k in range(2)])
    invalid = torch.where(mask, residual, torch.nan).requires_grad_()
    loss = make()(invalid, mask=mask)
    torch.testing.assert_close(loss, make()(means[None]))
    loss.backward()
    assert torch.equal(invalid.grad != 0, mask)


@every
def test_a_task_without_voxels_adds_nothing_and_forgets_nothing(make):
    residual = residuals(2, 2, 3, 3)
    only_first = torch.zeros(2, 2, 3, 3, dtype=torch.bool)
    only_first[:, 0] = True
    weighting = make()
    weighting(residual)
    before = weighting.weights.clone()
    weighting.eval()
    both, first = weighting(residual), weighting(residual, mask=only_first)
    second = weighting(residual, mask=~only_first)
    torch.testing.assert_close(first + second, both)
    weighting.train()
    assert torch.isfinite(weighting(residual, mask=only_first))
    if not isinstance(weighting, losses.RandomWeighting):
        torch.testing.assert_close(weighting.weights[1], before[1])


def test_scales_begin_at_the_first_residuals_that_each_task_has():
    weighting = losses.HomoscedasticLaplace(2, init="data")
    residual = torch.tensor([[3.0, 5.0]])
    weighting(residual, mask=torch.tensor([[True, False]]))
    assert weighting.scales.tolist() == pytest.approx([3, 1])
    weighting(7 * residual)
    assert weighting.scales.tolist() == pytest.approx([3, 35])


def test_a_task_of_weight_zero_may_be_anything():
    residual = residuals(2, 2, 3, 3)
    residual[:, 1] = torch.nan
    residual.requires_grad_()
    loss = losses.FixedWeights((1.0, 0.0))(residual)
    loss.backward()
    torch.testing.assert_close(loss, residual[:, 0].mean())
    assert torch.equal(residual.grad, torch.full_like(residual, 1 / 18) * torch.tensor([1, 0]).reshape(2, 1, 1))
    with pytest.raises(ValueError, match="residual is not finite in 18 of 18 voxels"):
        losses.FixedWeights((1.0, 0.1))(residual)


def test_predicted_scales_of_a_task_without_data_are_not_trained():
    residual, log_scale = residuals(1, 2, 3, 3), torch.zeros(1, 2, 3, 3, requires_grad=True)
    mask = torch.tensor([True, False]).reshape(1, 2, 1, 1).expand(1, 2, 3, 3)
    loss = losses.HeteroscedasticLaplace()(torch.where(mask, residual, torch.nan), log_scale, mask=mask)
    loss.backward()
    assert loss.item() == pytest.approx(residual[:, 0].mean().item() + math.log(2))
    assert torch.equal(log_scale.grad != 0, mask)


def test_correlated_tasks_are_used_where_all_are_there():
    signed = residuals(2, 2, 5)
    mask = torch.rand(2, 2, 5, generator=torch.Generator().manual_seed(1)) < 0.7
    weighting = losses.CorrelatedLaplace(2)
    expected = weighting(signed, mask=mask.all(1))
    torch.testing.assert_close(weighting(torch.where(mask, signed, torch.nan), mask=mask), expected)


def test_labels_may_lack_a_contrast():
    maps = torch.full((1, 2, 2, 2), 40.0)
    labels = torch.full((1, 2, 2, 2), 43.0)
    labels[:, 1] = torch.nan
    assert rx.losses.supervised(maps, labels, mask=torch.isfinite(labels)) == 3


def test_other_shapes_are_told():
    with pytest.raises(ValueError, match=r"mask has shape \(2, 3\), but \(2, 4\) is needed, or \(2, 2, 4\)"):
        losses.ProfiledLaplace()(residuals(2, 2, 4), mask=torch.ones(2, 3))
