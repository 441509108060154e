"""Two processes that train together have the loss curve of one with the same batches."""

import dataclasses
import json
import os
import socket
import warnings

import pytest
import torch
from torch import distributed, multiprocessing

import relaxnet as rx
from relaxnet.losses import WEIGHTINGS, ProfiledLaplace

PRESET = dataclasses.replace(rx.training.PRESETS["smoke"], epochs=2, patience=2, learning_rate=1e-2, averaging=0.9)
CHOICES = {**dict.fromkeys(WEIGHTINGS), "running": lambda: ProfiledLaplace(momentum=0.5)}


def curves(batch_size, out, **trainer):
    """Train with each weighting, by a network that normalises each slice by itself; return the histories."""
    cohort = list(rx.phantom.liver_cohort(n_subjects=4, slices=2, shape=(32, 32), snr=20, seed=0))
    preset, found = dataclasses.replace(PRESET, batch_size=batch_size), {}
    for name, make in CHOICES.items():
        uncertainty = {"heteroscedastic": "heteroscedastic", "faithful": "faithful"}.get(name)
        torch.manual_seed(0)
        net = rx.nets.RelaxationNet(
            cohort[0].protocol, "middle", base=4, depth=1, norm="group", uncertainty=uncertainty
        )
        options = {"weighting": make() if make else name, "net": net, "preset": preset, "out": out / name}
        found[name] = rx.training.train(
            cohort, progress=False, trainer={"accelerator": "cpu", **trainer}, **options
        ).history
    return found


def work(rank, folder, port):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    warnings.simplefilter("ignore")
    found = curves(2, folder / "shared", devices=2, strategy="ddp")
    (folder / f"{rank}.json").write_text(json.dumps(found))


@pytest.mark.skipif(not distributed.is_available(), reason="torch was built without distributed training")
def test_two_processes_learn_as_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, (tmp_path, port), nprocs=2)
    expected = curves(4, tmp_path / "alone")
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        for name, history in expected.items():
            assert len(found[name]) == PRESET.epochs
            for epoch, alone in zip(found[name], history, strict=True):
                assert epoch == pytest.approx(alone, rel=1e-3), (name, rank)
    assert (tmp_path / "shared" / "fixed" / "run.ckpt").stat().st_size > 0
