"""The anatomy of one subject: which tissue is where."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._body import Body, spine
from relaxnet.phantom._geometry import Grid, Tubes, ellipse, subtract
from relaxnet.phantom._lesions import Lesion, draw_lesions
from relaxnet.phantom._organs import AORTA, VENA_CAVA, Organs
from relaxnet.phantom._random import Array, RandomField, Stream, generator
from relaxnet.phantom._tissues import Tissue
from relaxnet.phantom._vessels import draw_vessels

_ROI_MARGIN_MM = 4.0
_VESSEL_MARGIN_MM = 1.5
_LESION_MARGIN_MM = 3.0
_STOMACH_WALL_MM = 4.0
_GAP_MM = 1.5  # of fat between organs
_BOWEL_GAP_MM = 4.0


@dataclass(frozen=True)
class Anatomy:
    """Everything about one subject's shape, at any resolution and in any slice."""

    body: Body
    """Frame of the body."""
    organs: Organs
    """Liver, spleen and stomach."""
    vessels: Tubes
    """Veins of the liver."""
    lesions: tuple[Lesion, ...]
    """Focal lesions of the liver."""
    bowel: RandomField
    """Where it is high, and there is room, lie loops of bowel."""

    @classmethod
    def draw(cls, seed: int, subject: int) -> "Anatomy":
        """Draw the anatomy of a subject.

        Parameters
        ----------
        seed
            Seed of the cohort.
        subject
            Number of the subject in the cohort.

        Returns
        -------
        Anatomy
            The anatomy.
        """
        body = Body.draw(generator(seed, subject, Stream.BODY))
        rng = generator(seed, subject, Stream.ORGANS)
        organs = Organs.draw(rng)
        bowel = RandomField.draw(rng, band_mm=(30, 60))
        vessels = draw_vessels(generator(seed, subject, Stream.VESSELS))

        def liver(x: Array, y: Array, z: Array) -> Array:
            depth = body.depth(x * body.scale[0], y * body.scale[1]) - body.wall_mm
            return organs.liver_level(x, y, z, depth)

        lesions = draw_lesions(generator(seed, subject, Stream.LESIONS), liver)
        return cls(body, organs, vessels, lesions, bowel)

    def slice(self, grid: Grid, z: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Sample one slice at the pixel centres.

        Parameters
        ----------
        grid
            The pixels.
        z
            Position of the slice in mm.

        Returns
        -------
        tuple
            Labels, and the region of liver parenchyma away from its edge, vessels and lesions; both (height, width).
        """
        body, organs = self.body, self.organs
        x_mm, y_mm = body.warped(grid.x, grid.y, z)
        depth = body.depth(x_mm, y_mm)
        cavity = depth - body.wall_mm
        x, y = x_mm / body.scale[0], y_mm / body.scale[1]

        bones = spine(x, y)
        liver = subtract(organs.liver_level(x, y, z, cavity), bones.muscles - 2 * _GAP_MM)
        spleen = organs.spleen_level(x, y, z, cavity)
        stomach = subtract(organs.stomach_level(x, y, z, cavity), np.minimum(liver, spleen) - _GAP_MM)
        great_vessels = np.minimum(ellipse(x, y, *AORTA), ellipse(x, y, *VENA_CAVA))
        room = np.minimum.reduce((cavity, liver, spleen, stomach, bones.bone, bones.muscles, great_vessels))

        # Each tissue covers what was painted before it.
        labels = np.full(grid.shape, Tissue.AIR, dtype=np.uint8)
        labels[depth > -body.fat_thickness(x_mm, y_mm)] = Tissue.FAT
        labels[depth > 0] = Tissue.MUSCLE
        labels[body.ribs(x_mm, y_mm, z, depth)] = Tissue.BONE_MARROW
        labels[cavity > 0] = Tissue.FAT
        labels[(room > _BOWEL_GAP_MM) & (self.bowel(grid.x, grid.y, z) > 0.8)] = Tissue.STOMACH
        labels[spleen < 0] = Tissue.SPLEEN
        labels[stomach < 0] = Tissue.STOMACH
        labels[stomach < -_STOMACH_WALL_MM] = Tissue.STOMACH_CONTENT
        labels[bones.muscles < 0] = Tissue.MUSCLE
        labels[bones.bone < 0] = Tissue.BONE_MARROW
        labels[bones.canal < 0] = Tissue.CEREBROSPINAL_FLUID
        labels[bones.cord < 0] = Tissue.SPINAL_CORD
        labels[great_vessels < 0] = Tissue.BLOOD

        in_liver = liver < 0
        inside, roi_inside = self._liver(x[in_liver], y[in_liver], z)
        labels[in_liver] = inside
        roi = np.zeros(grid.shape, dtype=np.bool_)
        roi[in_liver] = roi_inside & (liver[in_liver] < -_ROI_MARGIN_MM)
        return labels, roi

    def _liver(self, x: Array, y: Array, z: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Tell what points of the liver are, and which of them are parenchyma away from all else; both (point,)."""
        labels = np.full(x.shape, Tissue.LIVER, dtype=np.uint8)
        vessels = self.vessels.crossing(z, _VESSEL_MARGIN_MM)(x, y, z)
        labels[vessels < 0] = Tissue.BLOOD
        parenchyma = vessels > _VESSEL_MARGIN_MM
        for lesion in self.lesions:
            level = lesion(x, y, z)
            labels[level < 0] = lesion.tissue
            parenchyma &= level > _LESION_MARGIN_MM
        return labels, parenchyma
