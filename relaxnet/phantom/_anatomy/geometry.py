"""Shapes as level functions: the distance to their outline in mm, negative inside.

Shapes that are functions of position have no pixels. So they can be joined, cut and warped first, and sampled on any
grid afterwards. The distances are exact, or right to first order near the outline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.random_fields import Array

Pair = tuple[float, float] | Array
FAR_MM = 1000.0
"""Distance to what is too far away for its distance to matter."""
FIELD_OF_VIEW_MM = (288.0, 384.0)


@dataclass(frozen=True)
class Grid:
    """The pixel centres of a picture, in mm from its middle: x to the patient's left, y to the front.

    Pixels are square, and as small as lets the field of view of 288 x 384 mm into the picture.
    """

    shape: tuple[int, int]

    @property
    def pixel_mm(self) -> float:
        """Length of the side of a pixel."""
        return max(extent / n for extent, n in zip(FIELD_OF_VIEW_MM, self.shape, strict=True))

    @cached_property
    def x(self) -> Array:
        """Positions of the columns, (1, width); the patient's left is at the right of the picture."""
        width = self.shape[1]
        return (np.arange(width)[None, :] - (width - 1) / 2) * self.pixel_mm

    @cached_property
    def y(self) -> Array:
        """Positions of the rows, (height, 1); the front of the body is up."""
        height = self.shape[0]
        return ((height - 1) / 2 - np.arange(height)[:, None]) * self.pixel_mm


def ellipse(x: Array, y: Array, centre: Pair, radii: Pair, power: float = 2.0) -> Array:
    """Give the distance to a superellipse, right to first order.

    Parameters
    ----------
    x, y
        Positions in mm.
    centre
        Its centre (x, y) in mm.
    radii
        Its semi-axes (x, y) in mm.
    power
        2 is an ellipse; the higher, the more it is a rectangle.

    Returns
    -------
    numpy.ndarray
        Distance in mm, negative inside.
    """
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
    """Evaluate a shape at some points only, because it is far from the others.

    Parameters
    ----------
    near
        The points where to evaluate it, (point,).
    shape
        Level function.
    *position
        Coordinates in mm, (point,) each.

    Returns
    -------
    numpy.ndarray
        Level function, :data:`FAR_MM` at the other points, (point,).
    """
    level: Array = np.full(near.shape, FAR_MM)
    level[near] = shape(*(axis[near] for axis in position))
    return level


def smooth_union(a: Array, b: Array, blend_mm: float) -> Array:
    """Join two shapes, and fill the notch between them.

    Parameters
    ----------
    a, b
        Level functions.
    blend_mm
        Where they are closer to one another than this, the notch is filled.

    Returns
    -------
    numpy.ndarray
        Level function of the union.
    """
    notch = np.maximum(blend_mm - np.abs(a - b), 0) / blend_mm
    level: Array = np.minimum(a, b) - notch**2 * blend_mm / 4
    return level


def subtract(level: Array, cut: Array) -> Array:
    """Cut one shape out of another.

    Parameters
    ----------
    level, cut
        Level functions of the shape and of what is taken away.

    Returns
    -------
    numpy.ndarray
        Level function of the rest.
    """
    rest: Array = np.maximum(level, -cut)
    return rest


@dataclass(frozen=True)
class Tubes:
    """Straight tubes with round ends, whose radius changes evenly from end to end, in two or three dimensions."""

    start: Array
    """First end of each, (tube, axis), in mm."""
    end: Array
    """Other end, (tube, axis), in mm."""
    radius: Array
    """Radius at either end, (tube, 2), in mm."""

    @classmethod
    def chain(cls, points: Array, radii: Array) -> "Tubes":
        """Join points by tubes.

        Parameters
        ----------
        points
            Points in order, (point, axis), in mm.
        radii
            Radius at each point in mm.

        Returns
        -------
        Tubes
            One tube fewer than points.
        """
        return cls(points[:-1], points[1:], np.stack((radii[:-1], radii[1:]), axis=1))

    def __call__(self, *position: Array | float) -> Array:
        """Give the distance to the nearest of the tubes.

        Parameters
        ----------
        *position
            Coordinates in mm, one for each axis, that broadcast against one another.

        Returns
        -------
        numpy.ndarray
            Distance in mm, negative inside.
        """
        nearest: Array = np.full(np.broadcast_shapes(*(np.shape(axis) for axis in position)), FAR_MM)
        for start, end, radius in zip(self.start, self.end, self.radius, strict=True):
            offset = [axis - first for axis, first in zip(position, start, strict=True)]
            step = end - start
            along = sum(o * s for o, s in zip(offset, step, strict=True)) / (step**2).sum()
            along = np.clip(along, 0, 1)
            off_axis = sum((o - along * s) ** 2 for o, s in zip(offset, step, strict=True))
            np.minimum(nearest, np.sqrt(off_axis) - (radius[0] + along * (radius[1] - radius[0])), out=nearest)
        return nearest

    def near(self, x: Array, y: Array, margin_mm: float) -> NDArray[np.bool_]:
        """Find the points in the rectangle around the tubes, seen along z.

        Parameters
        ----------
        x, y
            Positions in mm.
        margin_mm
            Distance to the tubes up to which points are surely found.

        Returns
        -------
        numpy.ndarray
            Boolean mask.
        """
        reach = self.radius.max(initial=0) + margin_mm
        near = np.ones(x.shape, dtype=np.bool_)
        for axis, position in enumerate((x, y)):
            ends = np.concatenate((self.start[:, axis], self.end[:, axis]))
            near &= (position > ends.min(initial=FAR_MM) - reach) & (position < ends.max(initial=-FAR_MM) + reach)
        return near

    def crossing(self, z: float, margin_mm: float) -> "Tubes":
        """Leave out the tubes that do not come near a slice.

        Parameters
        ----------
        z
            Position of the slice in mm.
        margin_mm
            Distance to the slice up to which a tube is kept.

        Returns
        -------
        Tubes
            The tubes that are left.
        """
        reach = self.radius.max(axis=1) + margin_mm
        near = (np.minimum(self.start[:, 2], self.end[:, 2]) < z + reach) & (
            np.maximum(self.start[:, 2], self.end[:, 2]) > z - reach
        )
        return Tubes(self.start[near], self.end[near], self.radius[near])
