"""Decays, and magnitudes of them with noise."""

import numpy as np

TIMES = np.array([0.0, 10.0, 30.0, 50.0])


def decay(m0, t, times=TIMES):
    return np.asarray(m0)[..., None] * np.exp(-times / np.asarray(t)[..., None])


def magnitudes(n, snr, t, seed=0, times=TIMES):
    g = np.random.default_rng(seed)
    clean = decay(np.full(n, 100.0), t, times)
    noise = g.normal(0, 100 / snr, (2, *clean.shape))
    return np.hypot(clean + noise[0], noise[1])
