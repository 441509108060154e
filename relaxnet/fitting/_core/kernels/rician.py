"""The fit of mono-exponential decays under Rician noise as one compiled pass over the samples of each voxel.

It does what :mod:`~relaxnet.fitting._core.engine`, :mod:`~relaxnet.fitting._core.newton` and
:class:`~relaxnet.fitting._rician.Rician` do, for samples in single precision, with the same grids, starts and damped
steps. Whatever is too close to call by rounding is left to them.

Voxels whose starts least squares knows, and the others, are collected until they fill all lanes.
"""

import math

import numpy as np

from relaxnet.fitting._core.kernels.grid import find_peaks, project
from relaxnet.fitting._core.kernels.likelihood import (
    JOINT,
    M0,
    SIGMA,
    bessel,
    correct,
    evaluate,
    find_likelihoods,
)
from relaxnet.fitting._core.kernels.newton import (
    BY,
    COST,
    DAMP,
    HELD,
    HIGH,
    LOW,
    MIXED,
    NEXT,
    SCALE,
    STEP,
    TENTH,
    TWICE,
    X,
    minimiser,
    n_rows,
    searched,
)
from relaxnet.fitting._core.kernels.parts import (
    AT_BOUND,
    BEST,
    CONVERGED,
    DONE,
    EPS,
    FATE,
    HALF,
    HEIGHT,
    INFINITE,
    LANES,
    LEFT,
    NO_SIGNAL,
    ONE,
    PEAK,
    QUADRUPLE,
    RATE,
    RESIDUAL,
    RIVAL,
    RIVAL_HEIGHT,
    SIDE,
    SLOPE,
    SLOPE_SCALE,
    SQUARES,
    TOTAL,
    TWO,
    ZERO,
    U,
    decays,
    describe,
    exp,
    fate_of_flat,
    gather,
    kept,
    load,
    log,
    part,
    rows,
    store,
    tilt,
)

SMALL = np.float32(1e-5)  # step in the logarithms behind which a search has converged
MARGIN = np.float32(0.025)  # of twice the height of a peak: a second one that is lower by less is searched from, too
BRIGHT, FAINT = np.float32(100), np.float32(1e-2)
CLOSE = np.float32(1e-5)  # of the cost: of ends that differ by less, rounding would choose
NEAR = np.float32(1e-2)  # distance in log T of two ends that are one
NEAR_BOUND = np.float32(32)  # errors of log T, the distance from a bound at which rounding may decide what is inside
VAGUE = np.float32(1e-3)  # error of log T, from rounding of the gradient, that is too much
UPHILL = np.float32(16)  # units of rounding that a gradient at a bound must exceed to be sure of its sign

N_PARAMETERS = U(2)
LOG_M0, LOG_T, M0_TWICE, T_TWICE, T_HELD, M0_HELD = X, X + NEXT, TWICE, TWICE + NEXT, HELD + NEXT, HELD
BY_M0, BY_T, SCALE_T = BY, BY + NEXT, SCALE + NEXT

ROOT_HALF_PI = np.float32(math.sqrt(math.pi / 2))


@part()
def _step(b, _n_parameters, m):
    """Take a step of Newton's method; where the matrix is not positive definite, each derivative is followed itself."""
    for v in range(m):
        m0_held, t_held, damping = b[M0_HELD + v] > ZERO, b[T_HELD + v] > ZERO, ONE + b[DAMP + v]
        m0_twice = ONE if m0_held else abs(b[M0_TWICE + v]) * damping
        t_twice = ONE if t_held else abs(b[T_TWICE + v]) * damping
        mixed = ZERO if m0_held | t_held else b[MIXED + v]
        mixed = mixed if m0_twice * t_twice > np.float32(1.0001) * mixed * mixed else ZERO
        by_m0 = ZERO if m0_held else b[BY_M0 + v]
        by_t = ZERO if t_held else b[BY_T + v]
        determinant = m0_twice * t_twice - mixed * mixed
        b[STEP + v] = (mixed * by_t - t_twice * by_m0) / determinant
        b[STEP + NEXT + v] = (mixed * by_m0 - m0_twice * by_t) / determinant


minimise = minimiser(evaluate, _step)


@part()
def _begin(a, w, c, basis, log_t, place_row, lanes, b, m):
    """Put lanes of ``b`` at a point of the grid of ``a``; from an amplitude near 0, a search would take many steps."""
    for i in range(m):
        v = lanes[i]
        g = U(a[place_row + v])
        p, q = ZERO, ZERO
        for k in range(U(basis.shape[1])):
            y = basis[g, k]
            p += w[k * LANES + v] * y * c[k * LANES + v]
            q += w[k * LANES + v] * y * y
        b[LOG_M0 + i] = max(p / q if q > ZERO else ZERO, np.float32(0.1) * a[SIGMA + v])
        b[LOG_T + i] = log_t[g]
        b[LOW + i] = HALF * FAINT * a[SIGMA + v]
        b[LOW + NEXT + i], b[HIGH + NEXT + i] = log_t[0], log_t[-1]
    for i in range(m):
        b[LOG_M0 + i] = log(b[LOG_M0 + i])
        b[LOW + i], b[HIGH + i] = log(b[LOW + i]), INFINITE


@part()
def _pick_rivals(a, lanes, bright):
    """List the lanes with a second peak of the grid that is nearly as high as the best."""
    n = U(0)
    for v in range(LANES):
        best, rival, precision = a[HEIGHT + v], a[RIVAL_HEIGHT + v], ONE / (a[SIGMA + v] * a[SIGMA + v])
        lower = HALF * (best * best - rival * rival) * precision if bright else best - rival
        if (rival > -INFINITE) & (lower < ONE + MARGIN * a[TOTAL + v] * precision):
            lanes[n] = v
            n += U(1)
    return n


@part()
def _take_better(a, r, state, lanes, n):
    """Replace what was found for lanes whose rival costs less; none is done where that is too close to call."""
    for i in range(n):
        v = lanes[i]
        cost, other = a[COST + v], r[COST + v]
        if abs(cost - other) <= CLOSE * (ONE + abs(cost)):
            silent = max(a[LOG_M0 + v], r[LOG_M0 + v]) < a[LOW + v] + TENTH
            same = silent | (abs(a[LOG_T + v] - r[LOG_T + v]) < NEAR)
            a[DONE + v] = a[DONE + v] if same else -ONE
        elif other < cost:
            for row in state:
                a[row + v] = r[row + v]


@part()
def _judge(a, s, w, e, t, gap):
    """Compute what the goodness of fit is made of, at the parameters of all lanes: residuals are those to the mean."""
    for v in range(LANES):
        a[M0 + v] = exp(a[LOG_M0 + v])
        a[RATE + v] = exp(-a[LOG_T + v])
        a[SQUARES + v] = ZERO
        a[RESIDUAL + v] = ZERO
    decays(a, e, t, gap, LANES)
    for o in range(U(0), U(len(s)), LANES):
        for v in range(LANES):
            precision, amplitude, variance = w[o + v], a[M0 + v] * e[o + v], a[SIGMA + v] * a[SIGMA + v]
            half = precision * amplitude * amplitude * HALF * HALF
            i0, ratio, _slope = bessel(half)
            i0 *= exp(-half) if half < JOINT else ONE
            mean = ROOT_HALF_PI * i0 * (ONE + TWO * half * (ONE + ratio)) / np.sqrt(precision)
            residual = s[o + v] - mean if precision > ZERO else ZERO
            a[SQUARES + v] += residual * residual
            a[RESIDUAL + v] += precision * variance * residual * residual


@part()
def _settle(a, bright, shortest, longest):
    """Derive the fate of each lane."""
    for v in range(LANES):
        log_t, amplitude = a[LOG_T + v], a[M0 + v] / (FAINT * a[SIGMA + v])
        inside = (log_t > shortest) & (log_t < longest)
        rounding = EPS * a[SCALE_T + v]
        determinant = a[M0_TWICE + v] * a[T_TWICE + v] - a[MIXED + v] * a[MIXED + v]
        error = QUADRUPLE * rounding * a[M0_TWICE + v] / determinant
        sure = (determinant > VAGUE * a[M0_TWICE + v] * abs(a[T_TWICE + v])) & (a[M0_TWICE + v] > ZERO)
        sure = sure & (error < VAGUE)
        near = min(log_t - shortest, longest - log_t) <= NEAR_BOUND * (error + SMALL)
        uphill = abs(a[BY_T + v]) > UPHILL * rounding
        flat = fate_of_flat(a[SLOPE + v], a[SLOPE_SCALE + v]) if log_t >= longest else AT_BOUND
        fate = (CONVERGED if sure & (not near) else LEFT) if inside else (flat if uphill else LEFT)
        silence = HALF * a[TOTAL + v] / (a[SIGMA + v] * a[SIGMA + v])  # the cost of no amplitude
        fate = fate if (a[DONE + v] > ZERO) & (amplitude > np.float32(10)) & (a[COST + v] < silence - FAINT) else LEFT
        silent = (amplitude < np.float32(0.7)) & (not bright) & (a[HEIGHT + v] < VAGUE - silence)
        fate = NO_SIGNAL if (a[DONE + v] >= ZERO) & silent else fate
        a[FATE + v] = a[SIDE + v] if a[SIDE + v] > ZERO else fate


@part()
def _report(a, results, bounds, shortest, longest, lanes, n, table, status, n_used):
    """Write the results of some lanes, in the units of the signal."""
    for v in range(LANES):
        peak, m0, log_t = a[PEAK + v], a[M0 + v], a[LOG_T + v]
        t = bounds[0] if log_t <= shortest else (bounds[1] if log_t >= longest else ONE / a[RATE + v])
        determinant = a[M0_TWICE + v] * a[T_TWICE + v] - a[MIXED + v] * a[MIXED + v]
        results[v] = m0 * peak
        results[LANES + v] = t
        results[U(2) * LANES + v] = np.sqrt(a[T_TWICE + v] / determinant) * m0 * peak
        results[U(3) * LANES + v] = np.sqrt(a[M0_TWICE + v] / determinant) * t
        results[U(4) * LANES + v] = -a[MIXED + v] / determinant * m0 * t * peak
    store(a, results, N_PARAMETERS, lanes, n, table, status, n_used)


@part()
def _load(x, weight, noise, lanes, n, saturation, place, latest_first, t, a, s, w):
    """Read the samples of some voxels, and their noise."""
    load(x, weight, lanes, n, saturation, place, latest_first, TWO, t, a, s, w)
    for v in range(n):
        a[SIGMA + v] = noise[lanes[v] if len(noise) > 1 else U(0)]
    for v in range(LANES):
        a[SIGMA + v] = ONE if (a[SIDE + v] > ZERO) | (v >= n) else a[SIGMA + v] / a[PEAK + v]


@part()
def _sort(a, s, w, lanes, n, waiting, n_waiting, status):
    """Put each voxel to those that wait for one of the two ways to start; leave those that are no magnitudes."""
    for v in range(n):
        total, most, least = ZERO, ZERO, ZERO
        for o in range(U(0), U(len(s)), LANES):
            energy = w[o + v] * s[o + v] * s[o + v]
            total, most, least = total + energy, max(most, energy), min(least, s[o + v])
        if least < ZERO:
            status[lanes[v]] = np.uint8(LEFT)
        else:
            way = U(total - most > BRIGHT * a[SIGMA + v] * a[SIGMA + v])
            waiting[way, n_waiting[way]] = lanes[v]
            n_waiting[way] += U(1)


@kept(
    "void(float32[:, :], float32[:, :], float32[:], float32, float32[::1], float32, uint64[::1],"
    " uint64[:, ::1], float32[::1], float32[::1], float32[::1],"
    " Tuple((float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1])),"
    " float32[:, ::1], uint8[::1], int16[::1])"
)
def fit_decays(
    x, weight, noise, saturation, t, gap, place, latest_first, usual, rates, bounds, grid, table, status, n_used
):
    """Fit each column of ``x``, and fill in ``table``, ``status`` and ``n_used``."""
    n_times, n_voxels, n_grid = U(len(t)), U(x.shape[1]), U(len(grid[0]))
    log_t = -np.log(rates)
    shortest, longest = log_t[0], log_t[-1]
    n_all = n_rows(N_PARAMETERS)
    a, b, r, b_r = rows(n_all), rows(n_all), rows(n_all), rows(n_all)
    results, state, problem = rows(U(7)), searched(N_PARAMETERS), (t, gap)
    s, w, e, c, s_b, w_b = rows(n_times), rows(n_times), rows(n_times), rows(n_times), rows(n_times), rows(n_times)
    heights, norms = rows(n_grid), rows(n_grid)
    lanes, rivals, chosen = np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64)
    waiting, n_waiting = np.zeros((U(2), U(2) * LANES), np.uint64), np.zeros(2, np.uint64)
    for first in range(U(0), n_voxels + LANES, LANES):
        n = min(LANES, n_voxels - first) if first < n_voxels else U(0)
        for v in range(n):
            lanes[v] = first + v
        _load(x, weight, noise, lanes, n, saturation, place, latest_first, t, a, s, w)
        _sort(a, s, w, lanes, n, waiting, n_waiting, status)
        for way in range(U(2)):
            while n_waiting[way] >= LANES or (n == U(0) and n_waiting[way] > U(0)):
                m, bright, some = min(LANES, n_waiting[way]), way == U(1), waiting[way]
                _load(x, weight, noise, some, m, saturation, place, latest_first, t, a, s, w)
                describe(a, s, w)
                tilt(a, s, w, t)
                correct(a, s, w, c)
                if bright:
                    project(a, c, w, e, usual, grid, heights, norms)
                else:
                    find_likelihoods(a, s, w, c, e, grid, heights, norms)
                find_peaks(a, heights, n_grid)
                n_rivals = _pick_rivals(a, rivals, bright)
                for v in range(LANES):
                    chosen[v] = v
                _begin(a, w, c, grid[1], log_t, BEST, chosen, b, LANES)
                _begin(a, w, c, grid[1], log_t, RIVAL, rivals, b_r, n_rivals)
                for o in range(U(0), U(len(w)), LANES):
                    for v in range(LANES):
                        w[o + v] /= a[SIGMA + v] * a[SIGMA + v]
                gather(s, w, chosen, s_b, w_b, LANES)
                minimise(problem, N_PARAMETERS, SMALL, state, a, b, s_b, w_b, e, chosen, LANES)
                if n_rivals > U(0):
                    gather(s, w, rivals, s_b, w_b, n_rivals)
                    for i in range(n_rivals):
                        chosen[i] = rivals[i]
                    minimise(problem, N_PARAMETERS, SMALL, state, r, b_r, s_b, w_b, e, chosen, n_rivals)
                    _take_better(a, r, state, rivals, n_rivals)
                _judge(a, s, w, e, t, gap)
                _settle(a, bright, shortest, longest)
                _report(a, results, bounds, shortest, longest, some, m, table, status, n_used)
                n_waiting[way] -= m
                for v in range(n_waiting[way]):
                    some[v] = some[m + v]
