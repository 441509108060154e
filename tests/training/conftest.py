import pytest

import relaxnet as rx


@pytest.fixture(scope="session")
def cohort():
    return rx.phantom.liver_cohort(n_subjects=4, slices=2, shape=(32, 32), snr=20, seed=0)


def train(cohort, **options):
    return rx.training.train(cohort, **{"preset": "smoke", "progress": False, **options})
