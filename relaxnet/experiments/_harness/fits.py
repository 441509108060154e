"""Steps that fit the patients of a fold, voxel by voxel."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from relaxnet.errors import require
from relaxnet.experiments._harness.anatomies import patients
from relaxnet.experiments._harness.score import Maps, reference_maps, score
from relaxnet.experiments._harness.setting import SETTINGS, Setting
from relaxnet.experiments._harness.steps import Step
from relaxnet.fitting import fit, fit_joint
from relaxnet.phantom import Subject

ALL = "all images"
"""In the place of the name of an input set: what uses all images."""
_STRENGTHS = (0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0)


METHODS: dict[str, tuple[Callable[[Subject, str], Maps], bool]] = {
    "two-point": (lambda subject, inputs: _pairs(subject, subject.images, inputs), True),
    "nlls-4": (lambda subject, _: reference_maps(subject), False),
    "joint-7": (lambda subject, _: _times(subject, fit_joint(subject.images, subject.protocol).maps), False),
    "floor": (lambda subject, _: _times(subject, subject.truth), False),
}
"""By name: how to map a patient from an input set, and whether the input set matters. The floor is the truth itself: it
shows what the noise of the reference alone contributes to an error."""


def fitting(setting: Setting, method: str, *, fold: int, subjects: dict[str, Any] | None = None) -> Step:
    """Plan to map the patients of a fold by a fit.

    Parameters
    ----------
    setting
        Size of the experiments.
    method
        A name of :data:`METHODS`, or ``"denoise-then-fit-3"`` or ``-7``.
    fold
        Who is tested.
    subjects
        What is different of them, as for :func:`~relaxnet.experiments._harness.anatomies.patients`.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set.
    """
    arguments = {"setting": setting.name, "method": method, "fold": fold, "subjects": subjects or {}}
    function = denoise_then_fit if method.startswith("denoise") else fit_fold
    return Step(f"{method}, fold {fold + 1}", function, arguments)


def fit_fold(path: Path, *, setting: str, method: str, fold: int, subjects: dict[str, Any]) -> dict[str, Any]:
    """Map the patients of a fold, and score the maps.

    Parameters
    ----------
    path
        Not used; nothing but scores are kept.
    setting, method, fold, subjects
        What :func:`fitting` planned.

    Returns
    -------
    dict
        ``scores`` by input set.
    """
    del path
    function, by_inputs = METHODS[method]
    everyone = patients(SETTINGS[setting], fold, subjects)
    names = tuple(everyone[0].protocol.input_sets) if by_inputs else (ALL,)
    return {"scores": {inputs: score((subject, function(subject, inputs)) for subject in everyone) for inputs in names}}


def denoise_then_fit(path: Path, *, setting: str, method: str, fold: int, subjects: dict[str, Any]) -> dict[str, Any]:
    """Denoise the images of each slice by non-local means, all of them together, then fit.

    How strongly is chosen on the patients that networks would learn from, by the truth: no classical denoiser could be
    tuned better.

    Parameters
    ----------
    path
        Not used; nothing but scores are kept.
    setting, method, fold, subjects
        What :func:`fitting` planned.

    Returns
    -------
    dict
        ``scores`` by input set, and the chosen ``strength``, in units of the noise.
    """
    del path
    where = SETTINGS[setting]
    everyone = list(where.test(fold, **subjects))
    three = method.endswith("-3")
    names = tuple(everyone[0].protocol.input_sets) if three else (ALL,)

    def maps(subject: Subject, inputs: str, strength: float) -> Maps:
        channels = subject.protocol.channels(inputs) if three else tuple(range(subject.protocol.n_images))
        images = subject.images.clone()
        images[:, channels] = non_local_means(images[:, channels], subject.sigma, strength)
        return _pairs(subject, images, inputs) if three else _times(subject, fit_joint(images, subject.protocol).maps)

    tuning = where.learn(fold, **subjects)[:8]

    def error(strength: float) -> float:
        columns = score((subject, maps(subject, names[len(names) // 2], strength)) for subject in tuning)
        return float(np.mean([column["truth_error"] for column in columns.values()]))

    strength = min(_STRENGTHS, key=error)
    scores = {inputs: score((s, maps(s, inputs, strength)) for s in everyone) for inputs in names}
    return {"scores": scores, "strength": strength}


def non_local_means(images: Tensor, sigma: float, strength: float) -> Tensor:
    """Denoise the images of each slice together: patches are alike where they are in all images.

    Parameters
    ----------
    images
        Images, (slice, image, height, width).
    sigma
        Their noise level.
    strength
        How different patches may be, in units of the noise level.

    Returns
    -------
    Tensor
        Images of the same shape.

    Raises
    ------
    MissingExtraError
        If scikit-image is not installed.
    """
    restoration = require("skimage.restoration", extra="experiments")
    denoised = [
        restoration.denoise_nl_means(
            one.numpy(), patch_size=5, patch_distance=9, h=strength * sigma, sigma=sigma, channel_axis=0
        )
        for one in images
    ]
    return torch.from_numpy(np.stack(denoised)).to(images.dtype)


def _pairs(subject: Subject, images: Tensor, inputs: str) -> Maps:
    protocol, own = subject.protocol, subject.protocol.channels(inputs)
    maps = {}
    for contrast in protocol.contrasts:
        channels = protocol.images_of(contrast.name)
        pair = [k for k, channel in enumerate(channels) if channel in own]
        result = fit(images[:, [channels[k] for k in pair]], contrast.at(pair), method="two-point")
        maps[contrast.name] = result.maps[contrast.name]
    return maps


def _times(subject: Subject, maps: Maps) -> Maps:
    return {name: maps[name] for name in subject.protocol.names}
