"""``relaxnet fit t1rho``, ``t2`` and ``joint``: their options, and what they print."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relaxnet._contrasts import KNOWN_CONTRASTS
from relaxnet.cli._console import COMMAND_LINE, explain, listed, one_of, say, silence
from relaxnet.cli._values import (
    Series,
    SkipFirst,
    TimeAxis,
    Volumes,
    bounds,
    check_positive,
    chosen,
    read_times,
    speaking_of,
    times,
)
from relaxnet.fitting import METHODS

if TYPE_CHECKING:
    from relaxnet.protocol import Protocol
    from relaxnet.workflows import Outcome

Method = one_of("Method", METHODS)

Scan = Annotated[
    list[Path],
    typer.Argument(
        metavar="SCAN...",
        help="NIfTI file of shape (x, y, z, time), files of one volume each, or another format that can be read.",
    ),
]
Mask = Annotated[Path | None, typer.Option(metavar="MASK", help="File of voxels to fit, or labels, on SCAN's grid.")]
Label = Annotated[
    str | None, typer.Option(metavar="N", help="Label to fit, where MASK holds several; or its name in MASK.tsv.")
]
LabelTable = Annotated[
    Path | None, typer.Option(metavar="TABLE", help="Names of labels, columns index and name. [default: MASK.tsv]")
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Where the maps go. [default: the folder of SCAN]")]
How = Annotated[Method, typer.Option(help=f"{explain(METHODS)}, with --sigma.")]  # type: ignore[valid-type]
Bounds = Annotated[
    str | None, typer.Option(metavar="LOW,HIGH", help="Smallest and largest T to look for, in ms. [default: 1,5000]")
]
Saturation = Annotated[float | None, typer.Option(help="Leave out samples at or above this value, such as 4095.")]
Sigma = Annotated[float | None, typer.Option(help="Standard deviation of the noise, for standard errors and rician.")]
Labels = Annotated[
    Path | None,
    typer.Option(
        metavar="LABELS", help="NIfTI file of whole numbers on the grid of SCAN: adds a table of its regions."
    ),
]
Fill = Annotated[float | None, typer.Option(help="Write this value in place of NaN, for programs that need one.")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail where the input does not look like what was meant.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace maps that are already there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results, warnings and errors.")]

HELP = """Fit {name} to every voxel of a scan.

Writes maps in seconds, each with a JSON file that says what it is, and a picture in ms. For scan.nii.gz these are
scan_{suffix}.nii.gz, scan_S0map.nii.gz, scan_desc-std_{suffix}.nii.gz (standard error), likewise desc-r2, desc-rmse and
desc-status, and scan_{suffix}.png. Voxels without a result are NaN; their status says why. The picture leaves out
voxels whose standard error is above T/2."""

app = typer.Typer(rich_markup_mode=None)


def _add_command(contrast: str, option: str) -> None:
    """Add the command for one contrast. Commands differ only in where their times come from."""
    known = KNOWN_CONTRASTS[contrast]
    keys = " or ".join(known.time_keys)

    def command(
        scan: Scan,
        times_ms: Annotated[
            str | None,
            typer.Option(
                option,
                metavar="MS,MS,...",
                help=f"Time of each volume, in the order of the files, or a text file. [default: {keys} in SCAN.json]",
            ),
        ] = None,
        volumes: Volumes = None,
        skip_first: SkipFirst = 0,
        time_axis: TimeAxis = None,
        series: Series = None,
        mask: Mask = None,
        label: Label = None,
        label_table: LabelTable = None,
        out: Out = None,
        method: How = "nlls",
        bounds_ms: Bounds = None,
        saturation: Saturation = None,
        sigma: Sigma = None,
        labels: Labels = None,
        fill: Fill = None,
        strict: Strict = False,
        overwrite: Overwrite = False,
        as_json: AsJson = False,
        quiet: Quiet = False,
    ) -> None:
        given, limits, numbers = times(times_ms, option), bounds(bounds_ms), chosen(volumes)
        check_positive(saturation=saturation, sigma=sigma)
        if method == "rician" and sigma is None:
            raise typer.BadParameter("it needs --sigma, the standard deviation of the noise.", param_hint="--method")
        from relaxnet.workflows import fit_scan  # noqa: PLC0415 (it needs torch, which takes seconds)

        with speaking_of(times_ms=option):
            outcome = fit_scan(
                scan,
                contrast,
                times_ms=given,
                volumes=numbers,
                skip_first=skip_first,
                time_axis=time_axis,
                series=series,
                mask=mask,
                label=label,
                label_table=label_table,
                out=out,
                method=method,
                bounds_ms=limits,
                saturation=saturation,
                sigma=sigma,
                labels=labels,
                fill=fill,
                strict=strict,
                overwrite=overwrite,
                command=COMMAND_LINE.get(),
                log=silence if quiet else say,
            )
        _print(outcome, as_json=as_json)

    app.command(contrast, help=HELP.format(name=known.label, suffix=known.suffix))(command)


_add_command("t1rho", "--tsl-ms")
_add_command("t2", "--te-ms")


@app.command("joint")
def joint(
    scan: Scan,
    tsl: Annotated[
        str | None,
        typer.Option("--tsl-ms", metavar="MS,MS,...", help="Spin-lock times, from 0. [default: those of SCAN.json]"),
    ] = None,
    te: Annotated[
        str | None,
        typer.Option(
            "--te-ms", metavar="MS,MS,...", help="T2 preparation times, from 0. [default: those of SCAN.json]"
        ),
    ] = None,
    volumes: Volumes = None,
    skip_first: SkipFirst = 0,
    time_axis: TimeAxis = None,
    series: Series = None,
    mask: Mask = None,
    label: Label = None,
    label_table: LabelTable = None,
    out: Out = None,
    bounds_ms: Bounds = None,
    saturation: Saturation = None,
    sigma: Sigma = None,
    labels: Labels = None,
    fill: Fill = None,
    strict: Strict = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit T1rho and T2 at once to every voxel of a scan whose first volume both share.

    The volumes are the first one, at 0 ms; the other spin-locked ones; the other T2-prepared ones. All of them agree on
    one amplitude, so both maps are more precise than those of fits apart. Writes what fit t1rho and fit t2 write, but
    one scan_S0map.nii.gz; goodness of fit and status are those of the joint fit. SCAN.json must name the Contrasts in
    their order, and say SharedFirst, where the times are not given here.
    """
    protocol = _protocol(tsl, te)
    limits, numbers = bounds(bounds_ms), chosen(volumes)
    check_positive(saturation=saturation, sigma=sigma)
    from relaxnet.workflows import fit_joint_scan  # noqa: PLC0415 (it needs torch, which takes seconds)

    with speaking_of(times_ms="--tsl-ms ... --te-ms"):
        outcome = fit_joint_scan(
            scan,
            protocol=protocol,
            volumes=numbers,
            skip_first=skip_first,
            time_axis=time_axis,
            series=series,
            mask=mask,
            label=label,
            label_table=label_table,
            out=out,
            bounds_ms=limits,
            saturation=saturation,
            sigma=sigma,
            labels=labels,
            fill=fill,
            strict=strict,
            overwrite=overwrite,
            command=COMMAND_LINE.get(),
            log=silence if quiet else say,
        )
    _print(outcome, as_json=as_json)


def _protocol(tsl: str | None, te: str | None) -> "Protocol | None":
    if tsl is None and te is None:
        return None
    options = {"--tsl-ms": tsl, "--te-ms": te}
    given = {option: read_times(text, option) for option, text in options.items()}
    for option, found in given.items():
        if not found:
            raise typer.BadParameter("the times of both contrasts are needed.", param_hint=option)
        if found[0] != 0:
            raise typer.BadParameter(f"{options[option]!r} must begin with 0, the shared volume.", param_hint=option)
    from relaxnet.protocol import Contrast, Protocol  # noqa: PLC0415 (they need torch, which takes seconds)

    contrasts = []
    for name, (option, found) in zip(("t1rho", "t2"), given.items(), strict=True):
        try:
            contrasts.append(Contrast(name, found or ()))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=option) from error
    return Protocol(tuple(contrasts), shared_first=True)


def _print(outcome: "Outcome", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcome.summary, indent=2))
    else:
        pictures = "picture" if "picture" in outcome.files else "pictures"
        print(f"{outcome.text}\nmaps in s, {pictures} in ms\n{listed(outcome.files.values())}")
