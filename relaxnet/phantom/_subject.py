"""One digital subject: images, and the truth behind them."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from relaxnet.phantom._tissues import Disease
from relaxnet.protocol import Protocol


@dataclass(frozen=True, eq=False, repr=False)
class Subject:
    """One digital subject: what a scanner would give, and what no scanner can."""

    index: int
    """Number of the subject in the cohort, from 0."""
    protocol: Protocol
    """What was acquired."""
    images: Float[Tensor, "slice image height width"]
    """Magnitude images with Rician noise, their channels in the order of the protocol."""
    clean: Float[Tensor, "slice image height width"]
    """The images without their noise, but with all that went wrong. A voxel at a border holds a mixture of tissues."""
    truth: dict[str, Float[Tensor, "slice height width"]]
    """The true maps: a relaxation time in ms for each contrast, NaN in air, where there is none; and ``"m0"``, the
    amplitude of the signal at time 0, receive sensitivity included, which is 0 in air.

    The true relaxation time of a mixture is that with which its signal starts to decay: the reciprocal of the mean rate
    of its parts, weighted by their amplitudes. Such a signal is not mono-exponential, so a fit to it finds this time or
    a longer one; within :attr:`roi` there are no mixtures."""
    roi: Bool[Tensor, "slice height width"]
    """Liver parenchyma, a few mm away from the liver's edge, vessels and lesions."""
    labels: UInt8[Tensor, "slice height width"]
    """The :class:`Tissue` that fills most of each voxel; air only where there is nothing else."""
    sigma: float
    """Standard deviation of the noise in each part of the complex images, in their units. It follows from the signal of
    the liver before anything went wrong."""
    disease: Disease
    """Diffuse disease of the liver."""
    field_tesla: float
    """Field strength in T."""
    voxel_mm: tuple[float, float, float]
    """Distance between slices, rows and columns in mm."""

    @property
    def name(self) -> str:
        """Name in the manner of BIDS, ``"sub-001"`` for the first subject."""
        return f"sub-{self.index + 1:03d}"

    def __repr__(self) -> str:
        slices, images, height, width = self.images.shape
        return (
            f"<Subject {self.name}: liver {self.disease}, {slices} slices of {height} x {width}, {images} images each>"
        )
