"""From a cohort to a trained network."""

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from relaxnet._choices import pick
from relaxnet._numbers import seed_of
from relaxnet.errors import require
from relaxnet.losses import WEIGHTINGS, Weighting
from relaxnet.nets import RelaxationNet
from relaxnet.protocol import Protocol
from relaxnet.training._calibrate import calibrate
from relaxnet.training._data import Case, Slices, gather, same_images
from relaxnet.training._input_sets import RANDOM
from relaxnet.training._lightning import honest_signals, quiet
from relaxnet.training._loss import LOSSES, Loss
from relaxnet.training._presets import PRESETS, Preset
from relaxnet.training._run_folder import CHECKPOINT, describe_run, open_run
from relaxnet.training._spread import ANY
from relaxnet.training._trained import Trained

EachEpoch = Callable[[int, RelaxationNet, dict[str, float]], None]
_FEW_STEPS = 200
_TRAINER = {"accelerator": "auto", "devices": 1, "precision": "32-true"}


def train(
    data: Any,
    protocol: Protocol | None = None,
    *,
    loss: str | Loss = "held-out-orthogonal",
    weighting: str | Weighting = "homoscedastic",
    preset: str | Preset = "laptop",
    inputs: str | Sequence[int] = "middle",
    net: RelaxationNet | Trained | None = None,
    sigma: Any = None,
    mask: Sequence[Any] | None = None,
    bounds_ms: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    validation: float = 0.2,
    seed: int = 0,
    out: str | Path | None = None,
    trainer: Mapping[str, Any] | None = None,
    progress: bool = True,
    each_epoch: EachEpoch | None = None,
) -> Trained:
    """Train a network, without labels unless a supervised loss is asked for.

    With few training subjects, a network memorises them by their anatomy. Relaxation-rate augmentation (``rate_shift``
    of the preset) keeps it from that: the input images are multiplied by exp(-d t), which is what tissue of a rate
    higher by d would show, and d is subtracted from the predicted rate before it is compared with the images.

    Some subjects are set aside for validation. After each epoch the network is tried on them, by a residual that is the
    same for all losses: orthogonal pairs of held-out images. Their noise is independent of that of the inputs, so this
    orders the epochs of a training much as the truth would, though not so well trainings whose validation subjects
    differ. Training stops when it no longer improves; the weights of the best epoch are kept.

    Parameters
    ----------
    data
        Training subjects: a phantom's cohort; a folder of subjects, opened by :func:`relaxnet.io.read_cohort`; a
        sequence of arrays or tensors with all images of a subject each, (slice, image, height, width); or a
        :class:`torch.utils.data.Dataset` of such. They are held in memory. Subjects may differ in size. Values that are
        not finite are missing, and cost their voxels alone; a contrast that a subject does not have is NaN, and the
        subject trains the others.
    protocol
        What was acquired; subjects of a phantom and folders know it.
    loss
        The training loss: a name of :data:`LOSSES`, where ``"paper"`` is that of Huang et al. (2023), or a
        :class:`Loss`.
    weighting
        How the contrasts are balanced: a name of :data:`relaxnet.losses.WEIGHTINGS`, or a
        :class:`~relaxnet.losses.Weighting`. Scales of weightings by name begin at the mean residuals of the first
        batch.
    preset
        Size of the network and length of the training: a name of :data:`PRESETS`, or a :class:`Preset`. Its epochs
        have a smallest number of steps (:attr:`Preset.steps`), so that few slices are learnt from as long as many.
    inputs
        The input images: the name of an input set of the protocol, channel numbers, or ``"any"`` for one network that
        takes any input set; ``"random"`` trains it with any two or more images of each contrast, drawn anew in each
        step, so that it takes any such subset.
    net
        A network to begin with, in the place of a new one of the preset's size; of a trained one, the weights are
        fine-tuned. It is not changed itself.
    sigma
        Noise level of the images, one number or one for each subject; by default that which a digital subject knows,
        or an estimate by :func:`relaxnet.fitting.estimate_sigma`. Losses that remove the bias of the noise, as the
        default does, and the calibration use it.
    mask
        For each subject the voxels to learn from, (slice, height, width), or None for all: such as
        :meth:`relaxnet.io.FolderCohort.masks`. The network sees all voxels.
    bounds_ms
        Smallest and largest T that a new network can predict, for all contrasts or by name, in the unit of the
        contrast; by default those of the signal models, (5, 400) ms for decays.
    validation
        Fraction of the subjects to set aside, at least one; 0 to train with all and keep the last epoch, as for a
        single scan.
    seed
        Of the weights, the order of the slices, the choice of validation subjects and the augmentation. The same seed
        gives the same network on the same machine.
    out
        A folder. The run is saved there after each epoch. Started again with the same settings, subjects and version,
        it is resumed and ends as if it had not been interrupted; a finished one returns its result.
    trainer
        Options of Lightning's trainer, such as ``{"accelerator": "gpu", "devices": 2, "precision": "16-mixed"}``; by
        default one device of the best kind, in single precision.
    progress
        Whether to show progress on standard error.
    each_epoch
        Is called after each epoch with its number, the network as it is then, and its entry in the history.

    Returns
    -------
    Trained
        The trained network, on the processor, with its history.

    Raises
    ------
    ValueError
        If an argument makes no sense, or ``out`` holds a run of other settings, or a damaged one.
    TypeError
        If ``data`` holds neither subjects nor images.
    FloatingPointError
        If the loss or the validation residual is not finite; the message names the slices.
    MissingExtraError
        If Lightning is not installed.

    Warns
    -----
    UserWarning
        If the training has too few steps to learn, or a contrast cannot have standard deviations.

    Examples
    --------
    >>> cohort = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(32, 32), snr=20, seed=0)
    >>> trained = rx.training.train(cohort, preset="smoke", progress=False)
    >>> trained.predict(cohort[0].images)["t1rho"].shape
    torch.Size([1, 32, 32])
    """
    settings = preset if isinstance(preset, Preset) else pick("preset", preset, PRESETS, instead=_or("Preset"))
    chosen_loss = loss if isinstance(loss, Loss) else pick("loss", loss, LOSSES, instead=_or("Loss"))
    require("lightning", extra="train")
    seed = seed_of(seed)
    start = net.net if isinstance(net, Trained) else net
    if start is not None and bounds_ms is not None:
        raise ValueError(
            f"bounds_ms={bounds_ms!r}: those of net are {start.bounds_ms}; leave it out, or leave out net."
        )
    known = start.protocol if protocol is None and start is not None else protocol
    acquired, cases = gather(data, known, sigma=sigma, mask=mask)
    validating, training = _split(cases, acquired, validation, seed)
    with torch.random.fork_rng():  # the seed of a training is not the business of the caller's random numbers
        torch.manual_seed(seed)
        balance = _weighting(weighting, len(acquired.names))
        own = _network(start, acquired, inputs, settings, chosen_loss, balance, bounds_ms)
        at_random = isinstance(inputs, str) and inputs == RANDOM
        run = _Run(
            own, chosen_loss, balance, settings, seed, None if out is None else Path(out), at_random, start is not None
        )
        history = run.fit(acquired, training, validating, {**_TRAINER, **(trainer or {})}, progress, each_epoch)
    return Trained(own, history, calibrate(own, _to_calibrate_with(training, validating, chosen_loss)))


def _or(kind: str) -> str:
    return f", or a relaxnet.training.{kind}"


@dataclass
class _Run:
    """A network and all that trains it."""

    net: RelaxationNet
    loss: Loss
    weighting: Weighting
    preset: Preset
    seed: int
    out: Path | None
    random_inputs: bool
    fine_tunes: bool

    def fit(
        self,
        protocol: Protocol,
        training: list[Case],
        validating: list[Case],
        trainer: dict[str, Any],
        progress: bool,
        each_epoch: EachEpoch | None,
    ) -> list[dict[str, float]]:
        """Run Lightning, leave the best weights in the network, and return the history."""
        # These import Lightning, so only now is the time.
        import lightning  # noqa: PLC0415

        from relaxnet.training import _callbacks  # noqa: PLC0415
        from relaxnet.training._module import RelaxationModule, SliceModule  # noqa: PLC0415

        labels = self.loss.labels if self.loss.kind == "supervised" else None
        options: dict[str, Any] = {"labels": labels, "fresh_noise": self.preset.fresh_noise}
        slices = Slices(training, protocol, needs_sigma=self.loss.needs_sigma, **options)
        to_validate = Slices(validating, protocol, needs_sigma=True) if validating else None
        objective = (self.net, self.loss, self.weighting, self.preset, self.seed)
        module = RelaxationModule(*objective, random_inputs=self.random_inputs)
        best = _callbacks.BestWeights(self.preset.patience, each_epoch)
        callbacks: list[Any] = [best, _callbacks.StepWeighting()]
        checkpoint = None
        if self.out is not None:
            described = describe_run(self.net, self.loss, self.weighting, [validating, training], trainer)
            described |= {"random_inputs": self.random_inputs}
            settings = {"seed": self.seed, "preset": asdict(self.preset), **described}
            checkpoint = open_run(self.out, settings)
            callbacks.append(_callbacks.SaveRun(self.out / CHECKPOINT, settings))
        steps = self.preset.epochs * max(self.preset.steps, math.ceil(len(slices) / self.preset.batch_size))
        if steps < _FEW_STEPS and not self.preset.only_runs and not self.fine_tunes:
            warnings.warn(
                f"preset: {self.preset.epochs} epochs of {len(slices)} training slices are {steps} steps, too few to "
                f"learn from: {_FEW_STEPS} or more are needed. Raise epochs, or steps, their smallest number in an "
                f"epoch.",
                stacklevel=4,
            )
        if progress:
            callbacks.append(_callbacks.ShowProgress(len(slices), self.preset))
        with quiet():
            runner = lightning.Trainer(
                **trainer,
                max_epochs=self.preset.epochs,
                gradient_clip_val=self.preset.clip,
                callbacks=callbacks,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                limit_val_batches=None if validating else 0,
                use_distributed_sampler=False,  # it would shuffle once more, by another seed
            )
            loader = SliceModule(slices, to_validate, self.preset.batch_size, self.preset.steps, self.seed)
            with honest_signals(runner):
                runner.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
        self.net.cpu().eval()
        self.net.load_state_dict(best.weights)
        return best.history


def _weighting(weighting: str | Weighting, n_tasks: int) -> Weighting:
    if isinstance(weighting, Weighting):
        weighting.adopt(n_tasks)
        return weighting
    choice = pick("weighting", weighting, WEIGHTINGS, instead=", or one of relaxnet.losses")
    made: Weighting = choice.load().for_tasks(n_tasks, **choice.options)
    return made


def _network(
    start: RelaxationNet | None,
    protocol: Protocol,
    inputs: str | Sequence[int],
    preset: Preset,
    loss: Loss,
    weighting: Weighting,
    bounds_ms: Sequence[float] | Mapping[str, Sequence[float]] | None,
) -> RelaxationNet:
    """Make the network, or copy the given one, and see that it outputs all that is needed."""
    if start is None:
        return RelaxationNet(
            protocol,
            ANY if isinstance(inputs, str) and inputs == RANDOM else inputs,
            base=preset.base,
            depth=preset.depth,
            bounds_ms=bounds_ms,
            uncertainty=weighting.uncertainty,
            amplitude=loss.kind == "reconstruction",
            initial_estimates=preset.initial_estimates,
        )
    if start.protocol != protocol:
        raise ValueError(f"net is made for {start.protocol}, the subjects were acquired with {protocol}.")
    if isinstance(inputs, str) and inputs == RANDOM and not start.any_subset:
        raise ValueError(f"inputs={RANDOM!r}: net takes always {start.input_channels}; make one with inputs={ANY!r}.")
    if weighting.needs == "scales" and not start.uncertainty:
        raise ValueError(
            f"net predicts no scales, which {type(weighting).__name__} needs: uncertainty={weighting.uncertainty!r}."
        )
    return copy.deepcopy(start).train()


def _split(cases: list[Case], protocol: Protocol, validation: Any, seed: int) -> tuple[list[Case], list[Case]]:
    """Choose validation and training subjects: whole ones, because slices of one resemble each other.

    Those that lack a contrast validate only where others are too few.
    """
    if not (isinstance(validation, int | float) and 0 <= validation < 1):
        raise ValueError(f"validation={validation!r}: give the fraction of subjects to set aside, from 0 to 1.")
    n = len(cases)
    if n < (2 if validation else 1):
        raise ValueError(
            f"data has {n} subject(s): one for training and one for validation are needed, or validation=0."
        )
    copies = same_images(cases) if validation else [[k] for k in range(n)]
    group = {k: copy for copy in copies for k in copy}
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    order.sort(key=lambda k: (len(cases[k].lacks(protocol)), len(group[k])))
    n_validating = min(max(1, round(validation * n)), n - 1) if validation else 0
    validating: dict[int, None] = {}
    for k in order:  # copies of a subject stay together: it would validate what it was trained with
        if len(validating) < n_validating and len({*validating, *group[k]}) < n:
            validating |= dict.fromkeys(group[k])
    return [cases[k] for k in validating], [cases[k] for k in order if k not in validating]


def _to_calibrate_with(training: list[Case], validating: list[Case], loss: Loss) -> list[Case]:
    """Choose subjects: those set aside, and others if what they are compared with was not trained with.

    That is the truth of a phantom, unless it was the label: the more subjects, the better the calibration, as they
    differ. Of a patient it is the held-out images, with which the network was trained.
    """
    unknown_truth = [] if loss.kind == "supervised" else [case for case in training if case.subject is not None]
    return validating + unknown_truth
