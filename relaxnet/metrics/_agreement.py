"""Agreement of raters over subjects (ICC)."""

from typing import Any

import numpy as np
from einops import reduce

from relaxnet.metrics._region import to_array


def icc(ratings: Any) -> float:
    r"""Compute the intraclass correlation of absolute agreement, ICC(2,1).

    Two-way random effects, single measure: the share of the variance of a rating that is due to the subject. Both the
    bias and the scatter between raters reduce it. With n subjects, k raters and the mean squares of the subjects S, the
    raters R and the residual E:

    .. math:: \frac{\mathrm{MS}_S - \mathrm{MS}_E}
       {\mathrm{MS}_S + (k - 1)\, \mathrm{MS}_E + \frac{k}{n} (\mathrm{MS}_R - \mathrm{MS}_E)}

    Parameters
    ----------
    ratings
        One number for each subject and rater, of shape (subject, rater): for instance :func:`roi_mean` of a network map
        and of a reference map, in ms.

    Returns
    -------
    float
        1 if all raters agree; 0 or less if two ratings of one subject are no more similar than those of two subjects.

    Raises
    ------
    ValueError
        If there are fewer than three subjects or two raters, a rating is not finite, or all are equal.

    Notes
    -----
    ICC is relative to the differences between the subjects: in a cohort of similar subjects the same errors give a
    lower value. Report :func:`bias` and :func:`limits_of_agreement`, which are in ms, together with it.

    References
    ----------
    Shrout and Fleiss, *Intraclass correlations: uses in assessing rater reliability*, Psychological Bulletin 86:420
    (1979); ICC(A,1) of McGraw and Wong, *Forming inferences about some intraclass correlation coefficients*,
    Psychological Methods 1:30 (1996).

    Examples
    --------
    >>> network, reference = [40.0, 43.0, 47.0], [41.0, 43.0, 46.0]
    >>> round(rx.metrics.icc(np.stack([network, reference], axis=1)), 3)
    0.964
    """
    table = to_array(ratings).astype(np.float64)
    if table.ndim != 2 or table.shape[0] < 3 or table.shape[1] < 2:
        raise ValueError(f"ratings {table.shape}: (subject, rater) is needed, of 3 subjects and 2 raters or more.")
    if failed := np.count_nonzero(~np.isfinite(table)):
        raise ValueError(f"ratings is not finite in {failed} of {table.size} values: leave out these subjects.")
    if np.ptp(table) == 0:
        raise ValueError(f"ratings are all {table[0, 0]}: ICC needs differences between subjects.")
    n, k = table.shape
    table -= table.mean()
    subject = reduce(table, "subject rater -> subject 1", "mean")
    rater = reduce(table, "subject rater -> 1 rater", "mean")
    ms_subject = k * (subject**2).sum() / (n - 1)
    ms_rater = n * (rater**2).sum() / (k - 1)
    ms_residual = ((table - subject - rater) ** 2).sum() / ((n - 1) * (k - 1))
    return float((ms_subject - ms_residual) / (ms_subject + (k - 1) * ms_residual + k / n * (ms_rater - ms_residual)))
