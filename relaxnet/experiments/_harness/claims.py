"""The paper's conclusions from its Table II, and others of our own, tested against the known truth."""

from collections.abc import Mapping
from itertools import product
from typing import Any

from relaxnet.experiments._harness.experiment import AGAINST, CONTRASTS
from relaxnet.experiments._harness.format import Table, columns, of_entry, table
from relaxnet.experiments._harness.report import errors_of, with_interval
from relaxnet.metrics import paired_difference

_CLAIMS = {
    "A network of three images is better than a two-point fit of them": ("homou", "two-point"),
    "One network for both contrasts is better than one for each, from its own images (STSM)": ("baseline", "stsm"),
    "One network for both contrasts is better than one for each, from the same images (ST)": ("baseline", "st"),
    "Training with the signal model is better than training with fits as labels (SL)": ("baseline", "sl"),
    "Learnt maps of weights are better than fixed weights (HETEU)": ("heteu", "baseline"),
    "Learnt weights are better than fixed weights (HOMOU)": ("homou", "baseline"),
    "Ours: correlated scales are better than independent ones": ("correlated", "homou"),
    "Ours: held-out images and our augmentation are better than the paper's training (HOMOU)": (
        "held-out-orthogonal", "homou"
    ),
    "Ours: reconstruction of held-out images is better than orthogonal pairs": (
        "held-out-reconstruction", "held-out-orthogonal"
    ),
    "Ours: an ensemble is better than its members": ("ensemble", "held-out-orthogonal"),
    "Ours: a network of three images is better than the four-image fit": ("held-out-orthogonal", "nlls-4"),
    "Ours: an ensemble is better than denoising and fitting the same images": ("ensemble", "denoise-then-fit-3"),
}  # fmt: skip
"""Claims, and the rows of Table II of which the first is said to have smaller errors than the second."""
_SURE = 0.05


def judge(rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compare the two methods of each claim, subject by subject.

    Parameters
    ----------
    rows
        Rows of Table II by name.

    Returns
    -------
    list of dict
        For each claim about two of the rows its ``label`` and ``entries``: by contrast, and for truth and reference,
        the ``mean`` difference in ms, its ``ci95``, and its ``p``, which
        :func:`~relaxnet.experiments._harness.report.correct` corrects.
    """
    judged: list[dict[str, Any]] = [
        {"label": claim, "first": first, "second": second, "entries": []}
        for claim, (first, second) in _CLAIMS.items()
        if first in rows and second in rows
    ]
    for claim, against, contrast in product(judged, AGAINST, CONTRASTS):
        first, second = (errors_of(rows[claim[name]], contrast, against) for name in ("first", "second"))
        if any(second):  # the reference has no error against itself
            found = paired_difference(first, second)
            about = {"contrast": contrast, "against": against}
            claim["entries"].append(about | with_interval(found) | {"p": found.p})
    return judged


def verdict(entry: Mapping[str, Any]) -> str:
    """Say whether a claim holds.

    Parameters
    ----------
    entry
        An entry of a claim, with its corrected ``p``.

    Returns
    -------
    str
        ``"yes"``, ``"no"`` if the contrary holds, or ``"open"``.
    """
    return "open" if entry["p"] >= _SURE else "yes" if entry["mean"] < 0 else "no"


def claims_table(judged: list[dict[str, Any]]) -> Table:
    """Write the claims as a table.

    Parameters
    ----------
    judged
        Return value of :func:`judge`.

    Returns
    -------
    Table
        The claims, and whether they hold against the four-image fit and against the truth.
    """
    shown = columns(
        {"{contrast} against {against}": lambda entry: f"{verdict(entry)} ({of_entry(entry, sign='+')})"},
        against=tuple(reversed(AGAINST)),
        contrast=CONTRASTS,
    )
    note = (
        "Difference between the errors of the two methods in ms, with its 95 % interval over subjects. Yes or no where "
        f"it is significant (p < {_SURE}, corrected for all tests of this page)."
    )
    return table("The paper's conclusions, against the four-image fit and against the truth", judged, shown, note)
