"""Models other than the plain decay, against scipy from the best point of a fine grid."""

import numpy as np
import pytest
import scipy.optimize
import torch

import relaxnet as rx
from relaxnet import FitStatus
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.projection import grid_of
from relaxnet.signals import (
    InversionRecovery,
    MonoExponential,
    MonoExponentialWithOffset,
    SaturationRecovery,
    SignalModel,
)

INVERSION_MS = np.array([50.0, 150, 400, 800, 1500, 3000])
ECHO_MS = np.array([0.0, 10, 20, 40, 80, 160])
BOUNDS = (5.0, 5000.0)


class Automatic(SignalModel):
    """A decay that leaves its derivatives to autograd."""

    def basis(self, t, time):
        return torch.exp(-time / t)


CASES = {
    "plain": (MonoExponential(), ECHO_MS),
    "automatic": (Automatic(), ECHO_MS),
    "offset": (MonoExponentialWithOffset(), ECHO_MS),
    "ideal inversion": (InversionRecovery.ideal(), INVERSION_MS),
    "signed ideal inversion": (InversionRecovery.ideal(magnitude=False), INVERSION_MS),
    "ideal saturation": (SaturationRecovery.ideal(), INVERSION_MS),
    "signed inversion": (InversionRecovery(magnitude=False), INVERSION_MS),
    "saturation": (SaturationRecovery(), INVERSION_MS),
}
cases = pytest.mark.parametrize(("model", "times"), CASES.values(), ids=CASES.keys())
FOLDED = {
    "inversion": (InversionRecovery(), INVERSION_MS),
    "inversion within TR": (InversionRecovery(tr_ms=3500), INVERSION_MS),
}
and_folded = pytest.mark.parametrize(("model", "times"), (CASES | FOLDED).values(), ids=(CASES | FOLDED).keys())


def evaluate(model, times, parameters):
    t, time = torch.tensor(parameters[1]), torch.from_numpy(times)
    signal = parameters[0] * model.unfolded.basis(t, time).numpy() + (parameters[2] if model.has_offset else 0)
    return signal if model.unfolded is model else np.abs(signal)


def simulate(model, times, n, snr, seed=0):
    g = np.random.default_rng(seed)
    truth = [g.uniform(50, 150, n), np.exp(g.uniform(np.log(15), np.log(120), n))]
    if times is INVERSION_MS:
        truth[1] *= 10
    if model.has_offset:
        truth.append(g.uniform(0, 30, n))
    truth = np.array(truth).T
    clean = np.array([evaluate(model, times, p) for p in truth])
    return truth, clean + g.normal(0, 100 / snr, clean.shape) if np.isfinite(snr) else clean


@and_folded
def test_truth_is_recovered_without_noise(model, times):
    truth, signal = simulate(model, times, 50, np.inf)
    result = rx.fitting.nlls(signal, times, model=model)
    assert result.ok.all()
    names = ("m0", "t", "offset")[: truth.shape[1]]
    assert tuple(result.maps) == names
    for name, expected in zip(names, truth.T, strict=True):
        np.testing.assert_allclose(result.maps[name], expected, rtol=1e-6, atol=1e-6)


def best_of_a_grid(model, times, voxel):
    """Try 2000 T; for each, amplitude and offset are those of linear least squares."""
    t = np.geomspace(*BOUNDS, 2000)
    basis = evaluate(model, times, (1.0, t[:, None], 0.0))
    shape, wanted = (x - x.mean(-1, keepdims=True) if model.has_offset else x for x in (basis, voxel))
    m0 = np.maximum((shape @ wanted) / (shape**2).sum(-1), 0)
    offset = (voxel - m0[:, None] * basis).mean(-1) if model.has_offset else np.zeros(len(t))
    k = ((voxel - m0[:, None] * basis - offset[:, None]) ** 2).sum(-1).argmin()
    return m0[k], t[k], offset[k]


@cases
@pytest.mark.parametrize("snr", [5, 50])
def test_no_point_of_a_grid_leads_scipy_to_a_better_optimum(model, times, snr):
    truth, signal = simulate(model, times, 12, snr, seed=snr)
    result = rx.fitting.nlls(signal, times, model=model, bounds=BOUNDS)
    n_parameters = truth.shape[1]
    lower, upper = (np.array([0, BOUNDS[0], -np.inf]), np.array([np.inf, BOUNDS[1], np.inf]))
    assert (result.status <= FitStatus.AT_BOUND).sum() > 3
    for k, voxel in enumerate(signal):
        if result.status[k] > FitStatus.AT_BOUND:
            continue
        found = [result.maps[name][k] for name in result.maps]
        ours = ((voxel - evaluate(model, times, found)) ** 2).sum()
        start = best_of_a_grid(model, times, voxel)[:n_parameters]
        assert ours <= ((voxel - evaluate(model, times, start)) ** 2).sum() * (1 + 1e-9)
        theirs = scipy.optimize.least_squares(
            lambda p, s=voxel: s - evaluate(model, times, p),
            np.clip(start, lower[:n_parameters] + 1e-6, upper[:n_parameters] - 1e-6),
            bounds=(lower[:n_parameters], upper[:n_parameters]),
            x_scale=(100, 100, 10)[:n_parameters],
        )
        assert ours <= 2 * theirs.cost * (1 + 1e-6)


@and_folded
def test_covariance_is_that_of_curve_fit(model, times):
    _, signal = simulate(model, times, 12, 100, seed=3)
    for sigma in (None, 1.5):
        result = rx.fitting.nlls(signal, times, model=model, sigma=sigma)
        assert result.ok.all()
        for k, voxel in enumerate(signal):
            found = np.array([result.maps[name][k] for name in result.maps])
            noise = None if sigma is None else np.full(len(times), sigma)
            _, cov = scipy.optimize.curve_fit(
                lambda _, *p: evaluate(model, times, np.array(p)),
                times,
                voxel,
                p0=found,
                sigma=noise,
                absolute_sigma=sigma is not None,
            )
            np.testing.assert_allclose(result.cov[..., k], cov, rtol=2e-3, atol=1e-6)


def test_an_offset_needs_three_samples():
    signal = np.array([[100.0, 60, np.nan, np.nan], [100.0, 60, 40, np.nan]])
    result = rx.fitting.nlls(signal, (0, 10, 20, 40), model=MonoExponentialWithOffset())
    assert [FitStatus(s).name for s in result.status] == ["TOO_FEW_SAMPLES", "CONVERGED"]
    assert np.isnan(result.cov[..., 1]).all()


@pytest.mark.parametrize("voxel", [(5.0, 5, 5, 5), (1.0, 2, 3, 4)])
def test_a_constant_or_rising_signal_has_no_decay_above_an_offset(voxel):
    result = rx.fitting.nlls(np.array([voxel]), (0, 10, 20, 40), model=MonoExponentialWithOffset())
    assert FitStatus(result.status[0]) is FitStatus.NO_DECAY


def test_offsets_are_for_models_that_have_one():
    with pytest.raises(ValueError, match="offset is given"):
        MonoExponential()(torch.ones(1), torch.ones(1), (0, 10), offset=torch.ones(1))


def test_magnitude_is_the_size_of_the_signed_signal():
    t, time = torch.tensor([300.0, 800.0, 1500.0]), torch.from_numpy(INVERSION_MS)[:, None]
    signed, magnitude = InversionRecovery.ideal(magnitude=False), InversionRecovery.ideal()
    torch.testing.assert_close(magnitude.basis(t, time), signed.basis(t, time).abs())
    for closed, automatic in zip(
        magnitude.basis_with_derivatives(t, time), SignalModel.basis_with_derivatives(magnitude, t, time), strict=True
    ):
        torch.testing.assert_close(closed, automatic, rtol=1e-4, atol=1e-5)
    within_tr = InversionRecovery(efficiency=0.9, tr_ms=2000, magnitude=False)
    for model in (signed, within_tr, SaturationRecovery(), SaturationRecovery(efficiency=0.8, tr_ms=900)):
        for closed, automatic in zip(
            model.basis_with_derivatives(t, time), SignalModel.basis_with_derivatives(model, t, time), strict=True
        ):
            torch.testing.assert_close(closed, automatic, rtol=1e-4, atol=1e-5)


class Naive(SignalModel):
    """A stretched exponential as most would write it: its derivative at time 0 is not finite for autograd."""

    def basis(self, t, time):
        return torch.exp(-((time / t) ** 0.8))


@pytest.mark.parametrize("method", ["nlls", "rician", "two-point"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_nothing_settles_where_a_derivative_is_not_finite(method, dtype):
    times, truth = np.array([0.0, 10, 30, 50, 80]), np.array([20.0, 33, 45])
    signal = (100 * np.exp(-((times / truth[:, None]) ** 0.8))).astype(dtype)
    result = rx.fit(signal, times, model=Naive(), method=method, sigma=1e-2)
    assert result.ok.all()
    np.testing.assert_allclose(result.maps["t"], truth, rtol=1e-4)
    assert np.isfinite(result.std["t"]).all()


class Unbounded(SignalModel):
    """A model that is not finite for half of its range."""

    def basis(self, t, time):
        return torch.where(t < 50, torch.exp(-time / t), torch.nan)


def test_a_model_that_is_not_finite_never_converges_to_a_wrong_value():
    times, truth = np.array([0.0, 10, 30, 50, 80]), np.array([20.0, 33, 45, 60, 90])
    for method in ("nlls", "rician", "two-point"):
        result = rx.fit(100 * np.exp(-times / truth[:, None]), times, model=Unbounded(), method=method, sigma=1e-2)
        np.testing.assert_allclose(result.maps["t"][result.ok], truth[result.ok], rtol=1e-3, err_msg=method)
        assert not result.ok[3:].any(), method
        assert np.isnan(result.maps["t"][result.status > FitStatus.AT_BOUND]).all()


class Cornered(Automatic):
    """A decay that bends at a T which its settings do not tell."""

    def __init__(self, corner):
        self._corner = corner

    def non_smooth_points(self, time):
        return time.new_tensor([self._corner])


def test_models_that_say_the_same_of_themselves_have_grids_of_their_own():
    models = Cornered(50.0), Cornered(500.0)
    assert models[0] == models[1]
    designs = [Design((model,), torch.tensor(ECHO_MS)[:, None], ("t",)) for model in models]
    one, other = (grid_of(design, BOUNDS).x for design in designs)
    assert not torch.equal(one, other)
    assert grid_of(designs[0], BOUNDS).x is one  # made once
