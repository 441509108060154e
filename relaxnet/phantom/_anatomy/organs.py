"""Liver, spleen and stomach of one subject, as level functions in mm of the reference body."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from relaxnet.phantom._anatomy.geometry import Tubes, ellipse, level_near, smooth_union, subtract, varied
from relaxnet.phantom._anatomy.random_fields import Array

_AORTA = ((17.0, -9.0), (11.0, 11.0))
_VENA_CAVA = ((-26.0, -3.0), (13.0, 9.0))

_REACH_MM = 25.0  # distance from the outline of an organ up to which it matters
_FROM_WALL_MM = 3.0  # fat between an organ and the abdominal wall

# Chains of tubes in the plane of the slice: points (x, y) and radii.
_LEFT_LOBE = np.array(((-35.0, 48.0, 38.0), (12.0, 66.0, 22.0), (52.0, 74.0, 9.0)))
_FISSURE = np.array(((4.0, 110.0, 2.0), (-2.0, 75.0, 2.0), (-6.0, 61.0, 2.5)))
_SPLEEN = np.array(((132.0, 30.0, 8.0), (120.0, -22.0, 19.0), (98.0, -54.0, 22.0), (64.0, -60.0, 10.0)))
_STOMACH = np.array(((90.0, -2.0, 22.0), (80.0, 34.0, 27.0), (52.0, 48.0, 16.0)))

_STOMACH_SLANT = np.array((0.7, 0.4, 0.0))  # mm to the back for each mm to the head: its upper end lies behind

_varied = partial(varied, jitter_mm=2)


@dataclass(frozen=True)
class Organs:
    """Liver, spleen and stomach of one subject.

    The methods compute the distance to an outline in mm, negative inside, from positions in mm of the reference body
    and their depth under the inner face of the wall.
    """

    right_lobe: tuple[Array, Array]
    """Centre and radii of the right lobe of the liver."""
    left_lobe: Array
    """Points and radii of the left lobe, (point, 3)."""
    fissure: Array
    """Points and radii of the cleft in front, which holds the round ligament, (point, 3)."""
    spleen: Array
    """Points and radii of the spleen, (point, 3)."""
    stomach: Array
    """Points and radii of the stomach, (point, 3)."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Organs":
        """Draw organs of random size and position."""
        centre = np.array((-80.0, 0.0)) + rng.normal(0, 2.5, 2)
        radii = np.array((61.0, 82.0)) * rng.normal(1, 0.04, 2)
        left_lobe = _varied(rng, _LEFT_LOBE, shift_mm=(3, 3))
        left_lobe[-1, :2] += rng.uniform(-0.45, 0.25) * (left_lobe[-1, :2] - left_lobe[-2, :2])  # how far it reaches
        spleen = _varied(rng, _SPLEEN, shift_mm=(3, 3))
        spleen[:, 2] *= rng.uniform(0.8, 1.2)
        stomach = _varied(rng, _STOMACH, shift_mm=(4, 4))
        fissure = _varied(rng, _FISSURE, shift_mm=(6, 6))
        stomach[:, 2] *= rng.uniform(0.6, 1.05)  # how full it is
        return cls((centre, radii), left_lobe, fissure, spleen, stomach)

    def liver_level(self, x: Array, y: Array, z: float | Array, depth: Array) -> Array:
        """Join the lobes of the liver, which rests against the wall and spares the spine and the vena cava."""
        centre, radii = self.right_lobe
        near = x < centre[0] + radii[0] + _REACH_MM
        right = level_near(near, lambda x, y: ellipse(x, y, centre, radii, power=2.4), x, y)
        right += _thinner(z, middle=10, half_length=110, radius=radii.mean())
        left = _chain(self.left_lobe, x, y) + _thinner(z, middle=25, half_length=90, radius=22)
        level = smooth_union(right, left, 18)
        level = -smooth_union(-level, depth - _FROM_WALL_MM, 8)
        near = (np.abs(x) < 30 + _REACH_MM) & (y < -14 + _REACH_MM)
        spine = level_near(near, lambda x, y: ellipse(x, y, (0, -40), (30, 26), power=2.5), x, y)
        cut = np.minimum.reduce((spine, ellipse(x, y, *_VENA_CAVA) - 1, _chain(self.fissure, x, y)))
        return subtract(level, cut)

    def spleen_level(self, x: Array, y: Array, z: float, depth: Array) -> Array:
        """Compute the spleen, a crescent along the wall."""
        level = _chain(self.spleen, x, y) + _thinner(z, middle=10, half_length=70, radius=20)
        return subtract(level, depth - _FROM_WALL_MM)

    def stomach_level(self, x: Array, y: Array, z: float, depth: Array) -> Array:
        """Compute the stomach, a bag between left lobe and spleen."""
        chain = self.stomach.copy()
        chain[:, 1] -= np.clip(z, -20, 45) * _STOMACH_SLANT
        level = _chain(chain, x, y) + _thinner(z, middle=15, half_length=80, radius=25)
        return subtract(level, depth - _FROM_WALL_MM)


def great_vessels_level(x: Array, y: Array) -> Array:
    """Compute the distance to aorta and vena cava, which are the same in every body."""
    near = np.hypot(x + 5, y + 6) < 60
    return level_near(near, lambda x, y: np.minimum(ellipse(x, y, *_AORTA), ellipse(x, y, *_VENA_CAVA)), x, y)


def _chain(points: Array, x: Array, y: Array) -> Array:
    return Tubes.chain(points).level(x, y, reach_mm=_REACH_MM)


def _thinner(z: float | Array, *, middle: float, half_length: float, radius: float) -> float | Array:
    """Compute by how many mm an organ is thinner at z than in its middle, like an ellipsoid."""
    shortening: float | Array = radius * (1 - np.sqrt(np.maximum(1 - ((z - middle) / half_length) ** 2, 0)))
    return shortening
