"""Rows 54 to 63: networks and their training."""

import numpy as np
import torch

import relaxnet as rx
from bad_inputs import ABSENT, raises, row

# --- networks ---------------------------------------------------------------------------------------------------------

LIVER = rx.protocols.LIVER_T1RHO_T2


def network():
    return rx.nets.RelaxationNet(LIVER, inputs="short", base=2, depth=2)


@row(54, "images of any size", "maps of that size")
@row(56, "a constant image", "finite maps")
def _(_):
    assert torch.isfinite(network()(torch.full((1, 3, 37, 50), 7.0)).maps_ms).all()
    assert network()(torch.rand(1, 3, 37, 50)).maps_ms.shape == (1, 2, 37, 50)


row(55, "a scan of another protocol than the network's", "raises with both",
    "cli/test_cohort.py::test_predict_refuses_what_it_has_not_learnt")  # fmt: skip


@row(57, "a batch without a voxel in the mask", "a loss of 0")
def _(_):
    residual, nothing = torch.rand(1, 2, 4, 4, requires_grad=True), torch.zeros(1, 4, 4, dtype=torch.bool)
    loss = rx.losses.HomoscedasticLaplace(n_tasks=2)(residual, mask=nothing)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(residual.grad).all()


row(58, "a loss that is not finite", "the training stops and names the batch",
    "training/test_train.py::test_a_loss_that_is_not_finite_stops_the_training_and_names_the_batch")  # fmt: skip


@row(59, "no epoch, a rate of 0", "raises")
def _(_):
    for options in ({"epochs": 0}, {"learning_rate": 0.0}, {"learning_rate": -1.0}, {"learning_rate": np.inf}):
        raises(next(iter(options)), rx.training.Preset, **options)


@row(60, "a misspelt setting", "raises, and proposes the nearest")
def _(_):
    cohort = rx.phantom.liver_cohort(2, 1, (32, 32))
    raises("laptop", rx.training.train, cohort, preset="laptob")
    raises("cosine", rx.training.Preset, schedule="cosin")


row(61, "a broken YAML file", ABSENT, "")


def training(data, match, **options):
    raises(match, rx.training.train, data, preset="smoke", progress=False, **options)


@row(62, "one subject to learn from and to validate with", "raises")
def _(_):
    training([rx.phantom.liver_cohort(1, 1, (32, 32))[0]] * 4, "same|twice|times")


row(
    63,
    "fewer slices than a batch",
    "a smaller batch",
    "training/test_data.py::test_a_single_scan_is_learnt_without_watching",
)
