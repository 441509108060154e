"""Files of the test data, simulated."""

import numpy as np


def simulated_series(*space, n=10, sigma=15.0, seed=0):
    """Simulate a file of the test data: a decay with a smooth T between 40 and 90 ms, and noise."""
    rng = np.random.default_rng(seed)
    times, across = 13.2 * np.arange(1, n + 1), np.linspace(40, 90, space[1]).reshape(1, -1, *[1] * (len(space) - 2))
    t = np.broadcast_to(across, space)
    clean = 1000 * np.exp(-times / t[..., None])
    noisy = np.abs(clean + sigma * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape)))
    return {"signal": noisy.astype(np.float32), "times_ms": times, "truth": t}
