"""Mean of a map within a region, and its error against a reference."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from relaxnet.fitting._regions import spread
from relaxnet.metrics._region import Voxels, voxels


@dataclass(frozen=True)
class RoiStatistics:
    """What the valid voxels of a region amount to, and how many there are."""

    mean: float
    sd: float
    """Sample standard deviation; NaN of a single voxel."""
    median: float
    q25: float
    q75: float
    iqr: float
    """Interquartile range."""
    n: int
    """Voxels with a number, which the statistics are of."""
    n_failed: int
    """Voxels that are NaN or infinite, and left out."""


def roi_statistics(map_ms: Any, roi: Any) -> RoiStatistics:
    """Compute mean, spread and count of the voxels of a region that hold numbers, and count the others.

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    roi
        Binary region of the same shape.

    Returns
    -------
    RoiStatistics
        Statistics in ms; NaN if no voxel is valid.

    Raises
    ------
    ValueError
        If the shapes differ, or the region is empty or not binary.

    See Also
    --------
    relaxnet.fitting.FitResult.regions : Tabulates all maps and labels of a fit.

    Examples
    --------
    >>> statistics = rx.metrics.roi_statistics([40.0, 43.0, float("nan"), 99.0], [1, 1, 1, 0])
    >>> statistics.mean, statistics.n, statistics.n_failed
    (41.5, 2, 1)
    """
    (values,) = voxels(roi, map_ms=map_ms)
    valid = values[np.isfinite(values)]
    return RoiStatistics(**spread(valid), n=valid.size, n_failed=values.size - valid.size)


def roi_mean(map_ms: Any, roi: Any) -> float:
    """Compute the mean of a map within a region.

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    roi
        Binary region of the same shape.

    Returns
    -------
    float
        Mean in ms; NaN if a value in the region is NaN.

    Raises
    ------
    ValueError
        If the shapes differ, or the region is empty or not binary.

    Examples
    --------
    >>> rx.metrics.roi_mean([40.0, 43.0, 99.0], [True, True, False])
    41.5
    """
    return float(voxels(roi, map_ms=map_ms)[0].mean())


def rmae(map_ms: Any, reference_ms: Any, roi: Any) -> float:
    r"""Compute the ROI mean absolute error (RMAE), the error metric of the paper.

    .. math:: \frac{1}{|\mathrm{ROI}|} \sum_{v \in \mathrm{ROI}} \left| T_v - T^{\mathrm{ref}}_v \right|

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    reference_ms
        Relaxation times in ms to compare with, of the same shape.
    roi
        Binary region of the same shape.

    Returns
    -------
    float
        Error in ms; NaN if a value in the region is NaN.

    Raises
    ------
    ValueError
        If the shapes differ, or the region is empty or not binary.

    References
    ----------
    Huang et al. (2023), section III-A.

    Examples
    --------
    >>> rx.metrics.rmae([40.0, 43.0, 99.0], [41.0, 41.0, 41.0], [True, True, False])
    1.5
    """
    return float(np.abs(_differences(map_ms, reference_ms, roi)).mean())


def bias(map_ms: Any, reference_ms: Any, roi: Any) -> float:
    """Compute the mean difference, map minus reference.

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    reference_ms
        Relaxation times in ms to compare with, of the same shape.
    roi
        Binary region of the same shape.

    Returns
    -------
    float
        Mean difference in ms; NaN if a value in the region is NaN.

    Raises
    ------
    ValueError
        If the shapes differ, or the region is empty or not binary.

    Examples
    --------
    >>> rx.metrics.bias([40.0, 43.0], [41.0, 41.0], [1, 1])
    0.5
    """
    return float(_differences(map_ms, reference_ms, roi).mean())


def error_sd(map_ms: Any, reference_ms: Any, roi: Any) -> float:
    r"""Compute the standard deviation of the differences, the error without its bias.

    .. math:: \sqrt{\frac{1}{|\mathrm{ROI}| - 1} \sum_{v \in \mathrm{ROI}} (d_v - \bar d)^2},
       \qquad d_v = T_v - T^{\mathrm{ref}}_v

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    reference_ms
        Relaxation times in ms to compare with, of the same shape.
    roi
        Binary region of the same shape, of two voxels or more.

    Returns
    -------
    float
        Standard deviation in ms; NaN if a value in the region is NaN.

    Raises
    ------
    ValueError
        If the shapes differ, or the region has fewer than two voxels or is not binary.

    Examples
    --------
    >>> rx.metrics.error_sd([40.0, 42.0, 44.0], [41.0, 41.0, 41.0], [1, 1, 1])
    2.0
    """
    differences = _differences(map_ms, reference_ms, roi)
    if differences.size < 2:
        raise ValueError("roi has a single voxel: a standard deviation needs two or more.")
    return float(differences.std(ddof=1))


def limits_of_agreement(map_ms: Any, reference_ms: Any, roi: Any) -> tuple[float, float]:
    r"""Compute the limits of agreement, :math:`\bar d \pm 1.96\, s_d`, between which 95 % of the differences lie.

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    reference_ms
        Relaxation times in ms to compare with, of the same shape.
    roi
        Binary region of the same shape, of two voxels or more.

    Returns
    -------
    tuple of float
        Lower and upper limit in ms; NaN if a value in the region is NaN.

    Raises
    ------
    ValueError
        If the shapes differ, or the region has fewer than two voxels or is not binary.

    References
    ----------
    Bland and Altman, *Statistical methods for assessing agreement between two methods of clinical measurement*, Lancet
    327:307 (1986).

    Examples
    --------
    >>> low, high = rx.metrics.limits_of_agreement([40.0, 43.0], [41.0, 41.0], [1, 1])
    >>> round(low, 2), round(high, 2)
    (-3.66, 4.66)
    """
    mean, half = bias(map_ms, reference_ms, roi), 1.96 * error_sd(map_ms, reference_ms, roi)
    return mean - half, mean + half


def _differences(map_ms: Any, reference_ms: Any, roi: Any) -> Voxels:
    values, reference = voxels(roi, map_ms=map_ms, reference_ms=reference_ms)
    return values - reference
