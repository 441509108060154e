"""A decay and samples about their means: what the fit above a constant works with.

The constant is eliminated by subtracting means, and little is left of the decay then where T is long. So it is not the
decay itself that is centred, but what the signal has lost since the first time, all digits of which are known.
"""

import numpy as np

from relaxnet.fitting._core.kernels.bracket import BF, FF, M0, OWN, RF, RS, SCALE, P, Q
from relaxnet.fitting._core.kernels.grid import multiply, weigh
from relaxnet.fitting._core.kernels.parts import (
    EPS,
    FOUR,
    INFINITE,
    LANES,
    LATEST,
    LEAST_DECAY,
    LOSS,
    MEAN,
    ONE,
    RATE,
    RESIDUAL,
    SUM,
    TOTAL,
    VARIATION,
    ZERO,
    U,
    describe,
    exp_and_loss,
    part,
)

TWO_ROWS = U(2) * LANES  # a decay, and what is lost
EIGHT = np.float32(8)
HARDLY = np.float32(1e-5)  # of its square: what is left of a decay about its mean, of which rounding leaves nothing

# Rows of what is kept of each lane: sum of the weights, means of what is lost and of the derivative of the decay, and
# the rounding of the samples.
WHOLE, MEAN_LOSS, MEAN_SLOPE, NOISE = (LANES * U(OWN + k) for k in range(4))
OWN_OF_FIT = OWN + 4
"""The first of the rows of the fit itself."""


@part()
def centre(a, s, w):
    """Subtract their mean from the samples of all lanes; of a second one, so that nothing is left of a constant."""
    describe(a, s, w)
    for v in range(LANES):
        a[WHOLE + v] = a[LATEST + v]
        a[SUM + v] = ZERO
    for o in range(U(0), U(len(s)), LANES):
        for v in range(LANES):
            s[o + v] -= a[MEAN + v]
            a[SUM + v] += w[o + v] * s[o + v]
    for v in range(LANES):
        a[SUM + v] /= a[WHOLE + v]
        a[MEAN + v] += a[SUM + v]
        a[VARIATION + v] = ZERO
        a[NOISE + v] = EPS * np.sqrt(a[TOTAL + v])
    for o in range(U(0), U(len(s)), LANES):
        for v in range(LANES):
            s[o + v] -= a[SUM + v]
            a[VARIATION + v] += w[o + v] * s[o + v] * s[o + v]


@part()
def _fall(a, e, t, gap, m):
    """Compute the decays since the first time at the rates of all lanes, each row followed by what is lost by then."""
    n_times = U(len(t))
    if gap > ZERO:
        for v in range(m):
            _decay, a[LOSS + v] = exp_and_loss(-gap * a[RATE + v])
            a[LATEST + v] = ONE
            a[RESIDUAL + v] = ZERO
        for k in range(U(0), n_times, FOUR):
            o = TWO_ROWS * k
            for v in range(m):
                y, lost, loss = a[LATEST + v], a[RESIDUAL + v], a[LOSS + v]
                for j in range(FOUR):
                    e[o + j * TWO_ROWS + v] = y
                    e[o + j * TWO_ROWS + LANES + v] = lost
                    lost += y * loss
                    y = max(y + y * loss, LEAST_DECAY)
                a[LATEST + v] = y
                a[RESIDUAL + v] = lost
        return
    for k in range(n_times):
        o, time = TWO_ROWS * k, -t[k]
        for v in range(m):
            e[o + v], e[o + LANES + v] = exp_and_loss(time * a[RATE + v])


@part()
def project_centred(a, s, w, e, problem, m):
    """Centre the decays at the rates of all lanes, and compute their products as well as the amplitudes."""
    t, gap = problem
    _fall(a, e, t, gap, m)
    for v in range(m):
        a[WHOLE + v] = ZERO
        a[MEAN_LOSS + v] = ZERO
        a[P + v] = ZERO
        a[Q + v] = ZERO
    for k in range(U(0), U(len(t)), FOUR):
        for v in range(m):
            whole, total = a[WHOLE + v], a[MEAN_LOSS + v]
            for j in range(FOUR):
                y = w[(k + j) * LANES + v]
                whole += y
                total += y * e[(k + j) * TWO_ROWS + LANES + v]
            a[WHOLE + v] = whole
            a[MEAN_LOSS + v] = total
    for v in range(m):
        a[MEAN_LOSS + v] /= a[WHOLE + v]
    for k in range(U(0), U(len(t)), FOUR):
        for v in range(m):
            p, q, middle = a[P + v], a[Q + v], a[MEAN_LOSS + v]
            for j in range(FOUR):
                o, i = (k + j) * LANES + v, (k + j) * TWO_ROWS + LANES + v
                centred = e[i] - middle
                weighted = w[o] * centred
                e[i] = centred
                p += weighted * s[o]
                q += weighted * centred
            a[P + v] = p
            a[Q + v] = q
    for v in range(m):
        a[M0 + v] = a[P + v] / a[Q + v]


@part()
def differentiate(a, s, w, e, problem, m):
    """Compute the sums that the derivatives of the reduced cost are made of, at the rates of all lanes."""
    t, _gap = problem
    project_centred(a, s, w, e, problem, m)
    for v in range(m):
        a[BF + v] = ZERO
        a[FF + v] = ZERO
        a[RF + v] = ZERO
        a[RS + v] = ZERO
        a[SCALE + v] = ZERO
        a[MEAN_SLOPE + v] = ZERO
        a[RESIDUAL + v] = ZERO
    for k in range(U(0), U(len(t)), FOUR):
        for v in range(m):
            m0, middle, bf, ff = a[M0 + v], a[MEAN_SLOPE + v], a[BF + v], a[FF + v]
            rf, rs, scale, total = a[RF + v], a[RS + v], a[SCALE + v], a[RESIDUAL + v]
            for j in range(FOUR):
                o, i, time = (k + j) * LANES + v, (k + j) * TWO_ROWS + v, t[k + j]
                predicted = m0 * e[i + LANES]
                residual = s[o] - predicted
                fall = time * e[i]
                g = w[o] * fall
                middle += g
                bf += g * e[i + LANES]
                ff += g * fall
                rf += g * residual
                rs += g * time * residual
                scale += g * (abs(s[o]) + abs(predicted))
                total += w[o] * residual
            a[MEAN_SLOPE + v] = middle
            a[BF + v] = bf
            a[FF + v] = ff
            a[RF + v] = rf
            a[RS + v] = rs
            a[SCALE + v] = scale
            a[RESIDUAL + v] = total
    for v in range(m):
        a[FF + v] -= a[MEAN_SLOPE + v] * a[MEAN_SLOPE + v] / a[WHOLE + v]
        a[RF + v] -= a[MEAN_SLOPE + v] * a[RESIDUAL + v] / a[WHOLE + v]  # of which rounding leaves a little


@part()
def scan(a, s, w, weighted, usual, grid, heights, roundings):
    """Compute the products of the samples with the centred decays of a grid, scaled to length 1, and their rounding.

    Where hardly anything is left of a decay, the product is the least that it can be.
    """
    directions, basis, floor = grid
    if weigh(a, s, w, weighted, usual) == U(0):
        multiply(directions, s, heights)
        roundings[:] = EIGHT * EPS
        return
    multiply(basis, weighted, heights)
    multiply(basis, w, roundings)
    for g in range(U(len(floor))):
        o = g * LANES
        for v in range(LANES):
            a[MEAN_LOSS + v] = roundings[o + v] / a[WHOLE + v]
            a[P + v] = ZERO
            a[Q + v] = ZERO
        for k in range(U(basis.shape[1])):
            y, i = basis[g, k], k * LANES
            for v in range(LANES):
                centred = y - a[MEAN_LOSS + v]
                a[P + v] += w[i + v] * y * y
                a[Q + v] += w[i + v] * centred * centred
        for v in range(LANES):
            whole, left = a[P + v], a[Q + v]
            lost = (left < HARDLY * whole) & (heights[o + v] > ZERO) & (left > HARDLY * floor[g])
            rounding = EIGHT * EPS * whole / left
            roundings[o + v] = INFINITE if lost else (rounding if left > floor[g] else ZERO)
            heights[o + v] = heights[o + v] / np.sqrt(left) if left > floor[g] else -a[SUM + v]
