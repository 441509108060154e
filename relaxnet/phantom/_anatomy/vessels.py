"""Vessels: trees of tapering tubes that branch inside the liver."""

import numpy as np

from relaxnet.phantom._anatomy.geometry import Tubes
from relaxnet.phantom._anatomy.random_fields import Array

_THINNEST_MM = 0.9
_BEND = np.array((0.15, 0.15, 0.08))  # less out of the slice, so that a slice shows longer pieces of them

# Each tree: where it enters the liver, its first direction, its length up to the first branching and its radius there.
# The portal vein enters at the hilum in three branches; the three hepatic veins enter the vena cava under the
# diaphragm. In mm of the reference body; z is to the head.
_ROOTS = (
    ((-30.0, 14.0, -6.0), (-1.0, 0.2, 0.1), 40.0, 6.5),
    ((-36.0, 12.0, -6.0), (-0.8, -0.8, -0.1), 38.0, 5.5),
    ((-30.0, 14.0, -6.0), (0.3, 1.0, 0.15), 40.0, 5.0),
    ((-32.0, -2.0, 24.0), (-1.0, -0.3, -0.2), 46.0, 5.5),
    ((-30.0, 2.0, 24.0), (-0.7, 0.8, -0.2), 46.0, 5.0),
    ((-26.0, 4.0, 24.0), (0.4, 1.0, -0.2), 36.0, 4.5),
)


def draw_vessels(rng: np.random.Generator) -> Tubes:
    """Grow the portal vein and the hepatic veins in three dimensions; parts outside the liver are not painted."""
    tubes: list[tuple[Array, Array, float, float]] = []
    growing = [(np.array(start), np.array(way), length, radius) for start, way, length, radius in _ROOTS]
    while growing:
        start, direction, length, radius = growing.pop()
        for _ in range(3):  # a vessel consists of three pieces with slight bends between them
            direction = direction / np.sqrt(direction @ direction) + _BEND * rng.standard_normal(3)
            end = start + direction * length / 3
            tubes.append((start, end, radius, 0.93 * radius))
            start, radius = end, 0.93 * radius
        sideways = np.array((-direction[1], direction[0], rng.normal(0, 0.4))) * rng.choice((-1, 1))
        for share, turn in ((0.85, rng.uniform(0.3, 0.6)), (0.72, -rng.uniform(0.5, 0.9))):
            if share * radius > _THINNEST_MM:
                growing.append((start, direction + turn * sideways, length * rng.uniform(0.65, 0.9), share * radius))
    starts, ends, first, last = zip(*tubes, strict=True)
    return Tubes(np.array(starts), np.array(ends), np.stack((first, last), axis=1))
