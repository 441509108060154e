"""All measures of agreement at once, of the voxels that both maps have."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relaxnet as rx


@given(st.integers(0, 1000), st.floats(-20, 20), st.floats(0.1, 10))
def test_a_shift_is_the_bias_and_a_scale_scales_all(seed, shift, factor):
    reference = np.random.default_rng(seed).uniform(30, 60, 40)
    values = reference + np.random.default_rng(seed + 1).normal(0, 2, 40)
    before, after = rx.metrics.agreement(values, reference), rx.metrics.agreement(values + shift, reference)
    assert after.bias == pytest.approx(before.bias + shift, abs=1e-9)
    assert after.sd == pytest.approx(before.sd)
    assert after.correlation == pytest.approx(before.correlation)
    scaled = rx.metrics.agreement(factor * values, factor * reference)
    assert scaled.icc == pytest.approx(before.icc)
    assert scaled.rmae == pytest.approx(factor * before.rmae)


def test_voxels_that_one_map_lacks_are_counted_and_left_out():
    values, reference = np.array([40.0, np.nan, 44, 45, np.inf]), np.array([41.0, 42, np.nan, 44, 50])
    found = rx.metrics.agreement(values, reference)
    assert (found.n, found.n_missing, found.bias) == (2, 3, 0)


@pytest.mark.parametrize(("values", "n"), [([np.nan], 0), ([40.0], 1), ([40.0, 40.0, 40.0], 3)])
def test_what_too_few_voxels_tell_is_missing(values, n):
    found = rx.metrics.agreement(values, values)
    assert found.n == n
    assert math.isnan(found.icc)
    assert math.isnan(found.correlation)
