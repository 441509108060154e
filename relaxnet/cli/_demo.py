"""``relaxnet demo``: its options, and what it prints."""

from pathlib import Path
from typing import Annotated

import typer

from relaxnet.cli._common import Answer
from relaxnet.cli._console import listed, one_of, say

Preset = one_of("Preset", ("smoke", "laptop"))


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the results go.")] = Path("relaxnet-demo"),
    preset: Annotated[Preset, typer.Option(help="Seconds, or minutes on two cores.")] = "laptop",  # type: ignore[valid-type]
    seed: Annotated[int, typer.Option(min=0, help="Seed of the digital subjects and of the training.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the results of an earlier demo.")] = False,
) -> Answer:
    """Simulate livers, fit them, train a network without labels, and compare all with the truth."""
    from relaxnet.workflows import demo as run  # noqa: PLC0415 (it needs torch, which takes seconds)

    outcome = run(out, preset=preset, seed=seed, overwrite=overwrite, log=say)
    return Answer(f"{outcome.text}\n\n{listed(outcome.files.values())}", outcome.summary)
