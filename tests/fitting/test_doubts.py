"""Input that cannot be meant is told, and usual input is not."""

import numpy as np
import pytest

import relaxnet as rx

TIMES_MS = (10, 20, 40, 80)


def decay(t, times_ms=TIMES_MS):
    return 1000 * np.exp(-np.array(times_ms) / np.asarray(t)[..., None])


def doubts(signal, times_ms=TIMES_MS, **options):
    return rx.fitting.doubts(signal, rx.fit(signal, times_ms, dim=-1, **options))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_usual_scans_raise_no_doubt(rng):
    body = decay(rng.uniform(20, 90, (40, 10))) + rng.normal(0, 20, (40, 10, 4))
    assert doubts(body) == []
    air = rng.normal(0, 20, (400, 10, 4))  # ten times the body, and negative in half of its samples
    assert doubts(np.concatenate([body, air])) == []
    body[:5] = np.nan
    body[5:9] = 0
    assert doubts(body) == []


def test_phase_images(rng):
    first, *_ = doubts(rng.uniform(-np.pi, np.pi, (16, 16, 3, 4)))
    assert first.startswith("51 % of the samples are negative")
    assert any("converged" in line for line in doubts(rng.uniform(0, 4095, (500, 4))))  # phase as scanners store it


def test_integers_that_wrapped_around(rng):
    wrapped = (decay(rng.uniform(20, 90, 200)) * 60).astype(np.uint16).view(np.int16)
    assert "wrap" in doubts(wrapped)[0]
    image = decay([40.0])
    assert rx.fitting.doubts(-image, rx.fit(image, TIMES_MS), signed=True) == []


def test_times_and_axes_that_are_not_those_of_the_signal(rng):
    rising = decay(rng.uniform(20, 90, 100))[..., ::-1]
    assert doubts(rising) == [
        "none of 100 voxels converged; 100 rise instead of decaying: are the times and their order right?"
    ]
    (line,) = doubts(decay(np.full(50, 1e7)))
    assert "ended at a bound of T" in line


def test_signals_that_are_not_there():
    assert doubts(np.zeros((5, 4))) == ["no voxel has a signal: all samples are zero or not finite."]
    with pytest.warns(UserWarning, match="mask is empty"):
        assert doubts(decay(np.full(5, 40.0)), mask=np.zeros(5, bool)) == []
    nan = decay(np.full(5, 40.0))
    nan[:, 1:] = np.nan
    assert "too few usable samples" in doubts(nan)[0]
