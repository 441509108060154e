"""Steps that train a network, and steps that try a trained one."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from relaxnet.experiments._harness.anatomies import patients
from relaxnet.experiments._harness.disturbance import DisturbedLoss
from relaxnet.experiments._harness.score import Scores, reference_maps, score
from relaxnet.experiments._harness.setting import SETTINGS, Setting
from relaxnet.experiments._harness.steps import Step
from relaxnet.losses import FixedWeights, HomoscedasticLaplace
from relaxnet.nets import RelaxationNet
from relaxnet.phantom import Subject
from relaxnet.protocol import Protocol
from relaxnet.training import LOSSES, Ensemble, Loss, Preset, Trained, load, train

FROM_ONE = "homoscedastic-from-one"
"""In the place of a weighting: learnt scales that begin at 1, as the paper's do."""
_WATCH_EVERY = 10  # epochs
Predict = Callable[..., dict[str, Tensor]]


@dataclass(frozen=True)
class Recipe:
    """How a network is taught."""

    loss: Loss
    """By what."""
    weighting: str | tuple[float, ...] = "fixed"
    """How its contrasts are balanced: by a named weighting or by fixed weights."""
    contrast: str | None = None
    """The only contrast that it sees and maps, where it does not map all of them."""
    subjects: dict[str, Any] = field(default_factory=dict)
    """What is different of the patients that it learns from: arguments of :meth:`Setting.cohort`."""
    training: dict[str, Any] = field(default_factory=dict)
    """What is different of the preset."""
    disturbance: dict[str, Any] = field(default_factory=dict)
    """What goes wrong in the loss: arguments of :class:`~relaxnet.experiments._harness.disturbance.DisturbedLoss`."""

    @classmethod
    def of(cls, loss: str, weighting: str | tuple[float, ...] = "fixed", **options: Any) -> "Recipe":
        """Take one of the named losses.

        Parameters
        ----------
        loss
            A name of :data:`~relaxnet.training.LOSSES`.
        weighting
            How the contrasts are balanced.
        **options
            Other fields, and fields of the loss.

        Returns
        -------
        Recipe
            The recipe.
        """
        known = {name: options.pop(name) for name in tuple(options) if name in Loss.__dataclass_fields__}
        return cls(replace(LOSSES[loss], **known), weighting, **options)


def learning(setting: Setting, title: str, recipe: Recipe, *, fold: int, seed: int = 0, watch: bool = False) -> Step:
    """Plan to train one network that takes any input set, and to map the patients of its fold.

    Parameters
    ----------
    setting
        Size of the experiments.
    title
        What to call it.
    recipe
        How it is taught.
    fold
        Who is tested.
    seed
        Of the training.
    watch
        Whether to note how the error goes on during the training.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set.
    """
    arguments = _arguments(setting, recipe) | {"fold": fold, "seed": seed, "watch": watch}
    return Step(f"{title}, fold {fold + 1}, seed {seed}", learn, arguments)


def learning_alone(setting: Setting, title: str, recipe: Recipe, *, fold: int, seed: int = 0) -> Step:
    """Plan to train a network for each patient of a fold.

    Parameters
    ----------
    setting, title, recipe, fold, seed
        As for :func:`learning`.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set.
    """
    return Step(f"{title}, fold {fold + 1}", zero_shot, _arguments(setting, recipe) | {"fold": fold, "seed": seed})


def learn(
    path: Path, *, setting: str, recipe: dict[str, Any], fold: int, seed: int, watch: bool, preset: dict[str, Any]
) -> dict[str, Any]:
    """Train a network, keep it, and score its maps.

    Parameters
    ----------
    path
        Where to keep it, without a suffix.
    setting, recipe, fold, seed, watch, preset
        What :func:`learning` planned.

    Returns
    -------
    dict
        ``scores`` by input set; ``watched``, pairs of the validation residual and the error against the truth of some
        epochs; ``best_epoch``, ``epochs`` and ``seconds``.
    """
    where, how = SETTINGS[setting], _recipe(recipe)
    start = time.perf_counter()
    test = [alone(subject, how.contrast) for subject in where.test(fold)]
    watched: list[tuple[float, float]] = []

    def note(epoch: int, net: RelaxationNet, entry: dict[str, float]) -> None:
        if (epoch + 1) % min(_WATCH_EVERY, preset["epochs"]) == 0:
            found = score_network(net.predict, test)
            errors = [scores[name]["truth_error"] for scores in found.values() for name in scores]
            watched.append((entry["val_residual"], float(np.mean(errors))))

    trained = _train(
        how, where.learn(fold, **how.subjects), Preset(**_tuples(preset)), seed, each_epoch=note if watch else None
    )
    trained.save(path.with_suffix(".safetensors"))
    residuals = [entry["val_residual"] for entry in trained.history]
    return {
        "scores": score_network(trained.net.predict, test),
        "watched": watched,
        "best_epoch": residuals.index(min(residuals)),
        "epochs": len(residuals),
        "seconds": round(time.perf_counter() - start),
    }


def zero_shot(
    path: Path, *, setting: str, recipe: dict[str, Any], fold: int, seed: int, preset: dict[str, Any]
) -> dict[str, Any]:
    """Train a network for each patient on nothing but that patient's images, and score its maps.

    Parameters
    ----------
    path
        Not used; nothing but scores are kept.
    setting, recipe, fold, seed, preset
        What :func:`learning_alone` planned.

    Returns
    -------
    dict
        ``scores`` by input set, and ``seconds``.
    """
    del path
    where, how = SETTINGS[setting], _recipe(recipe)
    start = time.perf_counter()
    found: dict[str, list[Any]] = {}
    for subject in where.test(fold):
        trained = _train(how, [subject], Preset(**_tuples(preset)), seed, validation=0.0)
        for inputs in subject.protocol.input_sets:
            found.setdefault(inputs, []).append((subject, _maps(trained.net.predict, subject, inputs)))
    scores = {inputs: score(pairs) for inputs, pairs in found.items()}
    return {"scores": scores, "seconds": round(time.perf_counter() - start)}


def trial(title: str, *learnt: Step, fold: int, subjects: dict[str, Any]) -> Step:
    """Plan to try a trained network, or several as an ensemble, on other images of the patients of its fold.

    Parameters
    ----------
    title
        What to call it.
    *learnt
        The steps that train them.
    fold
        Who is tested.
    subjects
        What is different of them, as for :func:`~relaxnet.experiments._harness.anatomies.patients`.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set.
    """
    arguments = {"setting": learnt[0].arguments["setting"], "fold": fold, "subjects": subjects}
    return Step(f"{title}, fold {fold + 1}", try_out, arguments, needs=learnt)


def try_out(path: Path, *networks: Path, setting: str, fold: int, subjects: dict[str, Any]) -> dict[str, Any]:
    """Score a trained network, or an ensemble, on other images.

    Parameters
    ----------
    path
        Not used; nothing but scores are kept.
    *networks
        Where the networks are, without a suffix.
    setting, fold, subjects
        What :func:`trial` planned.

    Returns
    -------
    dict
        ``scores`` by input set.
    """
    del path
    trained = [load(network.with_suffix(".safetensors")) for network in networks]
    predict = trained[0].net.predict if len(trained) == 1 else Ensemble(trained).predict
    return {"scores": score_network(predict, patients(SETTINGS[setting], fold, subjects))}


def score_network(predict: Predict, subjects: Iterable[Subject]) -> dict[str, Scores]:
    """Map patients from each input set, and compare.

    Parameters
    ----------
    predict
        Maps images, of a network that takes any input set.
    subjects
        The patients, with the contrasts that it maps.

    Returns
    -------
    dict
        Scores by input set.
    """
    everyone = list(subjects)  # simulated when asked for, so once for all sets
    references = [reference_maps(subject) for subject in everyone]
    return {
        inputs: score(((subject, _maps(predict, subject, inputs)) for subject in everyone), references)
        for inputs in everyone[0].protocol.input_sets
    }


def alone(subject: Subject, contrast: str | None) -> Subject:
    """Take the images of one contrast of a patient, as if no other had been acquired.

    Parameters
    ----------
    subject
        The patient.
    contrast
        Name of the contrast; ``None`` for all.

    Returns
    -------
    Subject
        The patient.
    """
    if contrast is None:
        return subject
    channels = subject.protocol.images_of(contrast)
    (chosen,) = (c for c in subject.protocol.contrasts if c.name == contrast)
    return replace(
        subject,
        protocol=Protocol((chosen,), shared_first=True),
        images=subject.images[:, channels],
        clean=subject.clean[:, channels],
        truth={name: subject.truth[name] for name in (contrast, "m0")},
    )


def _arguments(setting: Setting, recipe: Recipe) -> dict[str, Any]:
    # The preset is a part of what it is: a changed one is another step.
    preset = replace(setting.preset, **recipe.training)
    return {"setting": setting.name, "recipe": asdict(recipe), "preset": asdict(preset)}


def _train(how: Recipe, subjects: list[Subject], preset: Preset, seed: int, **options: Any) -> Trained:
    chosen = [alone(subject, how.contrast) for subject in subjects]
    weighting: Any = how.weighting if isinstance(how.weighting, str) else FixedWeights(how.weighting)
    if weighting == FROM_ONE:
        weighting = HomoscedasticLaplace(len(chosen[0].protocol.names))
    disturbance = _tuples(how.disturbance)
    return train(
        chosen,
        loss=DisturbedLoss(**asdict(how.loss), **disturbance) if disturbance else how.loss,
        weighting=weighting,
        preset=preset,
        inputs="any",
        seed=seed,
        progress=False,
        **options,
    )


def _maps(predict: Predict, subject: Subject, inputs: str) -> dict[str, Any]:
    maps = predict(subject.images, inputs=inputs)
    return {name: maps[name] for name in subject.protocol.names}


def _recipe(description: dict[str, Any]) -> Recipe:
    description = _tuples(description)
    return Recipe(**description | {"loss": Loss(**_tuples(description["loss"]))})


def _tuples(description: dict[str, Any]) -> dict[str, Any]:
    """Give back to sequences the type that JSON has taken from them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in description.items()}
