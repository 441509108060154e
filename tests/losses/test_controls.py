"""Weightings that are controls of the learnt ones: random weights, or those of the progress or size of residuals."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relaxnet as rx


def test_random_weights_are_the_same_for_a_seed_and_have_the_sum_of_tasks():
    means = torch.ones(1, 3)
    first, second = (rx.losses.RandomWeighting(n_tasks=3, seed=4) for _ in range(2))
    drawn = []
    for _ in range(5):
        first(means)
        second(means)
        drawn.append(first.weights.clone())
        assert torch.equal(first.weights, second.weights)
        assert first.weights.sum().item() == pytest.approx(3)
    assert len({tuple(weights.tolist()) for weights in drawn}) == 5
    first.reset()
    first(means)
    assert torch.equal(first.weights, drawn[0])


def test_dynamic_weights_follow_the_paper():
    weighting = rx.losses.DynamicWeightAverage(n_tasks=2, temperature=2.0)
    weighting.step()  # an epoch without a batch changes nothing
    epochs = [((4.0, 1.0), (2.0, 1.0)), ((1.5, 1.0), (0.5, 0.8))]
    for epoch in epochs:
        for means in epoch:
            weighting(torch.tensor([means]))
        weighting.step()
    ratio = torch.tensor([1.0 / 3.0, 0.9 / 1.0])
    torch.testing.assert_close(weighting.weights, 2 * torch.softmax(ratio / 2, 0))


@given(st.floats(0.01, 10), st.floats(0.01, 10), st.floats(0.1, 100))
def test_soft_optimal_weights_follow_the_paper(a, b, temperature):
    weighting = rx.losses.SoftOptimalWeighting(n_tasks=2, temperature=temperature)
    means = torch.tensor([[a, b]], dtype=torch.float64, requires_grad=True)
    loss = weighting(means)  # which is stored in single precision
    first = 1 / (1 + math.exp(min((1 / b - 1 / a) / temperature, 700)))
    assert loss.item() == pytest.approx(first * a + (1 - first) * b, rel=1e-3)
    loss.backward()
    assert means.grad.tolist() == [pytest.approx([first, 1 - first], rel=1e-3, abs=1e-6)]
    assert weighting.weights.tolist() == pytest.approx([first, 1 - first], rel=1e-3, abs=1e-6)


def test_a_seed_draws_the_same_weights_in_every_version():
    weighting = rx.losses.RandomWeighting(2, seed=3)
    residual = torch.tensor([1.0, 10.0]).view(1, 2, 1).expand(1, 2, 4)
    drawn = [float(weighting(residual)) for _ in range(2)]
    expected = [(1.5293073654 + 10 * 0.4706925750), (1.5610080957 + 10 * 0.4389919043)]
    ratio = drawn[0] / drawn[1]
    assert ratio == pytest.approx(expected[0] / expected[1], rel=1e-5)
