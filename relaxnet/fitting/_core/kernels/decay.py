"""The fit of mono-exponential decays as one compiled pass over the samples of each voxel.

It does what :mod:`~relaxnet.fitting._core.engine`, :mod:`~relaxnet.fitting._core.decay` and
:mod:`~relaxnet.fitting._core.projection` do, for samples in single precision: which samples are used, a quick search
that certifies its own result, for others a grid in log T and Newton's method inside a bracket from its best point and
from a rival of that, standard errors and status. Where rounding may decide, they are found in double precision.

Voxels without a certificate are collected until they fill all lanes.
"""

import numpy as np

from relaxnet.fitting._core import projection
from relaxnet.fitting._core.kernels.bracket import (
    BF,
    ERROR,
    FF,
    M0,
    OWN,
    RF,
    RS,
    SCALE,
    P,
    Q,
    searcher,
)
from relaxnet.fitting._core.kernels.certificate import search_quickly
from relaxnet.fitting._core.kernels.doubts import decide
from relaxnet.fitting._core.kernels.grid import find_peaks, project
from relaxnet.fitting._core.kernels.parts import (
    AT_BOUND,
    CONVERGED,
    DONE,
    EPS,
    FATE,
    FOUR,
    INFINITE,
    LANES,
    LEFT,
    MOST,
    NAN,
    NO_SIGNAL,
    ONE,
    PEAK,
    RATE,
    RESIDUAL,
    SIDE,
    SLOPE,
    SLOPE_SCALE,
    SQUARES,
    SUM,
    TOTAL,
    TWO,
    USED,
    ZERO,
    U,
    decays,
    describe,
    fate_of_flat,
    kept,
    load,
    part,
    rows,
    store,
    tilt,
)

FAINT = np.float32(1e-4)  # of the sum of magnitudes: products with decays that may be positive by rounding alone
CLOSE, VAGUE, UPHILL = (np.float32(x) for x in (projection.CLOSE, projection.VAGUE, projection.UPHILL))
NEAR, NEARER = np.float32(projection.NEAR), np.float32(projection.NEARER)


@part()
def _project(a, s, w, e, m):
    """Compute the products of the decays of all lanes with the samples and with themselves, and the amplitudes."""
    for v in range(m):
        a[P + v] = ZERO
        a[Q + v] = ZERO
    for k in range(U(0), U(len(s)) // LANES, FOUR):
        o = k * LANES
        for v in range(m):
            p, q = a[P + v], a[Q + v]
            for j in range(FOUR):
                i = o + j * LANES + v
                weighted = w[i] * e[i]
                p += weighted * s[i]
                q += weighted * e[i]
            a[P + v] = p
            a[Q + v] = q
    for v in range(m):
        a[M0 + v] = a[P + v] / a[Q + v]


@part()
def _differentiate(a, s, w, e, problem, m):
    """Compute the sums that the derivatives of the reduced cost are made of, at the rates of all lanes."""
    t, gap = problem
    decays(a, e, t, gap, m)
    _project(a, s, w, e, m)
    for v in range(m):
        a[BF + v] = ZERO
        a[FF + v] = ZERO
        a[RF + v] = ZERO
        a[RS + v] = ZERO
        a[SCALE + v] = ZERO
    for k in range(U(0), U(len(t)), FOUR):
        o = k * LANES
        for v in range(m):
            m0, bf, ff, rf, rs, scale = a[M0 + v], a[BF + v], a[FF + v], a[RF + v], a[RS + v], a[SCALE + v]
            for j in range(FOUR):
                i, time = o + j * LANES + v, t[k + j]
                predicted = m0 * e[i]
                residual = s[i] - predicted
                g = w[i] * e[i] * time
                h = g * time
                bf += g * e[i]
                ff += h * e[i]
                rf += g * residual
                rs += h * residual
                scale += g * (abs(s[i]) + abs(predicted))
            a[BF + v] = bf
            a[FF + v] = ff
            a[RF + v] = rf
            a[RS + v] = rs
            a[SCALE + v] = scale


_search = searcher(_differentiate, TOTAL, CLOSE)


@part()
def _judge(a, s, w, e, t, gap):
    """Compute what standard errors and goodness of fit are made of, at the rates of all lanes."""
    decays(a, e, t, gap, LANES)
    _project(a, s, w, e, LANES)
    for v in range(LANES):
        a[BF + v] = ZERO
        a[FF + v] = ZERO
        a[RESIDUAL + v] = ZERO
        a[SQUARES + v] = ZERO
    for k in range(U(len(t))):
        time, o = t[k], k * LANES
        for v in range(LANES):
            a[BF + v] += w[o + v] * e[o + v] * e[o + v] * time
    for v in range(LANES):
        a[BF + v] /= a[Q + v]  # mean time under the squared decay
    for k in range(U(len(t))):
        time, o = t[k], k * LANES
        for v in range(LANES):
            across = (time - a[BF + v]) * e[o + v]
            residual = s[o + v] - a[M0 + v] * e[o + v]
            a[FF + v] += w[o + v] * across * across
            a[RESIDUAL + v] += w[o + v] * residual * residual
            a[SQUARES + v] += residual * residual if w[o + v] > ZERO else ZERO


@part()
def _settle(a, rates):
    """Derive the fate of each lane."""
    fastest, slowest = rates[0], rates[-1]
    for v in range(LANES):
        rate, error, most = a[RATE + v], a[ERROR + v], a[MOST + v] / a[SUM + v]
        inside = (rate > slowest) & (rate < fastest)
        # A bound is not vague, and may end the last bracket.
        found = (a[DONE + v] > ZERO) & (((error <= VAGUE * rate) & (a[DONE + v] == ONE)) | (not inside))
        known = found & (a[M0 + v] > ZERO) & (a[FF + v] < INFINITE)
        near = inside & (min(rate - slowest, fastest - rate) < NEAR * rate + NEARER * error)
        uphill = abs(a[RF + v]) > UPHILL * EPS * a[SCALE + v]
        flat = fate_of_flat(a[SLOPE + v], a[SLOPE_SCALE + v]) if rate <= slowest else AT_BOUND
        fate = CONVERGED if inside else (flat if uphill else LEFT)
        fate = LEFT if near | (not known) else fate
        fate = fate if most > FAINT else (NO_SIGNAL if most < -FAINT else LEFT)
        a[FATE + v] = a[SIDE + v] if a[SIDE + v] > ZERO else fate


@part()
def _report(a, results, rates, bounds, noise, lanes, n, table, status, n_used):
    """Write the results of some lanes, in the units of the signal."""
    for v in range(n):
        a[SUM + v] = noise[lanes[v] if len(noise) > 1 else U(0)]
    for v in range(LANES):
        rate, peak, m0, middle = a[RATE + v], a[PEAK + v], a[M0 + v], a[BF + v]
        t = bounds[0] if rate >= rates[0] else (bounds[1] if rate <= rates[-1] else ONE / rate)
        known, free = a[SUM + v] / peak, a[USED + v] - TWO
        variance = known * known if a[SUM + v] > ZERO else (a[RESIDUAL + v] / free if free > ZERO else NAN)
        of_rate, by_rate = variance / a[FF + v], t * t / m0
        results[v] = m0 * peak
        results[LANES + v] = t
        results[U(2) * LANES + v] = np.sqrt(variance / a[Q + v] + of_rate * middle * middle) * peak
        results[U(3) * LANES + v] = np.sqrt(of_rate) * by_rate
        results[U(4) * LANES + v] = -of_rate * middle * by_rate * peak
    store(a, results, U(2), lanes, n, table, status, n_used)


@kept(
    "void(float32[:, :], float32[:, :], float32[:], float32, float32[::1], float32, uint64[::1],"
    " uint64[:, ::1], float32[::1], float32[::1], float32[::1],"
    " Tuple((float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1])),"
    " Tuple((float32[:, ::1], float32[::1], float32, float32[:, ::1], float32[::1], float32)),"
    " float32[:, ::1], uint8[::1], int16[::1])"
)
def fit_decays(
    x, weight, noise, saturation, t, gap, place, latest_first, usual, rates, bounds, grid, curve, table, status, n_used
):
    """Fit each column of ``x``, and fill in ``table``, ``status`` and ``n_used``."""
    n_times, n_voxels, n_grid = U(len(t)), U(x.shape[1]), U(len(grid[0]))
    a, b, r, results, problem = rows(U(OWN)), rows(U(OWN)), rows(U(OWN)), rows(U(7)), (t, gap)
    s, w, e, s_b, w_b = rows(n_times), rows(n_times), rows(n_times), rows(n_times), rows(n_times)
    heights, norms, exact = rows(n_grid), rows(n_grid), np.zeros(n_grid)
    lanes, rivals, chosen = np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64)
    waiting, n_waiting = np.zeros(U(2) * LANES, np.uint64), U(0)
    for first in range(U(0), n_voxels + LANES, LANES):
        n = min(LANES, n_voxels - first) if first < n_voxels else U(0)
        if n and curve[5] > ONE:  # no certificate
            for v in range(n):
                waiting[n_waiting + v] = first + v
            n_waiting += n
        elif n:
            for v in range(n):
                lanes[v] = first + v
            load(x, weight, lanes, n, saturation, place, latest_first, TWO, t, a, s, w)
            n_settled = search_quickly(a, s, e, t, gap, usual, rates, curve, np.float32(len(x)), heights)
            for v in range(n):
                if a[FATE + v] == LEFT:
                    waiting[n_waiting] = first + v
                    n_waiting += U(1)
            if n_settled > U(0):
                describe(a, s, w)
                _judge(a, s, w, e, t, gap)
                _report(a, results, rates, bounds, noise, lanes, n, table, status, n_used)
        while n_waiting >= LANES or (n == U(0) and n_waiting > U(0)):
            m = min(LANES, n_waiting)
            load(x, weight, waiting, m, saturation, place, latest_first, TWO, t, a, s, w)
            describe(a, s, w)
            tilt(a, s, w, t)
            project(a, s, w, e, usual, grid, heights, norms)
            find_peaks(a, heights, n_grid)
            for v in range(LANES):
                chosen[v] = v
            _search(a, r, b, s, w, e, s_b, w_b, heights, rates, problem, chosen, LANES, rivals)
            _judge(a, s, w, e, t, gap)
            _settle(a, rates)
            if decide(a, s, w, t, U(len(x)), rates, bounds, exact) > U(0):
                _judge(a, s, w, e, t, gap)
            _report(a, results, rates, bounds, noise, waiting, m, table, status, n_used)
            n_waiting -= m
            for v in range(n_waiting):
                waiting[v] = waiting[m + v]
