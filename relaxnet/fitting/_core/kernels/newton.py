"""The damped Newton method of the compiled fits: what :func:`~relaxnet.fitting._core.newton.minimise` does."""

import numpy as np

from relaxnet.fitting._core.kernels.parts import (
    DONE,
    EPS,
    INFINITE,
    LANES,
    N_COMMON,
    ONE,
    QUADRUPLE,
    ZERO,
    U,
    keep_active,
    part,
    scatter,
    whole,
)
from relaxnet.fitting._core.newton import DAMPINGS, FIRST_DAMPING, MAX_STEPS

DAMPING, LEAST_DAMPING, MOST_DAMPING = (np.float32(number) for number in (FIRST_DAMPING, *DAMPINGS))
EIGHT, TENTH = np.float32(8), np.float32(0.1)

# Rows of what is kept of each lane: the cost of a point, and a second derivative that no parameter has to itself.
COST, SQUARE, TRIAL_COST, TRIAL_SQUARE, DAMP, BLOCKED, FLAT, MOVED, TAKEN = (LANES * U(N_COMMON + k) for k in range(9))
OWN = N_COMMON + 9  # the first of some rows of a problem itself
_FIRST = OWN + 8
# Of the first parameter: its value and bounds; of a point, its gradient, the scale of that, and second derivatives.
X, LOW, HIGH, HELD, STEP, BY, SCALE, TWICE, MIXED, TRIAL_X, TRIAL_BY, TRIAL_SCALE, TRIAL_TWICE, TRIAL_MIXED = (
    LANES * U(_FIRST + k) for k in range(14)
)
SPARE = LANES * U(_FIRST + 14)  # a row of a problem itself for each parameter
NEXT = LANES * U(15)  # from a row of one parameter to that of the next


@part()
def n_rows(n_parameters):
    """Return how many rows there are."""
    return U(_FIRST) + U(15) * n_parameters


@part()
def searched(n_parameters):
    """List the rows that a search keeps of each lane."""
    state = np.zeros(U(5) + U(7) * n_parameters, np.uint64)
    state[0], state[1], state[2], state[3], state[4] = COST, SQUARE, DAMP, BLOCKED, DONE
    for p in range(n_parameters):
        for i, row in enumerate((X, LOW, HIGH, BY, SCALE, TWICE, MIXED)):
            state[U(5) + U(7) * p + U(i)] = row + p * NEXT
    return state


@part()
def _hold(b, n_parameters, m):
    """Find the parameters that are held at a bound, and the lanes whose gradient cannot be told from zero."""
    for v in range(m):
        b[FLAT + v] = ONE
    for p in range(n_parameters):
        o = p * NEXT
        for v in range(m):
            x, by = b[X + o + v], b[BY + o + v]
            held = ((x <= b[LOW + o + v]) & (by > ZERO)) | ((x >= b[HIGH + o + v]) & (by < ZERO))
            flat = held | (abs(by) <= QUADRUPLE * EPS * b[SCALE + o + v])
            b[HELD + o + v] = ONE if held else ZERO
            b[FLAT + v] = b[FLAT + v] if flat else ZERO


@part()
def _move(b, n_parameters, m):
    """Choose where to try: no step changes a parameter by more than 1."""
    for v in range(m):
        b[MOVED + v] = ZERO
    for p in range(n_parameters):
        o = p * NEXT
        for v in range(m):
            x = b[X + o + v]
            trial = min(max(x + max(min(b[STEP + o + v], ONE), -ONE), b[LOW + o + v]), b[HIGH + o + v])
            b[TRIAL_X + o + v] = trial
            b[MOVED + v] = max(b[MOVED + v], abs(trial - x))


@part()
def _take(b, n_parameters, m):
    """Go on from the trial where that is better."""
    for v in range(m):
        take = b[TAKEN + v] > ZERO
        b[COST + v] = b[TRIAL_COST + v] if take else b[COST + v]
        b[SQUARE + v] = b[TRIAL_SQUARE + v] if take else b[SQUARE + v]
    for p in range(n_parameters):
        o = p * NEXT
        for v in range(m):
            take = b[TAKEN + v] > ZERO
            b[X + o + v] = b[TRIAL_X + o + v] if take else b[X + o + v]
            b[BY + o + v] = b[TRIAL_BY + o + v] if take else b[BY + o + v]
            b[SCALE + o + v] = b[TRIAL_SCALE + o + v] if take else b[SCALE + o + v]
            b[TWICE + o + v] = b[TRIAL_TWICE + o + v] if take else b[TWICE + o + v]
            b[MIXED + o + v] = b[TRIAL_MIXED + o + v] if take else b[MIXED + o + v]


def minimiser(evaluate, step):
    """Make the search for a problem: what is compiled cannot be kept on disk if functions are passed to it.

    ``evaluate(b, s, w, e, problem, m)`` computes the cost and its derivatives at ``TRIAL_X``, and
    ``step(b, n_parameters, m)`` a damped step, in which parameters that are held do not move.
    """

    @part()
    def minimise(problem, n_parameters, small, state, a, b, s, w, e, lanes, n):
        """Search for some lanes from their ``X`` in ``b``, until what is found is in ``a``.

        Lanes that are done are taken out now and then.
        """
        m = whole(n)
        for v in range(m):
            b[DAMP + v] = DAMPING
            b[BLOCKED + v] = ZERO
            b[DONE + v] = ZERO if v < n else ONE
            b[TAKEN + v] = ONE
        for p in range(n_parameters):
            o = p * NEXT
            for v in range(m):
                b[TRIAL_X + o + v] = b[X + o + v]
        evaluate(b, s, w, e, problem, m)
        _take(b, n_parameters, m)
        for _ in range(MAX_STEPS):
            _hold(b, n_parameters, m)
            step(b, n_parameters, m)
            _move(b, n_parameters, m)
            evaluate(b, s, w, e, problem, m)
            n_active = U(0)
            for v in range(m):
                cost, now, active = b[TRIAL_COST + v], b[COST + v], b[DONE + v] == ZERO
                finite = abs(cost) < INFINITE
                better = cost <= now + EIGHT * EPS * abs(now)
                damping = min(max(b[DAMP + v] * (TENTH if better else EIGHT), LEAST_DAMPING), MOST_DAMPING)
                blocked = ((b[BLOCKED + v] > ZERO) | (not finite)) & (damping > DAMPING)
                short = (b[MOVED + v] <= small) & (not blocked)
                done = ((b[FLAT + v] > ZERO) | short) & finite
                b[TAKEN + v] = ONE if active & better else ZERO
                b[DAMP + v] = damping
                b[BLOCKED + v] = ONE if blocked else ZERO
                b[DONE + v] = ONE if done | (not active) else ZERO
                n_active += U((not done) & active)
            _take(b, n_parameters, m)
            if n_active == U(0):
                break
            if whole(n_active) < m:
                scatter(b, state, a, lanes, n)
                n = keep_active(b, state, DONE, s, w, lanes, n)
                m = whole(n)
        scatter(b, state, a, lanes, n)

    return minimise
