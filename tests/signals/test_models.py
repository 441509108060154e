import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relaxnet as rx
from relaxnet.signals import SignalModel

relaxation_ms = st.floats(1.0, 2000.0)
time_ms = st.floats(0.0, 200.0)
model = rx.signals.MonoExponential()


class Automatic(SignalModel):
    """The same decay without its closed forms."""

    def basis(self, t, time):
        return torch.exp(-time / t)


def number(value):
    return torch.tensor([value], dtype=torch.float64)


@given(relaxation_ms, time_ms, time_ms)
def test_two_intervals_multiply(t, a, b):
    both = model.basis(number(t), number(a + b))
    torch.testing.assert_close(model.basis(number(t), number(a)) * model.basis(number(t), number(b)), both)


@given(relaxation_ms, time_ms, st.floats(0.1, 10))
def test_units_do_not_matter(t, time, factor):
    torch.testing.assert_close(
        model.basis(number(t * factor), number(time * factor)), model.basis(number(t), number(time))
    )


@given(relaxation_ms, time_ms)
def test_closed_derivatives_are_the_automatic_ones(t, time):
    closed, automatic = (
        model.basis_with_derivatives(number(t), number(time)),
        Automatic().basis_with_derivatives(number(t), number(time)),
    )
    torch.testing.assert_close(closed, automatic, rtol=1e-9, atol=1e-12)


def test_automatic_derivatives_are_those_of_finite_differences():
    x, h, time = (
        torch.tensor([3.0, 4.0], dtype=torch.float64),
        1e-4,
        torch.tensor([[10.0], [30.0]], dtype=torch.float64),
    )
    low, mid, high = (Automatic().basis(torch.exp(x + d), time) for d in (-h, 0.0, h))
    value, first, second = Automatic().basis_with_derivatives(torch.exp(x), time)
    torch.testing.assert_close(value, mid)
    torch.testing.assert_close(first, (high - low) / (2 * h), rtol=1e-6, atol=0)
    torch.testing.assert_close(second, (high - 2 * mid + low) / h**2, rtol=1e-4, atol=0)


@pytest.mark.parametrize("space", [(), (5,), (4, 3), (2, 4, 3)])
def test_images_have_the_time_axis_second(space):
    m0, t = torch.rand(2, *space) + 1, torch.rand(2, *space) * 50 + 10
    images = model(m0, t, (0, 10, 30))
    assert images.shape == (2, 3, *space)
    torch.testing.assert_close(images[:, 0], m0)
    torch.testing.assert_close(images[:, 2], m0 * torch.exp(-30 / t))


def test_one_time_repeated_times_and_no_time_can_be_simulated():
    m0, t = torch.ones(3), torch.full((3,), 50.0)
    assert model(m0, t, (0,)).tolist() == [[1.0]] * 3
    assert model(m0, t, (50, 50)).shape == (3, 2)
    assert model(m0, t, ()).shape == (3, 0)
    with pytest.raises(ValueError, match="look like seconds"):
        model(m0, t, (0.05,))


def test_simulation_has_a_gradient():
    m0 = torch.rand(3, dtype=torch.float64, requires_grad=True)
    t = (torch.rand(3, dtype=torch.float64) * 50 + 10).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: model(a, b, (0, 10, 30)), (m0, t))


def test_rising_signals_contradict_a_decay_and_flat_ones_do_not():
    time = torch.tensor([[0.0], [10.0], [30.0], [50.0]])
    signal = torch.tensor([[4.0, 4.0, 1.0], [3.0, 4.0, 2.0], [2.0, 4.0, 3.0], [1.0, 4.0, 4.0]])
    assert model.is_incompatible(signal, torch.ones(4, 1), time).tolist() == [False, False, True]
    assert Automatic().is_incompatible(signal, torch.ones(4, 1), time).tolist() == [False, False, False]


def test_a_contrast_gives_its_times():
    m0, t = torch.tensor([100.0]), torch.tensor([45.0])
    contrast = rx.Contrast("t1rho", (0, 10, 30, 50))
    torch.testing.assert_close(model(m0, t, contrast), model(m0, t, contrast.times_ms))


def test_an_inversion_time_below_1_ms_has_its_null_too():
    nulls = rx.signals.InversionRecovery(magnitude=True).non_smooth_points(torch.tensor([0.0, 0.5, 1.0, 200.0]))
    torch.testing.assert_close(nulls, torch.tensor([0.5, 1.0, 200.0]) / math.log(2))


@pytest.mark.parametrize(
    "model", [rx.signals.MonoExponential(), rx.signals.StretchedExponential(0.7), rx.signals.Diffusion()], ids=repr
)
@pytest.mark.parametrize("first_time", [0.0, 20.0, 900.0])
def test_a_search_is_kept_where_the_first_image_has_not_vanished(model, first_time):
    """It ends where the first image is e^-40 of the amplitude, if that is within the bounds and leaves half of them."""
    bounds = (1e-3, 1e3)
    found = model.search_bounds(bounds, first_time)
    assert bounds[0] <= found[0] < found[1] <= bounds[1]
    for end, usual, room in zip(found, bounds, (bounds[1] / 2, 2 * bounds[0]), strict=True):
        first = model.basis(torch.tensor(end, dtype=torch.float64), torch.tensor(first_time, dtype=torch.float64))
        if end not in (usual, room):
            assert float(first) == pytest.approx(math.exp(-40), rel=1e-6)
        elif end == usual:
            assert float(first) >= math.exp(-40)
    if first_time == 20.0:
        assert found != bounds  # so there is something to see
