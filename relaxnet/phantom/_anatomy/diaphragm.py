"""The diaphragm: the dome between the abdominal organs and the lungs, and its crura beside the aorta."""

import numpy as np

from relaxnet.phantom._anatomy.geometry import Tubes
from relaxnet.phantom._anatomy.random_fields import Array

DIAPHRAGM_MM = 2.5
"""Thickness of the dome in mm."""

_RISE = 0.5  # of the edge of the lung: mm to the head for each mm to the front
_BACK_MM = -80.0

# Points (x, y) and radii.
_RIGHT_CRUS = ((-9.0, -30.0, 2.5), (-7.0, -18.0, 3.0), (1.0, -3.0, 2.5), (8.0, 4.0, 1.2))
_LEFT_CRUS = ((20.0, 5.0, 1.2), (30.0, -3.0, 2.0), (33.0, -24.0, 1.5))

CRURA = Tubes.chain(np.array((*_RIGHT_CRUS, *_LEFT_CRUS)))
"""Crura of the diaphragm, in front of the spine and around the aorta, in mm of the reference body."""


def lung_mm(y: Array, z: float | Array, edge_mm: float) -> Array:
    """Compute the thickness of the lung between wall and diaphragm in mm, negative where there is none.

    ``edge_mm`` is the position along z of the lowest point of the lungs, which is at the back.
    """
    height = z - edge_mm - _RISE * (y - _BACK_MM)
    thickness: Array = np.where(height > 0, 0.3 * height + 1.5 * np.sqrt(np.abs(height)), -np.inf)
    return thickness
