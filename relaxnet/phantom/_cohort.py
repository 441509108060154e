"""Cohorts of procedural digital subjects: any number of them from one seed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from relaxnet._numbers import real, whole
from relaxnet.phantom._anatomy.abdomen import Anatomy
from relaxnet.phantom._anatomy.geometry import Grid
from relaxnet.phantom._corruptions import Corruption
from relaxnet.phantom._partial_volume import FINE
from relaxnet.phantom._settings import check_settings
from relaxnet.phantom._simulate import LabelSlice, SimulatedSubjects
from relaxnet.phantom._texture import Texture
from relaxnet.protocol import Protocol
from relaxnet.protocols import LIVER_T1RHO_T2

_SMALLEST = 32
_SMALLEST_MM = 128.0  # side of a picture that holds liver in every subject
_LARGEST_MM = 12.0  # side of a pixel of the smallest picture of the field of view
_SLICE_SPACING_MM = 7.0
_LONGEST_STACK_MM = 98.0  # a longer stack would leave the liver


@dataclass(frozen=True, repr=False)
class Cohort(SimulatedSubjects):
    """Digital subjects that are simulated on access; none is stored.

    Index it, slice it into smaller cohorts, or iterate over it. Made by :func:`liver_cohort`.
    """

    slices: int
    """Number of slices of each subject."""
    shape: tuple[int, int]
    """Height and width of a slice."""
    snr: float
    """Signal-to-noise ratio of the liver in the first image."""
    seed: int
    """Seed of all random numbers."""
    protocol: Protocol
    """Protocol of the images."""
    field_tesla: float = 3.0
    """Field strength in T."""
    corruptions: tuple[Corruption, ...] = ()
    """Corruptions of the images of each subject, in the order in which they are applied."""
    texture: Texture | None = None
    """Texture of the tissues; None for a smooth one."""
    pixel_mm: float | None = None
    """Side of a pixel in mm; None for the field of view."""

    def _anatomy(self, index: int) -> tuple[Iterator[LabelSlice], tuple[float, float, float]]:
        """Return the slices of a subject, and the distance between slices, rows and columns of its voxels in mm."""
        anatomy = Anatomy.draw(self.seed, index)
        spacing = min(_SLICE_SPACING_MM, _LONGEST_STACK_MM / max(self.slices - 1, 1))
        coarse = Grid(self.shape, self.pixel_mm)
        fine = Grid((FINE * self.shape[0], FINE * self.shape[1]), self.pixel_mm and self.pixel_mm / FINE)
        positions = (anatomy.body.middle_mm + (k - (self.slices - 1) / 2) * spacing for k in range(self.slices))
        slices = (LabelSlice(*anatomy.slice(fine, z), fine.x, fine.y, z) for z in positions)
        return slices, (spacing, coarse.pixel_mm, coarse.pixel_mm)


def liver_cohort(
    n_subjects: int = 51,
    slices: int = 3,
    shape: tuple[int, int] = (256, 256),
    snr: float = 20.0,
    seed: int = 0,
    *,
    protocol: Protocol = LIVER_T1RHO_T2,
    field_tesla: float = 3.0,
    corruptions: Sequence[Corruption] = (),
    texture: Texture | tuple[float, float] | None = None,
    pixel_mm: float | None = None,
) -> Cohort:
    """Make a cohort of digital abdomens with known relaxation times and amplitude.

    Parameters
    ----------
    n_subjects
        Number of subjects, 1 or more. A subject of a seed is the same in a cohort of any size.
    slices
        Number of axial slices of each subject, 1 or more. They are 7 mm apart, and closer if there are more than 15,
        which would leave the liver otherwise.
    shape
        Height and width of a slice, each 32 or more. Pixels are square, and the field of view is at least 384 mm wide
        and 288 mm high: 1.5 mm at 256 x 256.
    snr
        Mean signal of the liver (:attr:`Subject.roi`) in the first image over the standard deviation of the noise.
        ``math.inf`` gives images without noise.
    seed
        Seed of all random numbers, 0 or more.
    protocol
        Protocol of the images, with contrasts named ``"t1rho"``, ``"t2"``, ``"t1"``, ``"t2star"`` or ``"adc"``. Each is
        simulated by its own signal model.
    field_tesla
        Field strength in T, 1.5 or 3.0. At the other field strength a subject has the same anatomy and disease, and its
        tissues deviate from the mean values by the same number of standard deviations.
    corruptions
        Corruptions of the images of each subject, in the order in which they are applied, such as ``[Breathing()]``.
        They differ between subjects, and change neither the ground truth nor the noise level.
    texture
        Texture as in real tissue, with small vessels and lesions: a :class:`Texture`, or its standard deviation and
        length in mm, such as ``(0.06, 5)``. By default tissues vary smoothly. All else of a subject stays the same.
    pixel_mm
        Side of a pixel in mm. A picture smaller than the field of view is a crop around the liver, and must be at least
        128 mm high and wide: with 2 mm, 128 x 128 is such a crop, and 144 x 192 a whole slice. By default ``shape``
        decides.

    Returns
    -------
    Cohort
        The cohort. Its subjects are simulated on access.

    Raises
    ------
    ValueError
        If an argument is out of its range, if the phantom has no values for a contrast of the protocol, or if contrasts
        share a first image that is not at time 0.
    TypeError
        If the protocol is not a :class:`relaxnet.Protocol`, or a corruption is not a :class:`Corruption`.

    Notes
    -----
    Slices are simulated at twice the resolution. One slice of 256 x 256 takes about 0.2 s on one core, one of 64 x 64
    about 0.03 s, and one of 128 x 128 with texture about 0.2 s.

    Examples
    --------
    >>> cohort = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(64, 64), seed=1)
    >>> cohort[0]
    <Subject sub-001: ...>
    >>> subject = cohort[1]
    >>> subject.images.shape
    torch.Size([1, 7, 64, 64])
    >>> float(subject.truth["t2"][subject.roi].mean()) < float(subject.truth["t1rho"][subject.roi].mean())
    True
    >>> textured = rx.phantom.liver_cohort(1, 1, (128, 128), texture=(0.06, 5), pixel_mm=2)
    >>> textured[0].voxel_mm
    (7.0, 2.0, 2.0)
    """
    n_subjects, slices = whole(n_subjects, "n_subjects", 1), whole(slices, "slices", 1)
    try:
        height, width = shape
    except (TypeError, ValueError):
        raise ValueError(f"shape={shape!r}: give height and width, such as (256, 256).") from None
    return Cohort(
        indices=range(n_subjects),
        slices=slices,
        shape=(whole(height, "shape: its height", _SMALLEST), whole(width, "shape: its width", _SMALLEST)),
        **check_settings(snr, seed, protocol, field_tesla, texture),
        corruptions=_corruptions(corruptions),
        pixel_mm=_pixel(pixel_mm, min(height, width)),
    )


def _pixel(given: float | None, side: int) -> float | None:
    """Check the size of the pixels of a picture whose shorter side has so many."""
    if given is None:
        return None
    needed = f"give {_SMALLEST_MM / side:.3g} to {_LARGEST_MM:g} mm for {side} pixels"
    return real(given, "pixel_mm", lambda mm: _SMALLEST_MM / side <= mm <= _LARGEST_MM, needed)


def _corruptions(given: object) -> tuple[Corruption, ...]:
    """Check that corruptions are objects of a :class:`Corruption`, not classes or names."""
    if not isinstance(given, Iterable):
        raise TypeError(f"corruptions={given!r}: give a sequence, such as [rx.phantom.Breathing()].")
    for corruption in (chosen := tuple(given)):
        if isinstance(corruption, type) or not isinstance(corruption, Corruption):
            raise TypeError(f"corruptions: {corruption!r} is none: give objects, such as [rx.phantom.Breathing()].")
    return chosen
