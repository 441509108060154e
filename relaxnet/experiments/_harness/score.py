"""Scores: the few numbers that are kept of the maps of a subject."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from relaxnet.experiments._harness.experiment import AGAINST
from relaxnet.fitting import fit
from relaxnet.phantom import Subject

Maps = Mapping[str, Tensor]
Method = Callable[[Subject, str], Maps]
"""Maps a subject in ms from an input set, given its name."""
Scores = dict[str, dict[str, list[float]]]
"""For each contrast, columns of one number a subject."""


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
        ``reference``; ``mean``, ``mean_truth`` and ``mean_reference`` (of the maps, over the liver); and ``missing``,
        the part of it without a value. Voxels without a value in the map or in the reference are left out.
    """
    found: dict[str, Scores] = {}
    for subject in subjects:
        reference = reference_maps(subject)
        for inputs in sets or subject.protocol.input_sets:
            maps = method(subject, inputs)
            for name in subject.protocol.names:
                columns = found.setdefault(inputs, {}).setdefault(name, {})
                voxels = (one[name][subject.roi].double() for one in (maps, subject.truth, reference))
                for column, value in _compare(*voxels).items():
                    columns.setdefault(column, []).append(round(float(value), 4))
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


def _compare(own: Tensor, truth: Tensor, reference: Tensor) -> dict[str, Tensor]:
    good = torch.isfinite(own) & torch.isfinite(reference)
    row = {"missing": 1 - good.double().mean(), "mean": own[good].mean()}
    for against, other in zip(AGAINST, (truth[good], reference[good]), strict=True):
        difference = own[good] - other
        row |= {
            f"{against}_error": difference.abs().mean(),
            f"{against}_bias": difference.mean(),
            f"{against}_sd": difference.std(),
            f"mean_{against}": other.mean(),
        }
    return row
