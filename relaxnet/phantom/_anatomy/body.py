"""The frame of the body: skin, fat, abdominal wall, ribs and spine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.geometry import Tubes, ellipse, level_near
from relaxnet.phantom._anatomy.random_fields import Array, RandomField

REFERENCE_MM = (152.0, 108.0)
"""Half width and half height, inside the fat, of the reference body, in whose millimetres the organs are described."""

_WARP_MM = 3.0
_STRAIGHT = 0.42  # half width of the straight muscles, as a share of that of the body
_SEAM_MM = 0.7  # of fat between muscles
_BROAD_MM = 7.0
_RIB_SPACING_RADIANS = 0.4
_RIB_SLANT_MM = 32.0  # along z, from one rib to where the next one was


@dataclass(frozen=True)
class Body:
    """Size and proportions of one body, and the warp that makes its outlines irregular."""

    fascia: tuple[float, float]
    """Half width and half height inside the fat under the skin, in mm."""
    taper: float
    """Relative narrowing from the back to the front."""
    fat_mm: float
    """Mean thickness of the fat under the skin."""
    fat_waves: NDArray[np.complexfloating[Any]]
    """Relative variation of that thickness around the body: amplitudes of order 1, 2 and 3, (3,)."""
    wall_mm: float
    """Thickness of the muscular wall."""
    rib_phase: float
    """Position of the first rib, as a fraction of the distance between two."""
    warp: tuple[RandomField, RandomField]
    """Displacement along x and y in units of its standard deviation."""
    middle_mm: float
    """Position of the middle slice along z."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Body":
        """Draw a body."""
        fat = float(np.clip(rng.lognormal(np.log(15), 0.4), 6, 28))
        # Girth grows with fat; the bounds keep the largest body inside the field of view.
        width = float(np.clip(rng.normal(158 + 0.5 * fat, 6), 146, 170))
        height = float(np.clip(rng.normal(106 + 0.6 * fat, 5), 98, 123))
        return cls(
            fascia=(width - fat, height - fat),
            taper=float(rng.uniform(0.06, 0.14)),
            fat_mm=fat,
            fat_waves=rng.normal(0, 0.12, (3, 2)) @ (1, 1j),
            wall_mm=float(rng.uniform(9, 13)),
            rib_phase=float(rng.uniform()),
            warp=(_draw_warp(rng), _draw_warp(rng)),
            middle_mm=float(rng.uniform(-10, 10)),
        )

    @property
    def scale(self) -> tuple[float, float]:
        """Scale from the reference body to this body, along x and y."""
        return self.fascia[0] / REFERENCE_MM[0], self.fascia[1] / REFERENCE_MM[1]

    def warped(self, x: Array, y: Array, z: float) -> tuple[Array, Array]:
        """Compute the positions of pixels in the unwarped body from those of columns and rows in mm."""
        return x + _WARP_MM * self.warp[0](x, y, z), y + _WARP_MM * self.warp[1](x, y, z)

    def depth(self, x: Array, y: Array) -> Array:
        """Compute the depth of points under the fascia, which separates fat from muscle, in mm; negative outside."""
        width, height = self.fascia
        groove = 7 * np.exp(-((x / 25) ** 2) - ((y + height) / 40) ** 2)  # along the spine
        level: Array = -ellipse(x * (1 + self.taper * y / height), y, (0, 0), (width, height), power=2.3) - groove
        return level

    def fat_thickness(self, x: Array, y: Array) -> Array:
        """Compute the thickness of the fat under the skin in the direction of each point, in mm."""
        direction = (x + 1j * y) / np.maximum(np.hypot(x, y), 1e-9)
        powers = np.cumprod(np.broadcast_to(direction, (len(self.fat_waves), *direction.shape)), axis=0)
        waves = np.tensordot(self.fat_waves, powers, axes=1).real
        thickness: Array = self.fat_mm * np.clip(1 + waves, 0.6, 1.3)
        return thickness

    def box(self, x: Array, y: Array) -> tuple[slice, slice]:
        """Find the rows and columns that may hold a part of the body; most of a picture is air."""
        reach = 1.3 * self.fat_mm + 4 * _WARP_MM
        height = self.fascia[1] + reach
        width = self.fascia[0] * (1 + self.taper) + reach
        rows, columns = (np.flatnonzero(np.abs(axis) < half) for axis, half in ((y, height), (x, width)))
        return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)

    def muscles(self, x: Array, y: Array, depth: Array) -> NDArray[np.bool_]:
        """Find the muscles of the wall and all that they enclose, from the :meth:`depth` of the points.

        The muscles are straight in front, and have three layers at the sides.
        """
        across, side, front = depth / self.wall_mm, np.abs(x), y > 0
        edge = _STRAIGHT * self.fascia[0]  # of the straight muscles
        layers = np.minimum(np.abs(across - 0.33), np.abs(across - 0.67)) * self.wall_mm < _SEAM_MM
        seams = front & ((side < 1.5 * _SEAM_MM) | (np.abs(side - edge) < _SEAM_MM) | (layers & (side > edge)))
        # The latissimus dorsi lies on the ribs.
        height = (y / self.fascia[1] + 0.5) / 0.3
        broad = np.minimum(_BROAD_MM, 0.4 * self.fat_mm) * (1 - height**2)
        muscles: NDArray[np.bool_] = (depth > 0) & ~(seams & (across < 1)) | ((depth > -broad) & (depth < -_SEAM_MM))
        return muscles

    def ribs(self, x: Array, y: Array, z: float, depth: Array) -> NDArray[np.bool_]:
        """Find the ribs, which slant through the wall of the trunk, from the :meth:`depth` of the points."""
        angle = np.arctan2(y / self.fascia[1], np.abs(x) / self.fascia[0])
        turns = angle / _RIB_SPACING_RADIANS + self.rib_phase + z / _RIB_SLANT_MM
        along = (turns - np.round(turns)) * _RIB_SPACING_RADIANS * self.fascia[0]
        across = depth - self.wall_mm / 2
        inside = (along / 13) ** 2 + (across / 3) ** 2 < 1
        ribs: NDArray[np.bool_] = inside & (np.abs(angle) < 1.05)  # neither in the back muscles nor in front
        return ribs


_PROCESSES = Tubes(
    start=np.array(((12.0, -54.0), (13.0, -66.0), (8.0, -72.0), (0.0, -76.0))),
    end=np.array(((13.0, -66.0), (34.0, -74.0), (0.0, -77.0), (0.0, -98.0))),
    radius=np.array(((5.0, 5.0), (5.5, 3.5), (4.0, 4.0), (4.0, 3.0))),
)


def spine(x: Array, y: Array) -> tuple[Array, ...]:
    """Compute the levels of vertebra (with its canal), spinal canal, spinal cord and back muscles.

    They are the same in every body, in mm of the reference body.
    """
    side = np.abs(x)
    near = (side < 75) & (y < -5)
    shapes: tuple[Callable[[Array, Array], Array], ...] = (
        lambda x, y: np.minimum(ellipse(x, y, (0, -40), (22, 17), power=2.5), _PROCESSES(x, y)),
        lambda x, y: ellipse(x, y, (0, -64), (11, 9)),
        lambda x, y: ellipse(x, y, (0, -64), (6, 4.5)),
        lambda x, y: ellipse(x, y, (31, -88), (26, 14), power=2.5),
    )
    return tuple(level_near(near, shape, side, y) for shape in shapes)


def _draw_warp(rng: np.random.Generator) -> RandomField:
    return RandomField.draw(rng, band_mm=(110, 260), n_waves=24)
