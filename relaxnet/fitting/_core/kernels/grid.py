"""What the compiled fits do on a grid of T: find where to search from."""

import numpy as np

from relaxnet.fitting._core.kernels.parts import (
    BEST,
    EARLIER,
    FOUR,
    HEIGHT,
    INFINITE,
    LANES,
    MOST,
    ONE,
    RISES,
    RIVAL,
    RIVAL_HEIGHT,
    SUM,
    ZERO,
    U,
    part,
)


@part()
def multiply(matrix, s, out):
    """Multiply a matrix with the samples of all lanes."""
    for r in range(U(0), U(len(matrix)), FOUR):
        place = r * LANES
        for k in range(U(0), U(matrix.shape[1]), FOUR):
            o = k * LANES
            for v in range(LANES):
                for i in range(FOUR):
                    p = out[place + i * LANES + v] if k else ZERO
                    for j in range(FOUR):
                        p += matrix[r + i, k + j] * s[o + j * LANES + v]
                    out[place + i * LANES + v] = p


@part()
def weigh(a, s, w, weighted, weight):
    """Multiply the samples with their weights, and return how many of these are not those of most voxels."""
    n_others = U(0)
    for v in range(LANES):
        a[SUM + v] = ZERO  # of the magnitudes of the samples
    for k in range(U(len(weight))):
        o = k * LANES
        for v in range(LANES):
            weighted[o + v] = w[o + v] * s[o + v]
            a[SUM + v] += abs(weighted[o + v])
            n_others += U(w[o + v] != weight[k])
    return n_others


@part()
def project(a, s, w, weighted, weight, grid, heights, norms):
    """Compute the products of the samples with the decays of a grid, scaled to length 1.

    Where a decay has vanished, the product is the least that it can be.
    """
    directions, basis, squares, floor = grid
    if weigh(a, s, w, weighted, weight) == U(0):
        multiply(directions, s, heights)
        return
    multiply(basis, weighted, heights)
    multiply(squares, w, norms)
    for g in range(U(len(floor))):
        least, o = floor[g], g * LANES
        for v in range(LANES):
            scaled = heights[o + v] / np.sqrt(norms[o + v])
            heights[o + v] = scaled if norms[o + v] > least else -a[SUM + v]


@part()
def find_peaks(a, heights, n_grid):
    """Find the highest point of the grid for each lane, and the next peak below it."""
    for v in range(LANES):
        a[MOST + v] = -INFINITE
        a[HEIGHT + v] = -INFINITE
        a[BEST + v] = ZERO
        a[RIVAL_HEIGHT + v] = -INFINITE
        a[RIVAL + v] = ZERO
        a[EARLIER + v] = -INFINITE
        a[RISES + v] = ZERO
    for g in range(U(0), n_grid, FOUR):
        first = np.float32(g) - ONE
        for v in range(LANES):
            best, height, rival, rival_height = a[BEST + v], a[HEIGHT + v], a[RIVAL + v], a[RIVAL_HEIGHT + v]
            earlier, rises, most = a[EARLIER + v], a[RISES + v] > ZERO, a[MOST + v]
            for j in range(FOUR):
                here = heights[(g + j) * LANES + v]
                place = first + np.float32(j)  # of the point before, of which it is known here whether it is a peak
                peak = rises & (earlier >= here)
                better, second = peak & (earlier > height), peak & (earlier > rival_height)
                rival = best if better else (place if second else rival)
                rival_height = height if better else (earlier if second else rival_height)
                best = place if better else best
                height = earlier if better else height
                most = max(most, here)
                rises = here > earlier
                earlier = here
            a[BEST + v] = best
            a[HEIGHT + v] = height
            a[RIVAL + v] = rival
            a[RIVAL_HEIGHT + v] = rival_height
            a[EARLIER + v] = earlier
            a[RISES + v] = ONE if rises else ZERO
            a[MOST + v] = most
