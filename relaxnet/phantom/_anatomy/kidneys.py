"""The kidneys, whose upper poles appear in slices through the liver."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.geometry import FAR_MM, Tubes, ellipse, level_near
from relaxnet.phantom._anatomy.random_fields import Array
from relaxnet.phantom._tissues import Tissue

_CENTRE_MM = ((-68.0, -44.0), (68.0, -42.0))
_LEAN = (-0.3, -0.15)  # mm to the side and to the front for each mm to the head: upper poles lie near the spine
_RADII_MM = (27.0, 31.0, 56.0)  # towards the spine, along the back, along the body
_TOP_MM = ((-12.0, 14.0), (-2.0, 24.0))  # the left kidney lies higher
_TURN_RADIANS = 0.55  # the hilum looks to the front, too
_N_PYRAMIDS = 8
_REACH_MM = 10.0


@dataclass(frozen=True)
class Kidney:
    """One kidney: an ellipsoid whose rim is cortex, with pyramids of medulla around a sinus of fat."""

    centre: tuple[float, float, float]
    """Its middle (x, y, z) in mm of the reference body."""
    radii: tuple[float, float, float]
    """Radii towards its hilum, along its long side, and along the body."""
    turn: float
    """Direction of the hilum in radians."""
    cortex_mm: float
    """Thickness of the cortex."""
    phase: float
    """Where the pyramids start, in radians."""

    def level(self, x: Array, y: Array, z: float) -> Array:
        """Compute the distance to its outline in mm; ``FAR_MM`` in slices that miss it."""
        share = self._share(z)
        centre_x, centre_y = self._centre(z)
        near = (np.hypot(x - centre_x, y - centre_y) < max(self.radii) + _REACH_MM) & (share > 0)
        radii = (share * self.radii[0], share * self.radii[1])
        return level_near(near, lambda x, y: ellipse(*self._turned(x, y, z), (0, 0), radii), x, y)

    def bed(self, x: Array, y: Array, z: float) -> Array:
        """Compute the distance to the fat around it, which reaches the spine and the back wall, in mm.

        It is ``FAR_MM`` in slices that miss the kidney.
        """
        share = self._share(z)
        if share == 0:
            return np.full(x.shape, FAR_MM)
        side = np.sign(self.centre[0])
        ends = ((*self._centre(z), share * self.radii[0]), (side * 35, -74.0, share * 28.0))
        return Tubes.chain(np.array(ends)).level(x, y, reach_mm=_REACH_MM)

    def labels(self, x: Array, y: Array, z: float, level: Array) -> NDArray[np.uint8]:
        """Return the tissues of points inside the kidney, whose :meth:`level` is given."""
        u, v = self._turned(x, y, z)
        labels = np.full(x.shape, Tissue.KIDNEY_CORTEX, dtype=np.uint8)
        pyramids = np.cos(_N_PYRAMIDS * np.arctan2(v, u) + self.phase) > -0.55
        labels[(level < -self.cortex_mm) & pyramids] = Tissue.KIDNEY_MEDULLA
        opening = self._share(z) - 0.62  # there is no sinus near the pole
        if opening > 0:
            radii = (1.6 * opening * self.radii[0], 1.1 * opening * self.radii[1])
            labels[ellipse(u, v, (0.45 * self.radii[0], 0.0), radii) < 0] = Tissue.FAT
        return labels

    def _share(self, z: float) -> float:
        """Compute the size of its cross-section at z relative to that in its middle."""
        return float(np.sqrt(max(1 - ((z - self.centre[2]) / self.radii[2]) ** 2, 0)))

    def _centre(self, z: float) -> tuple[float, float]:
        """Compute the middle of its cross-section at z."""
        x, y, middle = self.centre
        return x + np.sign(x) * _LEAN[0] * (z - middle), y + _LEAN[1] * (z - middle)

    def _turned(self, x: Array, y: Array, z: float) -> tuple[Array, Array]:
        """Compute positions along and across the direction of the hilum, from the middle of the cross-section."""
        centre_x, centre_y = self._centre(z)
        dx, dy = x - centre_x, y - centre_y
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        return cos * dx + sin * dy, cos * dy - sin * dx


def draw_kidneys(rng: np.random.Generator) -> tuple[Kidney, Kidney]:
    """Draw the right and the left kidney."""
    size = rng.normal(1, 0.06)
    kidneys = []
    for (x, y), top, turn in zip(_CENTRE_MM, _TOP_MM, (_TURN_RADIANS, np.pi - _TURN_RADIANS), strict=True):
        a, b, c = np.array(_RADII_MM) * size * rng.normal(1, 0.03, 3)
        dx, dy = rng.normal(0, 2.5, 2)
        kidneys.append(
            Kidney(
                centre=(x + dx, y + dy, float(rng.uniform(*top)) - c),
                radii=(a, b, c),
                turn=turn + float(rng.normal(0, 0.15)),
                cortex_mm=float(rng.uniform(5, 7)),
                phase=float(rng.uniform(0, 2 * np.pi)),
            )
        )
    return kidneys[0], kidneys[1]
