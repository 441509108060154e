import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from relaxnet import metrics

# Shrout and Fleiss (1979), table 2: six subjects, four judges.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])

ratings = hnp.arrays(np.float64, (6, 3), elements=st.integers(10, 100).map(float)).filter(np.ptp)
powers_of_two = st.integers(-8, 8).map(lambda exponent: 2.0**exponent)


def test_icc_is_that_of_shrout_and_fleiss():
    assert round(metrics.icc(SHROUT_FLEISS), 2) == 0.29
    assert metrics.icc(torch.from_numpy(SHROUT_FLEISS)) == metrics.icc(SHROUT_FLEISS.tolist())


@given(ratings, powers_of_two, st.integers(-100, 100), st.permutations(range(6)), st.permutations(range(3)))
def test_neither_unit_nor_origin_nor_order_matters(table, factor, shift, subjects, raters):
    other = factor * table[subjects][:, raters] + shift
    assert metrics.icc(other) == pytest.approx(metrics.icc(table), abs=1e-9)
    assert metrics.icc(table) <= 1


@given(hnp.arrays(np.float64, 5, elements=st.integers(10, 100).map(float)).filter(np.ptp), st.integers(1, 50))
def test_raters_who_agree_have_1_and_a_bias_lowers_it(means, bias):
    assert metrics.icc(np.stack([means, means], axis=1)) == pytest.approx(1)
    assert metrics.icc(np.stack([means, means + bias], axis=1)) == pytest.approx(
        1 / (1 + bias**2 / 2 / means.var(ddof=1))
    )


def test_icc_is_the_share_of_the_variance_between_subjects():
    rng = np.random.default_rng(0)
    subject, rater, noise = rng.normal(0, 3, (2000, 1)), rng.normal(0, 1, (1, 200)), rng.normal(0, 2, (2000, 200))
    assert metrics.icc(subject + rater + noise) == pytest.approx(9 / (9 + 1 + 4), abs=0.03)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1.0, 2.0, 3.0], r"ratings \(3,\)"),
        (np.ones((2, 2)), r"ratings \(2, 2\)"),
        (np.ones((3, 1)), "2 raters"),
        ([[1.0, np.nan], [2.0, 2.0], [np.inf, 3.0]], "not finite in 2 of 6"),
        (np.full((3, 2), 0.1), "all 0.1"),
    ],
)
def test_bad_ratings(table, message):
    with pytest.raises(ValueError, match=message):
        metrics.icc(table)
