"""A cohort is a lazy sequence; its subjects follow from the seed and their number alone."""

import itertools
import math
import pickle

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.phantom import Tissue, corrupt
from relaxnet.phantom._anatomy.random_fields import Stream, generator

SMALL = {"slices": 1, "shape": (32, 32)}


def assert_same(one, other):
    assert (one.name, one.disease, one.sigma) == (other.name, other.disease, other.sigma)
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.clean, other.clean)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.roi, other.roi)
    torch.testing.assert_close(one.truth, other.truth, equal_nan=True, rtol=0, atol=0)


def test_the_same_seed_gives_the_same_cohort():
    for one, other in zip(*(rx.phantom.liver_cohort(3, seed=7, **SMALL) for _ in range(2)), strict=True):
        assert_same(one, other)


def test_a_subject_does_not_depend_on_the_size_of_its_cohort():
    assert_same(rx.phantom.liver_cohort(2, **SMALL)[1], rx.phantom.liver_cohort(30, **SMALL)[1])


@pytest.mark.parametrize("seeds", [(0, 1), (5, 2**32 + 5), (0, 2**64 - 1)])
def test_seeds_and_subjects_differ(seeds):
    subjects = [subject for seed in seeds for subject in rx.phantom.liver_cohort(2, seed=seed, **SMALL)]
    for one, other in itertools.combinations(subjects, 2):
        assert not torch.equal(one.labels, other.labels)
        assert not torch.equal(one.images, other.images)
        assert one.truth["t2"][one.roi].mean() != other.truth["t2"][other.roi].mean()


def test_the_field_changes_relaxation_times_alone():
    low, high = (rx.phantom.liver_cohort(4, field_tesla=field, **SMALL) for field in (1.5, 3.0))
    assert (low.field_tesla, high.field_tesla) == (1.5, 3.0)
    for one, other in zip(low, high, strict=True):
        assert (one.field_tesla, other.field_tesla) == (1.5, 3.0)
        assert one.disease is other.disease
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.truth["m0"], other.truth["m0"])
        for name in ("t1rho", "t2"):
            assert (one.truth[name][one.roi] > other.truth[name][other.roi]).all()


def test_a_cohort_is_of_3_tesla_unless_told_otherwise():
    assert_same(rx.phantom.liver_cohort(1, **SMALL)[0], rx.phantom.liver_cohort(1, field_tesla=3, **SMALL)[0])


def test_drift():
    # Values of this subject when the phantom was made. Change them only together with a note in the change log.
    subject = rx.phantom.liver_cohort(2, slices=2, shape=(64, 64), seed=0)[1]
    counts = torch.bincount(subject.labels.flatten(), minlength=len(Tissue)).tolist()
    assert counts == [4426, 1685, 468, 154, 14, 4, 905, 52, 241, 94, 107, 0, 0, 10, 2, 2, 3, 19, 6]
    means = [float(subject.truth[name][subject.roi].mean()) for name in ("t1rho", "t2", "m0")]
    assert [*means, subject.sigma] == pytest.approx([58.6887, 39.9914, 1003.3914, 50.1696], rel=1e-5)
    assert subject.images[0, 0, 30, 16:20].tolist() == pytest.approx([937.44, 998.82, 1005.75, 963.63], abs=0.1)


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
def test_nothing_is_simulated_before_access(monkeypatch):
    asked = []
    monkeypatch.setattr(rx.phantom.Cohort, "simulate", lambda _cohort, index: asked.append(index))
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
        ({"seed": -1}, "seed=-1: .* from 0 to"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"protocol": rx.Protocol((rx.Contrast("mtr", (1, 2)),))}, r"\['mtr'\].*\('t1rho', 't2', 't1'"),
        ({"field_tesla": 7}, r"field_tesla=7: .*\(1.5, 3.0\) T"),
        ({"field_tesla": "3T"}, "field_tesla='3T'"),
        (
            {"protocol": rx.Protocol((rx.Contrast("t2", (5, 9)), rx.Contrast("t1rho", (5, 8))), shared_first=True)},
            "common first image at 0 ms.*'t2': 5.0",
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


# --- corruptions ------------------------------------------------------------------------------------------------------

CORRUPTIONS = (rx.phantom.Gain({"t1rho": 2.0, "t2": 3.0}), rx.phantom.Breathing((8.0, 4.0)))


def test_corruptions_change_images_only():
    whole, corrupted, same = (
        rx.phantom.liver_cohort(2, seed=4, corruptions=chosen, **SMALL)[1]
        for chosen in ((), CORRUPTIONS, list(CORRUPTIONS))
    )
    assert_same(corrupted, same)
    for name in ("labels", "roi"):
        assert torch.equal(getattr(corrupted, name), getattr(whole, name))
    torch.testing.assert_close(corrupted.truth, whole.truth, equal_nan=True, rtol=0, atol=0)
    assert corrupted.sigma == whole.sigma
    assert torch.equal(corrupted.clean[:, 0], whole.clean[:, 0])
    assert torch.equal(corrupted.images[:, 0], whole.images[:, 0])  # the same noise
    assert not torch.equal(corrupted.clean[:, 1:], whole.clean[:, 1:])
    expected = corrupt(whole.clean, CORRUPTIONS, whole, generator(4, 1, Stream.CORRUPTIONS))
    assert torch.equal(corrupted.clean, expected)


def test_corruptions_do_not_change_the_noise_level():
    protocol = rx.Protocol((rx.Contrast("t2", (0, 20)),))
    arguments = {"seed": 4, "snr": 10, "protocol": protocol, **SMALL}
    louder = rx.phantom.liver_cohort(1, corruptions=[rx.phantom.Gain({"t2": 5.0})], **arguments)[0]
    assert louder.sigma == rx.phantom.liver_cohort(1, **arguments)[0].sigma
    assert float(louder.clean[:, 0][louder.roi].mean()) / louder.sigma == pytest.approx(50, rel=1e-5)


def test_corruptions_differ_between_subjects():
    cohort = rx.phantom.liver_cohort(2, snr=math.inf, corruptions=[rx.phantom.Breathing((8.0, 0.0))], **SMALL)
    plain = rx.phantom.liver_cohort(2, snr=math.inf, **SMALL)
    rows = torch.arange(32.0)[:, None]
    moved = [
        ((corrupted.images * rows).sum((2, 3)) - (whole.images * rows).sum((2, 3))) / whole.images.sum((2, 3))
        for corrupted, whole in zip(cohort, plain, strict=True)
    ]
    assert (moved[0] - moved[1]).abs().max() > 0.05
    assert cohort[:1].corruptions == cohort.corruptions
    assert pickle.loads(pickle.dumps(cohort)) == cohort  # noqa: S301


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("corruptions", "message"),
    [
        (rx.phantom.Breathing(), r"corruptions=Breathing\("),
        (None, "corruptions=None"),
        ([rx.phantom.Breathing], "corruptions: <class"),
        (["breathing"], "corruptions: 'breathing'"),
        ("breathing", "corruptions: 'b'"),
    ],
)
def test_bad_corruptions_are_named(corruptions, message):
    with pytest.raises(TypeError, match=message):
        rx.phantom.liver_cohort(corruptions=corruptions)


CONTRASTS = {
    "t1": rx.Contrast("t1", (50, 200, 600, 1500, 4000), rx.signals.InversionRecovery()),
    "signed t1": rx.Contrast("t1", (50, 600, 1500, 4000), rx.signals.InversionRecovery(magnitude=False)),
    "flip angles": rx.Contrast("t1", (2, 5, 10, 15), rx.signals.VariableFlipAngle(5.0)),
    "stretched": rx.Contrast("t2", (0, 10, 30, 50), rx.signals.StretchedExponential(0.8)),
    "t2star": rx.Contrast("t2star", (2, 6, 12, 20)),
    "adc": rx.Contrast("adc", (0, 200, 400, 800), rx.signals.Diffusion()),
}


@pytest.mark.parametrize("contrast", CONTRASTS.values(), ids=CONTRASTS)
def test_images_obey_the_signal_model_of_their_contrast(contrast):
    cohort = rx.phantom.liver_cohort(1, 1, (48, 48), snr=math.inf, protocol=rx.Protocol((contrast,)))
    subject = cohort[0]
    truth = subject.truth[contrast.name][subject.roi]
    assert torch.isfinite(truth).all()
    images = contrast.model(subject.truth["m0"][subject.roi], truth, contrast)
    measured = subject.clean.movedim(1, -1)[subject.roi]
    torch.testing.assert_close(measured, images, rtol=0.01, atol=10.0)  # of an amplitude of 1000: texture, near a null
    noisy = rx.phantom.liver_cohort(1, 1, (48, 48), snr=20, protocol=rx.Protocol((contrast,)))[0]
    assert bool((noisy.images < 0).any()) == contrast.model.signed
