"""``relaxnet experiment``: its options, and what it prints."""

from pathlib import Path
from typing import Annotated

import typer

from relaxnet.cli._common import Answer
from relaxnet.cli._console import explain, one_of, say
from relaxnet.experiments import EXPERIMENTS, SETTINGS

Name, Preset = one_of("Name", (*EXPERIMENTS, "all")), one_of("Preset", SETTINGS)


def experiment(
    name: Annotated[Name, typer.Argument(help=f"{explain(EXPERIMENTS)}; all: one after the other.")],  # type: ignore[valid-type]
    preset: Annotated[Preset, typer.Option(help=explain(SETTINGS))] = "laptop",  # type: ignore[valid-type]
    seeds: Annotated[int, typer.Option(min=1, help="How often to train the most important networks.")] = 3,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A network of table2 to train beside its baseline; again for others. Those in DIR stay.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the results, with a folder for each preset.")
    ] = Path("results"),
    jobs: Annotated[int | None, typer.Option(min=1, help="Steps at a time; by default one a core.")] = None,
) -> Answer:
    """Repeat an experiment of the paper, or one of ours, on digital subjects or real images.

    Run it again to resume it: computed steps are kept in DIR/.cache.
    """
    from relaxnet.experiments import render, run  # noqa: PLC0415 (it needs torch, which takes seconds)

    names = list(EXPERIMENTS) if name == "all" else [str(name)]
    run(names, preset=preset, seeds=seeds, networks=networks or (), out=out, jobs=jobs, say=say)
    files = render(out / preset, names)
    tables = [path.read_text(encoding="utf-8") for path in files if path.suffix == ".md"]
    for path in files:
        say(str(path))
    return Answer("\n".join(tables), {"files": [str(path) for path in files]})
