"""``relaxnet train``: its options, and what it prints."""

from pathlib import Path
from typing import Annotated

import typer

from relaxnet.cli._console import explain, listed, one_of, say
from relaxnet.losses import WEIGHTINGS
from relaxnet.training import LOSSES, PRESETS

Preset, Loss, Weighting = one_of("Preset", PRESETS), one_of("Loss", LOSSES), one_of("Weighting", WEIGHTINGS)


def train(
    cohort: Annotated[Path, typer.Argument(help="Folder of subjects, as simulate writes it, or of patients.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the run and the network go.")],
    weighting: Annotated[Weighting, typer.Option(help=explain(WEIGHTINGS))] = "homoscedastic",  # type: ignore[valid-type]
    preset: Annotated[Preset, typer.Option(help=explain(PRESETS))] = "laptop",  # type: ignore[valid-type]
    loss: Annotated[Loss, typer.Option(help=explain(LOSSES))] = "held-out-orthogonal",  # type: ignore[valid-type]
    inputs: Annotated[str, typer.Option(help="Input images: short, middle, long, any, or as 0,2,5.")] = "middle",
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
) -> None:
    """Train a network on a folder of subjects, without labels.

    Run it again to resume an interrupted run. The network is network.safetensors in the folder of the run.
    """
    from relaxnet._files import prepare_folder  # noqa: PLC0415
    from relaxnet.io import read_cohort  # noqa: PLC0415 (it needs torch, which takes seconds)
    from relaxnet.training import train as run  # noqa: PLC0415
    from relaxnet.workflows import NETWORK  # noqa: PLC0415

    network = out / NETWORK
    subjects = read_cohort(cohort)
    if out.exists() and out.samefile(cohort):
        raise ValueError(f"{out}: this is the folder of the subjects: choose another one for the run.")
    if network.exists() and not (out / "run.ckpt").exists():
        raise FileExistsError(f"{network}: this is not of a run in its folder: choose another folder.")
    prepare_folder(out)
    say(f"{cohort}: {len(subjects)} subjects, {subjects.protocol.n_images} images each")
    trained = run(subjects, loss=loss, weighting=weighting, preset=preset, inputs=_inputs(inputs), seed=seed, out=out)
    trained.save(network)
    best = min(trained.history, key=lambda epoch: epoch["val_residual"])
    print(f"{len(trained.history)} epochs, best validation residual {best['val_residual']:.4f}\n{listed([network])}")


def _inputs(text: str) -> str | tuple[int, ...]:
    if text.isidentifier():  # names of input sets are
        return text
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        problem = f"{text!r} is neither a name nor numbers with commas between them."
        raise typer.BadParameter(problem, param_hint="--inputs") from error
