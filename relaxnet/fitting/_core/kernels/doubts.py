"""What becomes of a voxel where rounding to single precision may decide: it is fitted in double precision.

That is rare, so it is done for one lane after another. It does what :func:`~relaxnet.fitting._core.projection.project`
does for such voxels.
"""

import math

import numpy as np

from relaxnet.fitting._core.kernels.parts import (
    AT_BOUND,
    CONVERGED,
    EPS,
    FATE,
    LANES,
    LEFT,
    NO_DECAY,
    NO_SIGNAL,
    ONE,
    QUADRUPLE,
    RATE,
    U,
    part,
)
from relaxnet.fitting._core.projection import LEAST_SQUARE, MAX_STEPS, PEAK_MARGIN

EPS_OF_DOUBLE = float(np.finfo(np.float64).eps)
ALL_BUT_ROUNDING = 1 - 4 * EPS_OF_DOUBLE
SMALL = 1e-13  # relative step behind which a search has converged
EIGHT_EPS = 8 * float(EPS)


@part()
def _explain(s, w, t, n, v, rate, least):
    """Compute the sum of squares that a decay explains; 0 where its amplitude is negative, or hardly any is left."""
    first, p, q, whole = np.float64(t[:n].min()), 0.0, 0.0, 0.0
    for k in range(n):
        e = math.exp((first - t[k]) * rate)
        weighted = w[k * LANES + v] * e
        p += weighted * s[k * LANES + v]
        q += weighted * e
        whole += e * e
    return p * p / q if (p > 0) and (q > least * whole) else 0.0


@part()
def _refine(s, w, t, n, v, rate, low, high):
    """Run Newton's method on the reduced cost as a function of the rate, inside a bracket."""
    first, start = np.float64(t[:n].min()), rate
    for _ in range(MAX_STEPS):
        p, q = 0.0, 0.0
        for k in range(n):
            e = math.exp((first - t[k]) * rate)
            p += w[k * LANES + v] * e * s[k * LANES + v]
            q += w[k * LANES + v] * e * e
        m0, bf, ff, rf, rs, scale = p / q, 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(n):
            time, sample = t[k] - first, s[k * LANES + v]
            e = math.exp(-time * rate)
            residual, g = sample - m0 * e, w[k * LANES + v] * e * time
            bf += g * e
            ff += g * time * e
            rf += g * residual
            rs += g * time * residual
            scale += g * (abs(sample) + abs(m0 * e))
        # From where the amplitude is negative, the search turns back.
        gradient = m0 * rf if m0 > 0 else rate - start
        slope = (m0 * bf - rf) / q
        curvature = m0 * (m0 * ff - slope * bf - rs) + slope * rf
        if gradient > 0:
            high = rate
        if gradient < 0:
            low = rate
        newton = rate - gradient / curvature
        following = 0.5 * (low + high)
        if (m0 > 0) and (curvature > 0) and (newton >= low) and (newton <= high):
            following = newton
        elif (m0 > 0) and (abs(gradient) <= 4 * EPS_OF_DOUBLE * m0 * scale):
            following = rate
        moved = abs(following - rate)
        rate = following
        if moved <= SMALL * rate:
            break
    return rate


@part()
def _rises(s, w, t, n, v):
    """Say whether the best rate is negative, by a slope that rounding of the samples alone could not make."""
    total, middle, slope, size = 0.0, 0.0, 0.0, 0.0
    for k in range(n):
        total += w[k * LANES + v]
        middle += w[k * LANES + v] * t[k]
    for k in range(n):
        rise = w[k * LANES + v] * (t[k] - middle / total) * s[k * LANES + v]
        slope += rise
        size += abs(rise)
    return slope > EIGHT_EPS * size


@part()
def _fit(s, w, t, n, v, rates, bounds, heights):
    """Return the rate of a lane, and what becomes of it."""
    last = U(len(rates) - 1)
    total, best = 0.0, 0.0
    for k in range(n):
        total += np.float64(w[k * LANES + v]) * s[k * LANES + v] ** 2
    for g in range(U(len(rates))):
        heights[g] = _explain(s, w, t, n, v, np.float64(rates[g]), LEAST_SQUARE)
        best = max(best, heights[g])
    if best == 0:
        return rates[0], NO_SIGNAL
    rate, most = 0.0, 0.0
    if heights[0] >= best * ALL_BUT_ROUNDING:  # the decay has vanished by the second image
        heights[0] = 2 * best
    for g in range(U(len(rates))):
        before, after = g if g == U(0) else g - U(1), g if g == last else g + U(1)
        peak = ((g == U(0)) or (heights[g] > heights[before])) and (heights[g] >= heights[after])
        if peak and (heights[g] > best - PEAK_MARGIN * total):
            low, high = np.float64(rates[after]), np.float64(rates[before])
            found = _refine(s, w, t, n, v, np.float64(rates[g]), low, high)
            explained = _explain(s, w, t, n, v, found, 0.0)
            if explained * ALL_BUT_ROUNDING > most:
                rate, most = found, explained
    if most == 0:
        return rates[0], NO_SIGNAL
    # The logarithm of T is rounded before it is compared, as in torch.
    x = np.float32(-math.log(rate))
    shortest, longest = np.float32(math.log(bounds[0])), np.float32(math.log(bounds[1]))
    margin = QUADRUPLE * EPS * max(abs(shortest), abs(longest), ONE)
    if x <= shortest + margin:
        return rates[0], AT_BOUND
    if x >= longest - margin:
        return rates[last], NO_DECAY if _rises(s, w, t, n, v) else AT_BOUND
    return np.float32(rate), CONVERGED


@part()
def decide(a, s, w, t, n, rates, bounds, heights):
    """Fit the lanes that are left, and return how many they are. There are ``n`` times; the others only fill up."""
    n_left = U(0)
    for v in range(LANES):
        if a[FATE + v] == LEFT:
            a[RATE + v], a[FATE + v] = _fit(s, w, t, n, v, rates, bounds, heights)
            n_left += U(1)
    return n_left
