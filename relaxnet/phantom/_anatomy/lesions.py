"""Focal lesions of the liver."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from relaxnet.phantom._anatomy.random_fields import Array
from relaxnet.phantom._tissues import Tissue

_N_CANDIDATES = 64


@dataclass(frozen=True)
class Lesion:
    """One lesion: a lumpy ball, in mm of the reference body."""

    tissue: Tissue
    """:attr:`Tissue.CYST` or :attr:`Tissue.TUMOUR`."""
    centre: Array
    """Its middle (x, y, z)."""
    radius: float
    """Mean radius."""
    lumps: Array
    """Relative variation of the radius around it: cosine and sine of order 2 and 3, (2, 2)."""

    def __call__(self, x: Array, y: Array, z: float) -> Array:
        """Compute the distance to its outline in mm, negative inside."""
        dx, dy, dz = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        angle = np.arctan2(dy, dx)[..., None] * np.array((2, 3))
        waves = (np.cos(angle) * self.lumps[:, 0] + np.sin(angle) * self.lumps[:, 1]).sum(-1)
        level: Array = np.sqrt(dx**2 + dy**2 + dz**2) - self.radius * (1 + waves)
        return level


def draw_lesions(rng: np.random.Generator, liver: Callable[[Array, Array, Array], Array]) -> tuple[Lesion, ...]:
    """Draw up to four lesions within the level function of a liver; two subjects in five have none."""
    n_lesions = int(rng.choice(5, p=(0.4, 0.25, 0.2, 0.1, 0.05)))
    candidates = rng.uniform((-140, -80, -20), (60, 90, 20), (_N_CANDIDATES, 3))
    radii = np.clip(rng.lognormal(np.log(8), 0.5, _N_CANDIDATES), 3, 20)
    lumps = rng.normal(0, 0.07, (_N_CANDIDATES, 2, 2))
    is_cyst = rng.uniform(size=_N_CANDIDATES) < 0.4
    # A lesion may bulge slightly out of the liver, but its middle is well inside.
    inside = np.flatnonzero(liver(*candidates.T) < -0.6 * radii)[:n_lesions]
    return tuple(
        Lesion(
            Tissue.CYST if is_cyst[k] else Tissue.TUMOUR,
            candidates[k],
            float(radii[k]),
            (0.3 if is_cyst[k] else 1.0) * lumps[k],  # cysts are rounder
        )
        for k in inside
    )
