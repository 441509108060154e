"""``relaxnet demo``: its options, and what it prints."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from relaxnet.cli._main import say


class Preset(StrEnum):
    """How much work a demo does."""

    SMOKE = "smoke"
    LAPTOP = "laptop"


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the results go.")] = Path("relaxnet-demo"),
    preset: Annotated[Preset, typer.Option(help="Seconds, or minutes on two cores.")] = Preset.LAPTOP,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the digital livers and of the training.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the results of an earlier demo.")] = False,
) -> None:
    """Simulate livers, fit them, train a network without labels, and compare all with the truth."""
    from relaxnet._demo import run  # noqa: PLC0415 (it needs torch, which takes seconds)

    outcome = run(out, preset=preset.value, seed=seed, overwrite=overwrite, say=say)
    print(outcome.table)
    print("\n" + "\n".join(f"  {path}" for path in outcome.files))
