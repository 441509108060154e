"""``relaxnet evaluate``: its options, and what it prints."""

from pathlib import Path
from typing import Annotated, Any

import typer

from relaxnet.cli._common import Answer
from relaxnet.cli._console import COMMAND_LINE, listed, say


def evaluate(
    subject: Annotated[
        Path, typer.Argument(metavar="MAP|RUN", help="Map of one volume; or folder of a training, or its network.")
    ],
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE|COHORT", help="Map to compare with; or folder of a cohort.")
    ],
    labels: Annotated[
        Path | None, typer.Option(metavar="LABELS", help="File of whole numbers on the grid of MAP: a row for each.")
    ] = None,
    inputs: Annotated[str | None, typer.Option(help="Inputs of a network of any: short, middle, long.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where table and HTML report go.")] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write table and HTML report also without --out, to the folder of MAP.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are already there.")] = False,
    device: str = "auto",
) -> Answer:
    """Compare a map with a reference, or a network with the truth of a cohort.

    Prints bias, standard deviation, limits of agreement, mean absolute difference (RMAE), ICC and correlation, for each
    label or subject and for all, of the voxels that both have. Relaxation times are in ms. Patients have no truth:
    there, a network is compared with the fit of all images.
    """
    options: dict[str, Any] = {
        "overwrite": overwrite,
        "command": COMMAND_LINE.get(),
        "log": say,
    }
    if reference.is_dir() and not _is_one_volume(subject):
        if labels is not None:
            raise typer.BadParameter("regions of a cohort are its own: leave it out.", param_hint="--labels")
        folder = out or (subject if subject.is_dir() else subject.parent) if report or out else None
        from relaxnet.workflows import evaluate_network  # noqa: PLC0415 (it needs torch, which takes seconds)

        outcome = evaluate_network(subject, reference, out=folder, inputs=inputs, device=device, **options)
    else:
        if inputs is not None:
            raise typer.BadParameter("it is for a network and a cohort, and these are maps.", param_hint="--inputs")
        folder = out or subject.parent if report or out else None
        from relaxnet.workflows import evaluate_maps  # noqa: PLC0415

        outcome = evaluate_maps(subject, reference, labels=labels, out=folder, **options)
    if outcome.files:
        say(f"wrote {listed(outcome.files.values())}")
    return Answer(outcome.text, outcome.summary)


def _is_one_volume(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() != ".safetensors"
