"""The diaphragm: the dome that parts the organs from the lungs, and its legs beside the aorta."""

from dataclasses import dataclass

import numpy as np

from relaxnet.phantom._anatomy.geometry import Tubes
from relaxnet.phantom._anatomy.random_fields import Array

DIAPHRAGM_MM = 2.5
"""Thickness of the dome."""

_RISE = 0.5  # mm in z for each mm to the front, of the edge of the lung
_BACK_MM = -80.0

LEGS = Tubes.chain(
    np.array(((-9.0, -30.0), (-7.0, -18.0), (1.0, -3.0), (8.0, 4.0), (20.0, 5.0), (30.0, -3.0), (33.0, -24.0))),
    np.array((2.5, 3.0, 2.5, 1.2, 1.2, 2.0, 1.5)),
)
"""Its legs, in front of the spine and around the aorta, in mm of the reference body."""


@dataclass(frozen=True)
class Diaphragm:
    """The dome of one subject."""

    edge_mm: float
    """Position along z of the lowest point of the lungs, which is at the back."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Diaphragm":
        """Draw a diaphragm.

        Parameters
        ----------
        rng
            Source of random numbers.

        Returns
        -------
        Diaphragm
            The diaphragm.
        """
        return cls(edge_mm=float(rng.uniform(-2, 22)))

    def lung_mm(self, y: Array, z: float | Array) -> Array:
        """Tell how thick the lung between the wall and the diaphragm is.

        Parameters
        ----------
        y, z
            Positions in mm of the reference body.

        Returns
        -------
        numpy.ndarray
            Thickness in mm, negative where no lung reaches.
        """
        height = z - self.edge_mm - _RISE * (y - _BACK_MM)
        thickness: Array = np.where(height > 0, 0.3 * height + 1.5 * np.sqrt(np.abs(height)), -np.inf)
        return thickness
