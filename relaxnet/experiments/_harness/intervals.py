"""Steps that judge standard errors: do intervals of 90 % hold the truth, and are the least sure voxels the worst?

:func:`plan_intervals` describes a step for a fit, :func:`plan_coverage` one for a network.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from relaxnet.experiments._harness.experiment import Fold
from relaxnet.experiments._harness.fits import sets_of, spatial
from relaxnet.experiments._harness.score import Maps, score
from relaxnet.experiments._harness.steps import Step
from relaxnet.fitting import fit_joint
from relaxnet.metrics import interval_factor
from relaxnet.phantom import Subject
from relaxnet.training import load

_LEVEL = 0.9
_N_REGIONS = 6  # of a subject
_SIZES = (5, 500)  # voxels
LEFT_OUT = tuple(k / 10 for k in range(10))
"""Parts of the voxels, the least sure ones, that are left out."""

Deviations = Callable[[str, Tensor], Mapping[str, float]]
"""Standard deviation of the mean of a map over a region, by how it is computed."""
Columns = dict[str, dict[str, list[Any]]]
"""For each contrast, by name a number or a list of numbers for each subject."""


def plan_intervals(method: str, fold: Fold) -> Step:
    """Plan to map the subjects of a fold by a fit, and to score its maps and their intervals.

    Parameters
    ----------
    method
        ``"spatial-3"``, ``"spatial-7"`` or ``"joint-7"``.
    fold
        Whom to map.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set, and ``intervals``: :data:`Columns`.
    """
    return Step(f"{method}, {fold}", fit_with_intervals, {"method": method, "fold": fold})


def fit_with_intervals(*, method: str, fold: Fold) -> dict[str, Any]:
    """Map the subjects of a fold, and score maps and intervals.

    Parameters
    ----------
    method, fold
        As for :func:`plan_intervals`.

    Returns
    -------
    dict
        ``scores`` and ``intervals``.
    """
    subjects = fold.test()
    judged: dict[int, list[Columns]] = {}

    def fitted(subject: Subject, inputs: str) -> Maps:
        if method == "joint-7":
            plain = fit_joint(subject.images, subject.protocol, sigma=subject.sigma)
            found = judge(subject, plain.maps, plain.std, _of_voxels(plain.std))
        else:
            plain = own = spatial(subject, inputs)

            def of_posterior(name: str, region: Tensor) -> dict[str, float]:
                return {"posterior": own.roi_mean(region)[name].std}

            found = judge(subject, own.maps, own.std, of_posterior)
        judged.setdefault(subject.index, []).append(found)
        return plain.maps

    scores = score(subjects, fitted, sets_of(method, subjects[0]))
    return {"scores": scores, "intervals": _gathered(judged.values())}


def plan_coverage(trained: Step, fold: Fold) -> Step:
    """Plan to judge the intervals of a network.

    Parameters
    ----------
    trained
        The step that trains it.
    fold
        Whom it is tested on.

    Returns
    -------
    Step
        Its outcome holds ``intervals``: :data:`Columns`.
    """
    return Step(f"intervals of {trained.title}, on {fold}", measure_coverage, {"fold": fold}, needs=(trained,))


def measure_coverage(path: Path, *, fold: Fold) -> dict[str, Columns]:
    """Judge the intervals of a network.

    Parameters
    ----------
    path
        File of the network.
    fold
        Whom it is tested on.

    Returns
    -------
    dict
        ``intervals``.
    """
    trained, found = load(path), []
    for subject in fold.test():
        sets = []
        for inputs in subject.protocol.input_sets:
            maps = trained.predict(subject.images, inputs=inputs)
            std = {name: maps[f"{name}_std"] for name in subject.protocol.names}
            sets.append(judge(subject, maps, std, _of_voxels(std)))
        found.append(sets)
    return {"intervals": _gathered(found)}


def judge(subject: Subject, maps: Maps, std: Maps, deviations: Deviations) -> Columns:
    """Judge the intervals of the maps of a subject in the liver.

    Parameters
    ----------
    subject
        The subject.
    maps, std
        Maps and their standard errors, by contrast. Voxels that have none are left out.
    deviations
        Those of the mean over a region.

    Returns
    -------
    dict
        By contrast, each a list of one entry: ``voxels``, the part of them whose truth lies in its interval; the part
        of some regions of 5 to 500 voxels, ``regions-`` with each way to compute their deviation; and ``risks``, the
        mean absolute error of the voxels that are left when those of the largest standard errors are left out.
    """
    found: Columns = {}
    factor = interval_factor(_LEVEL, "gaussian")
    for name in subject.protocol.names:
        error, known = maps[name] - subject.truth[name], torch.isfinite(maps[name]) & torch.isfinite(std[name])
        known = known & subject.roi
        inside: dict[str, list[bool]] = {}
        for region in _regions(subject, known):
            for kind, deviation in deviations(name, region).items():
                close = float(error[region].double().mean().abs()) <= factor * deviation
                inside.setdefault(f"regions-{kind}", []).append(close)
        errors = error[known].abs()
        surest = errors[std[name][known].argsort()]
        risks = [float(surest[: max(math.ceil((1 - part) * len(surest)), 1)].mean()) for part in LEFT_OUT]
        voxels = float((errors <= factor * std[name][known]).double().mean())
        own = {"voxels": voxels, "risks": risks} | {kind: float(np.mean(some)) for kind, some in inside.items()}
        found[name] = {column: [value] for column, value in own.items()}
    return found


def _of_voxels(std: Maps) -> Deviations:
    """Bound the deviation of a mean: errors of voxels may be independent, or the same."""

    def of(name: str, region: Tensor) -> dict[str, float]:
        some = std[name][region].double()
        return {"independent": float(some.square().sum().sqrt()) / len(some), "common": float(some.mean())}

    return of


def _regions(subject: Subject, known: Tensor) -> Iterator[Tensor]:
    """Draw compact regions of the liver: the nearest neighbours of a voxel in its slice."""
    voxels, rng = np.argwhere(known.numpy()), np.random.default_rng(subject.index)
    low, high = (math.log(size) for size in _SIZES)
    for _ in range(_N_REGIONS):
        size, middle = round(math.exp(rng.uniform(low, high))), voxels[rng.integers(len(voxels))]
        own = voxels[voxels[:, 0] == middle[0]]
        nearest = own[np.argsort(((own - middle) ** 2).sum(1), kind="stable")[:size]]
        region = torch.zeros_like(known)
        region[tuple(nearest.T)] = True
        yield region


def _gathered(subjects: Any) -> Columns:
    """Average over the input sets of each subject."""
    columns: Columns = {}
    for sets in subjects:
        for name, own in sets[0].items():
            for column in own:
                mean = np.mean([one[name][column][0] for one in sets], axis=0)
                columns.setdefault(name, {}).setdefault(column, []).append(np.round(mean, 4).tolist())
    return columns
