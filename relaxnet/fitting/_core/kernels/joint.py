"""The fit of several decays with a common amplitude as one compiled pass over the samples of each voxel.

It does what :mod:`~relaxnet.fitting._core.engine`, :mod:`~relaxnet.fitting._core.newton` and
:class:`~relaxnet.fitting._joint.Joint` do, for samples in single precision, with the same grids, starts and damped
steps. Whatever is too close to call by rounding is left to them.

The rows of samples are in blocks of equal size, one for each contrast, so that each block depends on one T.
"""

import numpy as np

from relaxnet.fitting._core.kernels.joint_start import DOUBT, REST, SHARE, choose, tabulate
from relaxnet.fitting._core.kernels.newton import (
    BY,
    DAMP,
    HELD,
    HIGH,
    LOW,
    MIXED,
    NEXT,
    OWN,
    SCALE,
    SPARE,
    SQUARE,
    STEP,
    TRIAL_BY,
    TRIAL_COST,
    TRIAL_MIXED,
    TRIAL_SCALE,
    TRIAL_SQUARE,
    TRIAL_TWICE,
    TRIAL_X,
    TWICE,
    X,
    minimiser,
    n_rows,
    searched,
)
from relaxnet.fitting._core.kernels.parts import (
    AT_BOUND,
    CONVERGED,
    DONE,
    EPS,
    FATE,
    FOUR,
    LANES,
    LEFT,
    MOST,
    NAN,
    NO_SIGNAL,
    ONE,
    PEAK,
    QUADRUPLE,
    RESIDUAL,
    SIDE,
    SQUARES,
    SUM,
    TINY,
    USED,
    ZERO,
    U,
    describe,
    exp,
    exponentials,
    fate_of_flat,
    gather,
    kept,
    load,
    part,
    rows,
    store,
)

SMALL = np.float32(4e-6)  # step in log T behind which a search has converged
FAINT = np.float32(1e-4)  # of the sum of magnitudes: products with decays that may be positive by rounding alone
NEAR, NEARER = np.float32(1e-4), np.float32(8)  # from a bound, in log T and in errors of rounding: it may be inside
VAGUE = np.float32(1e-3)  # error of log T, from rounding of the gradient, that is too much
UPHILL = np.float32(32)  # units of rounding that a gradient at a bound must exceed to be sure of its sign
ILL = np.float32(1e-4)  # of the curvature by the amplitude: what is left of it when all T follow

# Rows of what is kept of each lane.
P, M0 = LANES * U(OWN + 6), LANES * U(OWN + 7)
RATE = RATIO = SPARE  # of each T, at different moments


@part()
def _evaluate(a, s, w, e, problem, m):
    """Compute the reduced cost and its derivatives at the logarithms of T to try."""
    t, n_contrasts, width = problem
    _project(a, s, w, e, TRIAL_X, problem, m)
    for v in range(m):
        p, q = a[P + v], a[TRIAL_SQUARE + v]
        a[M0 + v] = p / q
        a[TRIAL_COST + v] = -max(p, ZERO) * max(p, ZERO) / q
    for c in range(n_contrasts):
        x = c * NEXT
        for k in range(c * width, (c + U(1)) * width, FOUR):
            o, first = k * LANES, k == c * width
            for v in range(m):
                m0, rate = a[M0 + v], a[RATE + x + v]
                bf, ff = ZERO if first else a[TRIAL_MIXED + x + v], ZERO if first else a[TRIAL_TWICE + x + v]
                rf, rs = ZERO if first else a[TRIAL_BY + x + v], ZERO if first else a[STEP + x + v]
                scale = ZERO if first else a[TRIAL_SCALE + x + v]
                for j in range(FOUR):
                    i, u = o + j * LANES + v, t[k + j] * rate
                    predicted = m0 * e[i]
                    residual = s[i] - predicted
                    g = w[i] * e[i] * u
                    bf += g * e[i]
                    ff += g * e[i] * u
                    rf += g * residual
                    rs += g * residual * (u - ONE)
                    scale += g * (abs(s[i]) + abs(predicted))
                a[TRIAL_MIXED + x + v] = bf
                a[TRIAL_TWICE + x + v] = ff
                a[TRIAL_BY + x + v] = rf
                a[STEP + x + v] = rs
                a[TRIAL_SCALE + x + v] = scale
        for v in range(m):
            m0, rf = a[M0 + v], a[TRIAL_BY + x + v]
            a[TRIAL_MIXED + x + v] = m0 * a[TRIAL_MIXED + x + v] - rf
            a[TRIAL_TWICE + x + v] = m0 * (m0 * a[TRIAL_TWICE + x + v] - a[STEP + x + v])
            a[TRIAL_BY + x + v] = -m0 * rf
            a[TRIAL_SCALE + x + v] = abs(m0) * a[TRIAL_SCALE + x + v]


@part()
def _project(a, s, w, e, at, problem, m):
    """Compute the decays of all lanes, and their products with the samples and with themselves."""
    t, n_contrasts, width = problem
    for c in range(n_contrasts):
        x = c * NEXT
        for v in range(m):
            a[RATE + x + v] = exp(-a[at + x + v])
        exponentials(a, RATE + x, e, t, c * width, (c + U(1)) * width, m)
    for k in range(U(0), n_contrasts * width, FOUR):
        o = k * LANES
        for v in range(m):
            p, q = a[P + v] if k else ZERO, a[TRIAL_SQUARE + v] if k else ZERO
            for j in range(FOUR):
                i = o + j * LANES + v
                weighted = w[i] * e[i]
                p += weighted * s[i]
                q += weighted * e[i]
            a[P + v] = p
            a[TRIAL_SQUARE + v] = q


@part()
def _step(b, n_contrasts, m):
    """Take a step of Newton's method: with the amplitude eliminated, a diagonal minus the square of one vector."""
    for v in range(m):
        b[SHARE + v] = ZERO
        b[REST + v] = b[SQUARE + v] * (ONE + b[DAMP + v])
    for c in range(n_contrasts):
        x = c * NEXT
        for v in range(m):
            held = b[HELD + x + v] > ZERO
            twice = ONE if held else abs(b[TWICE + x + v]) * (ONE + b[DAMP + v])
            mixed = ZERO if held else b[MIXED + x + v] / twice
            step = ZERO if held else b[BY + x + v] / twice
            b[SHARE + v] += mixed * step * twice
            b[REST + v] -= mixed * mixed * twice
            b[STEP + x + v] = -step
            b[RATIO + x + v] = mixed
    for v in range(m):
        b[SHARE + v] = b[SHARE + v] / b[REST + v] if b[REST + v] > ILL * b[SQUARE + v] else ZERO
    for c in range(n_contrasts):
        x = c * NEXT
        for v in range(m):
            b[STEP + x + v] -= b[RATIO + x + v] * b[SHARE + v]


minimise = minimiser(_evaluate, _step)


@part()
def _judge(a, s, w, e, problem):
    """Compute what standard errors and goodness of fit are made of.

    Of each T, ``RATIO`` is the product of decay and time with the decay, over that with itself, ``TRIAL_TWICE``; what
    is left of the decay without its share in all of them, ``REST``.
    """
    t, n_contrasts, width = problem
    _project(a, s, w, e, X, problem, LANES)
    for v in range(LANES):
        a[M0 + v] = a[P + v] / a[TRIAL_SQUARE + v]
        a[RESIDUAL + v] = ZERO
        a[SQUARES + v] = ZERO
        a[REST + v] = ZERO
    for c in range(n_contrasts):
        x = c * NEXT
        for v in range(LANES):
            a[RATIO + x + v] = ZERO
            a[TRIAL_TWICE + x + v] = ZERO
        for k in range(c * width, (c + U(1)) * width):
            o, time = k * LANES, t[k]
            for v in range(LANES):
                g = w[o + v] * e[o + v] * e[o + v] * time
                a[RATIO + x + v] += g
                a[TRIAL_TWICE + x + v] += g * time
        for v in range(LANES):
            a[RATIO + x + v] /= a[TRIAL_TWICE + x + v]
        for k in range(c * width, (c + U(1)) * width):
            o, time = k * LANES, t[k]
            for v in range(LANES):
                across = e[o + v] * (ONE - a[RATIO + x + v] * time)
                residual = s[o + v] - a[M0 + v] * e[o + v]
                a[REST + v] += w[o + v] * across * across
                a[RESIDUAL + v] += w[o + v] * residual * residual
                a[SQUARES + v] += residual * residual if w[o + v] > ZERO else ZERO


@part()
def _slope(s, w, t, first, last, v):
    """Return the slope over time of one contrast with the common image, and the sum of the magnitudes of its terms."""
    total, middle, slope, scale = ZERO, ZERO, ZERO, ZERO
    for k in range(U(len(t))):
        if (t[k] == ZERO) | ((k >= first) & (k < last)):
            total += w[k * LANES + v]
            middle += w[k * LANES + v] * t[k]
    middle /= total
    for k in range(U(len(t))):
        if (t[k] == ZERO) | ((k >= first) & (k < last)):
            rise = w[k * LANES + v] * (t[k] - middle) * s[k * LANES + v]
            slope += rise
            scale += abs(rise)
    return slope, scale


@part()
def _settle(a, s, w, problem, n):
    """Derive the fate of each lane."""
    t, n_contrasts, width = problem
    for v in range(n):
        rest, share, fate = a[SQUARE + v], ZERO, CONVERGED
        for c in range(n_contrasts):
            i = c * NEXT + v
            if (a[X + i] > a[LOW + i]) & (a[X + i] < a[HIGH + i]):
                rest -= a[MIXED + i] * a[MIXED + i] / a[TWICE + i]
                share += abs(a[MIXED + i] / a[TWICE + i]) * a[SCALE + i]
        for c in range(n_contrasts):
            i = c * NEXT + v
            x, twice = a[X + i], a[TWICE + i]
            if (x > a[LOW + i]) & (x < a[HIGH + i]):
                error = QUADRUPLE * EPS * (a[SCALE + i] + abs(a[MIXED + i]) * share / rest) / twice
                sure = (twice > ZERO) & (error < VAGUE) & (a[TRIAL_TWICE + i] > TINY)
                near = min(x - a[LOW + i], a[HIGH + i] - x) < NEAR + NEARER * error
                fate = fate if sure & (not near) else LEFT
            elif abs(a[BY + i]) <= UPHILL * EPS * a[SCALE + i]:
                fate = LEFT
            elif x >= a[HIGH + i]:
                slope, scale = _slope(s, w, t, c * width, (c + U(1)) * width, v)
                fate = max(fate, fate_of_flat(slope, scale))
            else:
                fate = max(fate, AT_BOUND)
        sure = (a[DONE + v] > ZERO) & (rest > VAGUE * a[SQUARE + v]) & (a[P + v] > FAINT * a[SUM + v])
        fate = fate if sure & (a[DOUBT + v] <= ONE) else LEFT
        fate = NO_SIGNAL if a[MOST + v] < -FAINT * a[SUM + v] else fate
        a[FATE + v] = a[SIDE + v] if a[SIDE + v] > ZERO else fate


@part()
def _report(a, results, bounds, noise, lanes, n, table, status, n_used):
    """Write the results of some lanes, in the units of the signal."""
    n_contrasts, n_parameters = U(len(bounds)), U(len(bounds)) + U(1)
    for v in range(n):
        a[SHARE + v] = noise[lanes[v] if len(noise) > 1 else U(0)]
    for v in range(LANES):
        known, free, peak = a[SHARE + v] / a[PEAK + v], a[USED + v] - np.float32(n_parameters), a[PEAK + v]
        variance = known * known if a[SHARE + v] > ZERO else (a[RESIDUAL + v] / free if free > ZERO else NAN)
        a[SHARE + v] = variance
        a[REST + v] = variance / a[REST + v]  # that of the amplitude
        results[v] = a[M0 + v] * peak
        results[n_parameters * LANES + v] = np.sqrt(a[REST + v]) * peak
    covariance = U(2) * n_parameters * LANES
    for c in range(n_contrasts):
        i, row = c * NEXT, (c + U(1)) * LANES
        for v in range(LANES):
            x = a[X + i + v]
            at = bounds[c, U(0)] if x <= a[LOW + i + v] else (bounds[c, U(1)] if x >= a[HIGH + i + v] else exp(x))
            by_rate, ratio = at * at / a[M0 + v], a[RATIO + i + v]
            results[row + v] = at
            own = a[SHARE + v] / a[TRIAL_TWICE + i + v] + ratio * ratio * a[REST + v]
            results[n_parameters * LANES + row + v] = np.sqrt(own) * by_rate
            a[STEP + i + v] = -ratio * by_rate
            results[covariance + v] = -ratio * by_rate * a[REST + v] * a[PEAK + v]
        covariance += LANES
    for c in range(n_contrasts):
        for d in range(c + U(1), n_contrasts):
            for v in range(LANES):
                results[covariance + v] = a[STEP + c * NEXT + v] * a[STEP + d * NEXT + v] * a[REST + v]
            covariance += LANES
    store(a, results, n_parameters, lanes, n, table, status, n_used)


@kept(
    "void(float32[:, :], float32[:, :], float32[:], float32, float32[::1], uint64[::1], uint64[:, ::1],"
    " float32[:, ::1], float32[:, ::1], float32[::1],"
    " Tuple((float32[:, :, ::1], float32[:, :, ::1], float32[::1], float32[:, ::1])),"
    " float32[:, ::1], uint8[::1], int16[::1])"
)
def fit_decays(
    x, weight, noise, saturation, t, place, latest_first, bounds, log_t, typical, tables, table, status, n_used
):
    """Fit each column of ``x``, and fill in ``table``, ``status`` and ``n_used``."""
    n_times, n_voxels, n_contrasts, n_grid = U(len(t)), U(x.shape[1]), U(len(log_t)), U(log_t.shape[1])
    problem, n_all = (t, n_contrasts, n_times // n_contrasts), n_rows(n_contrasts)
    a, b, state = rows(n_all), rows(n_all), searched(n_contrasts)
    n_parameters = n_contrasts + U(1)
    results = rows(U(2) * n_parameters + n_parameters * n_contrasts // U(2) + U(2))
    s, w, e, s_b, w_b = rows(n_times), rows(n_times), rows(n_times), rows(n_times), rows(n_times)
    n_table = n_contrasts * n_grid
    heights, norms, heights_b, norms_b = rows(n_table), rows(n_table), rows(n_table), rows(n_table)
    places, ways = rows(n_contrasts), np.zeros((U(2), n_contrasts * LANES), np.float32)
    lanes, chosen = np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64)
    for first in range(U(0), n_voxels, LANES):
        n = min(LANES, n_voxels - first)
        for v in range(n):
            lanes[v] = first + v
        load(x, weight, lanes, n, saturation, place, latest_first, np.float32(n_parameters), t, a, s, w)
        describe(a, s, w)
        tabulate(a, s, w, e, t, tables, heights, norms)
        choose(a, b, chosen, heights, norms, heights_b, norms_b, places, ways, typical, n_grid)
        for c in range(n_contrasts):
            i = c * NEXT
            for v in range(LANES):
                b[X + i + v] = log_t[c, U(places[c * LANES + v])]
                a[LOW + i + v] = b[LOW + i + v] = log_t[c, U(0)]
                a[HIGH + i + v] = b[HIGH + i + v] = log_t[c, n_grid - U(1)]
        for v in range(LANES):
            chosen[v] = v
        gather(s, w, chosen, s_b, w_b, LANES)
        minimise(problem, n_contrasts, SMALL, state, a, b, s_b, w_b, e, chosen, LANES)
        _judge(a, s, w, e, problem)
        _settle(a, s, w, problem, n)
        _report(a, results, bounds, noise, lanes, n, table, status, n_used)
