"""Anatomy of one subject: the tissue at each position."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.body import Body, spine
from relaxnet.phantom._anatomy.diaphragm import CRURA, DIAPHRAGM_MM, lung_mm
from relaxnet.phantom._anatomy.digestion import Digestion
from relaxnet.phantom._anatomy.geometry import Grid, Tubes, subtract
from relaxnet.phantom._anatomy.kidneys import Kidney, draw_kidneys
from relaxnet.phantom._anatomy.lesions import Lesion, draw_lesions
from relaxnet.phantom._anatomy.organs import Organs, great_vessels_level
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
_LOOP_MM = 7.0  # for one standard deviation of the bowel field
_LOOP_LEVEL = 0.6
_LOOP_LOWEST_MM = -12.0
_LOOP_FADE_MM = 30.0  # less bowel in higher slices
_LOOP_FRONT_MM = 8.0  # no bowel behind this position
_REACH_MM = 12.0  # distance from the outline of an organ up to which it matters


@dataclass(frozen=True)
class Anatomy:
    """Shape of one subject, at any resolution and in any slice."""

    body: Body
    organs: Organs
    vessels: Tubes
    """Veins of the liver."""
    lesions: tuple[Lesion, ...]
    """Focal lesions of the liver."""
    kidneys: tuple[Kidney, Kidney]
    """Right and left kidney."""
    digestion: Digestion
    lung_edge_mm: float
    """Lowest point of the lungs."""
    nodules_mm: float
    """Height of the nodules on the surface of a cirrhotic liver."""

    @classmethod
    def draw(cls, seed: int, subject: int) -> "Anatomy":
        """Draw the anatomy of a subject of a cohort."""
        rng = partial(generator, seed, subject)
        body, organs = Body.draw(rng(Stream.BODY)), Organs.draw(rng(Stream.ORGANS))
        lung_edge_mm = float(rng(Stream.DIAPHRAGM).uniform(-2, 22))
        cirrhosis = draw_disease(seed, subject) is Disease.CIRRHOSIS
        if cirrhosis:  # portal hypertension enlarges the spleen
            organs.spleen[:, 2] *= _LARGE_SPLEEN

        def liver(x: Array, y: Array, z: Array) -> Array:
            depth = body.depth(x * body.scale[0], y * body.scale[1]) - body.wall_mm
            return organs.liver_level(x, y, z, depth - np.maximum(lung_mm(y, z, lung_edge_mm), 0))

        return cls(
            body,
            organs,
            vessels=draw_vessels(rng(Stream.VESSELS)),
            lesions=draw_lesions(rng(Stream.LESIONS), liver),
            kidneys=draw_kidneys(rng(Stream.KIDNEYS)),
            digestion=Digestion.draw(rng(Stream.DIGESTION)),
            lung_edge_mm=lung_edge_mm,
            nodules_mm=_NODULES_MM if cirrhosis else 0.0,
        )

    def slice(self, grid: Grid, z: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the labels of a slice, (height, width), and its region of interest.

        The region is the liver parenchyma away from its edge, vessels and lesions.
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

        vertebra, canal, cord, back = spine(x_mm / body.scale[0], y_mm / body.scale[1])
        inside = np.nonzero(depth > body.wall_mm)
        points[inside], roi[box][inside] = self._cavity(
            x_mm[inside] / body.scale[0],
            y_mm[inside] / body.scale[1],
            z,
            cavity=depth[inside] - body.wall_mm,
            back=np.minimum(vertebra, back)[inside],
            lobules=digestion.lobules(column, row, z)[inside],
            bowel=digestion.bowel(column, row, z)[inside],
        )
        points[back < _SEAM_MM] = Tissue.FAT
        points[back < 0] = Tissue.MUSCLE
        points[vertebra < 0] = Tissue.BONE_MARROW
        points[canal < 0] = Tissue.CEREBROSPINAL_FLUID
        points[cord < 0] = Tissue.SPINAL_CORD
        labels[box] = points
        return labels, roi

    def _cavity(
        self, x: Array, y: Array, z: float, *, cavity: Array, back: Array, lobules: Array, bowel: Array
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the labels of points inside the wall, (point,), and their region of interest.

        It takes their depth under the wall, their distance to spine and back muscles, and two random fields.
        """
        organs, digestion = self.organs, self.digestion
        lung = lung_mm(y, z, self.lung_edge_mm)
        depth = cavity - np.maximum(lung, 0)  # under the diaphragm

        kidneys = [kidney.level(x, y, z) for kidney in self.kidneys]
        beds = np.minimum(*(kidney.bed(x, y, z) for kidney in self.kidneys))
        kidneys = [subtract(kidney, np.minimum(back, depth) - _GAP_MM) for kidney in kidneys]
        perirenal = np.minimum(np.minimum(*kidneys) - _KIDNEY_GAP_MM, beds)
        great_vessels = great_vessels_level(x, y)
        crura = CRURA.level(x, y, reach_mm=_REACH_MM)
        gallbladder, porta, pancreas, veins, colon = (
            tubes.level(x, y, z, reach_mm=_REACH_MM)
            for tubes in (digestion.gallbladder, digestion.porta, digestion.pancreas, digestion.veins, digestion.colon)
        )

        liver = organs.liver_level(x, y, z, depth) + self.nodules_mm * lobules
        beside = (back - 2 * _GAP_MM, perirenal, gallbladder, porta, veins - _PORTAL_FAT_MM, crura - _GAP_MM)
        liver = subtract(liver, np.minimum.reduce(beside))
        spleen = subtract(organs.spleen_level(x, y, z, depth), np.minimum(perirenal, back - _GAP_MM))
        stomach = subtract(organs.stomach_level(x, y, z, depth), np.minimum.reduce((liver, spleen)) - _GAP_MM)
        solid = np.minimum.reduce((liver, spleen, stomach, *kidneys, great_vessels, gallbladder, crura, back))
        pancreas = subtract(pancreas + _LOBULE_MM * lobules, np.minimum(solid, veins) - _GAP_MM / 2)
        colon = subtract(colon + _LOBULE_MM * lobules, np.minimum.reduce((solid, pancreas, depth)) - _GAP_MM)
        room = np.minimum.reduce((solid, veins, pancreas, colon, depth)) - _BOWEL_GAP_MM
        fade = max(z, _LOOP_LOWEST_MM) / _LOOP_FADE_MM
        behind = _LOOP_FRONT_MM + _LOOP_MM * lobules - y
        loops = np.maximum.reduce((-room, behind, _LOOP_MM * (_LOOP_LEVEL + fade - bowel)))

        # Each tissue covers those painted before it.
        labels = np.full(x.shape, Tissue.FAT, dtype=np.uint8)
        labels[cavity < lung + DIAPHRAGM_MM] = Tissue.MUSCLE
        labels[cavity < lung] = Tissue.LUNG
        _paint_hollow(labels, loops, _BOWEL_WALL_MM, Tissue.BOWEL_CONTENT)
        _paint_hollow(labels, colon, _BOWEL_WALL_MM, Tissue.BOWEL_CONTENT, gas=y > digestion.gas_mm[1])
        labels[pancreas < 0] = Tissue.PANCREAS
        labels[veins < 0] = Tissue.BLOOD
        labels[spleen < 0] = Tissue.SPLEEN
        for kidney, level in zip(self.kidneys, kidneys, strict=True):
            within = level < 0
            labels[within] = kidney.labels(x[within], y[within], z, level[within])
        _paint_hollow(labels, stomach, _STOMACH_WALL_MM, Tissue.STOMACH_CONTENT, gas=y > digestion.gas_mm[0])
        _paint_hollow(labels, gallbladder, _GALLBLADDER_WALL_MM, Tissue.GALLBLADDER)
        labels[crura < 0] = Tissue.MUSCLE
        labels[great_vessels < 0] = Tissue.BLOOD

        within = liver < 0
        labels[within], parenchyma = self._liver(x[within], y[within], z)
        roi = np.zeros(x.shape, dtype=np.bool_)
        roi[within] = parenchyma & (liver[within] < -_ROI_MARGIN_MM)
        return labels, roi

    def _liver(self, x: Array, y: Array, z: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the labels of points of the liver, and which are parenchyma away from vessels and lesions."""
        labels = np.full(x.shape, Tissue.LIVER, dtype=np.uint8)
        vessels = self.vessels.crossing(z, _VESSEL_MARGIN_MM)(x, y, z)
        labels[vessels < 0] = Tissue.BLOOD
        parenchyma = vessels > _VESSEL_MARGIN_MM
        for lesion in self.lesions:
            level = lesion(x, y, z)
            labels[level < 0] = lesion.tissue
            parenchyma &= level > _LESION_MARGIN_MM
        return labels, parenchyma


def _paint_hollow(
    labels: NDArray[np.uint8], level: Array, wall_mm: float, content: Tissue, *, gas: NDArray[np.bool_] | bool = False
) -> None:
    """Paint a hollow organ: its wall, its content, and air where the content is gas."""
    labels[level < 0] = Tissue.STOMACH
    labels[level < -wall_mm] = content
    labels[(level < -wall_mm) & gas] = Tissue.AIR
