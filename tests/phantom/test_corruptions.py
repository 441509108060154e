"""Each corruption changes what it simulates, and nothing else."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.phantom import Breathing, Corruption, Gain, ResidualFat, SpinLockError, Tissue, corrupt, corrupted
from relaxnet.phantom._corruptions import shift

ALL = [Gain({"t1rho": 2.0}), Breathing(), SpinLockError(), ResidualFat(0.1)]


def rng(seed=0):
    return np.random.default_rng(seed)


def unshared():
    protocol = rx.Protocol((rx.Contrast("t1rho", (1, 10, 30)), rx.Contrast("t2", (10, 20, 40))))
    return rx.phantom.liver_cohort(1, slices=1, shape=(64, 64), protocol=protocol)[0]


@pytest.mark.parametrize("corruption", ALL, ids=lambda c: type(c).__name__)
def test_laws_of_all(noisy, corruption):
    assert isinstance(corruption, Corruption)
    before = noisy.clean.clone()
    one, two = (corruption(noisy.clean, noisy, rng()) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(noisy.clean, before)
    assert (one >= 0).all()
    assert torch.isfinite(one).all()
    assert not torch.equal(one, noisy.clean)
    torch.testing.assert_close(one[:, 0], noisy.clean[:, 0])  # an image at 0 ms that is shared
    assert corruption == dataclasses.replace(corruption)


@pytest.mark.parametrize(
    "corruption", [Gain({}), Gain({"t2": 1.0}), Breathing((0, 0)), SpinLockError(b0_hz=0, b1=0.5), ResidualFat(0.0)]
)
def test_a_corruption_of_size_zero_changes_nothing(noisy, corruption):
    torch.testing.assert_close(corruption(noisy.clean, noisy, rng()), noisy.clean, rtol=0, atol=0)


def test_corruptions_are_applied_in_order(noisy):
    streams = rng(3).spawn(2)
    expected = Breathing()(ResidualFat(0.1)(noisy.clean, noisy, streams[0]), noisy, streams[1])
    assert torch.equal(corrupt(noisy.clean, (ResidualFat(0.1), Breathing()), noisy, rng(3)), expected)
    assert torch.equal(corrupt(noisy.clean, [], noisy, rng()), noisy.clean)


def test_a_second_acquisition_of_a_subject(noisy):
    again, same, other = (corrupted(noisy, [Breathing()], seed=seed) for seed in (1, 1, 2))
    assert torch.equal(again.images, same.images)
    assert not torch.equal(again.images, other.images)
    assert not torch.equal(corrupted(noisy, [], seed=1).images, noisy.images)
    assert (again.name, again.sigma) == (noisy.name, noisy.sigma)
    assert again.truth is noisy.truth
    noise = corrupted(noisy, [], seed=1).images[:, 0] - noisy.clean[:, 0]
    assert float(noise[noisy.roi].std()) == pytest.approx(noisy.sigma, rel=0.1)


def test_gain_scales_a_contrast_and_leaves_the_shared_image(noisy):
    images = Gain({"t2": 100.0})(noisy.clean, noisy, rng())
    assert torch.equal(images[:, :4], noisy.clean[:, :4])
    torch.testing.assert_close(images[:, 4:], 100 * noisy.clean[:, 4:])
    alone = unshared()
    images = Gain({"t2": 3.0})(alone.clean, alone, rng())
    torch.testing.assert_close(images[:, 3:], 3 * alone.clean[:, 3:])


def test_a_shift_by_whole_pixels_moves_the_picture(noisy):
    by = torch.zeros(*noisy.clean.shape[:2], 2)
    by[:, 1:] = torch.tensor([3.0, -2.0])
    images = shift(noisy.clean, by)
    expected = torch.roll(noisy.clean, (3, -2), dims=(2, 3))
    torch.testing.assert_close(images[:, 1:, 4:-4, 4:-4], expected[:, 1:, 4:-4, 4:-4], rtol=1e-4, atol=0.2)
    assert torch.equal(images[:, 0], noisy.clean[:, 0])
    assert (images[:, 1:, :2] == 0).all()


def test_breathing_shifts_each_image_by_no_more_than_allowed(noisy):
    """The shift is measured by centres of mass."""
    images = Breathing((12.0, 6.0))(noisy.clean, noisy, rng(1))

    def centre(stack):
        weight = stack / stack.sum((-2, -1), keepdim=True)
        rows, columns = (torch.arange(n, dtype=torch.float32) for n in stack.shape[-2:])
        return torch.stack([(weight.sum(-1) * rows).sum(-1), (weight.sum(-2) * columns).sum(-1)], -1)

    moved_mm = (centre(images) - centre(noisy.clean)) * noisy.voxel_mm[1]
    assert (moved_mm[:, 1:].abs() < torch.tensor([12.5, 6.5])).all()
    assert len(moved_mm[:, 1:].flatten().round(decimals=2).unique()) == moved_mm[:, 1:].numel()


def test_breathing_of_one_contrast_moves_it_as_in_all(noisy):
    t2, both = (Breathing(contrasts=c)(noisy.clean, noisy, rng()) for c in (("t2",), None))
    assert torch.equal(t2[:, :4], noisy.clean[:, :4])
    assert torch.equal(t2[:, 4:], both[:, 4:])


def test_a_tilted_lock_is_measured_as_another_t1rho(noise_free):
    error = SpinLockError(b1=0.8, b0_hz=150, lock_hz=400, t1_ms=800)
    theta = math.atan2(0.8 * 400, 150)
    assert error.effective_ms(40.0) == pytest.approx(1 / (math.sin(theta) ** 2 / 40 + math.cos(theta) ** 2 / 800))
    images = error(noise_free.clean, noise_free, rng())
    found = rx.fit(images[:, :4], noise_free.protocol.contrasts[0]).maps["t1rho"][noise_free.roi]
    truth = noise_free.truth["t1rho"][noise_free.roi]
    torch.testing.assert_close(found, error.effective_ms(truth), rtol=1e-3, atol=0)  # voxels hold four points
    assert torch.equal(images[:, 4:], noise_free.clean[:, 4:])
    assert (found > truth).all()


def test_a_tilted_lock_changes_a_first_image_that_is_not_at_zero():
    subject = unshared()
    ratio = SpinLockError(b0_hz=200)(subject.clean, subject, rng())[:, :3] / subject.clean[:, :3]
    times = torch.tensor(subject.protocol.contrasts[0].times_ms)
    rate = ratio[:, :, subject.roi[0]].log() / times[:, None]
    torch.testing.assert_close(rate[:, 0], rate[:, 2], rtol=1e-3, atol=1e-5)
    assert (rate > 0).all()


def test_fat_adds_a_slower_decay_to_the_liver(noise_free):
    images = ResidualFat(0.2)(noise_free.clean, noise_free, rng())
    liver = noise_free.labels == int(Tissue.LIVER)
    assert torch.equal(images.movedim(1, -1)[~liver], noise_free.clean.movedim(1, -1)[~liver])
    m0, t2 = (noise_free.truth[name][noise_free.roi] for name in ("m0", "t2"))
    expected = m0 * (0.8 * torch.exp(-51.0 / t2) + 0.2 * math.exp(-51.0 / 68.0))
    torch.testing.assert_close(images[:, 6][noise_free.roi], expected, rtol=1e-3, atol=1e-2)
    found = rx.fit(images[:, (0, 4, 5, 6)], noise_free.protocol.contrasts[1]).maps["t2"][noise_free.roi]
    assert (found > t2).float().mean() > 0.99
    everywhere = ResidualFat(1.0, tissues=(Tissue.LIVER, Tissue.SPLEEN))(noise_free.clean, noise_free, rng())
    found = rx.fit(everywhere[:, :4], noise_free.protocol.contrasts[0]).maps["t1rho"][noise_free.roi]
    torch.testing.assert_close(found, torch.full_like(found, 88.4), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (Gain, {"factors": {"t2": 0.0}}, "t2=0.0"),
        (Gain, {"factors": {"t2": math.nan}}, "t2=nan"),
        (Breathing, {"shift_mm": (-1.0, 0.0)}, "shift_mm"),
        (Breathing, {"shift_mm": (math.nan, 0.0)}, "shift_mm"),
        (SpinLockError, {"b1": 0.0}, "b1=0.0"),
        (SpinLockError, {"lock_hz": -1.0}, "lock_hz"),
        (SpinLockError, {"t1_ms": math.inf}, "t1_ms"),
        (SpinLockError, {"b0_hz": math.nan}, "b0_hz"),
        (ResidualFat, {"fraction": 1.5}, "fraction=1.5"),
        (ResidualFat, {"fraction": 0.5, "t_ms": {}}, "t_ms"),
        (ResidualFat, {"fraction": 0.5, "t_ms": {"t2": 68.0, "t1rho": 0.0}}, "t_ms"),
    ],
)
def test_bad_arguments_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


def test_an_unknown_contrast_is_refused(noisy):
    with pytest.raises(ValueError, match="t2star"):
        Gain({"t2star": 2.0})(noisy.clean, noisy, rng())


def test_an_unsupported_protocol_is_refused(noise_free):
    with pytest.raises(ValueError, match=r"t_ms=.* lacks 't1rho'"):
        ResidualFat(0.5, t_ms={"t2": 68.0})(noise_free.clean, noise_free, rng())
    stretched = rx.Contrast("t1rho", (0, 10, 30, 50), rx.signals.StretchedExponential(0.8))
    subject = rx.phantom.liver_cohort(1, 1, (32, 32), protocol=rx.Protocol((stretched,)))[0]
    with pytest.raises(ValueError, match=r"SpinLockError: .*StretchedExponential.*MonoExponential\(\) alone"):
        corrupted(subject, [SpinLockError()])
