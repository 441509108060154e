import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaxnet import metrics

p_values = st.dictionaries(st.integers(), st.floats(0, 1), max_size=8)


def test_by_hand():
    # In order: 4 * 0.01, 3 * 0.02, then 2 * 0.025 is less than what came before, and 1 * 0.3.
    adjusted = metrics.holm({"c": 0.025, "a": 0.01, "d": 0.3, "b": 0.02})
    assert list(adjusted) == ["c", "a", "d", "b"]
    assert adjusted == pytest.approx({"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.3})


@given(p_values)
def test_between_the_p_value_and_bonferroni_in_the_same_order(p):
    adjusted = metrics.holm(p)
    assert all(p[name] <= adjusted[name] <= min(1, len(p) * p[name]) for name in p)
    assert all(adjusted[a] <= adjusted[b] for a in p for b in p if p[a] <= p[b])


@given(p_values, st.randoms())
def test_the_order_of_tests_does_not_matter(p, random):
    names = list(p)
    random.shuffle(names)
    assert metrics.holm({name: p[name] for name in names}) == metrics.holm(p)


@given(p_values, st.floats(0.01, 0.2))
def test_rejections_are_those_of_holms_procedure(p, alpha):
    rejected = set()
    for rank, name in enumerate(sorted(p, key=p.get)):
        if (len(p) - rank) * p[name] > alpha:
            break
        rejected.add(name)
    assert {name for name, value in metrics.holm(p).items() if value <= alpha} == rejected


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_a_value_that_is_no_probability_is_named(wrong):
    with pytest.raises(ValueError, match=rf"'b': {wrong}"):
        metrics.holm({"a": 0.5, "b": wrong})
