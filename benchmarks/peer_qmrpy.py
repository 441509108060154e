"""Measure qmrpy: a bounded least squares of scipy, voxel by voxel."""

import numpy as np
from peer import measure
from qmrpy.models.t1rho import T1Rho


def fit(signal: np.ndarray, times_ms: np.ndarray) -> np.ndarray:
    """Fit a map."""
    return T1Rho(tsl_ms=times_ms).fit_image(signal, mask=np.ones(len(signal), bool), n_jobs=1)["t1rho_ms"]


measure("qmrpy", {"qmrpy T1Rho": fit})
