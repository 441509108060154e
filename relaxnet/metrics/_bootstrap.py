"""Means over subjects with bootstrap confidence intervals, and paired comparisons."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from relaxnet._numbers import seed_of
from relaxnet.metrics._region import Voxels, to_array

_ROUNDING = 1e-12  # smaller relative differences are rounding errors
_TAIL = 10  # fewest resamples beyond each end of an interval


@dataclass(frozen=True)
class Interval:
    """A mean over subjects with its confidence interval."""

    mean: float
    """Mean over the subjects."""
    low: float
    """Lower end of its confidence interval."""
    high: float
    """Upper end."""


@dataclass(frozen=True)
class PairedDifference(Interval):
    """A mean difference over subjects with its confidence interval and p value."""

    p: float
    """Two-sided p value of the hypothesis of no difference."""


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means over the same subjects with its confidence interval."""

    ratio: float
    """Ratio of the means."""
    low: float
    """Lower end of its confidence interval."""
    high: float
    """Upper end."""


def bootstrap_mean(values: Any, *, level: float = 0.95, n: int = 10_000, seed: int = 0) -> Interval:
    """Compute a mean over subjects with its bias-corrected and accelerated (BCa) bootstrap interval.

    Parameters
    ----------
    values
        One number for each subject, for instance :func:`rmae`, or several of shape (seed, subject), which are averaged
        over the seeds first.
    level
        Nominal probability that the interval contains the population mean.
    n
        Number of resamples.
    seed
        Seed of the resampling: the same values, in any order, give the same interval.

    Returns
    -------
    Interval
        Mean and the ends of its interval, in the unit of the values. The interval has no width if all values are equal.

    Raises
    ------
    ValueError
        If there are fewer than two subjects, a value is not finite, the level is not between 0 and 1, or the resamples
        are too few for it.

    Notes
    -----
    Subjects are resampled because they are independent; voxels and slices are not. With several seeds the interval
    describes the average training, not the scatter between trainings.

    With few subjects the interval is too narrow. An interval of 95 % contains the mean for 90, 93 and 95 % of cohorts
    of 10, 20 and 50 subjects with normally distributed values, and for 87, 89 and 93 % with exponentially distributed
    values.

    References
    ----------
    Efron, *Better bootstrap confidence intervals*, Journal of the American Statistical Association 82:171 (1987).

    Examples
    --------
    >>> interval = rx.metrics.bootstrap_mean([1.0, 2.0, 2.0, 3.0, 4.0])
    >>> interval.mean, round(interval.low, 1), round(interval.high, 1)
    (2.4, 1.6, 3.4)
    """
    return Interval(*_bca(_mean, _of_subjects(values=values), level, n, seed))


def paired_difference(
    values: Any, baseline: Any, *, level: float = 0.95, n: int = 10_000, seed: int = 0
) -> PairedDifference:
    r"""Compute the mean difference over subjects, values minus baseline, with its bootstrap interval and p value.

    The p value is that of a permutation test: without a difference, the sign of each subject's difference is arbitrary.
    It is the fraction of all assignments of signs whose mean is at least as far from 0 as the observed mean. If there
    are more than ``n`` assignments, ``n`` random ones and the observed one are used.

    Parameters
    ----------
    values
        One number for each subject, or of shape (seed, subject), as for :func:`bootstrap_mean`.
    baseline
        Numbers to compare with, of the same subjects in the same order; the seeds may differ.
    level
        Nominal probability that the interval contains the population mean of the difference.
    n
        Number of resamples and of random signs.
    seed
        Seed of both: the same pairs, in any order, give the same result.

    Returns
    -------
    PairedDifference
        Mean difference, the ends of its interval in the unit of the values, and the p value, which is never 0.

    Raises
    ------
    ValueError
        As for :func:`bootstrap_mean`, or if the numbers of subjects differ.

    See Also
    --------
    holm : Corrects the p values of several comparisons.

    Notes
    -----
    Fewer than six subjects cannot have p < 0.05: the smallest is :math:`2 / 2^\mathrm{subjects}`.

    References
    ----------
    Good, *Permutation, Parametric and Bootstrap Tests of Hypotheses*, Springer (2005); Phipson and Smyth, *Permutation
    p-values should never be zero*, Statistical Applications in Genetics and Molecular Biology 9:39 (2010).

    Examples
    --------
    >>> difference = rx.metrics.paired_difference([1.0, 2.0, 2.5, 4.0], [2.0, 3.0, 4.0, 4.5])
    >>> difference.mean, difference.low, difference.high, difference.p
    (-1.0, -1.375, -0.625, 0.125)
    """
    of_values, of_baseline = _of_subjects(values=values, baseline=baseline)
    differences = np.sort(of_values - of_baseline)
    mean, low, high = _bca(_mean, differences[None], level, n, seed)
    return PairedDifference(mean, low, high, p=_sign_flip(differences, n, seed))


def ratio_of_means(values: Any, baseline: Any, *, level: float = 0.95, n: int = 10_000, seed: int = 0) -> Ratio:
    """Compute the ratio of two means over subjects, values to baseline, with its paired bootstrap interval.

    Parameters
    ----------
    values
        One number for each subject, or of shape (seed, subject), as for :func:`bootstrap_mean`: for instance the errors
        of a network.
    baseline
        Positive numbers to compare with, of the same subjects in the same order, for instance the errors of a fit; the
        seeds may differ.
    level
        Nominal probability that the interval contains the ratio of the population means.
    n
        Number of resamples.
    seed
        Seed of the resampling: the same pairs, in any order, give the same interval.

    Returns
    -------
    Ratio
        Ratio of the means and the ends of its interval.

    Raises
    ------
    ValueError
        As for :func:`bootstrap_mean`, or if the numbers of subjects differ or the baseline is not positive.

    Notes
    -----
    Subjects with large errors have more weight than in a mean of ratios, which a single good fit can make very large.

    Examples
    --------
    >>> error = rx.metrics.ratio_of_means([0.8, 1.0, 1.4, 1.6], [2.0, 3.0, 3.0, 4.0])
    >>> f"{error.ratio:.2f} [{error.low:.2f}, {error.high:.2f}]"
    '0.40 [0.35, 0.45]'
    """
    subjects = _of_subjects(values=values, baseline=baseline)
    if wrong := np.count_nonzero(subjects[1] <= 0):
        raise ValueError(f"baseline is not positive in {wrong} of {subjects.shape[1]} subjects: no ratio is defined.")
    return Ratio(*_bca(lambda pairs: pairs[0].mean(axis=-1) / pairs[1].mean(axis=-1), subjects, level, n, seed))


def _of_subjects(**arguments: Any) -> Voxels:
    """Return one finite number for each subject, in a row for each argument."""
    rows = {}
    for name, values in arguments.items():
        array = to_array(values).astype(np.float64)
        if array.ndim not in (1, 2) or array.shape[-1] < 2 or not array.size:
            raise ValueError(f"{name} {array.shape}: (subject,) or (seed, subject) is needed, of 2 subjects or more.")
        if failed := np.count_nonzero(~np.isfinite(array)):
            raise ValueError(f"{name} is not finite in {failed} of {array.size} values: leave out these subjects.")
        rows[name] = np.atleast_2d(array).mean(axis=0)
    if len({row.size for row in rows.values()}) > 1:
        counts = " and ".join(f"{name} of {row.size}" for name, row in rows.items())
        raise ValueError(f"{counts} subjects: the same subjects are needed in both.")
    return np.stack(list(rows.values()))


def _mean(subjects: Voxels) -> Any:
    return subjects[0].mean(axis=-1)


def _bca(statistic: Callable[[Voxels], Any], subjects: Voxels, level: float, n: int, seed: int) -> tuple[float, ...]:
    """Compute a statistic over subjects, the last axis, and its interval."""
    if not 0 < level < 1:
        raise ValueError(f"level={level}: a probability between 0 and 1 is needed, as 0.95.")
    if n * (1 - level) / 2 < _TAIL * (1 - _ROUNDING):
        raise ValueError(f"n={n} resamples are too few for level={level}: {2 * _TAIL / (1 - level):.0f} are needed.")
    subjects = subjects[:, np.lexsort(subjects)]
    size = subjects.shape[1]
    estimate = statistic(subjects)
    all_but_one = statistic(np.stack([np.delete(subjects, i, axis=1) for i in range(size)], axis=1))
    if np.ptp(all_but_one) <= _ROUNDING * np.abs(all_but_one).max():
        return (float(estimate),) * 3
    resampled = statistic(subjects[:, np.random.default_rng(seed_of(seed)).integers(size, size=(n, size))])
    influence = all_but_one.mean() - all_but_one
    acceleration = (influence**3).sum() / (6 * (influence**2).sum() ** 1.5)
    tie = _ROUNDING * np.abs(resampled).max()
    median_bias = ndtri(((resampled < estimate - tie).mean() + (resampled <= estimate + tie).mean()) / 2)
    z = median_bias + ndtri([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(resampled, ndtr(median_bias + z / (1 - acceleration * z)))
    return float(estimate), float(low), float(high)


def _sign_flip(differences: Voxels, n: int, seed: int) -> float:
    """Compute the fraction of sign assignments whose sum of differences is at least as far from 0."""
    all_signs = 2**differences.size
    if all_signs <= n:
        flipped = np.arange(all_signs)[:, None] >> np.arange(differences.size) & 1
    else:
        flipped = np.random.default_rng(seed_of(seed)).integers(2, size=(n, differences.size))
    far = np.abs((1 - 2 * flipped) @ differences) >= abs(differences.sum()) - _ROUNDING * np.abs(differences).sum()
    return float(far.mean()) if all_signs <= n else (float(far.sum()) + 1) / (n + 1)
