"""Measure tedana: its log-linear fit, and the bounded ``curve_fit`` that starts there, voxel by voxel."""

import numpy as np
from peer import measure
from tedana.decay import fit_decay


def fit(signal: np.ndarray, times_ms: np.ndarray, kind: str) -> np.ndarray:
    """Fit T2*, NaN where the package says that it failed."""
    mask = np.full(len(signal), len(times_ms))
    t, _, failed, *_ = fit_decay(signal[:, :, None], times_ms.tolist(), mask, kind, report=False)
    t = np.ravel(t)
    return t if failed is None else np.where(np.ravel(failed), np.nan, t)


measure(
    "tedana",
    {
        "tedana, log-linear": lambda *given: fit(*given, "loglin"),
        "tedana, nonlinear": lambda *given: fit(*given, "curvefit"),
    },
)
