"""Whether the error maps of networks hold what they promise."""

from pathlib import Path
from typing import Any

import numpy as np

from relaxnet.experiments._harness.anatomies import patients
from relaxnet.experiments._harness.setting import SETTINGS
from relaxnet.experiments._harness.steps import Step
from relaxnet.metrics import coverage
from relaxnet.training import load

LEVEL = 0.9
"""Which part of the voxels the intervals should hold."""


def covering(title: str, learnt: Step, *, fold: int, subjects: dict[str, Any]) -> Step:
    """Plan to tell which part of the voxels of a fold's livers lies within the intervals of a network.

    Parameters
    ----------
    title
        What to call it.
    learnt
        The step that trains the network.
    fold
        Who is tested.
    subjects
        What is different of them, as for :func:`~relaxnet.experiments._harness.anatomies.patients`.

    Returns
    -------
    Step
        Its outcome holds numbers by contrast.
    """
    arguments = {"setting": learnt.arguments["setting"], "fold": fold, "subjects": subjects}
    return Step(f"intervals, {title}, fold {fold + 1}", cover, arguments, needs=(learnt,))


def cover(path: Path, network: Path, *, setting: str, fold: int, subjects: dict[str, Any]) -> dict[str, list[float]]:
    """Tell which part of the voxels of livers lies within the central 90 % interval.

    Parameters
    ----------
    path
        Not used; nothing but numbers are kept.
    network
        Where the network is, without a suffix.
    setting, fold, subjects
        What :func:`covering` planned.

    Returns
    -------
    dict
        By contrast, for each patient the mean over input sets.
    """
    del path
    trained = load(network.with_suffix(".safetensors"))
    found: dict[str, list[float]] = {name: [] for name in trained.calibration.factors}
    for subject in patients(SETTINGS[setting], fold, subjects):
        sets = [trained.predict(subject.images, inputs=inputs) for inputs in subject.protocol.input_sets]
        for name, parts in found.items():
            inside = [
                coverage(
                    maps[name], maps[f"{name}_std"], subject.truth[name], subject.roi, levels=(LEVEL,), kind="gaussian"
                )
                for maps in sets
            ]
            parts.append(float(np.mean([of[LEVEL] for of in inside])))
    return found
