"""Weightings that use the mean residual of each of two tasks, and residuals."""

import pytest
import torch

import relaxnet as rx

WEIGHTINGS = {
    "fixed": lambda: rx.losses.FixedWeights((0.3, 2.0)),
    "homoscedastic": lambda: rx.losses.HomoscedasticLaplace(n_tasks=2),
    "profiled": rx.losses.ProfiledLaplace,
    "profiled, running": lambda: rx.losses.ProfiledLaplace(momentum=0.9),
    "uw-so": lambda: rx.losses.SoftOptimalWeighting(n_tasks=2),
    "random": lambda: rx.losses.RandomWeighting(n_tasks=2),
    "dynamic": lambda: rx.losses.DynamicWeightAverage(n_tasks=2),
}
every_weighting = pytest.mark.parametrize("make", WEIGHTINGS.values(), ids=WEIGHTINGS.keys())


def residuals(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
