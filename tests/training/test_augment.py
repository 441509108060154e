import pytest
import torch

import relaxnet as rx
from relaxnet.training._augment import random_affine, shift_rates, undo_rate_shift


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def blob(height, width, row, column):
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8.0)


def centre(image):
    rows, columns = torch.meshgrid(torch.arange(image.shape[0]), torch.arange(image.shape[1]), indexing="ij")
    return torch.stack([(rows * image).sum(), (columns * image).sum()]) / image.sum()


def test_nothing_random_is_nothing_done():
    images = torch.rand(3, 7, 20, 30)
    same = random_affine(images, max_degrees=0, max_shift=0, generator=generator())
    torch.testing.assert_close(same, images, rtol=1e-4, atol=1e-5)


def test_images_of_a_subject_move_together_and_subjects_apart():
    images = blob(40, 40, 20, 24).expand(5, 7, 40, 40)
    moved = random_affine(images, max_degrees=10, max_shift=0.1, generator=generator())
    assert (moved == moved[:, :1]).all()
    assert not torch.allclose(moved[0], moved[1], atol=0.05)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (40, 60)])
def test_a_rotation_keeps_distances(height, width):
    middle = torch.tensor([(height - 1) / 2, (width - 1) / 2])
    images = blob(height, width, height / 2 + 5, width / 2 + 5).expand(20, 1, height, width)
    moved = random_affine(images, max_degrees=40, max_shift=0, generator=generator())
    distances = torch.stack([(centre(image[0]) - middle).norm() for image in moved])
    torch.testing.assert_close(distances, (centre(images[0, 0]) - middle).norm().expand(20), rtol=0.01, atol=0)
    angles = [torch.atan2(*(centre(image[0]) - middle)) for image in moved]
    assert torch.stack(angles).std() > 0.2


def test_a_translation_stays_within_its_limit():
    images = blob(40, 60, 20, 30).expand(50, 1, 40, 60)
    moved = random_affine(images, max_degrees=0, max_shift=0.1, generator=generator())
    shifts = torch.stack([centre(image[0]) for image in moved]) - centre(images[0, 0])
    largest = shifts.abs().amax(0)
    assert (largest <= torch.tensor([4.0, 6.0]) * 1.01).all()
    assert (largest > torch.tensor([3.0, 4.5])).all()


def test_the_seed_decides():
    images = torch.rand(3, 2, 20, 30)
    first, second, other = (
        random_affine(images, max_degrees=5, max_shift=0.1, generator=generator(s)) for s in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("inputs", [(0, 1, 2, 3, 4, 5, 6), (0, 2, 5), (6, 1)])
def test_shifted_images_are_those_of_a_higher_rate(inputs):
    protocol = rx.protocols.LIVER_T1RHO_T2
    times = torch.tensor([0.0, 10, 30, 50, 18.2, 34.6, 51])
    task = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    rates, shifts = 1 / torch.tensor([[45.0, 34.0], [60.0, 80.0]]), torch.tensor([[0.006, -0.004], [-0.01, 0.002]])

    def images(rates):
        return torch.exp(-rates[:, task] * times)[:, inputs, None, None]

    torch.testing.assert_close(shift_rates(images(rates), shifts, protocol, inputs), images(rates + shifts))
    back = undo_rate_shift(1 / (rates + shifts)[..., None, None], shifts, protocol)
    torch.testing.assert_close(1 / back[..., 0, 0], rates)


def test_undoing_a_shift_never_leaves_what_can_be():
    t = torch.tensor([400.0, 5.0]).reshape(1, 2, 1, 1)
    maps = undo_rate_shift(t, torch.tensor([[0.01, -0.01]]), rx.protocols.LIVER_T1RHO_T2)
    assert (maps > 0).all()
    assert (maps <= 1000).all()


@pytest.mark.parametrize(
    "model", [rx.signals.StretchedExponential(0.7), rx.signals.Diffusion(), rx.signals.MonoExponential()], ids=repr
)
def test_rates_of_every_decay_can_be_shifted(model):
    contrast = rx.Contrast("x", (0, 20, 60, 100), model=model)
    protocol, typical = rx.Protocol((contrast,)), torch.tensor(model.parameter.typical)
    rate, shift = model.rate(typical), 0.2 * model.rate(typical)
    m0 = torch.ones(1, 4, 4)
    images = model(m0, typical.expand(1, 4, 4), contrast)
    shifted = shift_rates(images, shift.reshape(1, 1), protocol, range(4))
    torch.testing.assert_close(shifted, model(m0, model.from_rate(rate + shift).expand(1, 4, 4), contrast))
    back = undo_rate_shift(model.from_rate(rate + shift).expand(1, 1, 4, 4), shift.reshape(1, 1), protocol)
    torch.testing.assert_close(back, typical.expand(1, 1, 4, 4))


def test_rates_of_a_model_that_has_none_are_not_shifted():
    t1 = rx.Protocol((rx.Contrast("t1", (50, 200, 600), model=rx.signals.InversionRecovery.ideal()),))
    with pytest.raises(ValueError, match=r"rate_shift: contrast 't1' has the model InversionRecovery.*rate_shift=0"):
        shift_rates(torch.ones(1, 3, 4, 4), torch.zeros(1, 1), t1, range(3))
    with pytest.raises(ValueError, match="rate_shift: contrast 't1'"):
        rx.training.train(
            [torch.rand(1, 3, 32, 32)] * 2, t1, loss="paper", inputs="short", progress=False, validation=0
        )
