"""``relaxnet predict``: its options, and what it prints."""

from pathlib import Path
from typing import Annotated

import typer

from relaxnet.cli._common import Answer
from relaxnet.cli._console import COMMAND_LINE, listed, say
from relaxnet.cli._values import Average, Fill, OfDicom, Resample, SkipFirst, TimeAxis, Volumes, chosen, speaking_of


def predict(
    run: Annotated[
        Path,
        typer.Argument(
            help="Network: folder of a training, file, liver-any, or name/repository on the Hugging Face Hub."
        ),
    ],
    scan: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCAN...", help="NIfTI file, or files in order, of all images of the protocol, or of the inputs."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the maps go. [default: the folder of SCAN]")
    ] = None,
    volumes: Volumes = None,
    skip_first: SkipFirst = 0,
    time_axis: TimeAxis = None,
    series: OfDicom = None,
    average: Average = False,
    resample: Resample = False,
    inputs: Annotated[
        str | None,
        typer.Option(help="Inputs of a network of any: short, middle, long, 0,2,5, or each for the mean of sets."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write a report, too: one HTML file with figures and tables.")
    ] = False,
    fill: Fill = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace maps that are already there.")] = False,
    device: str = "auto",
) -> Answer:
    """Predict the maps of a scan by a trained network.

    Writes T1rho and T2 in seconds, their standard deviations (desc-std), each with a JSON file that says what it is,
    and pictures in ms, which leave out voxels whose standard deviation is above T/2.
    """
    from relaxnet.workflows import predict_scan  # noqa: PLC0415 (it needs torch, which takes seconds)

    numbers, of_any = chosen(volumes), inputs if inputs is None or not inputs[:1].isdigit() else chosen(inputs)
    with speaking_of():
        outcome = predict_scan(
            run,
            scan,
            out=out,
            volumes=numbers,
            skip_first=skip_first,
            time_axis=time_axis,
            series=series,
            average=average,
            resample=resample,
            inputs=of_any,
            report=report,
            fill=fill,
            overwrite=overwrite,
            device=device,
            command=COMMAND_LINE.get(),
            log=say,
        )
    return Answer(f"{outcome.text}\n{listed(outcome.files.values())}", outcome.summary)
