"""Fits, networks and denoisers compute on other devices what they compute on the processor."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from on_device import CASES
from torch.utils import backend_registration

import relaxnet as rx


@pytest.fixture(scope="module")
def outcome():
    """Run all cases in a process of their own, as a device that is like a GPU changes torch."""
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this torch cannot have a device that is written in Python")
    script = Path(__file__).with_name("on_device.py")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("case", CASES)
def test_a_device_finds_what_the_processor_finds(outcome, case):
    if case.startswith("a step"):
        pytest.importorskip("lightning")
    assert outcome[case] is None


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(ValueError, match=f"device={device!r}: torch sees no such device here"):
        rx.fit(np.ones((1, 4)), (0, 10, 30, 50), device=device)


def test_images_of_one_device_are_fitted_there_by_name():
    images = np.random.default_rng(0).uniform(1, 2, (5, 4))
    by_name, usual = (rx.fit(images, (0, 10, 30, 50), device=device).maps["t"] for device in ("cpu", None))
    np.testing.assert_array_equal(by_name, usual)
