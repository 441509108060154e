"""Shapes as level functions: the distance to their outline in mm, negative inside.

Shapes that are functions of position have no pixels. They can be joined, cut and warped, and sampled on any grid
afterwards. The distances are exact, or right to first order near the outline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.random_fields import Array

Pair = tuple[float, float] | Array
FAR_MM = 1000.0
"""Level of all points that are too far away for their distance to matter."""
FIELD_OF_VIEW_MM = (288.0, 384.0)
_LIVER_MM = (4.0, -36.0)  # middle of the rectangle around the livers of all subjects, along y and x


@dataclass(frozen=True)
class Grid:
    """Pixel centres of a picture, in mm from its middle: x to the patient's left, y to the front.

    Pixels are square, and as small as the field of view of 288 x 384 mm allows, unless their side is given. Smaller
    pictures than that are of the liver.
    """

    shape: tuple[int, int]
    given_mm: float | None = None
    """Side of a pixel, if it is given."""

    @property
    def pixel_mm(self) -> float:
        """Side of a pixel."""
        return self.given_mm or max(extent / n for extent, n in zip(FIELD_OF_VIEW_MM, self.shape, strict=True))

    @cached_property
    def x(self) -> Array:
        """Positions of the columns, (1, width); the patient's left is at the right of the picture."""
        columns: Array = (np.arange(self.shape[1])[None, :] - (self.shape[1] - 1) / 2) * self.pixel_mm
        return columns + self._middle_mm(1)

    @cached_property
    def y(self) -> Array:
        """Positions of the rows, (height, 1); the front of the body is up."""
        rows: Array = ((self.shape[0] - 1) / 2 - np.arange(self.shape[0])[:, None]) * self.pixel_mm
        return rows + self._middle_mm(0)

    def _middle_mm(self, axis: int) -> float:
        """Return the middle of the picture: that of the liver, if not all of the field of view is in it."""
        if self.given_mm is None:
            return 0.0
        outside = max(FIELD_OF_VIEW_MM[axis] - self.shape[axis] * self.given_mm, 0) / 2
        return float(np.clip(_LIVER_MM[axis], -outside, outside))


def ellipse(x: Array, y: Array, centre: Pair, radii: Pair, power: float = 2.0) -> Array:
    """Compute the distance to a superellipse in mm, right to first order; a high power makes it a rectangle."""
    # (q - 1) / |grad q|, where q = 1 is the outline; the tiny number keeps the centre from being 0/0.
    u = np.abs(x - centre[0]) / radii[0] + 1e-9
    v = np.abs(y - centre[1]) / radii[1] + 1e-9
    u_power, v_power = u**power, v**power
    q_power = u_power + v_power
    q = q_power ** (1 / power)
    slope = q / q_power * np.hypot(u_power / (u * radii[0]), v_power / (v * radii[1]))
    level: Array = (q - 1) / slope
    return level


def level_near(near: NDArray[np.bool_], shape: Callable[..., Array], *position: Array) -> Array:
    """Evaluate a level function at the points ``near``, (point,); all others get :data:`FAR_MM`."""
    level: Array = np.full(near.shape, FAR_MM)
    level[near] = shape(*(coordinate[near] for coordinate in position))
    return level


def smooth_union(a: Array, b: Array, blend_mm: float) -> Array:
    """Join two shapes, and fill the notch where they are closer to each other than ``blend_mm``."""
    notch = np.maximum(blend_mm - np.abs(a - b), 0) / blend_mm
    level: Array = np.minimum(a, b) - notch**2 * blend_mm / 4
    return level


def subtract(level: Array, cut: Array) -> Array:
    """Cut the second shape out of the first."""
    rest: Array = np.maximum(level, -cut)
    return rest


def varied(rng: np.random.Generator, chain: Array, *, jitter_mm: float, shift_mm: tuple[float, ...]) -> Array:
    """Shift a chain of points and radii, (point, axis + 1), jitter its points, and change its radii by about 8 %."""
    points = chain[:, :-1] + (rng.normal(0, jitter_mm, chain[:, :-1].shape) + rng.normal(0, shift_mm))
    return np.column_stack((points, chain[:, -1] * np.clip(rng.normal(1, 0.08, len(chain)), 0.8, 1.2)))


@dataclass(frozen=True)
class Tubes:
    """Straight tubes with round ends, whose radius changes linearly from end to end, in two or three dimensions."""

    start: Array
    """First end of each, (tube, axis), in mm."""
    end: Array
    """Other end, (tube, axis), in mm."""
    radius: Array
    """Radius at either end, (tube, 2), in mm."""

    @classmethod
    def chain(cls, *chains: Array) -> "Tubes":
        """Join the points of each chain of points and radii, (point, axis + 1), by tubes."""
        pairs = np.concatenate([np.stack((chain[:-1], chain[1:])) for chain in chains], axis=1)
        return cls(pairs[0, :, :-1], pairs[1, :, :-1], pairs[:, :, -1].T)

    def __call__(self, *position: Array | float) -> Array:
        """Compute the distance to the nearest tube in mm from coordinates that broadcast, one for each axis."""
        nearest: Array = np.full(np.broadcast_shapes(*(np.shape(coordinate) for coordinate in position)), FAR_MM)
        for start, end, radius in zip(self.start, self.end, self.radius, strict=True):
            offset = [coordinate - first for coordinate, first in zip(position, start, strict=True)]
            step = end - start
            along = sum(o * s for o, s in zip(offset, step, strict=True)) / (step**2).sum()
            along = np.clip(along, 0, 1)
            off_axis = sum((o - along * s) ** 2 for o, s in zip(offset, step, strict=True))
            np.minimum(nearest, np.sqrt(off_axis) - (radius[0] + along * (radius[1] - radius[0])), out=nearest)
        return nearest

    def level(self, x: Array, y: Array, *z: float, reach_mm: float) -> Array:
        """Compute the distance of points, (point,), to the tubes; it matters up to ``reach_mm``.

        Tubes in three dimensions take the position of the slice along z.
        """
        tubes = self.crossing(z[0], reach_mm) if z else self
        return level_near(tubes.near(x, y, reach_mm), lambda x, y: tubes(x, y, *z), x, y)

    def near(self, x: Array, y: Array, reach_mm: float) -> NDArray[np.bool_]:
        """Find the points in the rectangle around the tubes, seen along z."""
        reach = self.radius.max(initial=0) + reach_mm
        near = np.ones(x.shape, dtype=np.bool_)
        for axis, position in enumerate((x, y)):
            ends = np.concatenate((self.start[:, axis], self.end[:, axis]))
            near &= (position > ends.min(initial=FAR_MM) - reach) & (position < ends.max(initial=-FAR_MM) + reach)
        return near

    def crossing(self, z: float, reach_mm: float) -> "Tubes":
        """Leave out the tubes that do not come near a slice."""
        reach = self.radius.max(axis=1) + reach_mm
        ends = np.stack((self.start[:, 2], self.end[:, 2]))
        near = (ends.min(axis=0) < z + reach) & (ends.max(axis=0) > z - reach)
        return Tubes(self.start[near], self.end[near], self.radius[near])
