import math

import pytest

import relaxnet as rx


@pytest.fixture(scope="session")
def many():
    """Forty subjects, small."""
    return list(rx.phantom.liver_cohort(40, slices=2, shape=(32, 32), seed=3))


@pytest.fixture(scope="session")
def noisy():
    return rx.phantom.liver_cohort(3, slices=2, shape=(96, 96), snr=20, seed=5)[1]


@pytest.fixture(scope="session")
def noise_free():
    """The same subject without noise."""
    return rx.phantom.liver_cohort(3, slices=2, shape=(96, 96), snr=math.inf, seed=5)[1]
