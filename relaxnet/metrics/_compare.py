"""All measures of the agreement of two maps at once, of the voxels that both have."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from relaxnet.metrics._agreement import icc
from relaxnet.metrics._region import voxels
from relaxnet.metrics._roi import bias, error_sd, limits_of_agreement, rmae


@dataclass(frozen=True)
class Agreement:
    """How well two maps agree within a region; NaN where too few voxels tell."""

    n: int
    """Voxels that both maps have, which all else is of."""
    n_missing: int
    """Voxels that are NaN or infinite in either map, and left out."""
    bias: float
    """Mean difference, map minus reference."""
    sd: float
    """Standard deviation of the differences."""
    loa_low: float
    """Lower limit of agreement."""
    loa_high: float
    """Upper limit of agreement."""
    rmae: float
    """Mean absolute difference."""
    icc: float
    """Intraclass correlation of absolute agreement, over the voxels."""
    correlation: float
    """Pearson's correlation coefficient, over the voxels."""


def agreement(map_ms: Any, reference_ms: Any, roi: Any = None) -> Agreement:
    """Compute how well two maps agree, from the voxels that both have.

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    reference_ms
        Relaxation times in ms to compare with, of the same shape.
    roi
        Binary region of the same shape; by default all voxels.

    Returns
    -------
    Agreement
        The measures, and how many voxels they are of.

    Raises
    ------
    ValueError
        If the shapes differ, or the region is empty or not binary.

    See Also
    --------
    icc : Computes the intraclass correlation; of means of subjects, it tells more than of voxels.

    Examples
    --------
    >>> nan = float("nan")
    >>> found = rx.metrics.agreement([40.0, 43.0, 47.0, nan], [41.0, 43.0, 46.0, 50.0])
    >>> found.n, found.n_missing, found.bias, round(found.icc, 3)
    (3, 1, 0.0, 0.964)
    """
    one, other = voxels(roi, map_ms=map_ms, reference_ms=reference_ms)
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    n, nan = one.size, float("nan")
    several = n > 1
    spread = several and np.ptp(one) > 0 and np.ptp(other) > 0
    low, high = limits_of_agreement(one, other, None) if several else (nan, nan)
    return Agreement(
        n=n,
        n_missing=both.size - n,
        bias=bias(one, other, None) if n else nan,
        sd=error_sd(one, other, None) if several else nan,
        loa_low=low,
        loa_high=high,
        rmae=rmae(one, other, None) if n else nan,
        icc=icc(np.stack([one, other], axis=1)) if n > 2 and (np.ptp(one) > 0 or np.ptp(other) > 0) else nan,
        correlation=float(np.corrcoef(one, other)[0, 1]) if spread else nan,
    )
