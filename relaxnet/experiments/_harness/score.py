"""Scores: the few numbers that are kept of the maps of a subject."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from relaxnet.experiments._harness.experiment import AGAINST
from relaxnet.experiments._harness.once import once_a_subject
from relaxnet.experiments._harness.structure import edge_residuals, lesion_bias, within_liver
from relaxnet.fitting import fit
from relaxnet.phantom import Subject

Maps = Mapping[str, Tensor]
Method = Callable[[Subject, str], Maps]
"""Maps a subject in ms from an input set, given its name."""
Scores = dict[str, dict[str, list[Any]]]
"""For each contrast, columns of one number a subject, or of one list of numbers."""


@once_a_subject
def reference_maps(subject: Subject) -> Maps:
    """Fit each contrast to all of its images: the reference of studies of patients, whose true maps are not known.

    Parameters
    ----------
    subject
        The subject.

    Returns
    -------
    dict
        Maps in ms.
    """
    protocol = subject.protocol
    return {c.name: fit(subject.images[:, protocol.images_of(c.name)], c).maps[c.name] for c in protocol.contrasts}


def score(subjects: Iterable[Subject], method: Method, sets: Iterable[str] | None = None) -> dict[str, Scores]:
    """Compare maps with truth and reference in the liver.

    Parameters
    ----------
    subjects
        The subjects.
    method
        Method that maps them.
    sets
        Names of the input sets; by default all that a subject has.

    Returns
    -------
    dict
        Scores by input set. For each contrast of the protocol the columns ``truth_error``, ``truth_bias`` and
        ``truth_sd`` (mean absolute, mean, and standard deviation of the differences from the truth in ms), the same of
        ``reference``; ``mean``, ``mean_truth`` and ``mean_reference`` (of the maps, over the liver), ``mean_error``;
        ``r2`` and ``correlation`` with the truth within the liver; ``lesion_bias`` and ``edge_residuals`` of tumours;
        and ``missing``, the part of the liver without a value. Voxels without a value in the map or in the reference
        are left out.
    """
    found: dict[str, Scores] = {}
    for subject in subjects:
        reference = reference_maps(subject)
        for inputs in sets or subject.protocol.input_sets:
            maps = method(subject, inputs)
            for name in subject.protocol.names:
                columns = found.setdefault(inputs, {}).setdefault(name, {})
                for column, value in _compare(maps[name], reference[name], name, subject).items():
                    columns.setdefault(column, []).append(np.round(value, 4).tolist())
    return found


def mean_error(scores: Mapping[str, Scores]) -> float:
    """Compute the mean error against the truth, over subjects, contrasts and input sets.

    Parameters
    ----------
    scores
        Return value of :func:`score`.

    Returns
    -------
    float
        Mean absolute error in ms.
    """
    return float(np.mean([columns["truth_error"] for of in scores.values() for columns in of.values()]))


def _compare(own: Tensor, reference: Tensor, name: str, subject: Subject) -> dict[str, Any]:
    truth = subject.truth[name]
    used = torch.isfinite(own) & torch.isfinite(reference) & subject.roi
    values, other, true = (one[used].double() for one in (own, reference, truth))
    row: dict[str, Any] = {"missing": 1 - int(used.sum()) / int(subject.roi.sum()), "mean": float(values.mean())}
    for against, compared in zip(AGAINST, (true, other), strict=True):
        difference = values - compared
        row |= {
            f"{against}_error": float(difference.abs().mean()),
            f"{against}_bias": float(difference.mean()),
            f"{against}_sd": float(difference.std()),
            f"mean_{against}": float(compared.mean()),
        }
    row |= {"mean_error": abs(row["truth_bias"]), **within_liver(values, true)}
    row["lesion_bias"] = lesion_bias(own, truth, subject)
    row["edge_residuals"] = edge_residuals(own, name, subject)
    return row
