"""How the fit of a voxel ended."""

from enum import IntEnum


class FitStatus(IntEnum):
    """How the fit of a voxel ended. Only ``CONVERGED`` and ``AT_BOUND`` voxels hold numbers; the others hold NaN.

    Examples
    --------
    >>> rx.FitStatus(3).name, rx.FitStatus.MASKED.meaning
    ('NO_DECAY', 'outside the mask; NaN')
    """

    CONVERGED = 0, "the optimum lies inside the bounds"
    AT_BOUND = 1, "the optimum within the bounds lies at one of them; the truth lies beyond"
    TOO_FEW_SAMPLES = 2, "the usable samples do not determine the parameters; NaN"
    NO_DECAY = 3, "no T explains the signal: a decay that rises; NaN"
    NO_SIGNAL = 4, "all samples are zero, or no positive amplitude fits them; NaN"
    NOT_CONVERGED = 5, "the search did not settle; NaN"
    MASKED = 6, "outside the mask; NaN"

    meaning: str
    """What it says of the voxel, for files and documentation."""

    def __new__(cls, value: int, meaning: str = "") -> "FitStatus":  # noqa: PYI034 (type checks at run time need it)
        """Attach the meaning to the number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member
