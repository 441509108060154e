"""From a cohort to a trained network."""

import copy
import json
import logging
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from relaxnet._errors import require
from relaxnet._files import write_text
from relaxnet.losses import (
    CorrelatedLaplace,
    DynamicWeightAverage,
    FixedWeights,
    HeteroscedasticLaplace,
    HomoscedasticLaplace,
    ProfiledLaplace,
    RandomWeighting,
    Weighting,
)
from relaxnet.nets import RelaxationNet
from relaxnet.protocol import Protocol
from relaxnet.training._data import Scan, Slices, gather
from relaxnet.training._objectives import LOSSES, Loss, LossName
from relaxnet.training._presets import PRESETS, Preset, PresetName
from relaxnet.training._trained import Trained
from relaxnet.training._uncertainty import calibrate

WeightingName = Literal[
    "fixed",
    "homoscedastic",
    "homoscedastic-from-one",
    "heteroscedastic",
    "faithful",
    "profiled",
    "correlated",
    "random",
    "dynamic",
]
WEIGHTINGS: dict[WeightingName, Callable[[int], Weighting]] = {
    "fixed": lambda n: FixedWeights((1.0,) * n),
    "homoscedastic": lambda n: HomoscedasticLaplace(n, init="data"),
    "homoscedastic-from-one": HomoscedasticLaplace,
    "heteroscedastic": lambda n: HeteroscedasticLaplace(n_tasks=n),
    "faithful": lambda n: HeteroscedasticLaplace(n_tasks=n, faithful=True),
    "profiled": lambda n: ProfiledLaplace(n_tasks=n),
    "correlated": lambda n: CorrelatedLaplace(n, init="data"),
    "random": RandomWeighting,
    "dynamic": DynamicWeightAverage,
}
NamedT = TypeVar("NamedT")


def train(
    data: Any,
    *,
    loss: LossName | Loss = "unseen-orthogonal",
    weighting: WeightingName | Weighting = "homoscedastic",
    preset: PresetName | Preset = "laptop",
    inputs: str | Sequence[int] = "middle",
    validation: float = 0.2,
    seed: int = 0,
    out: str | Path | None = None,
    protocol: Protocol | None = None,
    net: RelaxationNet | Trained | None = None,
    fresh_noise: bool = False,
    accelerator: str = "auto",
    devices: int | str | Sequence[int] = 1,
    strategy: str = "auto",
    precision: str | int = "32-true",
    progress: bool = True,
    each_epoch: Callable[[int, RelaxationNet, dict[str, float]], None] | None = None,
) -> Trained:
    """Train a network, without labels unless a supervised loss is asked for.

    A network that learns from few subjects knows them by their anatomy, and answers with what it remembers. So their
    relaxation rates are changed at random (``rate_shift`` of the preset): what the network sees is multiplied by
    exp(-d t), which is what tissue of a rate higher by d would show, and d is taken off its answer before that is
    compared with the images.

    Some subjects are set aside. After each epoch the network is tried on them, by a residual that is the same for all
    losses: orthogonal pairs of images that the network does not see. Their noise is independent of what it sees, so
    this orders the epochs of a training much as the truth would, though not so well trainings whose held-out subjects
    differ. Training stops when it no longer improves; the weights of the best epoch are kept.

    Parameters
    ----------
    data
        Subjects to learn from: a phantom's cohort; a folder of subjects, opened by :func:`relaxnet.io.read_cohort`; a
        sequence of arrays or tensors with all images of a subject each, (slice, image, height, width); or a
        :class:`torch.utils.data.Dataset` of such. They are held in memory.
    loss
        What the network is taught by: a name of :data:`LOSSES`, where ``"paper"`` is that of Huang et al. (2023), or a
        :class:`Loss`.
    weighting
        How the contrasts are balanced: ``"fixed"`` (weights of 1), ``"homoscedastic"`` (learnt scales),
        ``"heteroscedastic"`` or ``"faithful"`` (a scale for each voxel), ``"profiled"``, ``"correlated"``,
        ``"random"``, ``"dynamic"``, or a weighting of :mod:`relaxnet.losses`. Scales begin at the mean residuals of
        the first batch; at 1, as in Huang et al., with ``"homoscedastic-from-one"``.
    preset
        Size of the network and length of the training: ``"smoke"``, ``"laptop"``, ``"paper"`` or a :class:`Preset`.
    inputs
        Which images the network sees: the name of an input set of the protocol, channel numbers, or ``"any"`` for one
        network that takes any input set.
    validation
        Fraction of the subjects to set aside, at least one; 0 to learn from all and keep the last epoch, as for a
        single scan.
    seed
        Of the weights, the order of the slices, the choice of validation subjects and the augmentation. The same seed
        gives the same network on the same machine.
    out
        A folder. The run is saved there after each epoch; started again with the same settings, it goes on from there.
    protocol
        What was acquired; subjects of a phantom and folders know it.
    net
        A network to begin with, in the place of a new one of the preset's size; of a trained one, the weights are tuned
        further. It is not changed itself.
    fresh_noise
        Whether the noise of simulated subjects is drawn anew in each step, as if each were scanned many times.
    accelerator, devices, strategy, precision
        Where and how to train, as Lightning has it.
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
        If an argument makes no sense, or ``out`` holds a run of other settings.
    TypeError
        If ``data`` holds neither subjects nor images.
    FloatingPointError
        If the loss is not finite; the message names the slices.
    MissingExtraError
        If Lightning is not installed.

    Examples
    --------
    >>> cohort = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(32, 32), snr=20, seed=0)
    >>> trained = rx.training.train(cohort, preset="smoke", progress=False)
    >>> trained.predict(cohort[0].images)["t1rho"].shape
    torch.Size([1, 32, 32])
    """
    settings = _named("preset", preset, PRESETS, Preset)
    taught = _named("loss", loss, LOSSES, Loss)
    lightning = require("lightning", extra="train")
    # These import Lightning, so only now is the time.
    from lightning.pytorch.callbacks import EarlyStopping  # noqa: PLC0415

    from relaxnet.training._callbacks import BestWeights, SaveRun, ShowProgress  # noqa: PLC0415
    from relaxnet.training._module import VALIDATION, RelaxationModule, SliceModule  # noqa: PLC0415

    if seed < 0:
        raise ValueError(f"seed={seed}: a seed is not negative.")
    start = net.net if isinstance(net, Trained) else net
    acquired, scans = gather(data, start.protocol if protocol is None and start is not None else protocol)
    watched, learnt = _split(scans, validation, seed)
    labels = taught.labels if taught.kind == "supervised" else None
    training = Slices(learnt, acquired, labels=labels, fresh_noise=fresh_noise, needs_sigma=taught.needs_sigma)
    watching = Slices(watched, acquired, needs_sigma=True) if watched else None
    with torch.random.fork_rng():  # the seed of a training is not the business of the caller's random numbers
        torch.manual_seed(seed)
        balance = _weighting(weighting, len(acquired.names))
        own = _network(start, acquired, inputs, settings, taught, balance)
        module = RelaxationModule(own, taught, balance, settings, seed, fresh_noise=fresh_noise)
        best = BestWeights(each_epoch)
        callbacks: list[Any] = [best]
        if watching is not None:
            callbacks.append(EarlyStopping(VALIDATION, patience=settings.patience))
        checkpoint = None
        if out is not None:
            description = {
                "net": own.config,
                "loss": asdict(taught),
                "weighting": weighting if isinstance(weighting, str) else type(weighting).__name__,
                "seed": seed,
                "subjects": len(scans),
                "fresh_noise": fresh_noise,
                **asdict(settings),
            }
            checkpoint = _resume(Path(out), description)
            callbacks.append(SaveRun(Path(out) / "run.ckpt"))
        if progress:
            callbacks.append(ShowProgress())
        with _quiet():
            trainer = lightning.Trainer(
                accelerator=accelerator,
                devices=devices,
                strategy=strategy,
                precision=precision,
                max_epochs=settings.epochs,
                gradient_clip_val=settings.clip,
                callbacks=callbacks,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                limit_val_batches=0 if watching is None else None,
            )
            slices = SliceModule(training, watching, settings.batch_size, seed)
            with _honest_signals(trainer):
                trainer.fit(module, slices, ckpt_path=checkpoint, weights_only=True)
    # A memory format changes the rounding; this is the one that a saved network is loaded in.
    own = own.cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    own.load_state_dict(best.weights)
    return Trained(own, best.history, calibrate(own, _to_calibrate_with(learnt, watched, taught)))


def _named(what: str, chosen: str | NamedT, known: dict[Any, NamedT], kind: type[NamedT]) -> NamedT:
    if isinstance(chosen, kind):
        return chosen
    if chosen not in known:
        close = get_close_matches(str(chosen), known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"{what}={chosen!r} is unknown: use one of {tuple(known)}, or a relaxnet.training.{kind.__name__}.{hint}"
        )
    return known[chosen]


def _weighting(weighting: str | Weighting, n_tasks: int) -> Weighting:
    if isinstance(weighting, Weighting):
        weighting.adopt(n_tasks)
        return weighting
    for name, make in WEIGHTINGS.items():
        if name == weighting:
            return make(n_tasks)
    raise ValueError(f"weighting={weighting!r} is unknown: use one of {tuple(WEIGHTINGS)}, or one of relaxnet.losses.")


def _network(
    start: RelaxationNet | None,
    protocol: Protocol,
    inputs: str | Sequence[int],
    preset: Preset,
    loss: Loss,
    weighting: Weighting,
) -> RelaxationNet:
    """Make the network, or copy the given one, and see that it answers with all that is needed."""
    uncertainty: Literal["heteroscedastic", "faithful"] | None = None
    if isinstance(weighting, HeteroscedasticLaplace):
        uncertainty = "faithful" if weighting.faithful else "heteroscedastic"
    if start is None:
        return RelaxationNet(
            protocol,
            inputs,
            base=preset.base,
            depth=preset.depth,
            uncertainty=uncertainty,
            amplitude=loss.kind == "reconstruction",
            hints=preset.hints,
        )
    if start.protocol != protocol:
        raise ValueError(f"net is made for {start.protocol}, the subjects were acquired with {protocol}.")
    if uncertainty and not start.uncertainty:
        raise ValueError(
            f"net predicts no scales, which {type(weighting).__name__} needs: uncertainty={uncertainty!r}."
        )
    return copy.deepcopy(start).train()


def _split(scans: list[Scan], validation: float, seed: int) -> tuple[list[Scan], list[Scan]]:
    """Choose the subjects to watch and those to learn from: whole ones, because slices of one resemble each other."""
    if not 0 <= validation < 1:
        raise ValueError(f"validation={validation}: give the fraction of subjects to set aside, from 0 to 1.")
    n = len(scans)
    if n < (2 if validation else 1):
        raise ValueError(
            f"data has {n} subject(s): one to learn from and one to watch are needed, or validation=0 to watch none."
        )
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    n_watched = min(max(1, round(validation * n)), n - 1) if validation else 0
    return [scans[k] for k in order[:n_watched]], [scans[k] for k in order[n_watched:]]


def _to_calibrate_with(learnt: list[Scan], watched: list[Scan], loss: Loss) -> list[Scan]:
    """Choose subjects: those held out, and others if what they are compared with has not been learnt from.

    That is the truth of a phantom, unless it was the label: the more subjects, the better the calibration, as they
    differ. Of a patient it is the images that the network does not see, from which it has learnt.
    """
    unknown_truth = [] if loss.kind == "supervised" else [scan for scan in learnt if scan.subject is not None]
    return watched + unknown_truth


def _resume(out: Path, description: dict[str, Any]) -> Path | None:
    """Find the saved run in a folder, if it is of the same settings; note the settings if there is none."""
    settings, checkpoint = out / "settings.json", out / "run.ckpt"
    text = json.dumps(description, indent=2)
    if checkpoint.exists():
        if not settings.exists() or settings.read_text(encoding="utf-8") != text:
            raise ValueError(f"out={out} holds a run of other settings ({settings.name}): choose another folder.")
        return checkpoint
    write_text(settings, text)
    return None


@contextmanager
def _honest_signals(trainer: Any) -> Iterator[None]:
    """Let Ctrl-C end as KeyboardInterrupt, and SIGTERM with status 143; Lightning would exit with 1 and 0."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)  # Lightning has it ignored from here on
            raise KeyboardInterrupt from None
        if trainer.received_sigterm:
            raise SystemExit(128 + signal.SIGTERM) from None
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's greetings and its advice for clusters off the user's screen."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in ("does not have many workers", r"isinstance\(treespec, LeafSpec\)"):
            warnings.filterwarnings("ignore", message=f".*{message}.*")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
