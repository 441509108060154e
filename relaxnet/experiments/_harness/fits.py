"""Steps that fit the subjects of a fold, voxel by voxel.

:func:`plan_fit` describes a step, :func:`fit_and_score` does its work.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from relaxnet.experiments._harness.denoisers import DENOISERS, Denoiser
from relaxnet.experiments._harness.experiment import Fold
from relaxnet.experiments._harness.score import Maps, Method, Scores, mean_error, reference_maps, score
from relaxnet.experiments._harness.steps import Step
from relaxnet.fitting import SpatialFit, fit, fit_joint, fit_spatial
from relaxnet.phantom import Subject, Tissue
from relaxnet.protocol import Protocol

ALL = "all images"
"""In the place of the name of an input set: all images are used."""

JOINT = {3: (0, 2, 5), 4: (0, 2, 4, 6), 5: (0, 1, 3, 4, 6), 6: (0, 1, 2, 3, 4, 6), 7: (0, 1, 2, 3, 4, 5, 6)}
"""The images of a joint fit, by their number. Both contrasts share the first one, so 3 are the least: 2 of each."""
_OF_SETS = {"two-point", "one-value", "spatial-3"}
"""Methods that map from an input set."""
_FITS = {"3": "two-point", "7": "joint-7"}
"""The fit after a denoiser, by the number of its images."""
_N_TUNING = 8  # subjects


def plan_fit(method: str, fold: Fold) -> Step:
    """Plan to map the subjects of a fold by a fit.

    Parameters
    ----------
    method
        A name of :data:`METHODS`, or that of one of :data:`DENOISERS` with ``"-then-fit-3"`` or ``-7``.
    fold
        Whom to map.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set.
    """
    return Step(f"{method}, {fold}", fit_and_score, {"method": method, "fold": fold})


def fit_and_score(*, method: str, fold: Fold) -> dict[str, Any]:
    """Map the subjects of a fold, and score the maps.

    Denoising is as strong as is best for subjects that networks would be trained with, judged by the truth: no
    classical denoiser could be tuned better.

    Parameters
    ----------
    method, fold
        As for :func:`plan_fit`.

    Returns
    -------
    dict
        ``scores`` by input set, and the ``strength`` of denoising, if any, in units of the noise level.
    """
    name, _, n = method.partition("-then-fit-")
    denoiser, name = (DENOISERS[name], _FITS[n]) if n else (None, name)
    subjects = fold.test()
    sets = sets_of(name, subjects[0])

    def scores(some: Sequence[Subject], sets: list[str], strength: float) -> dict[str, Scores]:
        def of_denoised(subject: Subject, inputs: str) -> Maps:
            return METHODS[name](denoised(subject, inputs, strength, denoiser), inputs)

        return score(some, of_denoised, sets)

    if denoiser is None:
        return {"scores": scores(subjects, sets, 0)}
    tuning, middle = fold.training()[:_N_TUNING], sets[len(sets) // 2]
    strength, *more = denoiser.strengths
    if more:
        strength = min(denoiser.strengths, key=lambda strength: mean_error(scores(tuning, [middle], strength)))
    return {"scores": scores(subjects, sets, strength), "strength": strength}


def sets_of(method: str, subject: Subject) -> list[str]:
    """List what a method maps from.

    Parameters
    ----------
    method
        Name of a method.
    subject
        Any of the subjects.

    Returns
    -------
    list of str
        Names of the input sets, or :data:`ALL` alone.
    """
    return list(subject.protocol.input_sets) if method in _OF_SETS else [ALL]


def channels_of(subject: Subject, inputs: str) -> list[int]:
    """List the images of an input set.

    Parameters
    ----------
    subject
        The subject.
    inputs
        Name of the input set, or :data:`ALL`.

    Returns
    -------
    list of int
        Numbers of the images.
    """
    return list(range(subject.protocol.n_images) if inputs == ALL else subject.protocol.channels(inputs))


def two_point(subject: Subject, inputs: str) -> Maps:
    """Map a subject by the two-point formula.

    Parameters
    ----------
    subject
        The subject.
    inputs
        Name of the input set, which has two images of each contrast.

    Returns
    -------
    dict
        Maps in ms.
    """
    few = with_images(subject, subject.protocol.channels(inputs))
    return {
        c.name: fit(few.images[:, few.protocol.images_of(c.name)], c, method="two-point").maps[c.name]
        for c in few.protocol.contrasts
    }


def one_value(subject: Subject, inputs: str) -> Maps:
    """Map a subject by one number: that of the two-point formula for the mean of each image over the liver.

    Parameters
    ----------
    subject
        The subject.
    inputs
        Name of the input set.

    Returns
    -------
    dict
        Constant maps in ms.
    """
    means = subject.images.movedim(1, 0)[:, subject.roi].mean(1)
    flat = torch.ones_like(subject.images) * rearrange(means, "image -> 1 image 1 1")
    return two_point(replace(subject, images=flat), inputs)


def shrunk(subject: Subject, _: str) -> Maps:
    """Shrink a joint fit of all images towards the mean of the liver: a prior without space.

    The voxels of the liver have logarithms of T that are normally distributed, with the mean and the variance that
    their fits and their standard errors make probable (empirical Bayes).

    Parameters
    ----------
    subject
        The subject.

    Returns
    -------
    dict
        Maps in ms.
    """
    found, maps = fit_joint(subject.images, subject.protocol, sigma=subject.sigma), dict[str, Tensor]()
    for name in subject.protocol.names:
        x, noise = found.maps[name].log(), (found.std[name] / found.maps[name]).square()
        known = subject.roi & torch.isfinite(noise)
        variance = (x[known].var() - noise[known].median()).clamp(min=0)
        weights = 1 / (variance + noise[known])
        mean = (weights * x[known]).sum() / weights.sum()
        maps[name] = (mean + (variance / (variance + noise) * (x - mean)).nan_to_num(0)).exp()
    return maps


def spatial(subject: Subject, inputs: str) -> SpatialFit[Tensor]:
    """Fit a subject with a prior that neighbours are alike, as strong as its images make probable.

    Parameters
    ----------
    subject
        The subject.
    inputs
        Name of the input set, or :data:`ALL`.

    Returns
    -------
    SpatialFit
        The fit of all voxels but air.
    """
    few = with_images(subject, channels_of(subject, inputs))
    return fit_spatial(few.images, few.protocol, mask=subject.labels != Tissue.AIR, sigma=subject.sigma)


def with_images(subject: Subject, channels: Sequence[int]) -> Subject:
    """Keep some of the images of a subject, as if no others had been acquired.

    Parameters
    ----------
    subject
        The subject.
    channels
        Which images, in ascending order, the shared one among them. Contrasts with fewer than two of them are left out.

    Returns
    -------
    Subject
        The subject.
    """
    protocol = subject.protocol
    kept = [(c, [k for k, own in enumerate(protocol.images_of(c.name)) if own in channels]) for c in protocol.contrasts]
    contrasts = tuple(contrast.at(own) for contrast, own in kept if len(own) > 1)
    images, clean = (some[:, list(channels)] for some in (subject.images, subject.clean))
    return replace(subject, protocol=Protocol(contrasts, shared_first=True), images=images, clean=clean)


def _joint(channels: Sequence[int], subject: Subject, _: str) -> Maps:
    few = with_images(subject, channels)
    return fit_joint(few.images, few.protocol).maps


METHODS: dict[str, Method] = {
    "two-point": two_point,
    "one-value": one_value,
    "shrunk-7": shrunk,
    "nlls-4": lambda subject, _: reference_maps(subject),
    "truth": lambda subject, _: subject.truth,
    **{f"joint-{n}": partial(_joint, channels) for n, channels in JOINT.items()},
}
"""How to map a subject, by name. Against the reference, the error of the truth is the noise floor: what the noise of
the reference alone contributes to every error."""


def denoised(subject: Subject, inputs: str, strength: float, denoiser: Denoiser | None) -> Subject:
    """Denoise the images of an input set, all of them together.

    Parameters
    ----------
    subject
        The subject.
    inputs
        Name of the input set, or :data:`ALL`.
    strength
        How much, in the unit of the denoiser.
    denoiser
        The denoiser; None changes nothing.

    Returns
    -------
    Subject
        The subject.
    """
    return subject if denoiser is None else denoiser(subject, channels_of(subject, inputs), strength)
