"""A control for the speed of the fits: the loop that anybody writes with numba, one voxel after another."""

import math

import numba
import numpy as np


@numba.njit(nogil=True, fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")
def fit(signal: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Fit amplitude and T by variable projection in double precision: a coarse grid, then Newton's method."""
    maps = np.empty((2, len(signal)))
    grid = np.arange(18) * 0.5
    basis = np.exp(-times * np.exp(-grid)[:, None])
    squares = (basis**2).sum(1)
    for i in range(len(signal)):
        voxel, best, x = signal[i], -1.0, 0.0
        for g in range(18):
            product = 0.0
            for k in range(len(times)):
                product += voxel[k] * basis[g, k]
            explained = max(product, 0.0) ** 2 / squares[g]
            if explained > best:
                best, x = explained, grid[g]
        low, high = max(x - 0.5, 0.0), min(x + 0.5, 8.517)
        for _ in range(30):
            rate, s0, s1, s2, d0, d1, d2 = math.exp(-x), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(len(times)):
                t = times[k] * rate
                e = math.exp(-t)
                s0, s1, s2 = s0 + voxel[k] * e, s1 + voxel[k] * e * t, s2 + voxel[k] * e * t * (t - 1)
                d0, d1, d2 = d0 + e * e, d1 + e * e * t, d2 + e * e * t * (2 * t - 1)
            slope = s1 * d0 - s0 * d1
            low, high = (x, high) if slope > 0 else (low, x)
            bend = s2 * d0 - s0 * d2
            step = x - slope / bend if bend < 0 else -1.0
            step = step if low <= step <= high else (low + high) / 2
            settled = abs(step - x) < 1e-7
            x = step
            if settled:
                break
        maps[0, i], maps[1, i] = s0 / d0, math.exp(x)
    return maps
