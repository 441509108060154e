"""``relaxnet experiment``: its options, and what it prints."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from relaxnet.cli._main import say


class Name(StrEnum):
    """Which experiment."""

    TABLE2 = "table2"
    TABLE3 = "table3"
    TABLE4 = "table4"
    FIG2 = "fig2"
    FIG3 = "fig3"
    SNR = "snr"
    GENERALISE = "generalise"
    LOSSES = "losses"
    ABLATION = "ablation"
    ALL = "all"


class Preset(StrEnum):
    """How large."""

    SMOKE = "smoke"
    LAPTOP = "laptop"
    PAPER = "paper"


def experiment(
    name: Annotated[Name, typer.Argument(help="Which one; all for one after the other.")],
    preset: Annotated[Preset, typer.Option(help="Minutes; hours on two cores; for a GPU.")] = Preset.LAPTOP,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of the most important networks.")] = 3,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results go, in a folder for each preset.")] = Path(
        "results"
    ),
    jobs: Annotated[int | None, typer.Option(min=1, help="Steps at a time; by default one a core.")] = None,
) -> None:
    """Repeat an experiment of the paper, or one of ours, on digital patients.

    Run it again to go on where it was interrupted: what has been computed is kept in DIR/.cache.
    """
    from relaxnet.experiments import EXPERIMENTS, render, run  # noqa: PLC0415 (it needs torch, which takes seconds)

    names = list(EXPERIMENTS) if name is Name.ALL else [name.value]
    run(names, preset=preset.value, seeds=seeds, out=out, jobs=jobs, say=say)
    for path in render(out / preset.value, names):
        if path.suffix == ".md":
            print(path.read_text(encoding="utf-8"))
        else:
            say(str(path))
