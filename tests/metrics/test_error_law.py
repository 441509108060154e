import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from relaxnet import metrics

KINDS = ("laplace", "gaussian")
SCORES = {"laplace": metrics.crps_laplace, "gaussian": metrics.crps_gaussian}
LAWS = {
    "laplace": lambda centre, std: scipy.stats.laplace(centre, std / math.sqrt(2)),
    "gaussian": scipy.stats.norm,
}

kinds = st.sampled_from(KINDS)
powers_of_two = st.integers(-8, 8).map(lambda exponent: 2.0**exponent)  # multiply without rounding


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("x", "centre", "std"), [(-3, 0, 1), (0.2, 0.2, 2), (50, 42, 0.5), (41, 42, 30)])
def test_score_is_the_integral_of_its_definition(kind, x, centre, std):
    law = LAWS[kind](centre, std)
    below = quad(lambda t: law.cdf(t) ** 2, -np.inf, min(x, centre))[0]
    above = quad(lambda t: law.sf(t) ** 2, max(x, centre), np.inf)[0]
    between = quad(lambda t: (law.cdf(t) if x > centre else law.sf(t)) ** 2, min(x, centre), max(x, centre))[0]
    parameter = std / math.sqrt(2) if kind == "laplace" else std
    assert SCORES[kind](x, centre, parameter) == pytest.approx(below + between + above, rel=1e-6)


def test_score_is_that_of_scoring_rules():
    assert metrics.crps_laplace(-3, 0, 1) == pytest.approx(2.29978707, abs=5e-9)


@given(kinds, st.floats(-100, 100), st.floats(-100, 100), st.floats(0, 50), powers_of_two)
def test_score_has_the_unit_of_its_argument_and_is_symmetric(kind, x, centre, spread, factor):
    score = SCORES[kind](x, centre, spread)
    assert SCORES[kind](x * factor, centre * factor, spread * factor) == pytest.approx(score * factor, abs=1e-9)
    assert SCORES[kind](centre, x, spread) == pytest.approx(score, abs=1e-12)
    assert score >= 0


@given(kinds, st.floats(-100, 100), st.floats(-100, 100))
def test_score_without_uncertainty_is_the_absolute_error(kind, x, centre):
    assert SCORES[kind](x, centre, 0) == abs(x - centre)


@pytest.mark.parametrize("kind", KINDS)
def test_score_is_best_for_the_true_distribution(kind):
    truth = LAWS[kind](42, 3).rvs(100_000, random_state=0)
    spread = 3 / math.sqrt(2) if kind == "laplace" else 3
    honest, timid, bold = (SCORES[kind](truth, 42, spread * factor).mean() for factor in (1, 1.2, 0.8))
    assert honest < min(timid, bold)


@pytest.mark.parametrize("score", SCORES.values())
def test_numbers_arrays_and_tensors_keep_their_type(score):
    x, centre, spread = np.array([1.0, 5.0]), 2.0, np.array([[1.0], [3.0]])
    expected = [[score(a, centre, b) for a in x.tolist()] for b in (1.0, 3.0)]
    assert type(expected[0][0]) is float
    for dtype in (np.float32, np.float64):
        result = score(x.astype(dtype), centre, spread.astype(dtype))
        assert isinstance(result, np.ndarray)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, expected, rtol=1e-5)
        tensors = (torch.from_numpy(x.astype(dtype)), centre, torch.from_numpy(spread.astype(dtype)))
        torch.testing.assert_close(score(*tensors), torch.from_numpy(result))
    assert score(torch.tensor([1, 2]), 0, 1).dtype == torch.float64
    np.testing.assert_array_equal(score(x, centre, x.astype(">f8")), score(x, centre, x))


@pytest.mark.parametrize("score", SCORES.values())
def test_score_is_differentiable(score):
    arguments = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([1.0, 7.0], [2.0, 3.0], [0.5, 4.0])]
    assert torch.autograd.gradcheck(score, arguments)
    x, scale = torch.tensor([3.0, 0.0], requires_grad=True), torch.zeros(2, requires_grad=True)
    score(x, 0.0, scale).sum().backward()
    assert x.grad.tolist() == [1, 0]
    assert scale.grad.isfinite().all()


@pytest.mark.parametrize(("kind", "name"), [("laplace", "scale"), ("gaussian", "std")])
def test_a_negative_spread_is_refused(kind, name):
    with pytest.raises(ValueError, match=rf"{name} is negative in 1 of 2"):
        SCORES[kind](np.zeros(2), 0.0, np.array([1.0, -1.0]))


@given(kinds, st.floats(0.01, 0.99))
def test_interval_is_that_of_scipy(kind, level):
    _, high = LAWS[kind](0, 1).interval(level)
    assert metrics.interval_factor(level, kind) == pytest.approx(high, rel=1e-9)
