"""The one number that makes intervals as wide as held-out errors say they should be."""

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
    r"""Compute what standard deviations must be multiplied with to cover held-out voxels (split conformal prediction).

    With the half-width c of the central interval in standard deviations, it is the
    :math:`\lceil (n + 1) p \rceil`-th smallest of

    .. math:: k_v = \frac{1}{\sigma_v} \sqrt{\max\left(0, \frac{|T_v - T^\mathrm{true}_v|^2}{c^2} - r_v^2\right)},

    the factor from which on voxel v is covered by :math:`c \sqrt{(k \sigma_v)^2 + r_v^2}`, where r is the standard
    error of a truth that is itself measured, otherwise 0.

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
        Probability p that the interval should hold, between 0 and 1.
    kind
        Law of the errors, ``"laplace"`` or ``"gaussian"``.
    reference_std_ms
        Standard error of ``truth_ms`` in ms, of the same shape, if it is a reference with noise of its own, such as a
        fit of more images. By default it is taken for the truth.

    Returns
    -------
    float
        Factor for the standard deviations.

    Raises
    ------
    ValueError
        If the shapes differ, the region is empty or not binary or holds a value that is not finite, a standard
        deviation is not positive or one of the reference negative, the level is not between 0 and 1, the law is
        unknown, the voxels are too few for the level, or the noise of the reference alone explains the differences.

    Notes
    -----
    Conformal prediction guarantees the coverage of a new voxel if voxels are exchangeable. Those of one subject are
    not independent, and subjects differ, so take the factor for a good estimate, from as many held-out subjects as
    there are, not for a guarantee.

    The variances of map and reference add up if their errors are independent: not if the reference was fitted to the
    very images that the network saw. Their sum has the shape of the law only if both are Gaussian; under another law
    the factor is right for the level that it was made for.

    References
    ----------
    Angelopoulos and Bates, *Conformal prediction: a gentle introduction*, Foundations and Trends in Machine Learning
    16:494 (2023), section 2.3.

    Examples
    --------
    >>> error = np.random.default_rng(0).laplace(0.0, 3.0, 10_000)
    >>> std = np.full(10_000, math.sqrt(2))  # of a scale of 1, three times too small
    >>> round(rx.metrics.calibration_factor(40.0 + error, std, np.full(10_000, 40.0)), 1)
    3.0
    """
    half_width = interval_factor(level, kind)
    maps = {"map_ms": map_ms, "std_ms": std_ms, "truth_ms": truth_ms}
    if reference_std_ms is not None:
        maps["reference_std_ms"] = reference_std_ms
    values, std, truth, *others = finite_voxels(roi, **maps)
    if not std.all():
        raise ValueError(f"std_ms is 0 in {np.count_nonzero(std == 0)} of {std.size} voxels: no factor widens these.")
    rank = math.ceil((std.size + 1) * level - 1e-9)  # 1e-9, lest rounding makes 90.00000000000001 a 91
    if rank > std.size:
        raise ValueError(
            f"level={level} of {std.size} voxels: {math.ceil(level / (1 - level) - 1e-9)} or more are needed."
        )
    noise = others[0] if others else 0.0
    excess = ((values - truth) / half_width) ** 2 - noise**2
    factor = float(np.partition(np.sqrt(np.maximum(excess, 0)) / std, rank - 1)[rank - 1])
    if others and factor == 0:
        raise ValueError(
            f"reference_std_ms alone covers {np.mean(excess <= 0):.3f} of the voxels, more than level={level}: the "
            "noise of the reference explains all differences, and nothing is left to learn about std_ms. Is it too "
            "large, or was the reference fitted to the same images?"
        )
    return factor
