"""``relaxnet train``: its options, and what it prints."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from relaxnet.cli._main import say


class Preset(StrEnum):
    """How large a network is, and how long it trains."""

    SMOKE = "smoke"
    LAPTOP = "laptop"
    PAPER = "paper"


class Loss(StrEnum):
    """What a network is taught by."""

    PAPER = "paper"
    ORTHOGONAL = "orthogonal"
    UNSEEN_ORTHOGONAL = "unseen-orthogonal"
    RECONSTRUCTION = "reconstruction"
    UNSEEN_RECONSTRUCTION = "unseen-reconstruction"
    SUPERVISED_NLLS = "supervised-nlls"
    SUPERVISED_TRUTH = "supervised-truth"


class Weighting(StrEnum):
    """How the contrasts are balanced."""

    FIXED = "fixed"
    HOMOSCEDASTIC = "homoscedastic"
    HOMOSCEDASTIC_FROM_ONE = "homoscedastic-from-one"
    HETEROSCEDASTIC = "heteroscedastic"
    FAITHFUL = "faithful"
    PROFILED = "profiled"
    CORRELATED = "correlated"
    RANDOM = "random"
    DYNAMIC = "dynamic"


def train(
    cohort: Annotated[Path, typer.Argument(help="Folder of subjects, as simulate writes it, or of patients.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the run and the network go.")],
    weighting: Annotated[Weighting, typer.Option(help="How the contrasts are balanced.")] = Weighting.HOMOSCEDASTIC,
    preset: Annotated[Preset, typer.Option(help="Seconds, minutes on two cores, or as in the paper.")] = Preset.LAPTOP,
    loss: Annotated[Loss, typer.Option(help="What the network is taught by.")] = Loss.UNSEEN_ORTHOGONAL,
    inputs: Annotated[str, typer.Option(help="What it sees: short, middle, long, any, or as 0,2,5.")] = "middle",
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
) -> None:
    """Train a network on a folder of subjects, without labels.

    Run it again to go on where it was interrupted. The network is network.safetensors in the folder of the run.
    """
    from relaxnet._files import prepare_folder  # noqa: PLC0415
    from relaxnet._predict_scan import NETWORK  # noqa: PLC0415 (it needs torch, which takes seconds)
    from relaxnet.io import read_cohort  # noqa: PLC0415
    from relaxnet.training import train as run  # noqa: PLC0415

    network = out / NETWORK
    subjects = read_cohort(cohort)
    if network.exists() and not (out / "run.ckpt").exists():
        raise FileExistsError(f"{network}: this is not of a run in its folder: choose another folder.")
    prepare_folder(out)
    say(f"{cohort}: {len(subjects)} subjects, {subjects.protocol.n_images} images each")
    trained = run(
        subjects,
        loss=loss.value,
        weighting=weighting.value,
        preset=preset.value,
        inputs=_inputs(inputs),
        seed=seed,
        out=out,
    )
    trained.save(network)
    best = min(trained.history, key=lambda epoch: epoch["val_residual"])
    print(f"{len(trained.history)} epochs, best validation residual {best['val_residual']:.4f}\n  {network}")


def _inputs(text: str) -> str | tuple[int, ...]:
    if text.isidentifier():  # names of input sets are
        return text
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        problem = f"{text!r} is neither a name nor numbers with commas between them."
        raise typer.BadParameter(problem, param_hint="--inputs") from error
