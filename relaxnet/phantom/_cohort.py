"""Cohorts: as many digital patients as one likes from one seed."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, SupportsIndex, overload

from relaxnet.phantom._subject import Subject, simulate
from relaxnet.phantom._tissues import CONTRASTS
from relaxnet.protocol import Protocol
from relaxnet.protocols import LIVER_T1RHO_T2

_SMALLEST = 32

if TYPE_CHECKING:
    _Subjects = Sequence[Subject]
else:
    _Subjects = Sequence  # whoever checks types at run time would simulate a subject to look into a Sequence[Subject]


@dataclass(frozen=True)
class Cohort(_Subjects):
    """Subjects that are simulated when they are asked for; none is kept.

    Index it, slice it into smaller cohorts, or iterate over it. Made by :func:`liver_cohort`.
    """

    indices: range
    """Numbers of the subjects. Together with the seed, the number says who a subject is."""
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

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Subject: ...

    @overload
    def __getitem__(self, key: slice) -> "Cohort": ...

    def __getitem__(self, key: SupportsIndex | slice) -> "Subject | Cohort":
        if isinstance(key, slice):
            return replace(self, indices=self.indices[key])
        index = operator.index(key)
        if not -len(self) <= index < len(self):
            raise IndexError(f"subject {index} is not in this cohort of {len(self)}.")
        return simulate(
            self.seed,
            self.indices[index],
            slices=self.slices,
            shape=self.shape,
            snr=self.snr,
            protocol=self.protocol,
        )


def liver_cohort(
    n_subjects: int = 51,
    slices: int = 3,
    shape: tuple[int, int] = (256, 256),
    snr: float = 20.0,
    seed: int = 0,
    *,
    protocol: Protocol = LIVER_T1RHO_T2,
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
        What is acquired, of contrasts named ``"t1rho"`` and ``"t2"``.

    Returns
    -------
    Cohort
        The cohort. Its subjects are simulated when asked for.

    Raises
    ------
    ValueError
        If an argument is out of its range, if the phantom does not know a relaxation time of the protocol, or if
        contrasts share a first image that is not at time 0, where their decays differ.

    Notes
    -----
    A slice of 256 x 256 takes about 0.1 s on one core.

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
    n_subjects, slices = _whole(n_subjects, "n_subjects", 1), _whole(slices, "slices", 1)
    seed = _whole(seed, "seed", 0)
    try:
        height, width = shape
    except (TypeError, ValueError):
        raise ValueError(f"shape={shape!r}: give height and width, such as (256, 256).") from None
    height, width = _whole(height, "shape: its height", _SMALLEST), _whole(width, "shape: its width", _SMALLEST)
    try:
        ratio = float(snr)
    except (TypeError, ValueError):
        ratio = math.nan
    if not ratio > 0:
        raise ValueError(f"snr={snr!r}: give a positive number, such as 20, or math.inf for no noise.")
    if not isinstance(protocol, Protocol):
        raise TypeError(f"protocol={protocol!r} is a {type(protocol).__name__}: pass a relaxnet.Protocol.")
    unknown = [name for name in protocol.names if name not in CONTRASTS]
    if unknown:
        raise ValueError(f"protocol has contrasts named {unknown}: the tissues of the phantom have {CONTRASTS}.")
    start = protocol.contrasts[0].times_ms[0]
    if protocol.shared_first and len(protocol.contrasts) > 1 and start != 0:
        raise ValueError(
            f"protocol shares the first image of {protocol.names} at {start:g} ms: what decays differently looks "
            f"the same at 0 ms only. Pass shared_first=False."
        )
    return Cohort(range(n_subjects), slices, (height, width), ratio, seed, protocol)


def _whole(value: object, name: str, least: int) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(f"{name}={value!r}: give a whole number, {least} or more.")
    return number
