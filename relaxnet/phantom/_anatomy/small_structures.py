"""Small vessels and lesions of the liver: capsules, scattered at random everywhere in space."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.random_fields import Array

_PERIOD_MM = np.array((240.0, 240.0, 160.0))  # they repeat after that, so that none is missing in any label map
_AREA_MM2 = 1e4


@dataclass(frozen=True)
class Capsules:
    """Round rods with round ends; balls where they have no length."""

    middle: Array
    """Middle of each, (capsule, 3), in mm."""
    half: Array
    """From its middle to the middle of its end, (capsule, 3), in mm."""
    radius: Array
    """Its radius, (capsule,), in mm."""

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        density: float,
        *,
        length_mm: tuple[float, float],
        radius_mm: tuple[float, float],
    ) -> "Capsules":
        """Scatter capsules of any direction, so that on average ``density`` of them cross 100 cm² of a slice."""
        # A slice meets those whose extent across it reaches it: the diameter, and the mean of |cos| is 1/2.
        extent = sum(radius_mm) + sum(length_mm) / 4
        n = round(density * _PERIOD_MM.prod() / _AREA_MM2 / extent)
        along = rng.standard_normal((n, 3))
        half = rng.uniform(*length_mm, (n, 1)) / 2 * along / np.linalg.norm(along, axis=1, keepdims=True)
        return cls(rng.uniform(0, _PERIOD_MM, (n, 3)), half, rng.uniform(*radius_mm, n))

    def within(self, points: NDArray[np.bool_], x: Array, y: Array, z: float) -> NDArray[np.bool_]:
        """Find which of the points of a slice, (height, width), lie in a capsule; x is (1, width), y (height, 1)."""
        found = np.zeros_like(points)
        reach = np.abs(self.half) + self.radius[:, None]
        offset_z = _nearest(z - self.middle[:, 2], 2)
        for k in np.flatnonzero(np.abs(offset_z) < reach[:, 2]):
            dx, dy = (_nearest(position.ravel() - self.middle[k, axis], axis) for axis, position in enumerate((x, y)))
            columns, rows = (np.flatnonzero(np.abs(d) < reach[k, axis]) for axis, d in enumerate((dx, dy)))
            window = np.ix_(rows, columns)
            if points[window].any():
                d = np.stack(np.broadcast_arrays(dx[None, columns], dy[rows, None], offset_z[k]), axis=-1)
                along = np.clip(d @ self.half[k] / max(self.half[k] @ self.half[k], 1e-9), -1, 1)
                distance2 = ((d - along[..., None] * self.half[k]) ** 2).sum(axis=-1)
                found[window] |= distance2 < self.radius[k] ** 2
        return found & points


def _nearest(offset: Array, axis: int) -> Array:
    """Return the offset to the nearest repetition."""
    period = _PERIOD_MM[axis]
    nearest: Array = (offset + period / 2) % period - period / 2
    return nearest
