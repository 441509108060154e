"""How the fit of a voxel ended."""

from enum import IntEnum


class FitStatus(IntEnum):
    """How the fit of a voxel ended. Only ``CONVERGED`` and ``AT_BOUND`` voxels hold numbers; the others hold NaN.

    Examples
    --------
    >>> rx.FitStatus(3).name
    'NO_DECAY'
    """

    CONVERGED = 0
    """The optimum lies inside the bounds."""
    AT_BOUND = 1
    """The optimum within the bounds lies at one of them: T is that bound, the truth lies beyond."""
    TOO_FEW_SAMPLES = 2
    """Fewer usable samples, at different times, than the model has parameters."""
    NO_DECAY = 3
    """The signal rises: no T explains it."""
    NO_SIGNAL = 4
    """All samples are zero, or no positive amplitude fits them."""
    NOT_CONVERGED = 5
    """The search did not settle within its iterations."""
    MASKED = 6
    """The voxel lies outside the mask."""
