"""The fit of mono-exponential decays as one compiled pass over the samples of each voxel.

It does what :mod:`~relaxnet.fitting._core.engine` and :mod:`~relaxnet.fitting._core.projection` do, for samples in
single precision: which samples are used, a grid in log T, Newton's method inside a bracket from its best point and from
a rival of that, standard errors and status. Whatever is too close to call by rounding is left to them.

Voxels are worked on by :data:`LANES` at a time. All loops over the lanes are free of branches and calls, so that the
compiler makes vector instructions of them: hence the polynomial in place of ``exp``, and one array with constant
offsets for what is kept of each lane, of which it sees that they do not overlap.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

U = np.uint64  # indices without a sign: the compiler need not think of those below 0
LANES = U(64)
MAX_STEPS = 60
MARGIN = np.float32(0.05)  # of the signal: a second peak of the grid that is lower by less is searched from, too
CLOSE = np.float32(1e-5)  # of the signal: of peaks that differ by less, rounding would choose
FAINT = np.float32(1e-4)  # of the sum of magnitudes: products with decays that may be positive by rounding alone
NEAR = np.float32(1e-2)  # relative distance from a bound at which rounding may decide what is inside
VAGUE = np.float32(1e-3)  # relative error of a rate, from rounding of the gradient, that is too much
UPHILL = np.float32(512)  # units of rounding that a gradient at a bound must exceed to be sure of its sign

CONVERGED, AT_BOUND, TOO_FEW_SAMPLES, NO_DECAY, NO_SIGNAL, LEFT = (np.float32(k) for k in (0, 1, 2, 3, 4, 255))
"""What becomes of a voxel: a ``FitStatus``, or that it is left to the general search."""

# Rows of what is kept of each lane.
(RATE, LOW, HIGH, P, Q, M0, BF, FF, RF, RS, SCALE, DONE, PEAK, USED, TOTAL, BEST, RIVAL, SIDE) = (
    LANES * U(k) for k in range(18)
)
(MOST, SUM, HEIGHT, RIVAL_HEIGHT, MEAN, WEIGHT, VARIATION, SQUARES, SLOPE, SLOPE_SCALE, FATE, RESULT) = (
    LANES * U(k) for k in range(18, 30)
)
N_ROWS = RESULT + LANES * U(7)

INFINITE, NAN = np.float32(np.inf), np.float32(np.nan)
EPS = np.float32(np.finfo(np.float32).eps)
TINY = np.float32(np.finfo(np.float32).tiny)
SMALL = np.float32(1e-6)
ZERO, ONE, HALF, FOUR, SIXTEEN = (np.float32(x) for x in (0, 1, 0.5, 4, 16))
LOG2_E, LN2_HIGH, LN2_LOW = (np.float32(x) for x in (1.4426950408889634, 0.693359375, -2.12194440e-4))
LEAST_EXPONENT = np.float32(-87.0)
(E6, E5, E4, E3, E2) = (np.float32(1 / math.factorial(k)) for k in (6, 5, 4, 3, 2))


_Decorator = Callable[[Callable[..., Any]], Any]
_SETTINGS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}}


def _part(**options: Any) -> _Decorator:
    """Compile a part of the kernel: the function as it is written, whatever checks wrap it in tests."""
    return lambda function: numba.njit(**_SETTINGS, **options)(inspect.unwrap(function))


def _kept(signature: str) -> _Decorator:
    """Compile the kernel, and keep it on disk: beside this file or in the cache of the user, if one can be written."""

    def decorate(function: Callable[..., Any]) -> Any:
        function = inspect.unwrap(function)
        try:
            return numba.njit(signature, cache=True, nogil=True, **_SETTINGS)(function)
        except RuntimeError:  # no place to write to
            return numba.njit(signature, nogil=True, **_SETTINGS)(function)

    return decorate


@_part(forceinline=True)
def _exp(x):
    """Compute the exponential of a number that is 0 or less."""
    x = max(x, LEAST_EXPONENT)
    power = np.int32(x * LOG2_E - HALF)
    n = np.float32(power)
    f = x - n * LN2_HIGH - n * LN2_LOW
    poly = ((((E6 * f + E5) * f + E4) * f + E3) * f + E2) * f * f + f + ONE
    return poly * np.int32((power + np.int32(127)) << np.int32(23)).view(np.float32)


@_part()
def _ones(n):
    """Return some rows of ones."""
    return np.ones(n * LANES, np.float32)


@_part()
def _project(a, s, w, e, t, m):
    """Compute the decays at the rates of all lanes, and their products with the samples and with themselves."""
    for v in range(m):
        a[P + v] = ZERO
        a[Q + v] = ZERO
    for k in range(U(len(t))):
        time, o = t[k], k * LANES
        for v in range(m):
            y = _exp(-time * a[RATE + v])
            e[o + v] = y
            y_w = w[o + v] * y
            a[P + v] += y_w * s[o + v]
            a[Q + v] += y_w * y


@_part()
def _search(a, s, w, e, t, m):
    """Run Newton's method on the reduced cost as a function of the rate, inside the brackets of all lanes."""
    for v in range(m):
        a[DONE + v] = ZERO
    for _ in range(MAX_STEPS):
        _project(a, s, w, e, t, m)
        for v in range(m):
            a[M0 + v] = a[P + v] / a[Q + v]
            a[BF + v] = ZERO
            a[FF + v] = ZERO
            a[RF + v] = ZERO
            a[RS + v] = ZERO
            a[SCALE + v] = ZERO
        for k in range(U(len(t))):
            time, o = t[k], k * LANES
            for v in range(m):
                y = e[o + v]
                predicted = a[M0 + v] * y
                residual = s[o + v] - predicted
                g = w[o + v] * y * time
                h = g * time
                a[BF + v] += g * y
                a[FF + v] += h * y
                a[RF + v] += g * residual
                a[RS + v] += h * residual
                a[SCALE + v] += g * (abs(s[o + v]) + abs(predicted))
        n_done = U(0)
        for v in range(m):
            m0, rate = a[M0 + v], a[RATE + v]
            gradient = m0 * a[RF + v]
            slope = (m0 * a[BF + v] - a[RF + v]) / a[Q + v]
            curvature = m0 * (m0 * a[FF + v] - slope * a[BF + v] - a[RS + v]) + slope * a[RF + v]
            high = rate if gradient > ZERO else a[HIGH + v]
            low = rate if gradient < ZERO else a[LOW + v]
            newton = rate - gradient / curvature
            inside = (curvature > ZERO) & (newton >= low) & (newton <= high)
            following = newton if inside else HALF * (low + high)
            rounding = FOUR * EPS * abs(m0) * a[SCALE + v]
            flat = abs(gradient) <= rounding
            following = rate if flat else following
            done = a[DONE + v]
            a[RATE + v] = rate if done > ZERO else following
            a[LOW + v] = low
            a[HIGH + v] = high
            settled = abs(following - rate) <= SMALL * rate
            vague = not (rounding <= VAGUE * rate * abs(curvature))
            a[DONE + v] = done if done > ZERO else ((HALF if vague else ONE) if settled else ZERO)
        for v in range(m):
            n_done += U(a[DONE + v] > ZERO)
        if n_done == m:
            break
    _project(a, s, w, e, t, m)
    for v in range(m):
        a[M0 + v] = a[P + v] / a[Q + v]


@_part()
def _load(x, weight, first, n, saturation, latest_first, a, s, w, t):
    """Read the samples of some voxels, find those to use, and bring each voxel to a largest sample of 1."""
    for v in range(LANES):
        a[PEAK + v] = ZERO
        a[USED + v] = ZERO
        a[SIDE + v] = ZERO
    for k in range(U(len(t))):
        o = k * LANES
        for v in range(n):
            s[o + v] = x[k, first + v]
            w[o + v] = weight[k, first + v]
        for v in range(n, LANES):  # a lane without a voxel
            s[o + v] = ZERO
        for v in range(LANES):
            value = s[o + v]
            used = (abs(value) < INFINITE) & (value < saturation)
            value = value if used else ZERO
            s[o + v] = value
            w[o + v] = w[o + v] if used else ZERO
            a[USED + v] += ONE if used else ZERO
            a[PEAK + v] = max(a[PEAK + v], abs(value))
    last = latest_first[0] * LANES
    for v in range(n):
        if s[last + v] == ZERO and a[PEAK + v] > ZERO:
            # Exact zeros after the last other sample are left out, if two or more others remain.
            n_trailing, n_zeros = U(0), ZERO
            while s[latest_first[n_trailing] * LANES + v] == ZERO:
                n_zeros += ONE if w[latest_first[n_trailing] * LANES + v] > ZERO else ZERO
                n_trailing += U(1)
            if a[USED + v] - n_zeros > ONE:
                for k in range(n_trailing):
                    w[latest_first[k] * LANES + v] = ZERO
                a[USED + v] -= n_zeros
    for v in range(LANES):
        # Lanes that cannot be fitted go along as something that can.
        a[SIDE + v] = ZERO if (a[USED + v] > ONE) & (a[PEAK + v] >= TINY) else ONE
    for k in range(U(len(t))):
        o = k * LANES
        for v in range(LANES):
            aside = a[SIDE + v] > ZERO
            s[o + v] = ONE if aside else s[o + v] / a[PEAK + v]
            w[o + v] = ONE if aside else w[o + v]


@_part()
def _start(a, s, w, e, basis, floor, rates, explained, n_times):
    """Find the best point of the grid for each lane, and a rival of it."""
    n_grid = U(len(rates))
    for v in range(LANES):
        a[TOTAL + v] = ZERO
        a[MOST + v] = -INFINITE  # the largest product of a decay with the samples
        a[HEIGHT + v] = -ONE
        a[BEST + v] = ZERO
        a[SUM + v] = ZERO  # sum of the magnitudes of the samples
    n_others = U(0)  # samples whose weight is not that of the first lane
    for k in range(n_times):
        o = k * LANES
        for v in range(LANES):
            weighted = w[o + v] * s[o + v]
            e[o + v] = weighted
            a[TOTAL + v] += weighted * s[o + v]
            a[SUM + v] += abs(weighted)
            n_others += U(w[o + v] != w[o])
    for g in range(n_grid):
        for v in range(LANES):
            a[P + v] = ZERO
            a[Q + v] = ZERO
        square = ZERO
        for k in range(n_times):
            y, o = basis[g, k], k * LANES
            square += y * y * w[o]
            for v in range(LANES):
                a[P + v] += y * e[o + v]
        if n_others > U(0):
            for k in range(n_times):
                y, o = basis[g, k], k * LANES
                for v in range(LANES):
                    a[Q + v] += y * y * w[o + v]
        else:
            for v in range(LANES):
                a[Q + v] = square
        place, least = np.float32(g), floor[g]
        for v in range(LANES):
            p = max(a[P + v], ZERO)
            here = p * p / a[Q + v]
            here = here if a[Q + v] > least else ZERO
            explained[g * LANES + v] = here
            better = here > a[HEIGHT + v]
            a[HEIGHT + v] = here if better else a[HEIGHT + v]
            a[MOST + v] = max(a[MOST + v], a[P + v] if a[Q + v] > least else -a[SUM + v])
            a[BEST + v] = place if better else a[BEST + v]
    for v in range(LANES):
        a[RIVAL_HEIGHT + v] = -ONE  # height of the rival
        a[RIVAL + v] = ZERO
    for g in range(n_grid):
        place = np.float32(g)
        at_first, at_last = g == U(0), g + U(1) == n_grid
        o = g * LANES
        before, after = o if at_first else o - LANES, o if at_last else o + LANES
        for v in range(LANES):
            here = explained[o + v]
            peak = (at_first | (here > explained[before + v])) & (at_last | (here >= explained[after + v]))
            better = peak & (place != a[BEST + v]) & (here > a[RIVAL_HEIGHT + v])
            a[RIVAL_HEIGHT + v] = here if better else a[RIVAL_HEIGHT + v]
            a[RIVAL + v] = place if better else a[RIVAL + v]


@_part()
def _brackets(a, explained, rates, place_row, lanes, b, m):
    """Put lanes of ``b`` at a point of the grid of ``a``, between its neighbours; inside the grid, at a parabola's top.

    Points are in order of T, so rates fall.
    """
    last = U(len(rates) - 1)
    for i in range(m):
        v = lanes[i]
        g = U(a[place_row + v])
        before, after = g if g == U(0) else g - U(1), g if g == last else g + U(1)
        rate, high, low = rates[g], rates[before], rates[after]
        if (g > U(0)) & (g < last):
            left, here, right = explained[before * LANES + v], explained[g * LANES + v], explained[after * LANES + v]
            bend = left + right - here - here
            if bend < ZERO:
                shift = min(max(HALF * (left - right) / bend, -HALF), HALF)
                rate += abs(shift) * ((low if shift > ZERO else high) - rate)
        b[RATE + i], b[LOW + i], b[HIGH + i] = rate, low, high


@_part()
def _pick_rivals(a, lanes):
    """List the lanes with a second peak of the grid that is nearly as high as the best."""
    n = U(0)
    for v in range(LANES):
        height = a[RIVAL_HEIGHT + v]
        if (height > ZERO) & (height > a[HEIGHT + v] - MARGIN * a[TOTAL + v]):
            lanes[n] = v
            n += U(1)
    return n


@_part()
def _gather(s, w, lanes, s_b, w_b, n_times, m):
    """Copy the samples of some lanes."""
    for k in range(n_times):
        o = k * LANES
        for i in range(m):
            s_b[o + i] = s[o + lanes[i]]
            w_b[o + i] = w[o + lanes[i]]


@_part()
def _take_better(a, b, lanes, n):
    """Replace what was found for lanes whose rival explains more; none is done where that is too close to call."""
    for i in range(n):
        v = lanes[i]
        p, p_b = max(a[P + v], ZERO), max(b[P + i], ZERO)
        height, other = p * p / a[Q + v], p_b * p_b / b[Q + i]
        if (abs(height - other) <= CLOSE * a[TOTAL + v]) | (b[DONE + i] == ZERO):
            a[DONE + v] = ZERO
        elif other > height:
            a[RATE + v], a[DONE + v], a[RF + v], a[SCALE + v] = b[RATE + i], b[DONE + i], b[RF + i], b[SCALE + i]


@_part()
def _sums(a, s, w, e, t):
    """Compute what results are made of, at the rates of all lanes."""
    _project(a, s, w, e, t, LANES)
    for v in range(LANES):
        a[M0 + v] = a[P + v] / a[Q + v]
        a[BF + v] = ZERO
        a[MEAN + v] = ZERO
        a[WEIGHT + v] = ZERO
        a[SLOPE + v] = ZERO
    for k in range(U(len(t))):
        time, o = t[k], k * LANES
        for v in range(LANES):
            a[BF + v] += w[o + v] * e[o + v] * e[o + v] * time
            a[WEIGHT + v] += w[o + v]
            a[MEAN + v] += w[o + v] * s[o + v]
            a[SLOPE + v] += w[o + v] * time
    for v in range(LANES):
        a[BF + v] = a[BF + v] / a[Q + v]  # mean time under the squared decay
        a[MEAN + v] = a[MEAN + v] / a[WEIGHT + v]
        a[WEIGHT + v] = a[SLOPE + v] / a[WEIGHT + v]  # mean time
        a[FF + v] = ZERO
        a[RS + v] = ZERO
        a[SQUARES + v] = ZERO
        a[VARIATION + v] = ZERO
        a[SLOPE + v] = ZERO
        a[SLOPE_SCALE + v] = ZERO
    for k in range(U(len(t))):
        time, o = t[k], k * LANES
        for v in range(LANES):
            residual = s[o + v] - a[M0 + v] * e[o + v]
            square = residual * residual
            across = (time - a[BF + v]) * e[o + v]
            deviation = s[o + v] - a[MEAN + v]
            rise = w[o + v] * (time - a[WEIGHT + v]) * s[o + v]
            a[FF + v] += w[o + v] * across * across
            a[RS + v] += w[o + v] * square
            a[SQUARES + v] += square if w[o + v] > ZERO else ZERO
            a[VARIATION + v] += w[o + v] * deviation * deviation
            a[SLOPE + v] += rise
            a[SLOPE_SCALE + v] += abs(rise)


@_part()
def _settle(a, rates):
    """Derive the fate of each lane."""
    fastest, slowest = rates[0], rates[-1]
    for v in range(LANES):
        rate, most, slope, rounding = a[RATE + v], a[MOST + v] / a[SUM + v], a[SLOPE + v], EPS * a[SLOPE_SCALE + v]
        inside = (rate > slowest) & (rate < fastest)
        found = (a[DONE + v] == ONE) | ((a[DONE + v] > ZERO) & (not inside))  # a bound is not vague
        known = found & (a[M0 + v] > ZERO) & (a[FF + v] < INFINITE)
        near = inside & ((rate < slowest * (ONE + NEAR)) | (rate > fastest * (ONE - NEAR)))
        uphill = abs(a[RF + v]) > UPHILL * EPS * a[SCALE + v]
        rises = NO_DECAY if slope > SIXTEEN * rounding else (AT_BOUND if slope < FOUR * rounding else LEFT)
        at_bound = (rises if rate <= slowest else AT_BOUND) if uphill else LEFT
        fate = CONVERGED if inside else at_bound
        fate = LEFT if near | (not known) else fate
        fate = fate if most > FAINT else (NO_SIGNAL if most < -FAINT else LEFT)
        fate = fate if a[PEAK + v] >= TINY else NO_SIGNAL
        a[FATE + v] = fate if a[USED + v] > ONE else TOO_FEW_SAMPLES


@_part()
def _report(a, rates, bounds, noise, first, n, table, status, n_used):
    """Write the results of all lanes, in the units of the signal."""
    fastest, slowest, n_rows = rates[0], rates[-1], U(len(table))
    for v in range(n):
        known = noise[first + v]
        a[SUM + v] = known * known
        status[first + v], n_used[first + v] = np.uint8(a[FATE + v]), np.int16(a[USED + v])
    for v in range(LANES):
        rate, peak, m0, used, middle = a[RATE + v], a[PEAK + v], a[M0 + v], a[USED + v], a[BF + v]
        given, fitted = a[FATE + v] <= AT_BOUND, a[FATE + v] == CONVERGED
        t = bounds[0] if rate >= fastest else (bounds[1] if rate <= slowest else ONE / rate)
        a[RESULT + v] = m0 * peak if given else NAN
        a[RESULT + LANES + v] = t if given else NAN
        free = used - ONE - ONE
        variance = a[SUM + v] / (peak * peak) if a[SUM + v] > ZERO else (a[RS + v] / free if free > ZERO else NAN)
        of_rate = variance / a[FF + v]
        by_rate = t * t / m0
        std = np.sqrt(variance / a[Q + v] + of_rate * middle * middle) * peak
        a[RESULT + U(2) * LANES + v] = std if fitted else NAN
        a[RESULT + U(3) * LANES + v] = np.sqrt(of_rate) * by_rate if fitted else NAN
        a[RESULT + U(4) * LANES + v] = -of_rate * middle * by_rate * peak if fitted else NAN
        a[RESULT + U(5) * LANES + v] = np.sqrt(a[SQUARES + v] / used) * peak if given else NAN
        varies = a[VARIATION + v] > SIXTEEN * EPS * EPS * a[TOTAL + v]
        a[RESULT + U(6) * LANES + v] = ONE - a[RS + v] / a[VARIATION + v] if given & varies else NAN
    for row in range(n_rows):
        o = RESULT + row * LANES
        for v in range(n):
            table[row, first + v] = a[o + v]


@_kept(
    "void(float32[:, :], float32[:, :], float32[:], float32[::1], uint64[::1], float32[:, ::1], float32[::1],"
    " float32[::1], float32[::1], float32, float32[:, ::1], uint8[::1], int16[::1])"
)
def fit_decays(x, weight, noise, t, latest_first, basis, floor, rates, bounds, saturation, table, status, n_used):
    """Fit each column of ``x``, and fill in ``table``, ``status`` and ``n_used``."""
    n_times, n_voxels = U(len(t)), U(x.shape[1])
    a, b = np.zeros(N_ROWS, np.float32), np.zeros(N_ROWS, np.float32)
    s, w, e, s_b, w_b = _ones(n_times), _ones(n_times), _ones(n_times), _ones(n_times), _ones(n_times)
    explained = np.empty(U(len(rates)) * LANES, np.float32)
    every, rivals = np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64)
    for v in range(LANES):
        every[v] = v
    for first in range(U(0), n_voxels, LANES):
        n = min(LANES, n_voxels - first)
        _load(x, weight, first, n, saturation, latest_first, a, s, w, t)
        _start(a, s, w, e, basis, floor, rates, explained, n_times)
        _brackets(a, explained, rates, BEST, every, a, LANES)
        _search(a, s, w, e, t, LANES)
        n_rivals = _pick_rivals(a, rivals)
        if n_rivals > U(0):
            m = (n_rivals + U(15)) // U(16) * U(16)  # lanes that are left over repeat others
            _gather(s, w, rivals, s_b, w_b, n_times, m)
            _brackets(a, explained, rates, RIVAL, rivals, b, m)
            _search(b, s_b, w_b, e, t, m)
            _take_better(a, b, rivals, n_rivals)
        _sums(a, s, w, e, t)
        _settle(a, rates)
        _report(a, rates, bounds, noise, first, n, table, status, n_used)
