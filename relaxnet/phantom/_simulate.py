"""From tissue labels to the images of a scanner: paint, mix, corrupt, and add noise."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.random_fields import Array, Stream, generator
from relaxnet.phantom._anatomy.small_structures import Capsules
from relaxnet.phantom._appearance import Appearance
from relaxnet.phantom._corruptions import Corruption, acquire
from relaxnet.phantom._partial_volume import Voxels, mix
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._subjects import Subjects
from relaxnet.phantom._texture import Texture
from relaxnet.phantom._tissues import Tissue
from relaxnet.protocol import Protocol


class LabelSlice(NamedTuple):
    """Tissue labels of one slice on the fine grid."""

    labels: NDArray[np.uint8]
    """Tissue of each point, (2 height, 2 width)."""
    roi: NDArray[np.bool_]
    """Region of interest, of the same shape."""
    x: Array
    """Positions of the columns in mm, (1, 2 width)."""
    y: Array
    """Positions of the rows in mm, (2 height, 1)."""
    z: float
    """Position of the slice in mm."""


class SimulatedSubjects(Subjects):
    """Subjects that are simulated from tissue labels.

    The settings become fields in the dataclasses that derive from this class; each has its own order of arguments.
    """

    snr: float
    seed: int
    protocol: Protocol
    field_tesla: float
    corruptions: tuple[Corruption, ...] = ()
    texture: Texture | None = None

    @abstractmethod
    def _anatomy(self, index: int) -> tuple[Iterable[LabelSlice], tuple[float, float, float]]:
        """Return the slices of a subject, and the distance between slices, rows and columns of its voxels in mm."""

    def simulate(self, index: int) -> Subject:
        """Simulate a subject.

        Parameters
        ----------
        index
            Number of the subject.

        Returns
        -------
        Subject
            The subject.
        """
        slices, voxel_mm = self._anatomy(index)
        appearance = Appearance.draw(self.seed, index, field_tesla=self.field_tesla, texture=self.texture)
        add = (lambda s: (s, s.labels)) if self.texture is None else _small_structures(self.seed, index, self.texture)
        names = self.protocol.names

        def simulated(s: LabelSlice) -> Voxels:
            s, painted = add(s)
            return mix(s.labels, s.roi, appearance.paint(painted, s.x, s.y, s.z, names), self.protocol)

        stack = [simulated(s) for s in slices]
        clean = torch.stack([voxels.clean for voxels in stack])
        roi = torch.stack([voxels.roi for voxels in stack])
        subject = Subject(
            index=index,
            protocol=self.protocol,
            images=clean,
            clean=clean,
            truth={name: torch.stack([voxels.truth[name] for voxels in stack]) for name in (*names, "m0")},
            roi=roi,
            labels=torch.stack([voxels.labels for voxels in stack]),
            sigma=float(clean[:, 0][roi].abs().mean()) / self.snr if math.isfinite(self.snr) else 0.0,
            disease=appearance.disease,
            field_tesla=self.field_tesla,
            voxel_mm=voxel_mm,
        )
        corruptions, noise = (generator(self.seed, index, stream) for stream in (Stream.CORRUPTIONS, Stream.NOISE))
        return acquire(subject, self.corruptions, corruptions, noise)


def _small_structures(
    seed: int, index: int, texture: Texture
) -> Callable[[LabelSlice], tuple[LabelSlice, NDArray[np.uint8]]]:
    """Return what adds the small lesions of a subject to a slice, and tells its tissues, which include small vessels.

    Lesions get their label and stay in the region of interest; vessels leave it, but keep the label of the liver.
    """
    vessels = Capsules.draw(
        generator(seed, index, Stream.SMALL_VESSELS), texture.vessels, length_mm=(10, 30), radius_mm=(0.8, 2.2)
    )
    lesions = Capsules.draw(
        generator(seed, index, Stream.SMALL_LESIONS), texture.lesions, length_mm=(0, 0), radius_mm=(2, 5)
    )

    def add(s: LabelSlice) -> tuple[LabelSlice, NDArray[np.uint8]]:
        labels = s.labels.copy()
        labels[lesions.within(labels == Tissue.LIVER, s.x, s.y, s.z)] = Tissue.TUMOUR
        dark = vessels.within(labels == Tissue.LIVER, s.x, s.y, s.z)
        return s._replace(labels=labels, roi=s.roi & ~dark), np.where(dark, np.uint8(Tissue.BLOOD), labels)

    return add
