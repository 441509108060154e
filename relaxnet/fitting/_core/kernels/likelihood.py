"""The Rician likelihood of the compiled fit: what ``_Likelihood`` of :mod:`~relaxnet.fitting._rician` does."""

import numpy as np

from relaxnet.fitting._core.bessel import I0_LARGE, I0_SMALL, I1_LARGE, I1_SMALL
from relaxnet.fitting._core.kernels.grid import multiply
from relaxnet.fitting._core.kernels.newton import (
    NEXT,
    OWN,
    TRIAL_BY,
    TRIAL_COST,
    TRIAL_MIXED,
    TRIAL_SCALE,
    TRIAL_TWICE,
    TRIAL_X,
)
from relaxnet.fitting._core.kernels.parts import (
    FOUR,
    HALF,
    INFINITE,
    LANES,
    ONE,
    RATE,
    ZERO,
    U,
    decays,
    exp,
    log,
    part,
)

# Rows of what is kept of each lane. The parameters are the logarithms of amplitude and T.
M0, SIGMA = LANES * U(OWN), LANES * U(OWN + 1)
TRIAL_M0, TRIAL_T = TRIAL_X, TRIAL_X + NEXT
TRIAL = (
    *(TRIAL_COST, TRIAL_BY, TRIAL_BY + NEXT, TRIAL_SCALE, TRIAL_SCALE + NEXT),
    *(TRIAL_TWICE, TRIAL_MIXED, TRIAL_TWICE + NEXT),
)

SERIES = tuple(tuple(np.float32(c) for c in reversed(s)) for s in (I0_SMALL, I1_SMALL, I0_LARGE, I1_LARGE))
JOINT, LARGE = np.float32(3.75), np.float32(30)


@part(forceinline=True)
def _polynomial(x, coefficients):
    p = ZERO
    for c in coefficients:
        p = p * x + c
    return p


@part(forceinline=True)
def bessel(z):
    """Return I0(z), without its factor e^z where z is large, I1(z)/I0(z), and the derivative of that."""
    small, large = z < JOINT, z >= LARGE
    square, inverse = min(z, JOINT) / JOINT, ONE / max(z, JOINT)
    square *= square
    far = JOINT * inverse
    bottom = _polynomial(square, SERIES[0]) if small else _polynomial(far, SERIES[2])
    top = _polynomial(square, SERIES[1]) if small else _polynomial(far, SERIES[3])
    quotient = top / bottom
    ratio = quotient * z if small else quotient
    slope = ONE - (quotient if small else quotient * inverse) - ratio * ratio
    slope = inverse * inverse * (HALF + inverse * (HALF * HALF + np.float32(0.375) * inverse)) if large else slope
    return bottom * (ONE if small else np.sqrt(inverse)), ratio, slope


@part()
def evaluate(a, s, w, e, problem, m):
    """Compute the negative log-likelihood and its first two derivatives at the parameters to try."""
    t, gap = problem
    for v in range(m):
        a[M0 + v] = exp(a[TRIAL_M0 + v])
        a[RATE + v] = exp(-a[TRIAL_T + v])
        for row in TRIAL:
            a[row + v] = ZERO
    decays(a, e, t, gap, m)
    for k in range(U(0), U(len(t)), FOUR):
        o = k * LANES
        for v in range(m):
            m0, rate = a[M0 + v], a[RATE + v]
            cost, by_m0, by_t, scale_m0 = a[TRIAL[0] + v], a[TRIAL[1] + v], a[TRIAL[2] + v], a[TRIAL[3] + v]
            scale_t, m0_twice, mixed, t_twice = a[TRIAL[4] + v], a[TRIAL[5] + v], a[TRIAL[6] + v], a[TRIAL[7] + v]
            product = ONE
            for j in range(FOUR):
                i, u = o + j * LANES + v, t[k + j] * rate
                value, precision, amplitude = s[i], w[i], m0 * e[i]
                by_value = precision * value
                z = by_value * amplitude
                i0, ratio, slope = bessel(z)
                product *= i0
                residual = value - amplitude
                cost += HALF * precision * residual * residual + (z if z < JOINT else ZERO)
                first = (precision * amplitude - by_value * ratio) * amplitude
                scale = (precision * amplitude + by_value * ratio) * amplitude
                second = (precision - by_value * by_value * slope) * amplitude * amplitude
                by_m0 += first
                by_t += first * u
                scale_m0 += scale
                scale_t += scale * u
                m0_twice += second + first
                mixed += (second + first) * u
                t_twice += (second * u + first * (u - ONE)) * u
            a[TRIAL[0] + v] = cost - log(product)
            a[TRIAL[1] + v] = by_m0
            a[TRIAL[2] + v] = by_t
            a[TRIAL[3] + v] = scale_m0
            a[TRIAL[4] + v] = scale_t
            a[TRIAL[5] + v] = m0_twice
            a[TRIAL[6] + v] = mixed
            a[TRIAL[7] + v] = t_twice


@part()
def correct(a, s, w, c):
    """Remove most of the bias from the samples of all lanes."""
    for k in range(U(len(s)) // LANES):
        o = k * LANES
        for v in range(LANES):
            variance = a[SIGMA + v] * a[SIGMA + v] / w[o + v] if w[o + v] > ZERO else ZERO
            c[o + v] = np.sqrt(max(s[o + v] * s[o + v] - variance, ZERO))


@part()
def find_likelihoods(a, s, w, c, weighted, grid, heights, norms):
    """Compute the log-likelihood at all points of the grid, with the amplitudes of least squares."""
    _, basis, squares, _ = grid
    n_times = U(len(s)) // LANES
    for k in range(n_times):
        o = k * LANES
        for v in range(LANES):
            weighted[o + v] = w[o + v] * c[o + v]
    multiply(basis, weighted, heights)
    multiply(squares, w, norms)
    for g in range(U(len(basis))):
        h = g * LANES
        for v in range(LANES):
            a[M0 + v] = heights[h + v] / norms[h + v]
            heights[h + v] = ZERO
        for k in range(U(0), n_times, FOUR):
            o = k * LANES
            for v in range(LANES):
                product, height, precision = ONE, heights[h + v], ONE / (a[SIGMA + v] * a[SIGMA + v])
                for j in range(FOUR):
                    i = o + j * LANES + v
                    amplitude, inverse_variance = a[M0 + v] * basis[g, k + j], precision * w[i]
                    z = inverse_variance * s[i] * amplitude
                    i0, _ratio, _slope = bessel(z)
                    product *= i0
                    residual = s[i] - amplitude
                    height -= HALF * inverse_variance * residual * residual + (z if z < JOINT else ZERO)
                heights[h + v] = height + log(product)
        for v in range(LANES):
            heights[h + v] = heights[h + v] if abs(a[M0 + v]) < INFINITE else -INFINITE
