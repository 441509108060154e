"""``relaxnet train``: its options, and what it prints."""

from pathlib import Path
from typing import Annotated

import typer

from relaxnet.cli._common import Answer
from relaxnet.cli._console import QUIET, explain, listed, one_of, say
from relaxnet.cli._values import check_positive, numbers, speaking_of
from relaxnet.losses import WEIGHTINGS
from relaxnet.training import LOSSES, PRESETS

Preset, Loss, Weighting = one_of("Preset", PRESETS), one_of("Loss", LOSSES), one_of("Weighting", WEIGHTINGS)


def train(
    cohort: Annotated[Path, typer.Argument(help="Folder of subjects, as simulate writes it, or of patients.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the run and the network go.")],
    weighting: Annotated[Weighting, typer.Option(help=explain(WEIGHTINGS))] = "homoscedastic",  # type: ignore[valid-type]
    preset: Annotated[Preset, typer.Option(help=explain(PRESETS))] = "laptop",  # type: ignore[valid-type]
    loss: Annotated[Loss, typer.Option(help=explain(LOSSES))] = "held-out-orthogonal",  # type: ignore[valid-type]
    inputs: Annotated[
        str, typer.Option(help="Input images: short, middle, long, any, random, or as 0,2,5.")
    ] = "middle",
    sigma: Annotated[
        float | None, typer.Option(help="Standard deviation of the noise. [default: estimated for each subject]")
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option("--bounds-ms", metavar="LOW,HIGH", help="Smallest and largest T to predict. [default: 5,400]"),
    ] = None,
    validation: Annotated[
        float, typer.Option(metavar="PART", help="Part of the subjects to set aside; 0 for a single one.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
) -> Answer:
    """Train a network on a folder of subjects, without labels.

    Run it again to resume an interrupted run. The network is network.safetensors in the folder of the run. A subject
    may have a mask of the voxels to learn from, sub-01/anat/sub-01_mask.nii.gz, may lack a contrast, or be of another
    size.
    """
    check_positive(sigma=sigma)
    limits = None if bounds is None else numbers(bounds, "--bounds-ms")
    from relaxnet._files import prepare_folder  # noqa: PLC0415
    from relaxnet.io import read_cohort  # noqa: PLC0415 (it needs torch, which takes seconds)
    from relaxnet.training import train as run  # noqa: PLC0415
    from relaxnet.training._find import NETWORK  # noqa: PLC0415

    network = out / NETWORK
    subjects = read_cohort(cohort)
    if out.exists() and out.samefile(cohort):
        raise ValueError(f"{out}: this is the folder of the subjects: choose another one for the run.")
    if network.exists() and not (out / "run.ckpt").exists():
        raise FileExistsError(f"{network}: this is not of a run in its folder: choose another folder.")
    prepare_folder(out)
    masks = subjects.masks()
    masked = sum(mask is not None for mask in masks)
    of_masks = f", {masked} with a mask" if masked else ""
    say(f"{cohort}: {len(subjects)} subjects, {subjects.protocol.n_images} images each{of_masks}")
    with speaking_of(bounds_ms="--bounds-ms", validation="--validation", sigma="--sigma"):
        trained = run(
            subjects,
            loss=loss,
            weighting=weighting,
            preset=preset,
            inputs=_inputs(inputs),
            sigma=sigma,
            mask=masks,
            bounds_ms=limits,
            validation=validation,
            seed=seed,
            out=out,
            progress=not QUIET.get(),
        )
    trained.save(network)
    residuals = [epoch["val_residual"] for epoch in trained.history if "val_residual" in epoch]
    told = f"best validation residual {min(residuals):.4f}" if residuals else "without validation"
    summary = {"epochs": len(trained.history), "residual": min(residuals, default=None), "files": [str(network)]}
    return Answer(f"{len(trained.history)} epochs, {told}\n{listed([network])}", summary)


def _inputs(text: str) -> str | tuple[int, ...]:
    if text.isidentifier():  # names of input sets are
        return text
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        problem = f"{text!r} is neither a name nor numbers with commas between them."
        raise typer.BadParameter(problem, param_hint="--inputs") from error
