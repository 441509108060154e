"""Fits by one implementation or the other."""

import importlib.util

import numpy as np
import pytest

from relaxnet.fitting._core import fused
from relaxnet.fitting._core.estimator import LEFT

needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")


@pytest.fixture(params=["torch", pytest.param("compiled", marks=needs_numba)])
def implementation(request, monkeypatch):
    """Let all fits of a test be done by one implementation, however few voxels there are."""
    monkeypatch.setattr(fused, "LEAST_VOXELS", 0 if request.param == "compiled" else np.inf)
    return request.param


@pytest.fixture
def left(monkeypatch):
    """Count the voxels of each block that the compiled fit leaves to torch."""
    pytest.importorskip("numba")
    counts = []
    call = fused.FusedDecay.__call__

    def counting(self, *arguments, **options):
        found = call(self, *arguments, **options)
        counts.append(int((found[1] == LEFT).sum()))
        return found

    monkeypatch.setattr(fused.FusedDecay, "__call__", counting)
    return counts
