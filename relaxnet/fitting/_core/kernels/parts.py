"""What the compiled fits are made of: how they are compiled, and what each does first with its samples.

Voxels are worked on by :data:`LANES` at a time, and times by four. All loops over the lanes are free of branches and
calls, so that the compiler makes vector instructions of them: hence the polynomial in place of ``exp``, and one array
with constant offsets for what is kept of each lane, of which it sees that they do not overlap. Rows of samples, weights
and decays are filled up to a multiple of four by rows without weight.
"""

import hashlib
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

U = np.uint64  # indices without a sign: the compiler need not think of those below 0
LANES, FOUR, VECTOR = U(64), U(4), U(16)

CONVERGED, AT_BOUND, TOO_FEW_SAMPLES, NO_DECAY, NO_SIGNAL, LEFT = (np.float32(k) for k in (0, 1, 2, 3, 4, 255))
"""What becomes of a voxel: a ``FitStatus``, or that it is left to the general search."""

(RATE, PEAK, USED, SIDE, LATEST, LOSS, BEST, HEIGHT, RIVAL, RIVAL_HEIGHT, EARLIER, RISES, MOST, SUM, TOTAL) = (
    LANES * U(k) for k in range(15)
)
MEAN, MIDDLE, VARIATION, SLOPE, SLOPE_SCALE, SQUARES, RESIDUAL, DONE, FATE = (LANES * U(k) for k in range(15, 24))
N_COMMON = 24
"""Rows of what is kept of each lane, in all fits; those of a fit itself follow."""

ZERO, HALF, ONE, TWO, QUADRUPLE, SIXTEEN = (np.float32(x) for x in (0, 0.5, 1, 2, 4, 16))
INFINITE, NAN = np.float32(np.inf), np.float32(np.nan)
EPS, TINY = np.float32(np.finfo(np.float32).eps), np.float32(np.finfo(np.float32).tiny)
LOG2_E, LN2_HIGH, LN2_LOW = (np.float32(x) for x in (1.4426950408889634, 0.693359375, -2.12194440e-4))
LEAST_EXPONENT, LEAST_DECAY = np.float32(-87), np.float32(1e-37)
E6, E5, E4, E3, E2 = (np.float32(1 / math.factorial(k)) for k in (6, 5, 4, 3, 2))
LOG_SERIES = tuple(
    np.float32(c)
    for c in (
        *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
        *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
    )
)  # of the Cephes library
ROOT_HALF = np.float32(math.sqrt(0.5))
EXPONENT, MANTISSA, MANTISSA_BITS = np.int32(0x7F800000), np.int32(0x7FFFFF), np.int32(23)
HALF_BITS = np.int32(0x3F000000)

_Decorator = Callable[[Callable[..., Any]], Any]
_SETTINGS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}}


def part(**options: Any) -> _Decorator:
    """Compile a part of a kernel: the function as it is written, whatever checks wrap it in tests."""
    return lambda function: numba.njit(**_SETTINGS, **options)(inspect.unwrap(function))


def version(folder: Path) -> str:
    """Return a number that depends on the text of all files in the folder of the kernels, and of what they import."""
    imported = (folder.parent / f"{name}.py" for name in ("bessel", "joint_grid", "newton", "projection"))
    files = (*imported, *sorted(folder.glob("*.py")))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def kept(signature: str) -> _Decorator:
    """Compile a kernel, and keep it on disk: beside its file or in the cache of the user, if one can be written.

    A kernel is compiled anew when its own file changes. That it is when one of its parts does, too, is seen to by its
    name on disk, which depends on the text of all of them.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        function = inspect.unwrap(function)
        function.__qualname__ += f"-{version(Path(__file__).parent)}"
        try:
            return numba.njit(signature, cache=True, nogil=True, **_SETTINGS)(function)
        except RuntimeError:  # no place to write to
            return numba.njit(signature, nogil=True, **_SETTINGS)(function)

    return decorate


@part()
def rows(n):
    """Return ``n`` rows of zeros."""
    return np.zeros(n * LANES, np.float32)


@part(forceinline=True)
def _reduced(x):
    """Return p and a power of 2, s, such that the exponential of x is s + s p."""
    x = min(max(x, LEAST_EXPONENT), -LEAST_EXPONENT)
    n = np.floor(x * LOG2_E + HALF)
    f = x - n * LN2_HIGH - n * LN2_LOW
    p = ((((E6 * f + E5) * f + E4) * f + E3) * f + E2) * f * f + f
    return p, np.int32((np.int32(n) + np.int32(127)) << MANTISSA_BITS).view(np.float32)


@part(forceinline=True)
def exp(x):
    """Compute an exponential."""
    p, s = _reduced(x)
    return (p + ONE) * s


@part(forceinline=True)
def log(x):
    """Compute the logarithm of a number above 0."""
    bits = np.float32(x).view(np.int32)
    power = (bits >> MANTISSA_BITS) - np.int32(126)
    f = np.int32((bits & MANTISSA) | HALF_BITS).view(np.float32)
    low = f < ROOT_HALF
    n = np.float32(power) - (ONE if low else ZERO)
    f = (f + f if low else f) - ONE
    p = ZERO
    for coefficient in LOG_SERIES:
        p = p * f + coefficient
    return n * LN2_HIGH + (n * LN2_LOW + (p * f - HALF) * f * f + f)


@part(forceinline=True)
def exp_and_loss(x):
    """Compute an exponential, and how far it is above 1, of which a small number keeps all digits."""
    p, s = _reduced(x)
    return (p + ONE) * s, p * s + (s - ONE)


@part()
def decays(a, e, t, gap, m):
    """Compute the decays at the rates of all lanes; of times a ``gap`` above 0 apart, each from the one before."""
    n_times = U(len(t))
    if gap > ZERO:
        first = -t[0]
        for v in range(m):
            _decay, a[LOSS + v] = exp_and_loss(-gap * a[RATE + v])
            a[LATEST + v] = exp(first * a[RATE + v])
        for k in range(U(0), n_times, FOUR):
            o = k * LANES
            for v in range(m):
                y, loss = a[LATEST + v], a[LOSS + v]
                for j in range(FOUR):
                    e[o + j * LANES + v] = y
                    y = max(y + y * loss, LEAST_DECAY)
                a[LATEST + v] = y
        return
    exponentials(a, RATE, e, t, U(0), n_times, m)


@part()
def exponentials(a, rate, e, t, first, last, m):
    """Compute the decays of all lanes at some of the times."""
    for k in range(first, last):
        o, time = k * LANES, -t[k]
        for v in range(m):
            e[o + v] = exp(time * a[rate + v])


@part()
def load(x, weight, lanes, n, saturation, place, latest_first, n_parameters, t, a, s, w):
    """Read the samples of some voxels, find those to use, and bring each voxel to a largest sample of 1 to 2.

    Image k goes to the row ``place[k]``. Each row of ``latest_first`` lists the rows of one decay, and there is one
    amplitude. ``SIDE`` is 0, or the status of a lane that cannot be fitted.
    """
    n_times, common = U(len(x)), U(weight.shape[1]) == U(1)
    for v in range(LANES):
        a[PEAK + v] = ZERO
        a[USED + v] = ZERO
    for k in range(n_times):
        o = place[k] * LANES
        for v in range(n):
            s[o + v] = x[k, lanes[v]]
        for v in range(n, LANES):  # a lane without a voxel
            s[o + v] = ZERO
        if common:
            for v in range(LANES):
                w[o + v] = weight[k, U(0)]
        else:
            for v in range(n):
                w[o + v] = weight[k, lanes[v]]
        for v in range(LANES):
            value = s[o + v]
            used = (abs(value) < INFINITE) & (value < saturation)
            value = value if used else ZERO
            s[o + v] = value
            w[o + v] = w[o + v] if used else ZERO
            a[USED + v] += ONE if used else ZERO
            a[PEAK + v] = max(a[PEAK + v], abs(value))
    n_zeros, n_incomplete = U(0), U(0)
    for i in range(U(len(latest_first))):
        last = latest_first[i, U(0)] * LANES
        for v in range(LANES):
            n_zeros += U((s[last + v] == ZERO) & (a[PEAK + v] > ZERO))
    if n_zeros > U(0):
        for i in range(U(len(latest_first))):
            _blank(latest_first[i], n, a, s, w)
    for v in range(LANES):
        a[SIDE + v] = TOO_FEW_SAMPLES if a[USED + v] < n_parameters else (ZERO if a[PEAK + v] >= TINY else NO_SIGNAL)
        n_incomplete += U(a[USED + v] < np.float32(n_times))
        bits = max(np.float32(a[PEAK + v]).view(np.int32) & EXPONENT, np.int32(1) << MANTISSA_BITS)
        bits = min(bits, np.int32(253) << MANTISSA_BITS)
        a[LATEST + v] = np.int32((np.int32(254) << MANTISSA_BITS) - bits).view(np.float32)
        a[LOSS + v] = np.int32(bits).view(np.float32)
    if (n_incomplete > U(0)) & (len(latest_first) > 1):
        for i in range(U(len(latest_first))):
            _require_own(latest_first[i], n, t, a, w)
    for k in range(n_times):
        o = place[k] * LANES
        for v in range(LANES):
            aside = a[SIDE + v] > ZERO  # goes along as something that can be fitted
            s[o + v] = ONE if aside else s[o + v] * a[LATEST + v]
            w[o + v] = ONE if aside else w[o + v]
    for v in range(LANES):
        a[PEAK + v] = a[LOSS + v] if a[PEAK + v] >= TINY else ZERO


@part()
def _blank(latest_first, n, a, s, w):
    """Leave out exact zeros of a decay after its last other sample, where two or more others remain."""
    for v in range(n):
        if s[latest_first[0] * LANES + v] == ZERO and a[PEAK + v] > ZERO:
            n_rows, n_trailing, n_zeros, n_others = U(len(latest_first)), U(0), ZERO, ZERO
            while n_trailing < n_rows and s[latest_first[n_trailing] * LANES + v] == ZERO:
                n_zeros += ONE if w[latest_first[n_trailing] * LANES + v] > ZERO else ZERO
                n_trailing += U(1)
            for k in range(n_trailing, n_rows):
                n_others += ONE if w[latest_first[k] * LANES + v] > ZERO else ZERO
            if n_others > ONE:
                for k in range(n_trailing):
                    w[latest_first[k] * LANES + v] = ZERO
                a[USED + v] -= n_zeros


@part()
def _require_own(rows_of_decay, n, t, a, w):
    """Set lanes aside without a sample at a later time than 0 for one of several decays."""
    for v in range(n):
        own = ZERO
        for row in rows_of_decay:
            own += ONE if (w[row * LANES + v] > ZERO) & (t[row] > ZERO) else ZERO
        a[SIDE + v] = a[SIDE + v] if own > ZERO else TOO_FEW_SAMPLES


@part()
def gather(s, w, lanes, s_b, w_b, n):
    """Copy the samples and weights of some lanes."""
    for o in range(U(0), U(len(s)), LANES):
        for i in range(n):
            s_b[o + i] = s[o + lanes[i]]
            w_b[o + i] = w[o + lanes[i]]


@part()
def scatter(b, state, a, lanes, n):
    """Copy what a search keeps of some lanes back to where they come from."""
    for row in state:
        for i in range(n):
            a[row + lanes[i]] = b[row + i]


@part()
def keep_active(b, state, done, s, w, lanes, n):
    """Move the lanes that are not done to the front, and return how many they are."""
    n_active = U(0)
    for i in range(n):
        if b[done + i] == ZERO:
            if n_active < i:
                for row in state:
                    b[row + n_active] = b[row + i]
                for o in range(U(0), U(len(s)), LANES):
                    s[o + n_active], w[o + n_active] = s[o + i], w[o + i]
                lanes[n_active] = lanes[i]
            n_active += U(1)
    for i in range(n_active, whole(n_active)):
        b[done + i] = ONE  # what is left over goes along
    return n_active


@part()
def whole(n):
    """Round a number of lanes up to a whole number of vectors."""
    return (n + VECTOR - U(1)) // VECTOR * VECTOR


@part()
def describe(a, s, w):
    """Compute the sum of squares of the samples of all lanes, their mean, and variation about it."""
    for v in range(LANES):
        a[LATEST + v] = ZERO
        a[TOTAL + v] = ZERO
        a[MEAN + v] = ZERO
        a[VARIATION + v] = ZERO
    for o in range(U(0), U(len(s)), LANES):
        for v in range(LANES):
            a[LATEST + v] += w[o + v]
            a[TOTAL + v] += w[o + v] * s[o + v] * s[o + v]
            a[MEAN + v] += w[o + v] * s[o + v]
    for v in range(LANES):
        a[MEAN + v] /= a[LATEST + v]
    for o in range(U(0), U(len(s)), LANES):
        for v in range(LANES):
            deviation = s[o + v] - a[MEAN + v]
            a[VARIATION + v] += w[o + v] * deviation * deviation


@part()
def tilt(a, s, w, t):
    """Compute the slope of the samples of all lanes over time, and the sum of the magnitudes of its terms."""
    for v in range(LANES):
        a[LATEST + v] = ZERO
        a[MIDDLE + v] = ZERO
        a[SLOPE + v] = ZERO
        a[SLOPE_SCALE + v] = ZERO
    for k in range(U(len(t))):
        time, o = t[k], k * LANES
        for v in range(LANES):
            a[LATEST + v] += w[o + v]
            a[MIDDLE + v] += w[o + v] * time
    for v in range(LANES):
        a[MIDDLE + v] /= a[LATEST + v]
    for k in range(U(len(t))):
        time, o = t[k], k * LANES
        for v in range(LANES):
            rise = w[o + v] * (time - a[MIDDLE + v]) * s[o + v]
            a[SLOPE + v] += rise
            a[SLOPE_SCALE + v] += abs(rise)


@part(forceinline=True)
def fate_of_flat(slope, scale):
    """Return what becomes of a voxel that is fitted best by the longest T."""
    return NO_DECAY if slope > SIXTEEN * EPS * scale else (AT_BOUND if slope < QUADRUPLE * EPS * scale else LEFT)


@part()
def store(a, results, n_parameters, lanes, n, table, status, n_used):
    """Write the results of some lanes, with their goodness of fit."""
    n_rows = U(len(results)) // LANES
    last = n_rows - U(1)
    for v in range(LANES):
        varies = a[VARIATION + v] > SIXTEEN * EPS * EPS * a[TOTAL + v]
        results[(last - U(1)) * LANES + v] = np.sqrt(a[SQUARES + v] / a[USED + v]) * a[PEAK + v]
        results[last * LANES + v] = ONE - a[RESIDUAL + v] / a[VARIATION + v] if varies else NAN
    for v in range(n):
        status[lanes[v]], n_used[lanes[v]] = np.uint8(a[FATE + v]), np.int16(a[USED + v])
    for row in range(U(len(table))):
        # At a bound, there are no standard errors.
        worst = AT_BOUND if (row < n_parameters) | (row + U(1) >= last) else CONVERGED
        for v in range(n):
            table[row, lanes[v]] = results[row * LANES + v] if a[FATE + v] <= worst else NAN
