"""The fit of mono-exponential decays as one kernel on a GPU.

What :mod:`~relaxnet.fitting._core.kernels.decay` does on a processor, with a voxel for each thread: which samples are
used, a grid in log T, Newton's method inside a bracket around its best peak and around a rival of that, standard errors
and status. Samples are read once, and stay in registers: a block of voxels is a matrix of times in rows, whose sums
run over its columns. Whatever is too close to call by rounding is left to the general search.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import triton
import triton.language as tl
from torch import Tensor

from relaxnet.fitting._core import projection
from relaxnet.fitting._core.bounds import Bounds

BLOCK = 128
N_WARPS = 4

MAX_STEPS, MARGIN = tl.constexpr(projection.MAX_STEPS), tl.constexpr(projection.PEAK_MARGIN)
CLOSE, NEAR, VAGUE = (tl.constexpr(x) for x in (projection.CLOSE, projection.NEAR, projection.VAGUE))
FAINT = tl.constexpr(1e-4)  # of the sum of magnitudes: products with decays that may be positive by rounding alone
UPHILL = tl.constexpr(64.0)  # units of rounding that a gradient at a bound must exceed to be sure of its sign
FLAT = tl.constexpr(1e-6)  # variance of the times that matter, by their range squared, that is too small to tell T by
SMALL = tl.constexpr(1e-6)
EPS = tl.constexpr(float(np.finfo(np.float32).eps))
TINY = tl.constexpr(float(np.finfo(np.float32).tiny))
INFINITE, NAN = tl.constexpr(float("inf")), tl.constexpr(float("nan"))

CONVERGED, AT_BOUND, TOO_FEW_SAMPLES, NO_DECAY, NO_SIGNAL, LEFT = (tl.constexpr(k) for k in (0, 1, 2, 3, 4, 255))
"""What becomes of a voxel: a ``FitStatus``, or that it is left to the general search."""


def _part(function: Any) -> Any:
    """Compile a function as it is written, whatever checks wrap it in tests."""
    return triton.jit(inspect.unwrap(function))


@_part
def _search(s, w, time, rate, low, high, done):
    """Run Newton's method on the reduced cost as a function of the rate, inside the brackets of all lanes.

    Also return which are done, and of which it is sure that they are at a minimum, without much error by rounding.
    """
    step = 0
    sure = done
    while (step < MAX_STEPS) & (tl.min(done.to(tl.int32), 0) == 0):
        y = tl.exp(-time[:, None] * rate[None, :])
        wy = w * y
        q = tl.sum(wy * y, 0)
        m0 = tl.sum(wy * s, 0) / q
        predicted = m0[None, :] * y
        residual = s - predicted
        g = wy * time[:, None]
        h = g * time[:, None]
        bf = tl.sum(g * y, 0)
        ff = tl.sum(h * y, 0)
        rf = tl.sum(g * residual, 0)
        rs = tl.sum(h * residual, 0)
        scale = tl.sum(g * (tl.abs(s) + tl.abs(predicted)), 0)
        gradient = m0 * rf
        slope = (m0 * bf - rf) / q
        curvature = m0 * (m0 * ff - slope * bf - rs) + slope * rf
        high = tl.where(gradient > 0, rate, high)
        low = tl.where(gradient < 0, rate, low)
        newton = rate - gradient / curvature
        inside = (curvature > 0) & (newton >= low) & (newton <= high)
        following = tl.where(inside, newton, 0.5 * (low + high))
        rounding = tl.abs(m0) * scale * (4 * EPS)
        flat = tl.abs(gradient) <= rounding
        following = tl.where(flat, rate, following)
        settled = tl.abs(following - rate) <= rate * SMALL
        sure = tl.where(done, sure, (inside | flat) & (rounding <= tl.abs(curvature) * rate * VAGUE))
        rate = tl.where(done, rate, following)
        done = done | settled
        step += 1
    return rate, done, sure


@_part
def _explained(s, w, time, rate):
    """Return the part of the signal that decays at some rates explain, and the gradient of the cost with its scale."""
    y = tl.exp(-time[:, None] * rate[None, :])
    wy = w * y
    q = tl.sum(wy * y, 0)
    p = tl.sum(wy * s, 0)
    m0 = p / q
    g = wy * time[:, None]
    rf = tl.sum(g * (s - m0[None, :] * y), 0)
    scale = tl.sum(g * (tl.abs(s) + tl.abs(m0[None, :] * y)), 0)
    p = tl.maximum(p, 0.0)
    return p * p / q, rf, scale


@_part
def _fit_decays(
    samples,
    weight,
    noise,
    times,
    rates,
    floor,
    table,
    status,
    n_used,
    n_voxels,
    stride_time,
    stride_voxel,
    stride_weight_time,
    stride_weight_voxel,
    stride_noise,
    shortest,
    longest,
    saturation,
    N_TIMES: tl.constexpr,
    ROWS: tl.constexpr,
    N_GRID: tl.constexpr,
    N_RESULTS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Fit a block of voxels, and fill in ``table``, ``status`` and ``n_used``."""
    voxel = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    row = tl.arange(0, ROWS)
    there = voxel < n_voxels
    present = row < N_TIMES
    both = present[:, None] & there[None, :]
    time = tl.load(times + row, mask=present, other=0.0)
    # Read the samples, find those to use, and bring each voxel to a largest sample of 1.
    s = tl.load(samples + row[:, None] * stride_time + voxel[None, :] * stride_voxel, mask=both, other=0.0)
    w = tl.load(weight + row[:, None] * stride_weight_time + voxel[None, :] * stride_weight_voxel, mask=both, other=0.0)
    use = both & (tl.abs(s) < INFINITE) & (s < saturation)
    s = tl.where(use, s, 0.0)
    w = tl.where(use, w, 0.0)
    peak = tl.max(tl.abs(s), 0)
    used = tl.sum(use.to(tl.float32), 0)
    # Exact zeros after the last other sample are left out, if two or more others remain.
    last = tl.max(tl.where(s != 0, time[:, None], -1.0), 0)
    trailing = use & (time[:, None] > last[None, :])
    n_zeros = tl.sum((trailing & (w > 0)).to(tl.float32), 0)
    shortened = (used - n_zeros > 1) & (peak > 0)
    w = tl.where(trailing & shortened[None, :], 0.0, w)
    used = tl.where(shortened, used - n_zeros, used)
    # Lanes that cannot be fitted go along as something that can.
    aside = (used <= 1) | (peak < TINY)
    s = tl.where(aside[None, :], 1.0, s / tl.where(aside, 1.0, peak)[None, :])
    w = tl.where(aside[None, :] & present[:, None], 1.0, w)
    weighted = w * s
    total = tl.sum(weighted * s, 0)
    magnitudes = tl.sum(tl.abs(weighted), 0)
    # Find the highest peak of the grid, and its rival. Points are in order of T, so rates fall.
    most = tl.full([BLOCK], -INFINITE, tl.float32)
    best_height = tl.full([BLOCK], -1.0, tl.float32)
    rival_height = tl.full([BLOCK], -1.0, tl.float32)
    before = tl.full([BLOCK], -1.0, tl.float32)
    here = tl.full([BLOCK], -1.0, tl.float32)
    best = tl.zeros([BLOCK], tl.int32)
    rival = tl.zeros([BLOCK], tl.int32)
    for g in range(N_GRID + 1):
        # The height of a point is known when that of the next one is; after the last one, there is none.
        rate = tl.load(rates + tl.minimum(g, N_GRID - 1))
        least = tl.load(floor + tl.minimum(g, N_GRID - 1))
        y = tl.exp(-time * rate)
        p = tl.sum(weighted * y[:, None], 0)
        q = tl.sum(w * (y * y)[:, None], 0)
        seen = q > least
        after = tl.where(seen, tl.maximum(p, 0.0) * tl.maximum(p, 0.0) / q, 0.0)
        ends = g == N_GRID
        most = tl.where(ends, most, tl.maximum(most, tl.where(seen, p, -magnitudes)))
        after = tl.where(ends, -1.0, after)
        top = ((here > before) & (here >= after)) & (g > 0)
        better = top & (here > best_height)
        second = top & (here > rival_height) & (better == 0)
        rival_height = tl.where(better, best_height, tl.where(second, here, rival_height))
        rival = tl.where(better, best, tl.where(second, g - 1, rival))
        best_height = tl.where(better, here, best_height)
        best = tl.where(better, g - 1, best)
        before = here
        here = after
    rate = tl.load(rates + best)
    high = tl.load(rates + tl.maximum(best - 1, 0))
    low = tl.load(rates + tl.minimum(best + 1, N_GRID - 1))
    rate, done, sure = _search(s, w, time, rate, low, high, there == 0)
    height, rf, scale = _explained(s, w, time, rate)
    close = (rival_height > 0) & (rival_height > best_height - total * MARGIN)
    if tl.max(close.to(tl.int32), 0) > 0:
        other = tl.load(rates + rival)
        high = tl.load(rates + tl.maximum(rival - 1, 0))
        low = tl.load(rates + tl.minimum(rival + 1, N_GRID - 1))
        other, ended, other_sure = _search(s, w, time, other, low, high, close == 0)
        other_height, other_rf, other_scale = _explained(s, w, time, other)
        open_ = close & ((tl.abs(height - other_height) <= total * CLOSE) | (ended == 0))
        wins = close & (open_ == 0) & (other_height > height)
        rate = tl.where(wins, other, rate)
        rf = tl.where(wins, other_rf, rf)
        scale = tl.where(wins, other_scale, scale)
        done = (done | wins) & (open_ == 0)
        sure = tl.where(wins, other_sure, sure)
    # What results are made of.
    y = tl.exp(-time[:, None] * rate[None, :])
    wy = w * y
    q = tl.sum(wy * y, 0)
    m0 = tl.sum(wy * s, 0) / q
    all_weight = tl.sum(w, 0)
    middle = tl.sum(wy * y * time[:, None], 0) / q  # mean time under the squared decay
    mean_time = tl.sum(w * time[:, None], 0) / all_weight
    mean = tl.sum(weighted, 0) / all_weight
    residual = s - m0[None, :] * y
    across = (time[:, None] - middle[None, :]) * y
    ff = tl.sum(w * across * across, 0)
    rs = tl.sum(w * residual * residual, 0)
    squares = tl.sum(tl.where(w > 0, residual * residual, 0.0), 0)
    deviation = tl.where(w > 0, s - mean[None, :], 0.0)
    variation = tl.sum(w * deviation * deviation, 0)
    rise = (time[:, None] - mean_time[None, :]) * weighted
    slope = tl.sum(rise, 0)
    rounding = tl.sum(tl.abs(rise), 0) * EPS
    # The fate of each lane.
    fastest, slowest = tl.load(rates), tl.load(rates + N_GRID - 1)
    # Where a single sample matters, the cost is flat but for rounding.
    reach = tl.max(time, 0) - tl.min(tl.where(present, time, INFINITE), 0)
    inside = (rate > slowest) & (rate < fastest)
    known = done & (sure | (inside == 0)) & (m0 > 0) & (ff < INFINITE) & (ff > q * (reach * reach * FLAT))
    near = inside & ((rate < slowest * (1 + NEAR)) | (rate > fastest * (1 - NEAR)))
    uphill = tl.abs(rf) > scale * (UPHILL * EPS)
    rises = tl.where(slope > 16 * rounding, NO_DECAY, tl.where(slope < 4 * rounding, AT_BOUND, LEFT))
    at_bound = tl.where(uphill, tl.where(rate <= slowest, rises, AT_BOUND), LEFT)
    fate = tl.where(inside, CONVERGED, at_bound)
    fate = tl.where(near | (known == 0), LEFT, fate)
    share = most / magnitudes
    fate = tl.where(share > FAINT, fate, tl.where(share < -FAINT, NO_SIGNAL, LEFT))
    fate = tl.where(peak >= TINY, fate, NO_SIGNAL)
    fate = tl.where(used > 1, fate, TOO_FEW_SAMPLES)
    tl.store(status + voxel, fate.to(tl.uint8), mask=there)
    tl.store(n_used + voxel, used.to(tl.int16), mask=there)
    # The results, in the units of the signal.
    given = fate <= AT_BOUND
    fitted = fate == CONVERGED
    t = tl.where(rate >= fastest, shortest, tl.where(rate <= slowest, longest, 1 / rate))
    tl.store(table + voxel, tl.where(given, m0 * peak, NAN), mask=there)
    tl.store(table + n_voxels + voxel, tl.where(given, t, NAN), mask=there)
    if N_RESULTS > 2:
        level = tl.load(noise + voxel * stride_noise, mask=there, other=0.0) / tl.where(peak > 0, peak, 1.0)
        free = used - 2
        variance = tl.where(level > 0, level * level, tl.where(free > 0, rs / free, NAN))
        of_rate = variance / ff
        by_rate = t * t / m0
        std = tl.sqrt(variance / q + of_rate * middle * middle) * peak
        out = table + 2 * n_voxels + voxel
        tl.store(out, tl.where(fitted, std, NAN), mask=there)
        tl.store(out + n_voxels, tl.where(fitted, tl.sqrt(of_rate) * by_rate, NAN), mask=there)
        tl.store(out + 2 * n_voxels, tl.where(fitted, -of_rate * middle * by_rate * peak, NAN), mask=there)
        tl.store(out + 3 * n_voxels, tl.where(given, tl.sqrt(squares / used) * peak, NAN), mask=there)
        varies = variation > total * (16 * EPS * EPS)
        tl.store(out + 4 * n_voxels, tl.where(given & varies, 1 - rs / variation, NAN), mask=there)


def fit_decays(
    samples: Tensor,
    weight: Tensor,
    noise: Tensor,
    constants: Sequence[Tensor],
    bounds: Bounds,
    saturation: float,
    results: Sequence[Tensor],
) -> None:
    """Fit each column of ``samples``, and fill in the results: table, status and number of samples."""
    n_times, n_voxels = samples.shape
    times, rates, floor = constants
    _fit_decays[(triton.cdiv(n_voxels, BLOCK),)](
        samples,
        weight,
        noise,
        times,
        rates,
        floor,
        *results,
        n_voxels,
        *samples.stride(),
        *weight.stride(),
        noise.stride(0),
        *bounds,
        saturation,
        N_TIMES=n_times,
        ROWS=max(triton.next_power_of_2(n_times), 2),
        N_GRID=len(rates),
        N_RESULTS=len(results[0]),
        BLOCK=BLOCK,
        num_warps=N_WARPS,
    )
