"""Steps that train networks, and steps that score them.

Functions called ``plan_...`` describe a step, whose work another function does, perhaps in another process:

- :func:`plan_training`, :func:`train_and_score`: one network for a fold;
- :func:`plan_zero_shot`, :func:`train_each_subject`: one network for each subject of a fold;
- :func:`plan_scoring`, :func:`score_trained`: trained networks, on other subjects or as an ensemble;
- :func:`plan_untrained`, :func:`score_untrained`: a network before its training.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from relaxnet._choices import Choice
from relaxnet.experiments._harness.experiment import Fold
from relaxnet.experiments._harness.fits import with_images
from relaxnet.experiments._harness.score import Method, mean_error, score
from relaxnet.experiments._harness.steps import Step
from relaxnet.nets import RelaxationNet
from relaxnet.phantom import Subject
from relaxnet.training import LOSSES, Ensemble, Loss, Preset, Trained, load, train

_SUFFIX = ".safetensors"
_WATCH_EVERY = 10  # epochs


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    loss: str | Loss
    """Training loss, or its name."""
    weighting: str | Choice | Step = "fixed"
    """How its contrasts are balanced: the name of a weighting, or what makes one that has no name, or a step whose file
    holds fixed weights."""
    contrast: str | None = None
    """The only contrast that it receives and maps; ``None`` for all contrasts."""
    subjects: dict[str, Any] = field(default_factory=dict)
    """How its training subjects differ: arguments of :meth:`Setting.cohort`."""
    training: dict[str, Any] = field(default_factory=dict)
    """How its training differs: fields of the preset."""

    def train(self, subjects: list[Subject], preset: Preset, seed: int, **options: Any) -> Trained:
        """Train a network.

        Parameters
        ----------
        subjects
            Whom to train it with.
        preset
            Size and training.
        seed
            Seed of the training.
        **options
            Other arguments of :func:`relaxnet.training.train`.

        Returns
        -------
        Trained
            The network, which takes any input set.
        """
        chosen, weighting = [single_contrast(subject, self.contrast) for subject in subjects], self.weighting
        if isinstance(weighting, Choice):
            weighting = weighting.load()(**weighting.options)
        options |= {"loss": self.loss, "weighting": weighting, "preset": preset, "seed": seed}
        return train(chosen, inputs="any", progress=False, **options)


def plan_training(title: str, recipe: Recipe, fold: Fold, *, seed: int = 0, watch: bool = False) -> Step:
    """Plan to train one network that takes any input set, and to score it on the subjects of its fold.

    Parameters
    ----------
    title
        Name of the network.
    recipe
        Recipe of the training.
    fold
        Whom it is tested on; it is trained with all others.
    seed
        Seed of the training.
    watch
        Whether to score it during the training as well.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set.
    """
    needs = (recipe.weighting,) if isinstance(recipe.weighting, Step) else ()
    own = replace(recipe, weighting="fixed") if needs else recipe
    arguments = _arguments(own, fold, seed) | {"watch": watch}
    return Step(f"{title}, {fold}, seed {seed}", train_and_score, arguments, needs, keeps=_SUFFIX)


def train_and_score(
    path: Path, *weights: Path, recipe: Recipe, preset: Preset, fold: Fold, seed: int, watch: bool
) -> dict[str, Any]:
    """Train a network, keep it, and score its maps.

    Parameters
    ----------
    path
        File to keep it in.
    *weights
        File of fixed weights, if these are chosen by a step.
    recipe, preset, fold, seed, watch
        As for :func:`plan_training`.

    Returns
    -------
    dict
        ``scores`` by input set; ``watched``, pairs of the validation residual and the error against the truth in some
        epochs; and ``seconds``.
    """
    start = time.perf_counter()
    test = [single_contrast(subject, recipe.contrast) for subject in fold.test()]
    watched: list[tuple[float, float]] = []
    for chosen in weights:
        recipe = replace(recipe, weighting=fixed(*json.loads(chosen.read_text(encoding="utf-8"))))

    def note(epoch: int, net: RelaxationNet, entry: dict[str, float]) -> None:
        if (epoch + 1) % min(_WATCH_EVERY, preset.epochs) == 0:
            watched.append((entry["val_residual"], mean_error(score(test, with_network(net.predict)))))

    trained = recipe.train(fold.training(**recipe.subjects), preset, seed, each_epoch=note if watch else None)
    trained.save(path)
    scores = score(test, with_network(trained.net.predict))
    return {"scores": scores, "watched": watched, "seconds": round(time.perf_counter() - start)}


def fixed(*weights: float) -> Choice:
    """Choose fixed weights.

    Parameters
    ----------
    *weights
        Weight of each contrast.

    Returns
    -------
    Choice
        For the ``weighting`` of a :class:`Recipe`.
    """
    return Choice("relaxnet.losses:FixedWeights", "Fixed weights", {"weights": weights})


def plan_zero_shot(title: str, recipe: Recipe, fold: Fold, *, seed: int = 0) -> Step:
    """Plan to train a network for each subject of a fold.

    Parameters
    ----------
    title, recipe, fold, seed
        As for :func:`plan_training`.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set.
    """
    return Step(f"{title}, {fold}", train_each_subject, _arguments(recipe, fold, seed))


def train_each_subject(*, recipe: Recipe, preset: Preset, fold: Fold, seed: int) -> dict[str, Any]:
    """Train a network for each subject with nothing but the images of that subject, and score its maps.

    Parameters
    ----------
    recipe, preset, fold, seed
        As for :func:`plan_zero_shot`.

    Returns
    -------
    dict
        ``scores`` by input set, and ``seconds``.
    """
    start = time.perf_counter()

    @lru_cache(maxsize=1)  # the input sets of a subject are mapped one after the other
    def network(subject: Subject) -> Trained:
        return recipe.train([subject], preset, seed, validation=0.0)

    scores = score(fold.test(), lambda subject, inputs: network(subject).net.predict(subject.images, inputs=inputs))
    return {"scores": scores, "seconds": round(time.perf_counter() - start)}


def plan_scoring(trained: Step, fold: Fold, *others: Step) -> Step:
    """Plan to score a trained network, or several as an ensemble.

    Parameters
    ----------
    trained
        The step that trains it.
    fold
        Whom it is tested on.
    *others
        The steps that train the other members of the ensemble.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set.
    """
    return Step(f"{trained.title}, on {fold}", score_trained, {"fold": fold}, needs=(trained, *others))


def score_trained(*paths: Path, fold: Fold) -> dict[str, Any]:
    """Score a trained network, or an ensemble.

    Parameters
    ----------
    *paths
        File of the network, or files of its members.
    fold
        Whom it is tested on.

    Returns
    -------
    dict
        ``scores`` by input set.
    """
    trained = [load(path) for path in paths]
    predict = trained[0].net.predict if len(trained) == 1 else Ensemble(trained).predict
    return {"scores": score(fold.test(), with_network(predict))}


def plan_untrained(title: str, fold: Fold) -> Step:
    """Plan to score a network that has not been trained: its initial estimates.

    Parameters
    ----------
    title
        Name of the network.
    fold
        Whom it is tested on.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set.
    """
    size = {name: getattr(fold.setting.preset, name) for name in ("base", "depth", "initial_estimates")}
    return Step(f"{title}, {fold}", score_untrained, {"size": size, "fold": fold})


def score_untrained(*, size: dict[str, Any], fold: Fold) -> dict[str, Any]:
    """Score a network that has not been trained.

    Parameters
    ----------
    size
        Options of the network.
    fold
        Whom it is tested on.

    Returns
    -------
    dict
        ``scores`` by input set.
    """
    subjects = fold.test()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = RelaxationNet(subjects[0].protocol, "any", **size).eval()
    return {"scores": score(subjects, with_network(net.predict))}


def error_of(path: Path, subjects: list[Subject]) -> float:
    """Compute the error of a trained network against the truth, over subjects, contrasts and input sets.

    Parameters
    ----------
    path
        File of the network.
    subjects
        Whom to map.

    Returns
    -------
    float
        Mean absolute error in ms.
    """
    return mean_error(score(subjects, with_network(load(path).net.predict)))


def with_network(predict: Callable[..., dict[str, Tensor]]) -> Method:
    """Make a method of a network that takes any input set.

    Parameters
    ----------
    predict
        Maps images, given ``inputs``.

    Returns
    -------
    Callable
        Maps a subject from an input set.
    """
    return lambda subject, inputs: predict(subject.images, inputs=inputs)


def single_contrast(subject: Subject, contrast: str | None) -> Subject:
    """Keep the images of one contrast of a subject, as if no other had been acquired.

    Parameters
    ----------
    subject
        The subject.
    contrast
        Name of the contrast; ``None`` for all.

    Returns
    -------
    Subject
        The subject.
    """
    return subject if contrast is None else with_images(subject, subject.protocol.images_of(contrast))


def _arguments(recipe: Recipe, fold: Fold, seed: int) -> dict[str, Any]:
    # Preset and loss have names, but are spelled out: where one of them has changed, the step is another one.
    preset = replace(fold.setting.preset, **recipe.training)
    loss = LOSSES[recipe.loss] if isinstance(recipe.loss, str) else recipe.loss
    return {"recipe": replace(recipe, loss=loss), "preset": preset, "fold": fold, "seed": seed}
