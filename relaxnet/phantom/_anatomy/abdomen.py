"""The anatomy of one subject: which tissue is where."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.body import Body, spine
from relaxnet.phantom._anatomy.diaphragm import DIAPHRAGM_MM, LEGS, Diaphragm
from relaxnet.phantom._anatomy.digestion import Digestion
from relaxnet.phantom._anatomy.geometry import Grid, Tubes, ellipse, level_near, subtract
from relaxnet.phantom._anatomy.kidneys import Kidney, draw_kidneys
from relaxnet.phantom._anatomy.lesions import Lesion, draw_lesions
from relaxnet.phantom._anatomy.organs import AORTA, VENA_CAVA, Organs
from relaxnet.phantom._anatomy.random_fields import Array, Stream, generator
from relaxnet.phantom._anatomy.vessels import draw_vessels
from relaxnet.phantom._disease import draw_disease
from relaxnet.phantom._tissues import Disease, Tissue

_ROI_MARGIN_MM = 4.0
_VESSEL_MARGIN_MM = 1.5
_LESION_MARGIN_MM = 3.0
_STOMACH_WALL_MM = 4.0
_BOWEL_WALL_MM = 2.5
_GALLBLADDER_WALL_MM = 1.5
_GAP_MM = 1.5  # of fat between organs
_KIDNEY_GAP_MM = 4.0
_PORTAL_FAT_MM = 0.5
_BOWEL_GAP_MM = 3.0
_LOBULE_MM = 1.5
_NODULES_MM = 1.5
_LARGE_SPLEEN = 1.2
_SEAM_MM = 0.8  # of fat between muscles
_LOOP_MM = 7.0  # one standard deviation of the field of the bowel
_LOOP_LEVEL = 0.6
_LOOP_LOWEST_MM = -12.0
_LOOP_FADE_MM = 30.0  # there is less bowel the higher the slice
_LOOP_FRONT_MM = 8.0  # the bowel does not lie behind
_REACH_MM = 12.0  # beyond the outline of an organ up to which its distance matters


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
    kidneys: tuple[Kidney, Kidney]
    """Right and left kidney."""
    digestion: Digestion
    """Gallbladder, pancreas and bowel."""
    diaphragm: Diaphragm
    """What parts the organs from the lungs."""
    nodules_mm: float
    """How far the nodules of a cirrhotic liver stand out of its surface."""

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
        organs = Organs.draw(generator(seed, subject, Stream.ORGANS))
        cirrhosis = draw_disease(seed, subject) is Disease.CIRRHOSIS
        if cirrhosis:  # the blood that the liver does not let through dams up in the spleen
            organs.spleen[:, 2] *= _LARGE_SPLEEN
        vessels = draw_vessels(generator(seed, subject, Stream.VESSELS))
        diaphragm = Diaphragm.draw(generator(seed, subject, Stream.DIAPHRAGM))

        def liver(x: Array, y: Array, z: Array) -> Array:
            depth = body.depth(x * body.scale[0], y * body.scale[1]) - body.wall_mm
            return organs.liver_level(x, y, z, depth - np.maximum(diaphragm.lung_mm(y, z), 0))

        return cls(
            body,
            organs,
            vessels,
            lesions=draw_lesions(generator(seed, subject, Stream.LESIONS), liver),
            kidneys=draw_kidneys(generator(seed, subject, Stream.KIDNEYS)),
            digestion=Digestion.draw(generator(seed, subject, Stream.DIGESTION)),
            diaphragm=diaphragm,
            nodules_mm=_NODULES_MM if cirrhosis else 0.0,
        )

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
        labels = np.full(grid.shape, Tissue.AIR, dtype=np.uint8)
        roi = np.zeros(grid.shape, dtype=np.bool_)
        body, digestion = self.body, self.digestion
        box = body.box(grid.x, grid.y)
        column, row = grid.x[:, box[1]], grid.y[box[0]]
        x_mm, y_mm = body.warped(column, row, z)
        depth = body.depth(x_mm, y_mm)
        points = np.full(depth.shape, Tissue.AIR, dtype=np.uint8)
        points[depth > -body.fat_thickness(x_mm, y_mm)] = Tissue.FAT
        points[body.muscles(x_mm, y_mm, depth)] = Tissue.MUSCLE
        points[body.ribs(x_mm, y_mm, z, depth)] = Tissue.BONE_MARROW

        bones = spine(x_mm / body.scale[0], y_mm / body.scale[1])
        inside = np.nonzero(depth > body.wall_mm)
        points[inside], roi[box][inside] = self._cavity(
            x_mm[inside] / body.scale[0],
            y_mm[inside] / body.scale[1],
            z,
            cavity=depth[inside] - body.wall_mm,
            back=np.minimum(bones.bone, bones.muscles)[inside],
            lobules=digestion.lobules(column, row, z)[inside],
            bowel=digestion.bowel(column, row, z)[inside],
        )
        points[bones.muscles < _SEAM_MM] = Tissue.FAT
        points[bones.muscles < 0] = Tissue.MUSCLE
        points[bones.bone < 0] = Tissue.BONE_MARROW
        points[bones.canal < 0] = Tissue.CEREBROSPINAL_FLUID
        points[bones.cord < 0] = Tissue.SPINAL_CORD
        labels[box] = points
        return labels, roi

    def _cavity(
        self, x: Array, y: Array, z: float, *, cavity: Array, back: Array, lobules: Array, bowel: Array
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Tell what the points inside of the wall are, and which of them are parenchyma away from all else; (point,).

        They come with their depth under the wall, their distance to spine and back muscles, and two random fields.
        """
        organs, digestion = self.organs, self.digestion
        lung = self.diaphragm.lung_mm(y, z)
        depth = cavity - np.maximum(lung, 0)  # under the diaphragm

        kidneys = [kidney.level(x, y, z) for kidney in self.kidneys]
        beds = np.minimum(*(kidney.bed(x, y, z) for kidney in self.kidneys))
        kidneys = [subtract(kidney, np.minimum(back, depth) - _GAP_MM) for kidney in kidneys]
        perirenal = np.minimum(np.minimum(*kidneys) - _KIDNEY_GAP_MM, beds)
        near = np.hypot(x + 5, y + 6) < 60
        great_vessels = level_near(
            near, lambda x, y: np.minimum(ellipse(x, y, *AORTA), ellipse(x, y, *VENA_CAVA)), x, y
        )
        legs = level_near(LEGS.near(x, y, _REACH_MM), LEGS, x, y)
        gallbladder, porta, pancreas, veins, colon = (
            _slice_of(tubes, x, y, z)
            for tubes in (
                digestion.gallbladder,
                digestion.porta,
                digestion.pancreas,
                digestion.veins,
                digestion.colon,
            )
        )

        liver = organs.liver_level(x, y, z, depth) + self.nodules_mm * lobules
        beside = (back - 2 * _GAP_MM, perirenal, gallbladder, porta, veins - _PORTAL_FAT_MM, legs - _GAP_MM)
        liver = subtract(liver, np.minimum.reduce(beside))
        spleen = subtract(organs.spleen_level(x, y, z, depth), np.minimum(perirenal, back - _GAP_MM))
        stomach = subtract(organs.stomach_level(x, y, z, depth), np.minimum.reduce((liver, spleen)) - _GAP_MM)
        solid = np.minimum.reduce((liver, spleen, stomach, *kidneys, great_vessels, gallbladder, legs, back))
        pancreas = pancreas + _LOBULE_MM * lobules
        pancreas = subtract(pancreas, np.minimum(solid, veins) - _GAP_MM / 2)
        colon = colon + _LOBULE_MM * lobules
        colon = subtract(colon, np.minimum.reduce((solid, pancreas, depth)) - _GAP_MM)
        room = np.minimum.reduce((solid, veins, pancreas, colon, depth)) - _BOWEL_GAP_MM
        fade = max(z, _LOOP_LOWEST_MM) / _LOOP_FADE_MM
        behind = _LOOP_FRONT_MM + _LOOP_MM * lobules - y
        loops = np.maximum.reduce((-room, behind, _LOOP_MM * (_LOOP_LEVEL + fade - bowel)))

        # Each tissue covers what was painted before it.
        labels = np.full(x.shape, Tissue.FAT, dtype=np.uint8)
        labels[cavity < lung + DIAPHRAGM_MM] = Tissue.MUSCLE
        labels[cavity < lung] = Tissue.LUNG
        for level, gas_mm in ((loops, np.inf), (colon, digestion.gas_mm[1])):
            labels[level < 0] = Tissue.STOMACH
            content = level < -_BOWEL_WALL_MM
            labels[content] = np.where(y[content] > gas_mm, Tissue.AIR, Tissue.BOWEL_CONTENT)
        labels[pancreas < 0] = Tissue.PANCREAS
        labels[veins < 0] = Tissue.BLOOD
        labels[spleen < 0] = Tissue.SPLEEN
        for kidney, level in zip(self.kidneys, kidneys, strict=True):
            within = level < 0
            labels[within] = kidney.labels(x[within], y[within], z, level[within])
        labels[stomach < 0] = Tissue.STOMACH
        content = stomach < -_STOMACH_WALL_MM
        labels[content] = np.where(y[content] > digestion.gas_mm[0], Tissue.AIR, Tissue.STOMACH_CONTENT)
        labels[gallbladder < 0] = Tissue.STOMACH
        labels[gallbladder < -_GALLBLADDER_WALL_MM] = Tissue.GALLBLADDER
        labels[legs < 0] = Tissue.MUSCLE
        labels[great_vessels < 0] = Tissue.BLOOD

        within = liver < 0
        labels[within], parenchyma = self._liver(x[within], y[within], z)
        roi = np.zeros(x.shape, dtype=np.bool_)
        roi[within] = parenchyma & (liver[within] < -_ROI_MARGIN_MM)
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


def _slice_of(tubes: Tubes, x: Array, y: Array, z: float) -> Array:
    crossing = tubes.crossing(z, _REACH_MM)
    return level_near(crossing.near(x, y, _REACH_MM), lambda x, y: crossing(x, y, z), x, y)
