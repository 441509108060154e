"""Arrays go into signals and come out as arrays."""

import numpy as np
import pytest
import torch

from relaxnet import signals

MODEL = signals.MonoExponential()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, ">f4"])
def test_noise_of_arrays_is_that_of_tensors(dtype):
    images = np.full((50, 4), 100, dtype)[::-1]
    kept = images.copy()
    kind = np.float32 if np.dtype(dtype).kind == "f" and np.dtype(dtype).itemsize == 4 else np.float64
    functions = (
        lambda x: signals.add_noise(x, sigma=5.0, generator=torch.Generator().manual_seed(0)),
        lambda x: signals.remove_rician_bias(x, np.full(4, 3.0)),
        lambda x: signals.rician_mean(x, 30),
    )
    for function in functions:
        found, expected = function(images), function(torch.from_numpy(kept.astype(kind)))
        assert isinstance(found, np.ndarray)
        assert found.dtype == kind
        np.testing.assert_array_equal(found, expected.numpy())
    np.testing.assert_array_equal(images, kept)


def test_a_model_takes_numbers_and_arrays():
    curve = MODEL(100.0, 40.0, (10, 20, 30, 40))
    np.testing.assert_allclose(curve, 100 * np.exp(-np.array([10, 20, 30, 40]) / 40))
    t = np.linspace(20, 60, 12).reshape(3, 4)
    images = MODEL(100, t, (10, 20, 30))
    assert images.shape == (3, 3, 4)
    np.testing.assert_allclose(images, MODEL(torch.full((3, 4), 100.0).double(), torch.from_numpy(t), (10, 20, 30)))
    offset = signals.MonoExponentialWithOffset()(100.0, np.array([40.0]), (0, 40), offset=5)
    np.testing.assert_allclose(offset, [[105, 100 / np.e + 5]])
    assert MODEL(np.float32([1]), np.float32([40]), (0, 10)).dtype == np.float32
