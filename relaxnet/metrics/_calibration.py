"""How well a map of uncertainty predicts the errors of a map."""

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
    """Compute how often the truth lies within the interval that should hold it.

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
        Probabilities that the central intervals should hold, between 0 and 1.
    kind
        Law of the errors, ``"laplace"`` or ``"gaussian"``.

    Returns
    -------
    dict
        Fraction of the voxels whose truth lies inside, for each level. A fraction below its level means that the
        standard deviations promise too much.

    Raises
    ------
    ValueError
        If the shapes differ, the region is empty or not binary or holds a value that is not finite, a standard
        deviation is negative, a level is not between 0 and 1, or the law is unknown.

    See Also
    --------
    interval_factor : The half-width of the intervals.

    Examples
    --------
    >>> rx.metrics.coverage([40.0, 43.0], [1.0, 1.0], [41.0, 41.0], levels=(0.8,))
    {0.8: 0.5}
    """
    error, std = errors(map_ms, std_ms, truth_ms, roi)
    return {level: float((error <= interval_factor(level, kind) * std).mean()) for level in levels}


def sharpness(std_ms: Any, roi: Any = None) -> float:
    """Compute the mean standard deviation: of two calibrated maps the one with the smaller is the better.

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
    (std,) = finite_voxels(roi, std_ms=std_ms)
    return float(std.mean())


def ence(map_ms: Any, std_ms: Any, truth_ms: Any, roi: Any = None, *, n_bins: int = N_BINS) -> float:
    r"""Compute the expected normalised calibration error.

    Voxels are sorted by their standard deviation into bins of equal counts. In each, the root mean square error should
    be the root of the mean variance:

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
        Number of bins. Voxels of one standard deviation share a bin, so there may be fewer.

    Returns
    -------
    float
        Relative error of the standard deviations: 0 if they are right, 0.5 if all are twice too large, 1 if all are
        half of what they should be. It is infinite where a standard deviation of 0 meets an error.

    Raises
    ------
    ValueError
        If the shapes differ, the region is empty or not binary or holds a value that is not finite, a standard
        deviation is negative, or there is no bin.

    Notes
    -----
    A bin of n voxels adds about :math:`\sqrt{(\kappa - 1) / 2 \pi n}` by chance, with the kurtosis
    :math:`\kappa = 6` of Laplace errors, so compare numbers of like regions and bins.

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
    r"""Compute the area under the sparsification error curve: does the uncertainty know where the errors are?

    Take away the most uncertain voxels, one by one, and follow the mean absolute error of what remains. The less it
    falls behind what it could be, had the voxels with the largest errors been taken, the better the uncertainty
    ranks the voxels:

    .. math:: \frac{1}{N} \sum_{n=1}^{N} \mathrm{MAE}(n \text{ least uncertain}) - \mathrm{MAE}(n \text{ best})

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    std_ms
        Their standard deviation in ms, of the same shape; only its order counts.
    truth_ms
        True relaxation times in ms, of the same shape.
    roi
        Binary region of the same shape; by default all voxels.
    normalise
        Whether to divide by the mean absolute error of all voxels.

    Returns
    -------
    float
        Area: 0 if the order is right. Divided by the mean absolute error, Laplace errors have
        :math:`\pi^2/6 - 1 = 0.64` where the uncertainty knows nothing; otherwise it is in ms.

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
    # Nobody can say which of two voxels of one standard deviation goes first, so both count with their mean error.
    _, group, count = np.unique(std, return_inverse=True, return_counts=True)
    ranked = np.repeat(np.bincount(group, error) / count, count)
    area = float(((np.cumsum(ranked) - np.cumsum(np.sort(error))) / np.arange(1, error.size + 1)).mean())
    area = max(area, 0.0)  # rounding alone can make it negative
    return area / float(error.mean()) if normalise else area


def errors(map_ms: Any, std_ms: Any, truth_ms: Any, roi: Any) -> tuple[Voxels, Voxels]:
    """Take absolute errors and standard deviations out of a region.

    Parameters
    ----------
    map_ms, std_ms, truth_ms
        Relaxation times, their standard deviation and the truth in ms.
    roi
        Binary region, or None for all voxels.

    Returns
    -------
    tuple of numpy.ndarray
        Absolute error and standard deviation of each voxel of the region in ms.
    """
    values, std, truth = finite_voxels(roi, map_ms=map_ms, std_ms=std_ms, truth_ms=truth_ms)
    return np.abs(values - truth), std


def ence_of_groups(count: Any, squared_error: Any, variance: Any, n_bins: int) -> float:
    """Compute the expected normalised calibration error from sums over groups of voxels.

    Parameters
    ----------
    count
        Number of voxels of each group; the groups are in the order of their standard deviation.
    squared_error, variance
        Sum of the squared errors and of the variances of each group.
    n_bins
        Number of bins that the groups are merged into.

    Returns
    -------
    float
        The relative error.
    """
    before = np.cumsum(count) - count
    group_bin = (before * n_bins // count.sum()).astype(np.intp)  # by the rank of the group's first voxel
    squared, predicted = (np.bincount(group_bin, sums) for sums in (squared_error, variance))
    filled = np.bincount(group_bin) > 0
    squared, predicted = squared[filled], predicted[filled]
    with np.errstate(divide="ignore", invalid="ignore"):  # an error of 0 where 0 was promised is as it should be
        ratio = np.where(squared == predicted, 1.0, np.sqrt(squared / predicted))
    return float(np.abs(ratio - 1).mean())


def check_bins(n_bins: int) -> None:
    """Refuse to bin without bins.

    Parameters
    ----------
    n_bins
        Number of bins.

    Raises
    ------
    ValueError
        If it is below 1.
    """
    if n_bins < 1:
        raise ValueError(f"n_bins={n_bins}: one bin or more is needed.")
