"""Random weights are the same in every version."""

import pytest
import torch

import relaxnet as rx


def test_a_seed_draws_the_same_weights_in_every_version():
    weighting = rx.losses.RandomWeighting(2, seed=3)
    residual = torch.tensor([1.0, 10.0]).view(1, 2, 1).expand(1, 2, 4)
    drawn = [float(weighting(residual)) for _ in range(2)]
    expected = [(1.5293073654 + 10 * 0.4706925750), (1.5610080957 + 10 * 0.4389919043)]
    ratio = drawn[0] / drawn[1]
    assert ratio == pytest.approx(expected[0] / expected[1], rel=1e-5)
