"""What is kept of maps: a few numbers for each patient."""

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from relaxnet.fitting import fit
from relaxnet.phantom import Subject

CONTRASTS = ("t1rho", "t2")
"""Names of the relaxation times."""

Maps = Mapping[str, Tensor]
Scores = dict[str, dict[str, list[float]]]
"""For each contrast, columns with a number a patient."""


def reference_maps(subject: Subject) -> Maps:
    """Fit each contrast to all of its images: the reference of studies of patients, whose truth is not known.

    Parameters
    ----------
    subject
        The patient.

    Returns
    -------
    dict
        Maps in ms.
    """
    protocol = subject.protocol
    return {c.name: fit(subject.images[:, protocol.images_of(c.name)], c).maps[c.name] for c in protocol.contrasts}


def score(pairs: Iterable[tuple[Subject, Maps]], references: Iterable[Maps] | None = None) -> Scores:
    """Compare maps with truth and reference in the liver.

    Parameters
    ----------
    pairs
        Patients, and maps of one contrast or more.
    references
        What :func:`reference_maps` returned for each patient; by default it is called.

    Returns
    -------
    dict
        For each contrast the columns ``truth_error``, ``truth_bias``, ``truth_sd`` (mean absolute, mean, and standard
        deviation of the differences to the truth in ms), the same of ``reference``; ``mean``, ``mean_truth``,
        ``mean_reference`` (of the maps, over the liver); and ``missing``, the part of it without a value. Voxels
        without a value in the map or in the reference are left out.
    """
    scores: Scores = {}
    for (subject, maps), known in zip(pairs, repeat(None) if references is None else references, strict=False):
        reference = reference_maps(subject) if known is None else known
        for name, values in maps.items():
            own, truth, fitted = (v[subject.roi].double() for v in (values, subject.truth[name], reference[name]))
            good = torch.isfinite(own) & torch.isfinite(fitted)
            row: dict[str, Any] = {"missing": 1 - good.double().mean()}
            own, truth, fitted = own[good], truth[good], fitted[good]
            for against, other in (("truth", truth), ("reference", fitted)):
                difference = own - other
                row |= {
                    f"{against}_error": difference.abs().mean(),
                    f"{against}_bias": difference.mean(),
                    f"{against}_sd": difference.std(),
                    f"mean_{against}": other.mean(),
                }
            row["mean"] = own.mean()
            for column, value in row.items():
                scores.setdefault(name, {}).setdefault(column, []).append(round(float(value), 4))
    return scores
