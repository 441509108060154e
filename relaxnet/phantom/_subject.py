"""A digital subject: its images and their ground truth."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from relaxnet._display import Displayed, Section
from relaxnet.phantom._tissues import Disease
from relaxnet.protocol import Protocol


@dataclass(frozen=True, eq=False, repr=False)
class Subject(Displayed):
    """A digital subject: simulated images and the ground truth they were made from."""

    index: int
    """Number of the subject in the cohort, from 0."""
    protocol: Protocol
    """Protocol of the images."""
    images: Float[Tensor, "slice image height width"]
    """Magnitude images with Rician noise, in the order of the protocol."""
    clean: Float[Tensor, "slice image height width"]
    """The images without noise, but with all corruptions. A voxel at a border holds a mixture of tissues."""
    truth: dict[str, Float[Tensor, "slice height width"]]
    """Ground truth: a map of the relaxation time in ms for each contrast, NaN in air; and ``"m0"``, the amplitude at
    time 0, receive sensitivity included, 0 in air.

    The relaxation time of a mixture is defined by its initial decay: the reciprocal of the mean rate of its parts,
    weighted by their amplitudes. Such a signal is not mono-exponential, so a fit finds this time or a longer one. There
    are no mixtures within :attr:`roi`, but for the edges of the small lesions of a :class:`Texture`."""
    roi: Bool[Tensor, "slice height width"]
    """Region of interest: liver parenchyma, a few mm away from the edge of the liver, vessels and lesions. With a
    :class:`Texture`, small lesions are within it, and only the voxels that hold a small vessel are not."""
    labels: UInt8[Tensor, "slice height width"]
    """:class:`Tissue` that fills most of each voxel; air only where there is nothing else. The small vessels of a
    :class:`Texture` have the label of the liver."""
    sigma: float
    """Standard deviation of the noise in the real and in the imaginary part of the images, set by the signal of the
    liver before any corruption."""
    disease: Disease
    """Diffuse disease of the liver."""
    field_tesla: float
    """Field strength in T."""
    voxel_mm: tuple[float, float, float]
    """Distance between slices, rows and columns in mm."""

    @property
    def name(self) -> str:
        """Name of the subject, as in BIDS: ``"sub-001"`` for the first one."""
        return f"sub-{self.index + 1:03d}"

    def _sections(self) -> list[Section]:
        title = repr(self).strip("<>")
        liver = [
            (name, f"{values[self.roi].mean():.4g}", f"{values[self.roi].std():.2g}")
            for name, values in self.truth.items()
        ]
        facts = [
            ("field strength", f"{self.field_tesla:g} T"),
            ("voxel", f"{' x '.join(f'{side:.3g}' for side in self.voxel_mm)} mm"),
            ("noise", f"{self.sigma:.3g}"),
        ]
        return [Section(title, facts), Section("truth in the liver", liver, ("mean", "sd"))]

    def __repr__(self) -> str:
        slices, images, height, width = self.images.shape
        return (
            f"<Subject {self.name}: liver {self.disease}, {slices} slices of {height} x {width}, {images} images each>"
        )
