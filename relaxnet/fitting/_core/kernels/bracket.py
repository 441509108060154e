"""Newton's method inside a bracket, of which the compiled fits of one decay by least squares are made.

It does what :mod:`~relaxnet.fitting._core.projection` does from the best point of a grid, and from a rival of that.
"""

import numpy as np
import torch

from relaxnet.fitting._core.kernels.parts import (
    BEST,
    DONE,
    EPS,
    HALF,
    HEIGHT,
    LANES,
    N_COMMON,
    ONE,
    QUADRUPLE,
    RATE,
    RIVAL,
    RIVAL_HEIGHT,
    TWO,
    ZERO,
    U,
    gather,
    keep_active,
    part,
    scatter,
    whole,
)
from relaxnet.fitting._core.newton import tolerance
from relaxnet.fitting._core.projection import MAX_STEPS, PEAK_MARGIN

SMALL = np.float32(tolerance(torch.float32))  # relative step behind which a search has converged
MARGIN = np.float32(PEAK_MARGIN)  # of the signal: a second peak of the grid that is lower by less is searched from, too

# Rows of what is kept of each lane.
P, Q, LOW, HIGH, M0, BF, FF, RF, RS, SCALE, ERROR = (LANES * U(N_COMMON + k) for k in range(11))
OWN = N_COMMON + 11
"""The first of the rows of a fit itself."""
SEARCHED = (RATE, ERROR, LOW, HIGH, DONE)


@part()
def _begin(a, heights, rates, place_row, lanes, b, m):
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
            left = max(heights[before * LANES + v], ZERO) ** 2
            here = max(heights[g * LANES + v], ZERO) ** 2
            right = max(heights[after * LANES + v], ZERO) ** 2
            bend = left + right - here - here
            if bend < ZERO:
                shift = min(max(HALF * (left - right) / bend, -HALF), HALF)
                rate += abs(shift) * ((low if shift > ZERO else high) - rate)
        b[RATE + i], b[LOW + i], b[HIGH + i] = rate, low, high


@part()
def _pick_rivals(a, total, lanes):
    """List the lanes with a second peak of the grid that is nearly as high as the best."""
    n = U(0)
    for v in range(LANES):
        height, best = a[RIVAL_HEIGHT + v], a[HEIGHT + v]
        if (height > ZERO) & (height * height > best * best - MARGIN * a[total + v]):
            lanes[n] = v
            n += U(1)
    return n


@part()
def _take_better(a, r, total, close, lanes, n):
    """Replace what was found for lanes whose rival explains more; none is done where that is too close to call."""
    for i in range(n):
        v = lanes[i]
        p, p_r = max(a[P + v], ZERO), max(r[P + v], ZERO)
        height, other = p * p / a[Q + v], p_r * p_r / r[Q + v]
        if (abs(height - other) <= close * a[total + v]) | (r[DONE + v] == ZERO):
            a[DONE + v] = ZERO
        elif other > height:
            for row in (RATE, ERROR, DONE, RF, SCALE):
                a[row + v] = r[row + v]


def searcher(differentiate, total, close):
    """Make the search for a model: what is compiled cannot be kept on disk if functions are passed to it.

    ``differentiate(b, s, w, e, problem, m)`` computes, at the rates of all lanes, the amplitude, the products of the
    decay with the samples and with itself, and those of its derivative that are called ``BF`` to ``SCALE``. ``total``
    is the row of the sum of squares of the samples; rivals that differ by ``close`` of it are too close to call.
    """

    @part()
    def newton_in_bracket(a, b, s, w, e, problem, lanes, n):
        """Run Newton's method on the reduced cost as a function of the rate, for some lanes inside their brackets.

        Lanes that are done are taken out now and then. ``DONE`` is 2 of those that end where their bracket does.
        """
        m = whole(n)
        for i in range(m):
            b[DONE + i] = ZERO if i < n else ONE
        for _ in range(MAX_STEPS):
            differentiate(b, s, w, e, problem, m)
            n_active = U(0)
            for v in range(m):
                m0, rate = b[M0 + v], b[RATE + v]
                gradient = m0 * b[RF + v]
                slope = (m0 * b[BF + v] - b[RF + v]) / b[Q + v]
                curvature = m0 * (m0 * b[FF + v] - slope * b[BF + v] - b[RS + v]) + slope * b[RF + v]
                high = rate if gradient > ZERO else b[HIGH + v]
                low = rate if gradient < ZERO else b[LOW + v]
                newton = rate - gradient / curvature
                inside = (curvature > ZERO) & (newton >= low) & (newton <= high)
                rounding = QUADRUPLE * EPS * abs(m0) * b[SCALE + v]
                flat = abs(gradient) <= rounding
                following = newton if inside else (rate if flat else HALF * (low + high))
                done = b[DONE + v]
                b[RATE + v] = rate if done > ZERO else following
                b[LOW + v] = low
                b[HIGH + v] = high
                settled = flat | (abs(following - rate) <= SMALL * rate)
                b[ERROR + v] = b[ERROR + v] if done > ZERO else rounding / abs(curvature)
                done = (ONE if inside | flat else TWO) if settled else done
                b[DONE + v] = done
                n_active += U(done == ZERO)
            if n_active == U(0):
                break
            if whole(n_active) < m:
                scatter(b, SEARCHED, a, lanes, n)
                n = keep_active(b, SEARCHED, DONE, s, w, lanes, n)
                m = whole(n)
        scatter(b, SEARCHED, a, lanes, n)

    @part()
    def search(a, r, b, s, w, e, s_b, w_b, heights, rates, problem, lanes, n, rivals):
        """Search some lanes from the best point of the grid, and those with a rival from that, too.

        Return the number of rivals; what is kept of the decays is that of the rivals, then.
        """
        _begin(a, heights, rates, BEST, lanes, b, n)
        gather(s, w, lanes, s_b, w_b, n)
        newton_in_bracket(a, b, s_b, w_b, e, problem, lanes, n)
        differentiate(a, s, w, e, problem, LANES)
        n_rivals = _pick_rivals(a, total, rivals)
        if n_rivals > U(0):
            _begin(a, heights, rates, RIVAL, rivals, b, n_rivals)
            gather(s, w, rivals, s_b, w_b, n_rivals)
            for i in range(n_rivals):
                lanes[i] = rivals[i]
            newton_in_bracket(r, b, s_b, w_b, e, problem, lanes, n_rivals)
            differentiate(r, s, w, e, problem, LANES)
            _take_better(a, r, total, close, rivals, n_rivals)
        return n_rivals

    return search
