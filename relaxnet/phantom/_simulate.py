"""From tissue labels to the images of a scanner: paint, mix, corrupt, and add noise."""

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.random_fields import Array, Stream, generator
from relaxnet.phantom._appearance import Appearance
from relaxnet.phantom._corruptions import Corruption, acquire
from relaxnet.phantom._partial_volume import mix
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._subjects import Subjects
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
        appearance = Appearance.draw(self.seed, index, field_tesla=self.field_tesla)
        names = self.protocol.names
        stack = [mix(s.labels, s.roi, appearance.paint(s.labels, s.x, s.y, s.z, names), self.protocol) for s in slices]
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
