"""Agreement of two maps within a region."""

from typing import Any

import numpy as np

from relaxnet.metrics._region import Voxels, voxels


def rmae(map_ms: Any, reference_ms: Any, roi: Any) -> float:
    r"""Compute the ROI mean absolute error, the yardstick of the paper.

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
        Error in ms; NaN if a value in the region is.

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
        Mean difference in ms; NaN if a value in the region is.

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


def limits_of_agreement(map_ms: Any, reference_ms: Any, roi: Any) -> tuple[float, float]:
    r"""Compute the range that holds 95 % of the differences, :math:`\bar d \pm 1.96\, s_d`.

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
        Lower and upper limit in ms; NaN if a value in the region is.

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
    differences = _differences(map_ms, reference_ms, roi)
    if differences.size < 2:
        raise ValueError("roi has a single voxel: limits of agreement need two or more.")
    mean, half = float(differences.mean()), 1.96 * float(differences.std(ddof=1))
    return mean - half, mean + half


def _differences(map_ms: Any, reference_ms: Any, roi: Any) -> Voxels:
    values, reference = voxels(roi, map_ms=map_ms, reference_ms=reference_ms)
    return values - reference
