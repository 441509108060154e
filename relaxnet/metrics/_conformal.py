"""Calibration factor of standard deviations, from held-out errors."""

import math
from typing import Any

import numpy as np

from relaxnet.metrics._error_law import Kind, interval_factor
from relaxnet.metrics._region import finite_voxels


def calibration_factor(
    map_ms: Any,
    std_ms: Any,
    truth_ms: Any,
    roi: Any = None,
    *,
    level: float = 0.9,
    kind: Kind = "laplace",
    reference_std_ms: Any = None,
) -> float:
    r"""Compute the factor by which standard deviations cover held-out voxels (split conformal prediction).

    With the half-width c of the central interval in standard deviations, the factor is the
    :math:`\lceil (n + 1) p \rceil`-th smallest of

    .. math:: k_v = \frac{1}{\sigma_v} \sqrt{\max\left(0, \frac{|T_v - T^\mathrm{true}_v|^2}{c^2} - r_v^2\right)},

    the smallest factor with which :math:`c \sqrt{(k \sigma_v)^2 + r_v^2}` covers the error of voxel v. Here r is the
    standard error of a reference that is itself measured, and 0 for a ground truth.

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape, of subjects that the network was not trained with.
    std_ms
        Their standard deviation in ms, positive, of the same shape.
    truth_ms
        True relaxation times in ms, or a reference for them, of the same shape.
    roi
        Binary region of the same shape; by default all voxels.
    level
        Nominal probability p of the interval, between 0 and 1.
    kind
        Distribution of the errors, ``"laplace"`` or ``"gaussian"``.
    reference_std_ms
        Standard error of ``truth_ms`` in ms, of the same shape, if it is a noisy reference, such as a fit of more
        images. By default it is a ground truth.

    Returns
    -------
    float
        Factor for the standard deviations.

    Raises
    ------
    ValueError
        If the shapes differ, the region is empty or not binary or holds a value that is not finite, a standard
        deviation is not positive, one of the reference is negative, the level is not between 0 and 1, the distribution
        is unknown, the voxels are too few for the level, or the noise of the reference explains all differences.

    Notes
    -----
    Conformal prediction guarantees the coverage of a new voxel if voxels are exchangeable. Voxels of one subject are
    not independent, and subjects differ, so the factor is an estimate, not a guarantee. Use as many held-out subjects
    as possible.

    The variances of map and reference add up only if their errors are independent, that is, if the reference was not
    fitted to the input images of the network. Their sum follows the same distribution only if both are Gaussian; for
    another distribution the factor is right for the given level only.

    References
    ----------
    Angelopoulos and Bates, *Conformal prediction: a gentle introduction*, Foundations and Trends in Machine Learning
    16:494 (2023), section 2.3.

    Examples
    --------
    >>> error = np.random.default_rng(0).laplace(0.0, 3.0, 10_000)
    >>> std = np.full(10_000, math.sqrt(2))  # a scale of 1, three times too small
    >>> round(rx.metrics.calibration_factor(40.0 + error, std, np.full(10_000, 40.0)), 1)
    3.0
    """
    half_width = interval_factor(level, kind)
    others = {} if reference_std_ms is None else {"reference_std_ms": reference_std_ms}
    values, std, truth, *noise = finite_voxels(roi, map_ms=map_ms, std_ms=std_ms, truth_ms=truth_ms, **others)
    if not std.all():
        raise ValueError(
            f"std_ms is 0 in {np.count_nonzero(std == 0)} of {std.size} voxels: no factor widens their intervals."
        )
    rank = math.ceil((std.size + 1) * level - 1e-9)  # 1e-9, lest rounding makes 90.00000000000001 a 91
    if rank > std.size:
        needed = math.ceil(level / (1 - level) - 1e-9)
        raise ValueError(f"level={level} of {std.size} voxels: {needed} or more are needed.")
    excess = ((values - truth) / half_width) ** 2 - (noise[0] ** 2 if noise else 0.0)
    factor = float(np.partition(np.sqrt(np.maximum(excess, 0)) / std, rank - 1)[rank - 1])
    if noise and factor == 0:
        raise ValueError(
            f"reference_std_ms alone covers {np.mean(excess <= 0):.3f} of the voxels, more than level={level}: it "
            "explains all differences. It may be too large, or the reference was fitted to the same images."
        )
    return factor
