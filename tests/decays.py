"""Decays, magnitudes of them with noise, and what else there is in images."""

import numpy as np

TIMES = np.array([0.0, 10.0, 30.0, 50.0])


def decay(m0, t, times=TIMES):
    return np.asarray(m0)[..., None] * np.exp(-times / np.asarray(t)[..., None])


def magnitudes(n, snr, t, seed=0, times=TIMES):
    g = np.random.default_rng(seed)
    clean = decay(np.full(n, 100.0), t, times)
    noise = g.normal(0, 100 / snr, (2, *clean.shape))
    return np.hypot(clean + noise[0], noise[1])


def decays(n, times, snr, seed=0):
    g = np.random.default_rng(seed)
    t = np.exp(g.uniform(np.log(3), np.log(4000), n))
    clean = np.exp(-np.array(times) / t[:, None])
    return t, np.hypot(clean + g.normal(0, 1 / snr, clean.shape), g.normal(0, 1 / snr, clean.shape)).astype(np.float32)


def all_sorts(n, times, snr):
    """Tissue, air, zeros, constants, negative and rising signals, and samples that are not finite."""
    g = np.random.default_rng(1)
    signal = decays(n, times, snr)[1]
    signal[::9] = np.hypot(*g.normal(0, 1 / snr, (2, *signal[::9].shape)))
    signal[1::9] = g.normal(0, 1, signal[1::9].shape)
    signal[2::31], signal[3::31], signal[4::31] = 0, 0.7, -0.7
    signal[5::31] = np.sort(signal[5::31], axis=1)
    signal[6::17, 1] = np.nan
    signal[7::17, -1] = np.inf
    signal[8::17, 1:] = np.nan
    signal[9::17] = np.nan
    signal[10::23, -1] = 0
    signal[11::23, 2:] = 0
    signal[12::23, 1:-1] = 0
    signal[13::29] *= 1e-25
    signal[14::29] *= 1e25
    signal[15::29] = 1e-42
    return signal
