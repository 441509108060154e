"""A cohort is a lazy sequence; its subjects follow from the seed and their number alone."""

import itertools
import math
import pickle

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.phantom import Tissue
from relaxnet.phantom import _cohort as cohort_module

SMALL = {"slices": 1, "shape": (32, 32)}


def assert_same(one, other):
    assert (one.name, one.disease, one.sigma) == (other.name, other.disease, other.sigma)
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.roi, other.roi)
    torch.testing.assert_close(one.truth, other.truth, equal_nan=True, rtol=0, atol=0)


def test_the_same_seed_gives_the_same_cohort():
    for one, other in zip(*(rx.phantom.liver_cohort(3, seed=7, **SMALL) for _ in range(2)), strict=True):
        assert_same(one, other)


def test_a_subject_does_not_depend_on_the_size_of_its_cohort():
    assert_same(rx.phantom.liver_cohort(2, **SMALL)[1], rx.phantom.liver_cohort(30, **SMALL)[1])


@pytest.mark.parametrize("seeds", [(0, 1), (5, 2**32 + 5), (0, 2**200)])
def test_seeds_and_subjects_differ(seeds):
    subjects = [subject for seed in seeds for subject in rx.phantom.liver_cohort(2, seed=seed, **SMALL)]
    for one, other in itertools.combinations(subjects, 2):
        assert not torch.equal(one.labels, other.labels)
        assert not torch.equal(one.images, other.images)
        assert one.truth["t2"][one.roi].mean() != other.truth["t2"][other.roi].mean()


def test_drift():
    # What this subject was when the phantom was made. Change it only together with a note in the change log.
    subject = rx.phantom.liver_cohort(2, slices=2, shape=(64, 64), seed=0)[1]
    counts = torch.bincount(subject.labels.flatten(), minlength=len(Tissue)).tolist()
    assert counts == [4508, 1559, 439, 144, 12, 4, 942, 46, 248, 134, 156, 0, 0]
    means = [float(subject.truth[name][subject.roi].mean()) for name in ("t1rho", "t2", "m0")]
    assert [*means, subject.sigma] == pytest.approx([58.7327, 40.0554, 1004.562, 50.2281], rel=1e-5)
    assert subject.images[0, 0, 30, 16:20].tolist() == pytest.approx([919.67, 1008.79, 1000.66, 968.09], abs=0.1)


def test_index_slice_and_iterate():
    cohort = rx.phantom.liver_cohort(5, **SMALL)
    assert len(cohort) == 5
    assert [subject.name for subject in cohort] == ["sub-001", "sub-002", "sub-003", "sub-004", "sub-005"]
    assert_same(cohort[-1], cohort[4])
    assert_same(cohort[np.int64(1)], cohort[1])
    assert_same(cohort[1:4][1], cohort[2])
    assert [subject.index for subject in cohort[::-2]] == [4, 2, 0]
    assert len(cohort[:8]) == 5
    assert cohort[:8] == cohort
    assert pickle.loads(pickle.dumps(cohort)) == cohort  # as the workers of a data loader need it  # noqa: S301


@pytest.mark.parametrize("index", [5, -6])
def test_no_subject_beyond_the_end(index):
    with pytest.raises(IndexError, match=f"subject {index} is not in this cohort of 5"):
        rx.phantom.liver_cohort(5, **SMALL)[index]


@pytest.mark.usefixtures("as_user")  # the check of shapes looks into sequences
def test_nothing_is_simulated_before_it_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(cohort_module, "simulate", lambda _seed, index, **_: asked.append(index))
    cohort = rx.phantom.liver_cohort(10**12)[10**9 :][:3]
    assert len(cohort) == 3
    assert not asked
    _ = cohort[1]
    assert asked == [10**9 + 1]


def test_repr_is_short(noisy):
    assert repr(noisy) == f"<Subject sub-002: liver {noisy.disease}, 2 slices of 96 x 96, 7 images each>"


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_subjects": 0}, "n_subjects=0: .* 1 or more"),
        ({"n_subjects": 2.5}, "n_subjects=2.5: .*whole number"),
        ({"slices": 0}, "slices=0"),
        ({"slices": "3"}, "slices='3'"),
        ({"shape": 64}, "shape=64: give height and width"),
        ({"shape": (64, 64, 3)}, r"shape=\(64, 64, 3\)"),
        ({"shape": (64, 31)}, "shape: its width=31: .* 32 or more"),
        ({"shape": (64.5, 64)}, "shape: its height=64.5"),
        ({"snr": 0}, "snr=0"),
        ({"snr": -3.0}, "snr=-3.0"),
        ({"snr": math.nan}, "snr=nan"),
        ({"snr": None}, "snr=None: .*math.inf for no noise"),
        ({"seed": -1}, "seed=-1: .* 0 or more"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"protocol": rx.Protocol((rx.Contrast("t2star", (1, 2)),))}, r"\['t2star'\].*\('t1rho', 't2'\)"),
        (
            {"protocol": rx.Protocol((rx.Contrast("t2", (5, 9)), rx.Contrast("t1rho", (5, 8))), shared_first=True)},
            "at 5 ms.*shared_first=False",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        rx.phantom.liver_cohort(**arguments)


@pytest.mark.usefixtures("as_user")
def test_a_protocol_is_a_protocol():
    with pytest.raises(TypeError, match=r"protocol='t2' is a str: pass a relaxnet\.Protocol"):
        rx.phantom.liver_cohort(protocol="t2")
