"""The certified search of the compiled fit: what :class:`~relaxnet.fitting._core.decay.DecayShortcut` does."""

import numpy as np

from relaxnet.fitting._core.kernels.grid import multiply
from relaxnet.fitting._core.kernels.parts import (
    CONVERGED,
    DONE,
    EPS,
    FATE,
    FOUR,
    HEIGHT,
    LANES,
    LEFT,
    N_COMMON,
    ONE,
    QUADRUPLE,
    RATE,
    SIDE,
    SUM,
    TOTAL,
    TWO,
    USED,
    ZERO,
    U,
    decays,
    exp,
    part,
)

STEPS = 3
SMALL = np.float32(7e-4)  # relative step behind which, as steps square from one to the next, is no error left
VAGUE = np.float32(1e-4)  # relative error of a step, from rounding, that is too much
NEAR = np.float32(1e-2)  # relative distance from a bound at which rounding may decide what is inside

# Rows of what is kept of each lane.
S0, S1, S2, D0, D1, D2 = (LANES * U(N_COMMON + k) for k in range(6))


@part()
def _start_on_curve(a, s, fastest, directions, log_rates, not_near, nearness):
    """Guess the rates from the points of the curve of all decays that are nearest to the samples."""
    n_points = U(len(log_rates))
    multiply(directions, s, nearness)
    for v in range(LANES):
        a[HEIGHT + v] = ZERO
        a[SUM + v] = ZERO
        a[TOTAL + v] = ZERO
    for p in range(U(0), n_points, FOUR):
        for v in range(LANES):
            most = a[HEIGHT + v]
            for j in range(FOUR):
                most = max(most, nearness[(p + j) * LANES + v])
            a[HEIGHT + v] = most
    for p in range(U(0), n_points, FOUR):
        for v in range(LANES):
            total, log_rate, far = a[TOTAL + v], a[SUM + v], not_near * a[HEIGHT + v]
            for j in range(FOUR):
                near = max(nearness[(p + j) * LANES + v] - far, ZERO)
                near *= near
                log_rate += near * log_rates[p + j]
                total += near
            a[TOTAL + v] = total
            a[SUM + v] = log_rate
    for v in range(LANES):
        a[RATE + v] = fastest * exp(a[SUM + v] / a[TOTAL + v])


@part()
def search_quickly(a, s, e, t, gap, weight, rates, curve, all_used, nearness):
    """Take Newton steps on the rate from the nearest points of the curve, and certify what they arrive at.

    As :class:`~relaxnet.fitting._core.decay.DecayShortcut` does, by sums of the samples times the decay, and of the
    squared decay, times the powers 0 to 2 of the centred time. Return how many lanes are settled: certain or set aside.
    """
    directions, log_rates, not_near, subspace, centred, least_explained = curve
    n_times, slowest, fastest = U(len(t)), rates[-1], rates[0]
    _start_on_curve(a, s, fastest, directions, log_rates, not_near, nearness)
    for _ in range(STEPS):
        for v in range(LANES):
            a[RATE + v] = min(max(a[RATE + v], slowest), fastest)
            a[S0 + v] = ZERO
            a[S1 + v] = ZERO
            a[S2 + v] = ZERO
            a[D0 + v] = ZERO
            a[D1 + v] = ZERO
            a[D2 + v] = ZERO
        decays(a, e, t, gap, LANES)
        for k in range(U(0), n_times, FOUR):
            o = k * LANES
            for v in range(LANES):
                s0, s1, s2, d0, d1, d2 = a[S0 + v], a[S1 + v], a[S2 + v], a[D0 + v], a[D1 + v], a[D2 + v]
                for j in range(FOUR):
                    i, time = o + j * LANES + v, centred[k + j]
                    weighted = weight[k + j] * e[i]
                    x, y = weighted * s[i], weighted * e[i]
                    s0 += x
                    d0 += y
                    x *= time
                    y *= time
                    s1 += x
                    d1 += y
                    s2 += x * time
                    d2 += y * time
                a[S0 + v] = s0
                a[S1 + v] = s1
                a[S2 + v] = s2
                a[D0 + v] = d0
                a[D1 + v] = d1
                a[D2 + v] = d2
        for v in range(LANES):
            s0, s1, d0, d1 = a[S0 + v], a[S1 + v], a[D0 + v], a[D1 + v]
            bend = s1 * d1 + a[S2 + v] * d0 - TWO * s0 * a[D2 + v]
            step = (s1 * d0 - s0 * d1) / bend
            rounding = QUADRUPLE * EPS * (abs(s1 * d0) + abs(s0 * d1))
            near = (abs(step) < SMALL * a[RATE + v]) & (rounding < VAGUE * a[RATE + v] * abs(bend))
            a[DONE + v] = ONE if near else ZERO
            a[RATE + v] += step
    for v in range(LANES):
        a[TOTAL + v] = ZERO
    multiply(subspace, s, nearness)
    for p in range(U(0), U(len(subspace)), FOUR):
        for v in range(LANES):
            total = a[TOTAL + v]
            for j in range(FOUR):
                total += nearness[(p + j) * LANES + v] * nearness[(p + j) * LANES + v]
            a[TOTAL + v] = total
    n_settled = U(0)
    for v in range(LANES):
        rate, s0 = a[RATE + v], a[S0 + v]
        inside = (rate > slowest * (ONE + NEAR)) & (rate < fastest * (ONE - NEAR))
        best = s0 * abs(s0) > least_explained * a[TOTAL + v] * a[D0 + v]
        certain = inside & best & (a[DONE + v] > ZERO) & (a[USED + v] == all_used)
        a[FATE + v] = a[SIDE + v] if a[SIDE + v] > ZERO else (CONVERGED if certain else LEFT)
        n_settled += U(a[FATE + v] != LEFT)
    return n_settled
