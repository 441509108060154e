"""Gallbladder, pancreas and colon with the veins along them, in mm of the reference body."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from relaxnet.phantom._anatomy.geometry import Tubes, varied
from relaxnet.phantom._anatomy.random_fields import RandomField

# Chains of tubes: points (x, y, z) and radii. z is to the head.
_GALLBLADDER = np.array(
    ((-14.0, 24.0, 10.0, 3.0), (-22.0, 33.0, -6.0, 10.0), (-32.0, 44.0, -22.0, 13.0), (-44.0, 58.0, -44.0, 11.0))
)
_TO_PORTA = np.array((24.0, -26.0, 0.0, -2.0))  # from the gallbladder to the middle, underneath the liver
_PANCREAS = np.array(
    (
        (-8.0, 12.0, -30.0, 13.0),
        (4.0, 24.0, -18.0, 9.0),
        (26.0, 22.0, -9.0, 8.5),
        (46.0, 6.0, -2.0, 8.0),
        (64.0, -14.0, 6.0, 9.0),
    )
)
_PORTAL_VEIN = np.array(((-30.0, 14.0, -6.0, 6.5), (-12.0, 15.0, -12.0, 6.5), (6.0, 12.0, -22.0, 6.5)))
_SPLENIC_VEIN = np.array(
    ((6.0, 12.0, -20.0, 4.0), (28.0, 11.0, -8.0, 3.5), (44.0, -6.0, -1.0, 3.5), (76.0, -30.0, 8.0, 3.0))
)
_COLON = np.array(
    (
        (-30.0, 76.0, -52.0, 15.0),
        (38.0, 84.0, -34.0, 15.0),
        (84.0, 72.0, -16.0, 15.0),
        (108.0, 48.0, 4.0, 15.0),
        (120.0, 18.0, -20.0, 13.0),
        (120.0, -6.0, -70.0, 13.0),
    )
)

_varied = partial(varied, jitter_mm=1.5)


@dataclass(frozen=True)
class Digestion:
    """The organs under the liver. All tubes are in three dimensions."""

    gallbladder: Tubes
    """Gallbladder; no tube after cholecystectomy."""
    porta: Tubes
    """Cleft in the underside of the liver, from the gallbladder to the middle."""
    pancreas: Tubes
    """Pancreas, from its head to its tail."""
    veins: Tubes
    """Portal vein outside of the liver, and splenic vein along the pancreas."""
    colon: Tubes
    """Colon, across the front to its bend under the spleen, and down."""
    lobules: RandomField
    """Roughness of the outlines of pancreas and colon, and of a liver with cirrhosis."""
    bowel: RandomField
    """Loops of small bowel lie where this field is high and there is room."""
    gas_mm: tuple[float, float]
    """Height above which stomach and colon hold gas: along y, as the subject is supine."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Digestion":
        """Draw organs of random size and position."""
        has_gallbladder = rng.uniform() < 0.85
        gallbladder = _varied(rng, _GALLBLADDER, shift_mm=(3, 3, 8))
        gallbladder[:, 3] *= rng.uniform(0.75, 1.25)
        shift = rng.normal(0, (3, 3, 5))
        pancreas, portal, splenic = (
            _varied(rng, np.add(chain, (*shift, 0)), shift_mm=(1, 1, 1))
            for chain in (_PANCREAS, _PORTAL_VEIN, _SPLENIC_VEIN)
        )
        colon = _varied(rng, _COLON, shift_mm=(4, 3, 9))
        colon[:, 3] *= rng.uniform(0.75, 1.25)
        return cls(
            gallbladder=Tubes.chain(gallbladder if has_gallbladder else gallbladder[:1]),
            porta=Tubes.chain(*(np.stack((gallbladder[k], gallbladder[k] + _TO_PORTA)) for k in range(1, 4))),
            pancreas=Tubes.chain(pancreas),
            veins=Tubes.chain(portal, splenic),
            colon=Tubes.chain(colon),
            lobules=RandomField.draw(rng, band_mm=(12, 30), n_waves=32),
            bowel=RandomField.draw(rng, band_mm=(26, 52), n_waves=48),
            gas_mm=(float(rng.uniform(25, 75)), float(rng.uniform(45, 80))),
        )
