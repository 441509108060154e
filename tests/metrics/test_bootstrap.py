import dataclasses
from functools import partial

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from relaxnet import metrics

N = 1000  # resamples, where they need not be many

errors = hnp.arrays(np.float64, 8, elements=st.integers(1, 64).map(float))
paired = (metrics.paired_difference, metrics.ratio_of_means)


def numbers(result):
    return dataclasses.astuple(result)


def cohort(n, *, seed=0):
    """Skewed errors of a fit, and those of a network, about half as large."""
    rng = np.random.default_rng(seed)
    baseline = rng.gamma(2, 1, n)
    return baseline * rng.uniform(0.2, 0.8, n), baseline


# --- intervals --------------------------------------------------------------------------------------------------------


def test_the_interval_of_symmetric_values_with_ties_is_symmetric():
    found = metrics.bootstrap_mean([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], n=50_000)
    assert (found.low + found.high) / 2 == pytest.approx(found.mean)


def test_intervals_are_those_of_scipy():
    values, baseline = cohort(17)
    bootstrap = partial(scipy.stats.bootstrap, n_resamples=50_000, method="BCa", random_state=1, vectorized=True)
    cases = [
        (metrics.bootstrap_mean(values, n=50_000), bootstrap((values,), np.mean)),
        (metrics.paired_difference(values, baseline, n=50_000), bootstrap((values - baseline,), np.mean)),
        (
            metrics.ratio_of_means(values, baseline, n=50_000),
            bootstrap((values, baseline), lambda a, b, axis: a.mean(axis) / b.mean(axis), paired=True),
        ),
    ]
    for ours, theirs in cases:
        _, low, high, *_ = numbers(ours)
        interval = theirs.confidence_interval
        assert (low, high) == pytest.approx((interval.low, interval.high), abs=0.02 * (interval.high - interval.low))


@given(errors, errors)
def test_interval_contains_the_estimate(values, baseline):
    for result in (metrics.bootstrap_mean(values, n=N), *(metric(values, baseline, n=N) for metric in paired)):
        estimate, low, high, *_ = numbers(result)
        assert low <= estimate <= high
    assert metrics.bootstrap_mean(values, n=N).mean == values.mean()
    assert metrics.paired_difference(values, baseline, n=N).mean == (values - baseline).mean()
    assert metrics.ratio_of_means(values, baseline, n=N).ratio == values.mean() / baseline.mean()


@given(errors, errors, st.floats(0.1, 10), st.floats(-64, 64))
def test_unit_and_origin_carry_over(values, baseline, factor, shift):
    approx = partial(pytest.approx, abs=1e-9)
    mean = np.array(numbers(metrics.bootstrap_mean(values, n=N)))
    assert numbers(metrics.bootstrap_mean(values * factor + shift, n=N)) == approx(mean * factor + shift)
    difference = np.array(numbers(metrics.paired_difference(values, baseline, n=N)))
    in_other_unit = metrics.paired_difference(values * factor + shift, baseline * factor + shift, n=N)
    assert numbers(in_other_unit) == approx(difference * [factor, factor, factor, 1])
    ratio = numbers(metrics.ratio_of_means(values, baseline, n=N))
    assert numbers(metrics.ratio_of_means(values * factor, baseline * factor, n=N)) == approx(ratio)


@given(errors, errors, st.permutations(range(8)))
def test_the_order_of_subjects_does_not_matter(values, baseline, order):
    assert metrics.bootstrap_mean(values[order], n=N) == metrics.bootstrap_mean(values, n=N)
    for metric in paired:
        assert metric(values[order], baseline[order], n=N) == metric(values, baseline, n=N)


def test_same_seed_same_result():
    pair = cohort(17)
    for metric in paired:
        assert metric(*pair) == metric(*pair, seed=0) != metric(*pair, seed=1)


@pytest.mark.parametrize(("level", "expected"), [(0.8, 0.79), (0.95, 0.94)])
def test_intervals_have_their_nominal_coverage(level, expected):
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        values, baseline = rng.normal([[0.4], [1.0]], 0.1, (2, 40))
        results = (
            metrics.bootstrap_mean(values, level=level, n=N),
            metrics.ratio_of_means(values, baseline, level=level, n=N),
        )
        held.append([result.low <= 0.4 <= result.high for result in results])
    assert np.mean(held, axis=0) == pytest.approx([expected] * 2, abs=0.03)


@given(st.floats(0.01, 100), errors, st.integers(2, 8))
def test_equal_subjects_give_an_interval_without_width(value, baseline, n):
    mean = metrics.bootstrap_mean(np.full(n, value), n=N)
    assert mean.low == mean.mean == mean.high == pytest.approx(value)
    ratio = metrics.ratio_of_means(value * baseline, baseline, n=N)
    assert ratio.low == ratio.ratio == ratio.high == pytest.approx(value)
    assert numbers(metrics.paired_difference(baseline, baseline, n=N)) == (0, 0, 0, 1)


def test_seeds_are_averaged_first():
    values, baseline = cohort(9)
    of_seeds = np.stack([values - 0.125, values + 0.125])
    assert numbers(metrics.bootstrap_mean(of_seeds)) == pytest.approx(numbers(metrics.bootstrap_mean(values)))
    for metric in paired:
        expected = pytest.approx(numbers(metric(values, baseline)))
        assert numbers(metric(of_seeds, baseline)) == expected
        assert numbers(metric(torch.from_numpy(of_seeds), baseline[None].tolist())) == expected


# --- the p value ------------------------------------------------------------------------------------------------------


@given(errors, errors, st.integers(3, 8))
def test_exact_p_value_is_that_of_scipy(values, baseline, n):
    values, baseline = values[:n], baseline[:n]
    exact = scipy.stats.permutation_test((values - baseline,), np.sum, permutation_type="samples", vectorized=True)
    assert metrics.paired_difference(values, baseline, n=N).p == pytest.approx(exact.pvalue)


def test_random_p_value_approaches_the_exact():
    values, baseline = np.random.default_rng(3).normal([[0.5], [0.0]], size=(2, 13))
    exact = metrics.paired_difference(values, baseline, n=2**13).p
    assert exact == metrics.paired_difference(values, baseline, n=2**14).p  # all sign changes are tried by either
    assert metrics.paired_difference(values, baseline, n=2**13 - 1).p == pytest.approx(exact, rel=0.1)
    assert 0.02 < exact < 0.5


def test_p_value_is_never_0_and_symmetric():
    values, baseline = cohort(40)
    there, back = metrics.paired_difference(values, baseline, n=N), metrics.paired_difference(baseline, values, n=N)
    assert there.p == back.p == 1 / (N + 1)
    assert there.mean == -back.mean < 0


@pytest.mark.parametrize("n", [8, 20])
def test_without_a_difference_p_values_are_uniform(n):
    pairs = np.random.default_rng(0).normal(size=(400, 2, n))
    p = [metrics.paired_difference(*pair, n=N).p for pair in pairs]
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.05


# --- bad arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0], r"values \(1,\)"),
        (3.0, r"values \(\)"),
        (np.ones((2, 3, 4)), r"\(seed, subject\)"),
        (np.ones((0, 3)), r"values \(0, 3\)"),
        ([1.0, np.nan, np.inf], "values is not finite in 2 of 3"),
        ([[1.0, np.nan, 2.0], [1.0, 1.0, 1.0]], "values is not finite in 1 of 6"),
    ],
)
def test_bad_values(values, message):
    for call in (metrics.bootstrap_mean, *(partial(metric, baseline=[1.0, 2.0, 3.0]) for metric in paired)):
        with pytest.raises(ValueError, match=message):
            call(values)


@pytest.mark.parametrize("metric", paired)
def test_different_subjects_are_refused(metric):
    with pytest.raises(ValueError, match="values of 3 and baseline of 2 subjects"):
        metric([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="baseline is not finite in 1 of 3"):
        metric([1.0, 2.0, 3.0], [1.0, 2.0, np.nan])


def test_a_baseline_of_a_ratio_must_be_positive():
    with pytest.raises(ValueError, match="baseline is not positive in 2 of 3"):
        metrics.ratio_of_means([1.0, 2.0, 3.0], [1.0, 0.0, -1.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 95}, "level=95"),
        ({"level": -0.5}, "level=-0.5"),
        ({"level": 0}, "level=0"),
        ({"n": 100}, "400 are needed"),
        ({"level": 0.999}, "n=10000 resamples are too few"),
    ],
)
def test_bad_options(options, message):
    for call in (metrics.bootstrap_mean, *(partial(metric, baseline=[1.0, 2.0]) for metric in paired)):
        with pytest.raises(ValueError, match=message):
            call([1.0, 3.0], **options)
    assert metrics.bootstrap_mean([1.0, 3.0], n=400)
