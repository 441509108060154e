"""How many steps a training has: few slices are learnt from as long as many."""

import dataclasses
import warnings

import pytest
import torch

import relaxnet as rx
from relaxnet.training import PRESETS
from relaxnet.training._module import _Batches

SMOKE = PRESETS["smoke"]


def train(data, **options):
    return rx.training.train(data, **{"preset": SMOKE, "progress": False, **options})


@pytest.mark.parametrize(("n", "expected"), [(1, 13), (6, 13), (7, 14), (20, 16), (78, 13), (79, 14), (600, 100)])
def test_an_epoch_passes_over_few_slices_more_than_once(n, expected):
    batches = _Batches(n, 6, 13, seed=0, rank=0, world=1)
    drawn = list(batches)
    assert len(drawn) == len(batches) == expected
    seen = torch.tensor([k for batch in drawn for k in batch]).bincount(minlength=n)
    assert seen.unique().numel() == 1
    assert all(len(set(batch)) == len(batch) for batch in drawn)


def test_passes_differ_and_epochs_repeat():
    batches = _Batches(5, 5, 3, seed=1, rank=0, world=1)
    first = list(batches)
    assert len({tuple(batch) for batch in first}) == 3
    assert list(batches) == first
    batches.set_epoch(1)
    assert list(batches) != first


@pytest.mark.parametrize("n", [1, 5, 13])
def test_processes_share_every_pass(n):
    parts = [list(_Batches(n, 2, 4, seed=0, rank=rank, world=2)) for rank in range(2)]
    assert len(parts[0]) == len(parts[1]) >= 4
    assert {k for part in parts for batch in part for k in batch} == set(range(n))


def test_progress_tells_the_steps(cohort, capsys):
    train(cohort, preset=dataclasses.replace(SMOKE, steps=5), progress=True)
    assert "training: 6 slices, 6 steps in an epoch, 12 in 2 epochs" in capsys.readouterr().err


def test_a_training_too_short_to_learn_warns(cohort):
    with pytest.warns(UserWarning, match=r"preset: . epochs of 6 training slices are \d+ steps, too few"):
        train(cohort, preset=dataclasses.replace(SMOKE, epochs=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(cohort)  # smoke only shows that everything runs
        train(cohort, preset=dataclasses.replace(SMOKE, epochs=1, steps=200))
