"""The fit of mono-exponential decays above a constant as one compiled pass over the samples of each voxel.

It does what :mod:`~relaxnet.fitting._core.engine` and :mod:`~relaxnet.fitting._core.projection` do, for samples in
single precision, with the same grid and brackets. Whatever is too close to call by rounding, be it that of torch, is
left to them.
"""

import numpy as np

from relaxnet.fitting._core.kernels.bracket import (
    ERROR,
    FF,
    M0,
    RF,
    SCALE,
    Q,
    searcher,
)
from relaxnet.fitting._core.kernels.centred import (
    MEAN_LOSS,
    MEAN_SLOPE,
    NOISE,
    OWN_OF_FIT,
    TWO_ROWS,
    WHOLE,
    centre,
    differentiate,
    project_centred,
    scan,
)
from relaxnet.fitting._core.kernels.grid import find_peaks
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
    LATEST,
    LEFT,
    MEAN,
    MOST,
    NAN,
    NO_DECAY,
    ONE,
    PEAK,
    QUADRUPLE,
    RATE,
    RESIDUAL,
    SIDE,
    SIXTEEN,
    SQUARES,
    SUM,
    TOTAL,
    TWO,
    USED,
    VARIATION,
    ZERO,
    U,
    exp,
    kept,
    load,
    part,
    rows,
    store,
)

N_PARAMETERS, THREE = U(3), np.float32(3)
CLOSE = np.float32(1e-4)  # of the variation: of peaks that differ by less, rounding would choose
FAINT = np.float32(1e-4)  # of the sum of magnitudes: products with decays that may be positive by rounding alone
NEAR, NEARER = np.float32(1e-4), np.float32(8)  # from a bound, relative and in errors of rounding: it may be inside
VAGUE = np.float32(3e-2)  # relative error of a rate, from rounding, that is too much
ASTRAY = np.float32(1e-3)  # relative step that is left where a search has ended at the edge of its bracket
OF_DECAY = np.float32(0.125)  # of the rounding of sums, that of a decay
UPHILL = np.float32(8)  # units of rounding that a gradient at a bound must exceed to be sure of its sign
ALIKE, APART = np.float32(1), np.float32(256)  # squared units of rounding, below and above which samples surely vary

# Rows of what is kept of each lane: the share of the decay in its derivative, the doubt which point of the grid is the
# best, and the rounding of a gradient in torch, all of it and what comes from the decay alone.
SHARE, DOUBT, WIDE, BLUR = (LANES * U(OWN_OF_FIT + k) for k in range(4))
N_ROWS = U(OWN_OF_FIT + 4)

_search = searcher(differentiate, VARIATION, CLOSE)


@part()
def _find_doubts(a, heights, roundings, n_grid):
    """Find how far from the best point of the grid another one is as good within rounding."""
    for v in range(LANES):
        a[DOUBT + v] = ZERO
        a[LATEST + v] = a[HEIGHT + v] - TWO * a[NOISE + v]
    for g in range(n_grid):
        place, o = np.float32(g), g * LANES
        for v in range(LANES):
            as_good = heights[o + v] + roundings[o + v] * a[HEIGHT + v] >= a[LATEST + v]
            a[DOUBT + v] = max(a[DOUBT + v], abs(place - a[BEST + v]) if as_good else ZERO)


@part()
def _pick_clear(a, lanes):
    """List the lanes to search: the amplitude is positive somewhere, and it is clear which point is the best."""
    n = U(0)
    for v in range(LANES):
        if (a[HEIGHT + v] > ZERO) & (a[DOUBT + v] <= ONE):
            lanes[n] = v
            n += U(1)
    return n


@part()
def _judge(a, s, w, e, first, problem):
    """Compute what standard errors and goodness of fit are made of, and how torch rounds, at the rates of all lanes."""
    t, _gap = problem
    for v in range(LANES):
        a[MEAN_SLOPE + v] = ZERO
        a[SHARE + v] = ZERO
        a[FF + v] = ZERO
        a[RESIDUAL + v] = ZERO
        a[SQUARES + v] = ZERO
        a[WIDE + v] = ZERO
        a[BLUR + v] = ZERO
    for k in range(U(len(t))):
        o, i, time = LANES * k, TWO_ROWS * k, t[k]
        for v in range(LANES):
            g = w[o + v] * e[i + v] * time
            a[MEAN_SLOPE + v] += g
            a[SHARE + v] += g * e[i + LANES + v]
    for v in range(LANES):
        a[MEAN_SLOPE + v] /= a[WHOLE + v]
        a[SHARE + v] /= a[Q + v]
    for k in range(U(len(t))):
        o, i, time = LANES * k, TWO_ROWS * k, t[k]
        for v in range(LANES):
            fall, fall_since_zero, centred = e[i + v] * time, e[i + v] * (time + first), e[i + LANES + v]
            across = fall - a[MEAN_SLOPE + v] - a[SHARE + v] * centred
            predicted = a[M0 + v] * centred
            residual = s[o + v] - predicted
            a[FF + v] += w[o + v] * across * across
            a[RESIDUAL + v] += w[o + v] * residual * residual
            a[SQUARES + v] += residual * residual if w[o + v] > ZERO else ZERO
            # In torch, the samples and the decay itself are rounded before they are centred, and time begins at zero.
            a[WIDE + v] += w[o + v] * fall_since_zero * (abs(s[o + v]) + abs(predicted) + HALF * abs(a[MEAN + v]))
            a[BLUR + v] += w[o + v] * e[i + v] * abs(residual)
    for v in range(LANES):
        a[BLUR + v] *= OF_DECAY * abs(a[SHARE + v])
        a[WIDE + v] += a[BLUR + v]


@part()
def _settle(a, rates):
    """Derive the fate of each lane."""
    fastest, slowest = rates[0], rates[-1]
    for v in range(LANES):
        rate, error = a[RATE + v], a[ERROR + v] * a[WIDE + v] / a[SCALE + v]
        inside = (rate > slowest) & (rate < fastest)
        left = abs(a[RF + v]) * a[ERROR + v] / (QUADRUPLE * EPS * a[SCALE + v])  # the step that would be next
        found = (error <= VAGUE * rate) & (left <= ASTRAY * rate + error)
        known = (a[DONE + v] > ZERO) & (found | (not inside)) & (a[M0 + v] > ZERO) & (a[FF + v] < INFINITE)
        near = inside & (min(rate - slowest, fastest - rate) < NEAR * rate + NEARER * error)
        # Where torch begins at the bound, it also stays there if the gradient is small.
        begins = max(TWO * a[WIDE + v], UPHILL * (a[SCALE + v] + a[BLUR + v]))
        uphill = abs(a[RF + v]) > EPS * (UPHILL * a[WIDE + v] if a[DOUBT + v] > ZERO else begins)
        fate = CONVERGED if inside else (AT_BOUND if uphill else LEFT)
        fate = LEFT if near | (not known) | (a[DOUBT + v] > ONE) else fate
        faint = FAINT * a[SUM + v] + SIXTEEN * a[NOISE + v]
        fate = fate if a[MOST + v] > faint else (NO_DECAY if a[MOST + v] < -faint else LEFT)
        unit = EPS * EPS * a[TOTAL + v]
        fate = fate if a[VARIATION + v] > APART * unit else (NO_DECAY if a[VARIATION + v] < ALIKE * unit else LEFT)
        a[FATE + v] = a[SIDE + v] if a[SIDE + v] > ZERO else fate


@part()
def _report(a, results, rates, bounds, first, noise, lanes, n, table, status, n_used):
    """Write the results of some lanes, in the units of the signal."""
    for v in range(n):
        a[SUM + v] = noise[lanes[v] if len(noise) > 1 else U(0)]
    for v in range(LANES):
        rate, peak, grown = a[RATE + v], a[PEAK + v], exp(a[RATE + v] * first)
        t = bounds[0] if rate >= rates[0] else (bounds[1] if rate <= rates[-1] else ONE / rate)
        known, free = a[SUM + v] / peak, a[USED + v] - THREE
        variance = known * known if a[SUM + v] > ZERO else (a[RESIDUAL + v] / free if free > ZERO else NAN)
        of_slope, of_amplitude = variance / a[FF + v], variance / a[Q + v]
        by_slope, middle = t * t / a[M0 + v], ONE + a[MEAN_LOSS + v]
        of_m0, of_offset = a[SHARE + v] + first, a[MEAN_SLOPE + v] - a[SHARE + v] * middle
        m0_m0 = of_amplitude + of_slope * of_m0 * of_m0
        offset_offset = variance / a[WHOLE + v] + of_amplitude * middle * middle + of_slope * of_offset * of_offset
        results[v] = a[M0 + v] * grown * peak
        results[LANES + v] = t
        results[U(2) * LANES + v] = (a[MEAN + v] - a[M0 + v] * middle) * peak
        results[U(3) * LANES + v] = np.sqrt(m0_m0) * grown * peak
        results[U(4) * LANES + v] = np.sqrt(of_slope) * by_slope
        results[U(5) * LANES + v] = np.sqrt(offset_offset) * peak
        results[U(6) * LANES + v] = -of_slope * of_m0 * by_slope * grown * peak
        results[U(7) * LANES + v] = (of_slope * of_m0 * of_offset - of_amplitude * middle) * grown * (peak * peak)
        results[U(8) * LANES + v] = -of_slope * of_offset * by_slope * peak
    store(a, results, N_PARAMETERS, lanes, n, table, status, n_used)


@kept(
    "void(float32[:, :], float32[:, :], float32[:], float32, float32[::1], float32, uint64[::1],"
    " uint64[:, ::1], float32[::1], float32[::1], float32[::1],"
    " Tuple((float32[:, ::1], float32[:, ::1], float32[::1])),"
    " float32[:, ::1], uint8[::1], int16[::1])"
)
def fit_decays(
    x, weight, noise, saturation, t, gap, place, latest_first, usual, rates, bounds, grid, table, status, n_used
):
    """Fit each column of ``x``, and fill in ``table``, ``status`` and ``n_used``."""
    n_times, n_voxels, n_grid = U(len(t)), U(x.shape[1]), U(len(grid[0]))
    first = t[: len(x)].min()
    problem = (np.maximum(t - first, ZERO), gap)
    a, b, r, results = rows(N_ROWS), rows(N_ROWS), rows(N_ROWS), rows(U(11))
    s, w, e, s_b, w_b = rows(n_times), rows(n_times), rows(U(2) * n_times), rows(n_times), rows(n_times)
    heights, roundings = rows(n_grid), rows(n_grid)
    lanes, rivals, chosen = np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64)
    for start in range(U(0), n_voxels, LANES):
        n = min(LANES, n_voxels - start)
        for v in range(n):
            lanes[v] = start + v
        load(x, weight, lanes, n, saturation, place, latest_first, THREE, t, a, s, w)
        centre(a, s, w)
        scan(a, s, w, e, usual, grid, heights, roundings)
        find_peaks(a, heights, n_grid)
        _find_doubts(a, heights, roundings, U(len(rates)))
        n_clear = _pick_clear(a, chosen)
        if _search(a, r, b, s, w, e, s_b, w_b, heights, rates, problem, chosen, n_clear, rivals) > U(0):
            project_centred(a, s, w, e, problem, LANES)
        _judge(a, s, w, e, first, problem)
        _settle(a, rates)
        _report(a, results, rates, bounds, first, noise, lanes, n, table, status, n_used)
