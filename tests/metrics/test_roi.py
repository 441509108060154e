import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import relaxnet as rx
from relaxnet import metrics

maps = hnp.arrays(np.float64, (4, 5), elements=st.floats(5, 500))
rois = hnp.arrays(np.bool_, (4, 5)).filter(lambda roi: roi.sum() > 1)


@given(maps, maps, rois)
def test_error_is_symmetric_and_not_below_the_bias(a, b, roi):
    assert metrics.rmae(a, b, roi) == metrics.rmae(b, a, roi)
    assert metrics.bias(a, b, roi) == -metrics.bias(b, a, roi)
    assert metrics.rmae(a, b, roi) >= abs(metrics.bias(a, b, roi)) * (1 - 1e-12)


@given(maps, rois, st.floats(-100, 100))
def test_a_constant_difference_is_bias_alone(a, roi, shift):
    assert math.isclose(metrics.rmae(a + shift, a, roi), abs(shift), rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(metrics.bias(a + shift, a, roi), shift, rel_tol=1e-9, abs_tol=1e-9)
    assert metrics.limits_of_agreement(a + shift, a, roi) == pytest.approx((shift, shift), abs=1e-9)


@given(maps, maps, rois)
def test_voxels_outside_do_not_count(a, b, roi):
    invalid = np.where(roi, a, np.nan)
    assert metrics.rmae(invalid, b, roi) == metrics.rmae(a, b, roi)


@given(maps, maps, rois)
def test_bias_is_the_difference_of_means_and_with_the_spread_makes_the_error(a, b, roi):
    n, bias, sd = roi.sum(), metrics.bias(a, b, roi), metrics.error_sd(a, b, roi)
    assert bias == pytest.approx(metrics.roi_mean(a, roi) - metrics.roi_mean(b, roi), abs=1e-9)
    assert bias**2 + sd**2 * (n - 1) / n == pytest.approx(((a - b)[roi] ** 2).mean())


def test_limits_hold_95_percent_of_normal_differences():
    difference = np.random.default_rng(0).normal(1.0, 2.0, 20_000)
    low, high = metrics.limits_of_agreement(difference, np.zeros(20_000), np.ones(20_000))
    assert abs(((difference > low) & (difference < high)).mean() - 0.95) < 0.005


def test_a_failed_voxel_is_not_silently_left_out():
    assert math.isnan(metrics.rmae([40, np.nan], [41, 41], [1, 1]))
    assert math.isnan(metrics.roi_mean([40, np.nan], [1, 1]))
    assert metrics.rmae([40, np.nan], [41, 41], [1, 0]) == 1


def test_tensors_and_arrays_agree():
    a, b, roi = torch.rand(3, 4), torch.rand(3, 4), torch.rand(3, 4) < 0.5
    assert metrics.rmae(a, b, roi) == metrics.rmae(a.numpy(), b.numpy(), roi.numpy())
    assert metrics.roi_mean(a, roi) == metrics.roi_mean(a.numpy(), roi.numpy())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1, 2, 3], [1, 1]), "differ in shape"),
        (([1, 2], [1, 2], [1, 1, 1]), "differ in shape"),
        (([1, 2], [1, 2], [0, 0]), "roi is empty"),
        (([1, 2], [1, 2], [0, 5]), "other than 0 and 1"),
    ],
)
def test_bad_arguments(arguments, message):
    for metric in (metrics.rmae, metrics.bias, metrics.error_sd, metrics.limits_of_agreement):
        with pytest.raises(ValueError, match=message):
            metric(*arguments)


@pytest.mark.parametrize("metric", [metrics.error_sd, metrics.limits_of_agreement])
def test_a_spread_needs_two_voxels(metric):
    with pytest.raises(ValueError, match="two or more"):
        metric([1, 2], [1, 2], [1, 0])


def test_public_names():
    assert rx.metrics.rmae is metrics.rmae
