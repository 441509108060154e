"""Scores of an uncertainty map: coverage, sharpness, ENCE and AUSE."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from relaxnet.metrics._error_law import Kind, interval_factor
from relaxnet.metrics._region import Voxels, finite_voxels

LEVELS = (0.5, 0.8, 0.9, 0.95)
N_BINS = 20


def coverage(
    map_ms: Any,
    std_ms: Any,
    truth_ms: Any,
    roi: Any = None,
    *,
    levels: Sequence[float] = LEVELS,
    kind: Kind = "laplace",
) -> dict[float, float]:
    """Compute how often the central interval contains the truth.

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    std_ms
        Their standard deviation in ms, of the same shape.
    truth_ms
        True relaxation times in ms, of the same shape.
    roi
        Binary region of the same shape; by default all voxels.
    levels
        Nominal probabilities of the intervals, between 0 and 1.
    kind
        Distribution of the errors, ``"laplace"`` or ``"gaussian"``.

    Returns
    -------
    dict
        Fraction of the voxels whose truth lies inside, for each level. A fraction below its level means that the
        standard deviations are too small.

    Raises
    ------
    ValueError
        If the shapes differ, the region is empty or not binary or holds a value that is not finite, a standard
        deviation is negative, a level is not between 0 and 1, or the distribution is unknown.

    See Also
    --------
    interval_factor : Computes the half-width of the intervals.

    Examples
    --------
    >>> rx.metrics.coverage([40.0, 43.0], [1.0, 1.0], [41.0, 41.0], levels=(0.8,))
    {0.8: 0.5}
    """
    error, std = errors(map_ms, std_ms, truth_ms, roi)
    return {level: float((error <= interval_factor(level, kind) * std).mean()) for level in levels}


def sharpness(std_ms: Any, roi: Any = None) -> float:
    """Compute the mean standard deviation; of two calibrated maps, the one with the smaller mean is better.

    Parameters
    ----------
    std_ms
        Standard deviation in ms, of any shape.
    roi
        Binary region of the same shape; by default all voxels.

    Returns
    -------
    float
        Mean standard deviation in ms.

    Raises
    ------
    ValueError
        If the shapes differ, the region is empty or not binary or holds a value that is not finite, or a standard
        deviation is negative.

    Examples
    --------
    >>> rx.metrics.sharpness([1.0, 2.0, 9.0], [True, True, False])
    1.5
    """
    return float(finite_voxels(roi, std_ms=std_ms)[0].mean())


def ence(map_ms: Any, std_ms: Any, truth_ms: Any, roi: Any = None, *, n_bins: int = N_BINS) -> float:
    r"""Compute the expected normalised calibration error.

    Voxels are sorted by their standard deviation into bins of equal counts. In each bin, the root mean square error
    should equal the root of the mean variance:

    .. math:: \frac1B \sum_{b=1}^{B} \frac{|\mathrm{RMSE}_b - \mathrm{RMV}_b|}{\mathrm{RMV}_b}

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    std_ms
        Their standard deviation in ms, of the same shape.
    truth_ms
        True relaxation times in ms, of the same shape.
    roi
        Binary region of the same shape; by default all voxels.
    n_bins
        Number of bins. Voxels of equal standard deviation share a bin, so there may be fewer.

    Returns
    -------
    float
        Relative error of the standard deviations: 0 if they are right, 0.5 if all are twice as large as they should be,
        1 if all are half as large. It is infinite if a voxel with a standard deviation of 0 has an error.

    Raises
    ------
    ValueError
        If the shapes differ, the region is empty or not binary or holds a value that is not finite, a standard
        deviation is negative, or the number of bins is below 1.

    Notes
    -----
    A bin of n voxels adds about :math:`\sqrt{(\kappa - 1) / 2 \pi n}` by chance, with the kurtosis
    :math:`\kappa = 6` of Laplace errors, so compare values from regions and bins of similar size only.

    References
    ----------
    Levi, Gispan, Giladi and Fetaya, *Evaluating and calibrating uncertainty prediction in regression tasks*, Sensors
    22:5540 (2022).

    Examples
    --------
    >>> rx.metrics.ence([40.0, 44.0], [2.0, 3.0], [41.0, 41.0])
    0.25
    """
    check_bins(n_bins)
    error, std = errors(map_ms, std_ms, truth_ms, roi)
    _, group, count = np.unique(std, return_inverse=True, return_counts=True)
    return ence_of_groups(count, np.bincount(group, error**2), np.bincount(group, std**2), n_bins)


def ause(map_ms: Any, std_ms: Any, truth_ms: Any, roi: Any = None, *, normalise: bool = True) -> float:
    r"""Compute the area under the sparsification error curve (AUSE).

    The most uncertain voxels are removed one by one, and the mean absolute error of the rest is compared with that
    after removing the voxels with the largest errors. The smaller the difference, the better the uncertainty ranks the
    voxels by their errors:

    .. math:: \frac{1}{N} \sum_{n=1}^{N} \mathrm{MAE}(n \text{ least uncertain}) - \mathrm{MAE}(n \text{ best})

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    std_ms
        Their standard deviation in ms, of the same shape; only its order matters.
    truth_ms
        True relaxation times in ms, of the same shape.
    roi
        Binary region of the same shape; by default all voxels.
    normalise
        Whether to divide by the mean absolute error of all voxels.

    Returns
    -------
    float
        Area, relative to the mean absolute error or in ms; 0 if the order is right. The expected relative area is
        :math:`\pi^2/6 - 1 = 0.64` for Laplace errors and an uninformative standard deviation.

    Raises
    ------
    ValueError
        If the shapes differ, the region is empty or not binary or holds a value that is not finite, or a standard
        deviation is negative.

    References
    ----------
    Ilg et al., *Uncertainty estimates and multi-hypotheses networks for optical flow*, ECCV 2018.

    Examples
    --------
    >>> rx.metrics.ause([40.0, 44.0], [2.0, 3.0], [41.0, 41.0])
    0.0
    >>> rx.metrics.ause([40.0, 44.0], [3.0, 2.0], [41.0, 41.0], normalise=False)
    1.0
    """
    error, std = errors(map_ms, std_ms, truth_ms, roi)
    if not error.any():
        return 0.0
    # Voxels of equal standard deviation have no order, so each counts with their mean error.
    _, group, count = np.unique(std, return_inverse=True, return_counts=True)
    ranked = np.repeat(np.bincount(group, error) / count, count)
    area = ((np.cumsum(ranked) - np.cumsum(np.sort(error))) / np.arange(1, error.size + 1)).mean()
    area = max(float(area), 0.0)  # only rounding can make it negative
    return area / float(error.mean()) if normalise else area


def errors(map_ms: Any, std_ms: Any, truth_ms: Any, roi: Any) -> tuple[Voxels, Voxels]:
    """Return the absolute errors and the standard deviations of the voxels of a region."""
    values, std, truth = finite_voxels(roi, map_ms=map_ms, std_ms=std_ms, truth_ms=truth_ms)
    return np.abs(values - truth), std


def ence_of_groups(count: Any, squared_error: Any, variance: Any, n_bins: int) -> float:
    """Compute ENCE from counts and sums over groups of voxels, in the order of their standard deviation."""
    before = np.cumsum(count) - count
    group_bin = (before * n_bins // count.sum()).astype(np.intp)  # by the rank of the group's first voxel
    filled = np.bincount(group_bin) > 0
    squared, predicted = (np.bincount(group_bin, sums)[filled] for sums in (squared_error, variance))
    with np.errstate(divide="ignore", invalid="ignore"):  # an error of 0 with a standard deviation of 0 is right
        ratio = np.where(squared == predicted, 1.0, np.sqrt(squared / predicted))
    return float(np.abs(ratio - 1).mean())


def check_bins(n_bins: int) -> None:
    """Raise a ValueError if there is no bin."""
    if n_bins < 1:
        raise ValueError(f"n_bins={n_bins}: one bin or more is needed.")
