"""From a cohort to a trained network."""

import json
import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from relaxnet._errors import require
from relaxnet._files import write_text
from relaxnet.losses import FixedWeights, HomoscedasticLaplace, Weighting
from relaxnet.nets import RelaxationNet
from relaxnet.phantom import Cohort
from relaxnet.training._presets import PRESETS, Preset, PresetName
from relaxnet.training._trained import Trained

WeightingName = Literal["homoscedastic", "fixed"]


def train(
    cohort: Cohort,
    *,
    weighting: WeightingName | Weighting = "homoscedastic",
    preset: PresetName | Preset = "laptop",
    inputs: str | Sequence[int] = "middle",
    validation: float = 0.2,
    seed: int = 0,
    out: str | Path | None = None,
    accelerator: str = "auto",
    progress: bool = True,
) -> Trained:
    """Train a network without labels: its teacher is the decay law that all images of a subject must obey.

    The network sees the images of ``inputs``; the pairwise constraint compares its maps with all images of the
    protocol. Some subjects are set aside, and training stops when their residual no longer improves; the weights of
    the best epoch are kept. The truth that a phantom knows is not used.

    Parameters
    ----------
    cohort
        Subjects to learn from, two or more.
    weighting
        How the contrasts are balanced: ``"homoscedastic"`` (learnt scales), ``"fixed"`` (weights of 1), or a weighting.
    preset
        Size of the network and length of the training: ``"smoke"``, ``"laptop"``, ``"paper"`` or a :class:`Preset`.
    inputs
        Which images the network sees: the name of an input set of the protocol, or channel numbers.
    validation
        Fraction of the subjects to set aside, at least one.
    seed
        Of the weights, the order of the slices, the choice of validation subjects and the augmentation. The same seed
        gives the same network on the same machine.
    out
        A folder. The run is saved there after each epoch; started again with the same settings, it goes on from there.
    accelerator
        Where to train: ``"auto"``, ``"cpu"``, ``"gpu"``, ``"mps"``, as Lightning has it.
    progress
        Whether to show progress on standard error.

    Returns
    -------
    Trained
        The trained network, on the processor, with its history.

    Raises
    ------
    ValueError
        If an argument makes no sense, or ``out`` holds a run of other settings.
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
    settings = _preset(preset)
    lightning = require("lightning", extra="train")
    # These import Lightning, so only now is the time.
    from lightning.pytorch.callbacks import EarlyStopping  # noqa: PLC0415

    from relaxnet.training._callbacks import BestWeights, SaveRun, ShowProgress  # noqa: PLC0415
    from relaxnet.training._module import VALIDATION, RelaxationModule, Slices  # noqa: PLC0415

    if seed < 0:
        raise ValueError(f"seed={seed}: a seed is not negative.")
    training, watched = _split(cohort, validation, seed)
    with torch.random.fork_rng():  # the seed of a training is not the business of the caller's random numbers
        torch.manual_seed(seed)
        net = RelaxationNet(cohort.protocol, inputs, base=settings.base, depth=settings.depth)
        balance = _weighting(weighting, len(cohort.protocol.names))
        best = BestWeights()
        callbacks: list[Any] = [best, EarlyStopping(VALIDATION, patience=settings.patience)]
        checkpoint = None
        if out is not None:
            checkpoint = _resume(
                Path(out), {"net": net.config, "weighting": _describe(weighting), "seed": seed, **asdict(settings)}
            )
            callbacks.append(SaveRun(Path(out) / "run.ckpt"))
        if progress:
            callbacks.append(ShowProgress())
        with _quiet():
            trainer = lightning.Trainer(
                accelerator=accelerator,
                devices=1,
                max_epochs=settings.epochs,
                callbacks=callbacks,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
            )
            module = RelaxationModule(net, balance, settings, seed)
            slices = Slices(training, watched, settings.batch_size, seed)
            with _honest_signals(trainer):
                trainer.fit(module, slices, ckpt_path=checkpoint, weights_only=True)
    net.cpu().load_state_dict(best.weights)
    net.eval()
    return Trained(net, best.history)


def _preset(preset: str | Preset) -> Preset:
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        close = get_close_matches(str(preset), PRESETS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"preset={preset!r} is unknown: use one of {tuple(PRESETS)}, or a relaxnet.training.Preset.{hint}"
        )
    return PRESETS[preset]


def _weighting(weighting: str | Weighting, n_tasks: int) -> Weighting:
    if isinstance(weighting, Weighting):
        return weighting
    if weighting == "homoscedastic":
        return HomoscedasticLaplace(n_tasks)
    if weighting == "fixed":
        return FixedWeights((1.0,) * n_tasks)
    raise ValueError(f"weighting={weighting!r} is unknown: use 'homoscedastic', 'fixed', or one of relaxnet.losses.")


def _describe(weighting: str | Weighting) -> str:
    return weighting if isinstance(weighting, str) else type(weighting).__name__


def _split(cohort: Cohort, validation: float, seed: int) -> tuple[Tensor, Tensor]:
    """Set whole subjects aside: slices of one subject resemble each other."""
    if not 0 < validation < 1:
        raise ValueError(f"validation={validation}: give the fraction of subjects to set aside, between 0 and 1.")
    if len(cohort) < 2:
        raise ValueError(f"cohort has {len(cohort)} subject(s): one to learn from and one to watch are needed.")
    order = torch.randperm(len(cohort), generator=torch.Generator().manual_seed(seed)).tolist()
    n_watched = min(max(1, round(validation * len(cohort))), len(cohort) - 1)
    watched = torch.cat([cohort[i].images for i in order[:n_watched]])
    training = torch.cat([cohort[i].images for i in order[n_watched:]])
    for images in (training, watched):
        if not torch.isfinite(images).all():
            raise ValueError("cohort has images that are not finite: replace or leave out what is NaN.")
    return training, watched


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
