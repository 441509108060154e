"""``relaxnet bids``: its options, and what it prints."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from relaxnet.cli._common import Answer
from relaxnet.cli._console import COMMAND_LINE, explain, one_of, say
from relaxnet.cli._values import check_positive, speaking_of
from relaxnet.fitting import METHODS, SPATIAL

LABELS = ("--participant-label", "--participant_label", "--session-label", "--session_label")
Level = one_of("Level", ("participant",))
Method = one_of("Method", METHODS | SPATIAL)


def bids(
    bids_dir: Annotated[Path, typer.Argument(help="BIDS data set.")],
    out_dir: Annotated[Path, typer.Argument(help="Folder of the derivative.")],
    level: Annotated[Level, typer.Argument(help="Level of the analysis.")],  # type: ignore[valid-type]
    participant_label: Annotated[
        list[str] | None,
        typer.Option(
            "--participant-label", "--participant_label", metavar="LABEL...", help="Subjects to fit. [default: all]"
        ),
    ] = None,
    session_label: Annotated[
        list[str] | None,
        typer.Option("--session-label", "--session_label", metavar="LABEL...", help="Sessions to fit. [default: all]"),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Series to fit at a time.")] = 1,
    dask_scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Let the workers of a dask scheduler fit, as tcp://host:8786.")
    ] = None,
    method: Annotated[
        Method,  # type: ignore[valid-type]
        typer.Option(help=f"{explain(METHODS)}, with --sigma; {explain(SPATIAL)}."),
    ] = "nlls",
    skip_first: Annotated[int, typer.Option(metavar="N", help="Leave out the first N images of each series.")] = 0,
    saturation: Annotated[float | None, typer.Option(help="Leave out samples at or above this value.")] = None,
    sigma: Annotated[float | None, typer.Option(help="Standard deviation of the noise.")] = None,
    fill: Annotated[float | None, typer.Option(help="Write this value in place of NaN.")] = None,
    rates: Annotated[bool, typer.Option("--rates", help="Write maps of the rates, 1/T in 1/s, too.")] = False,
    pictures: Annotated[bool, typer.Option("--pictures", help="Draw a picture of each map, too.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Write a report of each series, too.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Let series fail that do not look like what was meant.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Fit again what is there.")] = False,
    device: str = "auto",
) -> Answer:
    """Fit every relaxometry series of a BIDS data set: MESE, MEGRE, IRT1, VFA, and T1rho by its SpinLockTime.

    The maps are a BIDS derivative. Run again, it fits what is missing. A series that fails is told and does not stop
    the others; the exit status is 3 then. OUT_DIR/logs has a table of each subject.
    """
    del level  # there is one
    check_positive(saturation=saturation, sigma=sigma)
    from relaxnet.workflows import fit_data_set  # noqa: PLC0415 (it needs torch, which takes seconds)

    with speaking_of(overwrite="--overwrite", sigma="--sigma"):
        outcome = fit_data_set(
            bids_dir,
            out_dir,
            subjects=_labels(participant_label),
            sessions=_labels(session_label),
            jobs=jobs,
            dask_scheduler=dask_scheduler,
            method=str(method),
            skip_first=skip_first,
            saturation=saturation,
            sigma=sigma,
            fill=fill,
            rates=rates,
            pictures=pictures,
            report=report,
            strict=strict,
            overwrite=overwrite,
            command=COMMAND_LINE.get(),
            device=device,
            log=say,
        )
    failed = outcome.summary["failed"]
    status = 0 if not failed else 1 if failed == len(outcome.result) else 3
    return Answer(outcome.text, outcome.summary, status)


def _labels(given: list[str] | None) -> list[str] | None:
    """Take labels apart that have commas or spaces between them."""
    return [label for text in given for label in text.replace(",", " ").split()] if given else None


def repeat_labels(arguments: Iterable[str]) -> list[str]:
    """Write several labels behind one option, as BIDS apps take them, as an option each.

    Examples
    --------
    >>> repeat_labels(["bids", "in", "out", "participant", "--participant-label", "01", "02", "--jobs", "2"])[4:]
    ['--participant-label', '01', '--participant-label', '02', '--jobs', '2']
    """
    spread: list[str] = []
    option, level = "", False
    for word in arguments:
        if word.startswith("-"):
            option = word if word in LABELS else ""
        elif level and option and spread[-1] != option:
            spread.append(option)
        level = level or word == "participant"
        spread.append(word)
    return spread
