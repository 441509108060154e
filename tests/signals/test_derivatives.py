"""Derivatives that models give by hand, against those of torch."""

import pytest
import torch

import relaxnet as rx
from relaxnet import signals

MODELS = {
    "decay": signals.MonoExponential(),
    "stretched": signals.StretchedExponential(0.7),
    "offset": signals.MonoExponentialWithOffset(),
    "diffusion": signals.Diffusion(),
    "inversion": signals.InversionRecovery(efficiency=0.8, magnitude=False),
    "inversion within TR": signals.InversionRecovery(efficiency=0.8, tr_ms=2500.0, magnitude=False),
    "saturation": signals.SaturationRecovery(efficiency=0.9),
    "saturation within TR": signals.SaturationRecovery(efficiency=0.9, tr_ms=1800.0),
    "flip angles": signals.VariableFlipAngle(tr_ms=5.0),
    "short TR": signals.VariableFlipAngle(tr_ms=0.5),
}


@pytest.mark.parametrize("name", MODELS)
def test_they_are_those_of_torch_with_respect_to_the_logarithm(name):
    model = MODELS[name]
    typical = model.parameter.typical
    x = torch.log(typical * torch.logspace(-0.5, 0.5, 7, dtype=torch.float64))[None].repeat(5, 1).requires_grad_()
    scale = {"flip angle": 10.0, "b-value": 1 / typical}.get(model.axis.name, typical)
    time = (scale * torch.linspace(0.1, 2, 5, dtype=torch.float64))[:, None]
    value, first, second = model.basis_with_derivatives(torch.exp(x), time)
    basis = model.basis(torch.exp(x), time)
    (slope,) = torch.autograd.grad(basis.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    torch.testing.assert_close(value, basis)
    torch.testing.assert_close(first, slope, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(second, curvature, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("tr_ms", [0.0, -5.0, float("inf"), float("nan")])
def test_a_repetition_time_is_positive(tr_ms):
    with pytest.raises(ValueError, match="tr_ms="):
        rx.signals.VariableFlipAngle(tr_ms=tr_ms)


class WithoutDerivatives(rx.signals.SignalModel):
    """A mono-exponential whose automatic derivatives are not finite at short times."""

    def basis(self, t, time):
        rate = torch.where(time < 5, torch.sqrt((1 / t - 1 / t.detach()).clamp(min=0)) * 0 + 1 / t, 1 / t)
        return torch.exp(-time * rate)


def test_derivatives_that_are_not_finite_are_differences():
    t, time = torch.tensor([[30.0], [80.0]]).double(), torch.tensor([[1.0, 4.0, 20.0]]).double()
    found = WithoutDerivatives().basis_with_derivatives(t, time)
    exact = rx.signals.MonoExponential().basis_with_derivatives(t, time)
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_differentiable_basis_has_two_derivatives(model):
    t = torch.tensor([[700.0]], dtype=torch.float64, requires_grad=True)
    time = torch.tensor([[10.0, 40.0]], dtype=torch.float64)
    value = model.differentiable_basis(t, time)
    exact, first, second = model.basis_with_derivatives(t.detach(), time)
    torch.testing.assert_close(value, exact)
    (slope,) = torch.autograd.grad(value.sum(), t, create_graph=True)
    torch.testing.assert_close(slope * t, first.sum(1, keepdim=True))
    (curvature,) = torch.autograd.grad((slope * t).sum(), t, create_graph=True)
    torch.testing.assert_close(curvature * t, second.sum(1, keepdim=True))


def test_a_third_derivative_is_refused():
    t = torch.tensor([[700.0]], dtype=torch.float64, requires_grad=True)
    angle = torch.tensor([[10.0]], dtype=torch.float64)
    found = signals.VariableFlipAngle(tr_ms=5.0).differentiable_basis(t, angle).sum()
    for _ in range(2):
        (found,) = torch.autograd.grad(found, t, create_graph=True)
    with pytest.raises(NotImplementedError, match="third derivatives"):
        torch.autograd.grad(found, t)
