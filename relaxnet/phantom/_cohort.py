"""Cohorts: any number of digital subjects from one seed."""

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relaxnet.phantom._acquire import simulate
from relaxnet.phantom._corruptions import Corruption
from relaxnet.phantom._more_values import check_protocol
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._subjects import Subjects
from relaxnet.phantom._tissues import FIELDS
from relaxnet.protocol import Protocol
from relaxnet.protocols import LIVER_T1RHO_T2

_SMALLEST = 32


@dataclass(frozen=True)
class Cohort(Subjects):
    """Subjects that are simulated when they are asked for; none is kept.

    Index it, slice it into smaller cohorts, or iterate over it. Made by :func:`liver_cohort`.
    """

    slices: int
    """Slices of each subject."""
    shape: tuple[int, int]
    """Height and width of a slice."""
    snr: float
    """Signal-to-noise ratio of the liver in the first image."""
    seed: int
    """Seed of all random numbers."""
    protocol: Protocol
    """What is acquired."""
    field_tesla: float = 3.0
    """Field strength in T."""
    corruptions: tuple[Corruption, ...] = ()
    """What goes wrong in the scan of each subject, in the order in which it happens."""

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
        return simulate(
            self.seed,
            index,
            slices=self.slices,
            shape=self.shape,
            snr=self.snr,
            protocol=self.protocol,
            field_tesla=self.field_tesla,
            corruptions=self.corruptions,
        )


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
) -> Cohort:
    """Make a cohort of digital abdomens, of which T1rho, T2 and amplitude are known.

    Parameters
    ----------
    n_subjects
        How many subjects, 1 or more. Subject 3 of a seed is the same however many there are.
    slices
        Axial slices of each subject, 1 or more, 7 mm apart; nearer to one another where more than 15 would
        leave the liver.
    shape
        Height and width of a slice, each 32 or more. The pixels are square, and 384 mm of width and 288 mm of height
        are always in the picture: 1.5 mm at 256 x 256.
    snr
        Mean signal of the liver (:attr:`Subject.roi`) in the first image over the standard deviation of the noise.
        ``math.inf`` gives images without noise.
    seed
        A whole number, 0 or more.
    protocol
        What is acquired, of contrasts named ``"t1rho"``, ``"t2"``, ``"t1"``, ``"t2star"`` and ``"adc"``, each by its
        signal model.
    field_tesla
        Field strength in T, 1.5 or 3.0. At the other field a subject has the same anatomy and disease, and its
        tissues deviate from the means of that field by as many standard deviations.
    corruptions
        What goes wrong in the scan of each subject, in the order in which it happens, such as ``[Breathing()]``:
        differently in each, and after the truth and the level of the noise are settled.

    Returns
    -------
    Cohort
        The cohort. Its subjects are simulated when asked for.

    Raises
    ------
    ValueError
        If an argument is out of its range, if the phantom does not know a relaxation time of the protocol, or if
        contrasts share a first image that is not at time 0, where their decays differ.
    TypeError
        If the protocol is none, or a corruption is none.

    Notes
    -----
    Slices are simulated at twice the resolution. One of 256 x 256 takes about 0.2 s on one core, one of 64 x 64 about
    0.03 s.

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
    """
    n_subjects, slices = whole(n_subjects, "n_subjects", 1), whole(slices, "slices", 1)
    seed = whole(seed, "seed", 0)
    try:
        height, width = shape
    except (TypeError, ValueError):
        raise ValueError(f"shape={shape!r}: give height and width, such as (256, 256).") from None
    height, width = whole(height, "shape: its height", _SMALLEST), whole(width, "shape: its width", _SMALLEST)
    try:
        ratio = float(snr)
    except (TypeError, ValueError):
        ratio = math.nan
    if not ratio > 0:
        raise ValueError(f"snr={snr!r}: give a positive number, such as 20, or math.inf for no noise.")
    if not isinstance(protocol, Protocol):
        raise TypeError(f"protocol={protocol!r} is a {type(protocol).__name__}: pass a relaxnet.Protocol.")
    check_protocol(protocol)
    if field_tesla not in FIELDS:
        raise ValueError(f"field_tesla={field_tesla!r}: the tissues of the phantom are known at {FIELDS} T.")
    return Cohort(
        indices=range(n_subjects),
        slices=slices,
        shape=(height, width),
        snr=ratio,
        seed=seed,
        protocol=protocol,
        field_tesla=float(field_tesla),
        corruptions=_corruptions(corruptions),
    )


def _corruptions(given: object) -> tuple[Corruption, ...]:
    if not isinstance(given, Iterable):
        raise TypeError(f"corruptions={given!r}: give a sequence, such as [rx.phantom.Breathing()].")
    chosen = tuple(given)
    for corruption in chosen:
        if isinstance(corruption, type) or not isinstance(corruption, Corruption):
            raise TypeError(f"corruptions: {corruption!r} is none: give objects, such as [rx.phantom.Breathing()].")
    return chosen


def whole(value: object, name: str, least: int) -> int:
    """Refuse what is no whole number, or too small a one; ``name`` is what the message calls it."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(f"{name}={value!r}: give a whole number, {least} or more.")
    return number
