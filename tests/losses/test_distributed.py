"""Two processes that share a batch have the loss and the gradients of one that has all of it."""

import os

import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel

import relaxnet as rx

WEIGHTINGS = {
    "homoscedastic": lambda: rx.losses.HomoscedasticLaplace(n_tasks=2),
    "profiled": rx.losses.ProfiledLaplace,
    "correlated": lambda: rx.losses.CorrelatedLaplace(n_tasks=2),
}


def batch():
    """Two samples, of which the first has many more voxels to use than the second."""
    x = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 8, 8, dtype=torch.bool)
    mask[1, 2:] = False
    return x, mask


class Model(torch.nn.Module):
    def __init__(self, weighting):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1))
        self.weighting = weighting

    def forward(self, x, mask):
        residual = self.gain * x
        signed = isinstance(self.weighting, rx.losses.CorrelatedLaplace)
        return self.weighting(residual if signed else residual.abs(), mask=mask)


def running(x, mask, *masks):
    """Return losses and scales of batches, of which some have no voxel to use, on one device or on all."""
    found = []
    for weighting in (rx.losses.ProfiledLaplace(momentum=0.5), rx.losses.DynamicWeightAverage(2)):
        for k, used in enumerate((mask, *masks, torch.zeros_like(mask), mask)):
            found += [weighting((1 + k) * x.abs(), mask=used), weighting.scales.clone()]
            weighting.step()
    return found


def work(rank, folder):
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results = {}
    for name, make in WEIGHTINGS.items():
        model = Model(make())
        x, mask = (part[rank : rank + 1] for part in batch())
        parallel = DistributedDataParallel(model)
        loss = parallel(x, mask)
        loss.backward()
        results[name] = (loss.detach(), [parameter.grad for parameter in model.parameters()])
    x, mask = batch()
    results["running"] = running(x[rank : rank + 1], mask[rank : rank + 1], mask[rank : rank + 1] & (rank == 0))
    torch.save(results, os.path.join(folder, f"{rank}.pt"))  # noqa: PTH118
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_available(), reason="torch was built without distributed training")
def test_two_processes_are_as_good_as_one(tmp_path):
    multiprocessing.spawn(work, (str(tmp_path),), nprocs=2)
    shared = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name, make in WEIGHTINGS.items():
        model = Model(make())
        loss = model(*batch())
        loss.backward()
        for results in shared:
            its_loss, gradients = results[name]
            torch.testing.assert_close(its_loss, loss.detach())
            torch.testing.assert_close(gradients, [parameter.grad for parameter in model.parameters()])
    x, mask = batch()
    first = torch.stack([mask[0], torch.zeros_like(mask[1])])
    for results in shared:
        torch.testing.assert_close(results["running"], running(x, mask, first))
