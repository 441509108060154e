"""The public batteries of laws: all of ours pass, and what is wrong with one that fails is said in one line."""

import pytest
import torch

import relaxnet as rx
from relaxnet import fitting, losses, signals, testing

DECAY_MS = (0, 10, 30, 50, 80)
RECOVERY_MS = (50, 200, 600, 1500, 4000)
OURS = [
    (signals.MonoExponential(), DECAY_MS),
    (signals.MonoExponentialWithOffset(), (*DECAY_MS, 150)),
    (signals.StretchedExponential(0.6), DECAY_MS),
    (signals.InversionRecovery(), RECOVERY_MS),
    (signals.InversionRecovery(efficiency=0.9), RECOVERY_MS),
    (signals.InversionRecovery(magnitude=False), RECOVERY_MS),
    (signals.SaturationRecovery(), RECOVERY_MS),
    (signals.SaturationRecovery(efficiency=0.8), RECOVERY_MS),
    (signals.VariableFlipAngle(tr_ms=15.0), (2, 5, 10, 15, 20)),
    (signals.Diffusion(), (0, 200, 400, 800)),
]


@pytest.mark.parametrize(("model", "times"), OURS, ids=[repr(model) for model, _ in OURS])
def test_every_model_passes(model, times):
    testing.check_signal_model(model, times)


def test_a_model_with_one_method_passes():
    class Own(signals.SignalModel):
        def basis(self, t, time):
            return torch.exp(-((time / t) ** 0.8))

    testing.check_signal_model(Own(), DECAY_MS)


def test_every_estimator_passes():
    for method in fitting.METHODS:
        testing.check_estimator(method, **({"sigma": 0.5} if method == "rician" else {}))


def test_every_weighting_passes():
    for choice in losses.WEIGHTINGS.values():
        kind = choice.load()
        testing.check_weighting(lambda n, kind=kind, options=choice.options: kind.for_tasks(n, **options))


class Decay(signals.SignalModel):
    def basis(self, t, time):
        return torch.exp(-time / t)


class WrongDerivative(Decay):
    def basis_with_derivatives(self, t, time):
        value, first, second = super().basis_with_derivatives(t, time)
        return value, 1.1 * first, second


class NoTime(Decay):
    def basis(self, t, time):
        return torch.ones_like(time * t)


class NotFinite(Decay):
    def basis(self, t, time):
        return time / t / (time / t)


class OfOneShape(Decay):
    def basis(self, t, time):
        return super().basis(t, time).sum(0)


class Broken(Decay):
    def basis(self, t, time):
        return torch.from_numpy(super().basis(t, time).numpy())


class Coupled(Decay):
    def basis(self, t, time):
        return torch.exp(-time / t.mean()).expand(torch.broadcast_shapes(t.shape, time.shape))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (WrongDerivative, "the first derivative by log t is not that of finite differences"),
        (NoTime, "does not depend on t"),
        (NotFinite, "not finite at every time"),
        (OfOneShape, "broadcast them"),
        (Broken, "computing its derivatives raises RuntimeError: .*requires grad"),
        (Coupled, "depends on the others"),
    ],
)
def test_a_wrong_model_is_told_what_is_wrong(model, message):
    with pytest.raises(AssertionError, match=f"^{model.__name__}: .*{message}") as caught:
        testing.check_signal_model(model(), DECAY_MS)
    assert len(str(caught.value).splitlines()) == 1


def of_all(signal, times, **options):
    """A fit whose voxels know of each other."""
    return rx.fit(signal - 0.1 * signal.mean(0), times, **options)


def of_zeros(signal, times, **options):
    """A fit that takes a missing sample for a dark one."""
    signal = torch.as_tensor(signal)
    return rx.fit(torch.where(torch.isnan(signal[:, 1:2]), 1e-3, signal).numpy(), times, **options)


@pytest.mark.parametrize(("method", "message"), [(of_all, "do not give their T"), (of_zeros, "")])
def test_a_wrong_estimator_is_told_what_is_wrong(method, message):
    with pytest.raises(AssertionError, match=f"^{method.__name__}: .*{message}"):
        testing.check_estimator(method)


class WithoutGradient(losses.FixedWeights):
    def combine(self, means):
        return super().combine(means).detach()


class Unsaved(losses.TaskWeighting):
    """Its weights are no buffer."""

    def __init__(self, n_tasks):
        super().__init__(n_tasks)
        self.now = torch.ones(n_tasks)

    @property
    def weights(self):
        return self.now

    def combine(self, means):
        self.now = 1 / means.detach()
        return means * self.now

    def reset(self):
        self.now = torch.ones(self.n_tasks)


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda n: WithoutGradient((1.0,) * n), "WithoutGradient: the residual"), (Unsaved, "Unsaved: its state")],
)
def test_a_wrong_weighting_is_told_what_is_wrong(make, message):
    with pytest.raises(AssertionError, match=message):
        testing.check_weighting(make)
