"""What the paper concludes from its Table II, and what is left of it where the truth is known."""

from collections.abc import Mapping
from typing import Any

from relaxnet.experiments._harness.experiment import Table
from relaxnet.experiments._harness.format import NAMES, difference_with_interval
from relaxnet.experiments._harness.report import AGAINST, Row, of_all_sets
from relaxnet.experiments._harness.score import CONTRASTS
from relaxnet.metrics import holm, paired_difference

_CLAIMS = (
    ("A network of three images is better than a two-point fit of them", "homou", "two-point"),
    ("One network for both contrasts is better than one for each, from its own images (STSM)", "baseline", "stsm"),
    ("One network for both contrasts is better than one for each, from the same images (ST)", "baseline", "st"),
    ("The decay law teaches better than fits do (SL)", "baseline", "sl"),
    ("Learnt maps of weights are better than none (HETEU)", "heteu", "baseline"),
    ("Learnt weights are better than none (HOMOU)", "homou", "baseline"),
    ("Ours: correlated scales are better than independent ones", "correlated", "homou"),
    ("Ours: unseen images and our augmentation are better than the paper's (HOMOU)", "held-out-orthogonal", "homou"),
    (
        "Ours: reconstruction of unseen images is better than orthogonal pairs",
        "held-out-reconstruction",
        "held-out-orthogonal",
    ),
    ("Ours: an ensemble is better than its members", "ensemble", "held-out-orthogonal"),
    ("Ours: a network of three images is better than the four-image fit", "held-out-orthogonal", "nlls-4"),
    ("Ours: an ensemble is better than denoising and fitting the same images", "ensemble", "denoise-then-fit-3"),
)
_SURE = 0.05


def judge(rows: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Compare the two methods of each claim, patient by patient.

    Parameters
    ----------
    rows
        Rows of Table II by name.

    Returns
    -------
    list of dict
        For each ``claim`` its ``entries``: by contrast and yardstick the ``mean`` difference in ms, its ``ci95``, the
        ``p`` that is by Holm corrected for the number of claims, and whether the claim ``holds``: ``"yes"``, ``"no"``
        if the contrary does, or ``"open"``.
    """
    judged: list[dict[str, Any]] = [
        {"claim": claim, "first": first, "second": second, "entries": []} for claim, first, second in _CLAIMS
    ]
    for against in AGAINST:
        for contrast in CONTRASTS:
            found = {}
            for k, one in enumerate(judged):
                errors = [of_all_sets(rows[one[name]], contrast, against) for name in ("first", "second")]
                if any(errors[1]):  # the reference has no error against itself
                    found[k] = paired_difference(*errors)
            corrected = holm({k: difference.p for k, difference in found.items()})
            for k, difference in found.items():
                sure = corrected[k] < _SURE
                judged[k]["entries"].append({
                    "contrast": contrast, "against": against, "mean": difference.mean,
                    "ci95": [difference.low, difference.high], "p": corrected[k],
                    "holds": ("yes" if difference.mean < 0 else "no") if sure else "open",
                })  # fmt: skip
    return judged


def claims_table(judged: list[dict[str, Any]]) -> Table:
    """Write the claims as a table.

    Parameters
    ----------
    judged
        What :func:`judge` returned.

    Returns
    -------
    Table
        The claims, and what each yardstick says of them.
    """
    columns = [(contrast, against) for against in reversed(AGAINST) for contrast in CONTRASTS]
    rows = []
    for one in judged:
        entries = {(entry["contrast"], entry["against"]): entry for entry in one["entries"]}
        cells = [
            f"{entry['holds']} ({difference_with_interval(entry)})" if (entry := entries.get(column)) else ""
            for column in columns
        ]
        rows.append((one["claim"], *cells))
    header = ("", *(f"{NAMES[c]} against {'the truth' if a == 'truth' else 'the fit'}" for c, a in columns))
    note = (
        "Difference of the errors in ms, with its 95 % interval over patients; yes or no where it is more than chance "
        f"(p < {_SURE}, corrected for the number of claims)."
    )
    return Table("What the paper concludes from errors against the fit, and what the truth says", header, rows, note)
