"""The start of the compiled joint fit: what ``start`` of :mod:`~relaxnet.fitting._joint` does."""

import numpy as np

from relaxnet.fitting._core.joint_grid import SURE, SWEEPS
from relaxnet.fitting._core.kernels.grid import multiply
from relaxnet.fitting._core.kernels.newton import OWN
from relaxnet.fitting._core.kernels.parts import (
    BEST,
    HEIGHT,
    INFINITE,
    LANES,
    MOST,
    ONE,
    SUM,
    TINY,
    TOTAL,
    ZERO,
    U,
    gather,
    part,
)

ENOUGH = np.float32(SURE)
CLOSE = np.float32(1e-5)  # of the signal: of ends that differ by less, rounding would choose

# Rows of what is kept of each lane: products with the samples of some decays, and with themselves; those of the images
# at time 0; what a point of the grids explains; and how far apart two points are that explain the same.
SHARE, REST, COMMON, COMMON_SQUARE, REACHED, DOUBT = (LANES * U(OWN + k) for k in range(6))


@part()
def tabulate(a, s, w, weighted, t, tables, heights, norms):
    """Compute the products of the decays of the grids with the samples and with themselves.

    Those of images at time 0, which all T share, are apart.
    """
    basis, squares, usual, usual_norms = tables
    n_contrasts, n_grid, width = U(basis.shape[0]), U(basis.shape[1]), U(basis.shape[2])
    for v in range(LANES):
        a[COMMON + v] = ZERO
        a[COMMON_SQUARE + v] = ZERO
        a[SUM + v] = ZERO  # of the magnitudes of the samples
    n_others = U(0)  # weights that are not those of most voxels
    for k in range(U(len(t))):
        o, common = k * LANES, ONE if t[k] == ZERO else ZERO
        for v in range(LANES):
            weighted[o + v] = w[o + v] * s[o + v]
            a[COMMON + v] += common * weighted[o + v]
            a[COMMON_SQUARE + v] += common * w[o + v]
            a[SUM + v] += abs(weighted[o + v])
            n_others += U(w[o + v] != usual[k])
    for c in range(n_contrasts):
        block = slice(c * width * LANES, (c + U(1)) * width * LANES)
        table = slice(c * n_grid * LANES, (c + U(1)) * n_grid * LANES)
        multiply(basis[c], weighted[block], heights[table])
        if n_others > U(0):
            multiply(squares[c], w[block], norms[table])
        else:
            for g in range(n_grid):
                for v in range(LANES):
                    norms[(c * n_grid + g) * LANES + v] = usual_norms[c, g]


@part()
def _climb(a, heights, norms, places, c, n_grid, m):
    """Find the best point of one grid, beside what others contribute; return for how many lanes it is another."""
    for v in range(m):
        a[REACHED + v] = -ONE
        a[BEST + v] = ZERO
        a[HEIGHT + v] = -INFINITE
    for g in range(n_grid):
        o, place = (c * n_grid + g) * LANES, np.float32(g)
        for v in range(m):
            p = max(a[SHARE + v] + heights[o + v], ZERO)
            reached = p * p / max(a[REST + v] + norms[o + v], TINY)
            better = reached > a[REACHED + v]
            a[REACHED + v] = reached if better else a[REACHED + v]
            a[BEST + v] = place if better else a[BEST + v]
            a[HEIGHT + v] = max(a[HEIGHT + v], heights[o + v])
    n_moved = U(0)
    for v in range(m):
        n_moved += U(places[c * LANES + v] != a[BEST + v])
        places[c * LANES + v] = a[BEST + v]
    return n_moved


@part()
def _combine(a, heights, norms, places, n_contrasts, but, n_grid, m):
    """Sum what all T, or all but one, contribute at their places on the grids."""
    for v in range(m):
        p, q = a[COMMON + v], a[COMMON_SQUARE + v]
        for c in range(n_contrasts):
            if c != but:
                i = (c * n_grid + U(places[c * LANES + v])) * LANES + v
                p += heights[i]
                q += norms[i]
        a[SHARE + v], a[REST + v] = p, q


@part()
def _sweep(a, heights, norms, places, n_contrasts, n_grid, m):
    """Search one T after another on its grid."""
    for _ in range(SWEEPS):
        n_moved = U(0)
        for c in range(n_contrasts):
            _combine(a, heights, norms, places, n_contrasts, c, n_grid, m)
            n_moved += _climb(a, heights, norms, places, c, n_grid, m)
        if n_moved == U(0):
            break


@part()
def choose(a, r, unsure, heights, norms, heights_r, norms_r, places, ways, typical, n_grid):
    """Choose a point of the grids for each lane: the best of each T by itself, or the end of a search from there."""
    n_contrasts = U(len(typical))
    for v in range(LANES):
        a[SHARE + v], a[REST + v], a[MOST + v], a[DOUBT + v] = a[COMMON + v], a[COMMON_SQUARE + v], a[COMMON + v], ZERO
    for c in range(n_contrasts):
        _climb(a, heights, norms, places, c, n_grid, LANES)
        for v in range(LANES):
            a[MOST + v] += a[HEIGHT + v]
    _combine(a, heights, norms, places, n_contrasts, n_contrasts, n_grid, LANES)
    n = U(0)
    for v in range(LANES):
        p = max(a[SHARE + v], ZERO)
        if p * p < ENOUGH * a[TOTAL + v] * a[REST + v]:
            unsure[n] = v
            n += U(1)
    if n == U(0):
        return
    gather(heights, norms, unsure, heights_r, norms_r, n)
    for i in range(n):
        r[COMMON + i], r[COMMON_SQUARE + i] = a[COMMON + unsure[i]], a[COMMON_SQUARE + unsure[i]]
        for c in range(n_contrasts):
            ways[U(0), c * LANES + i], ways[U(1), c * LANES + i] = places[c * LANES + unsure[i]], typical[c]
    for way in range(U(2)):
        _sweep(r, heights_r, norms_r, ways[way], n_contrasts, n_grid, n)
        for i in range(n):
            lane, reached = unsure[i], r[REACHED + i]
            lead, apart = reached - a[REACHED + lane] if way else INFINITE, ZERO
            for c in range(n_contrasts):
                apart = max(apart, abs(ways[way, c * LANES + i] - ways[U(0), c * LANES + i]))
                if lead > ZERO:
                    places[c * LANES + lane] = ways[way, c * LANES + i]
            a[DOUBT + lane] = apart if abs(lead) <= CLOSE * a[TOTAL + lane] else ZERO
            a[REACHED + lane] = max(reached, a[REACHED + lane]) if way else reached
