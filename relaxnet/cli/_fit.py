"""``relaxnet fit t1rho``, ``t2``, ``t2star``, ``t1``, ``adc`` and ``joint``: their options, and what they print."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relaxnet._contrasts import AXIS_KEYS, KNOWN_CONTRASTS, KnownContrast, Series
from relaxnet.cli._console import COMMAND_LINE, explain, listed, one_of, say, silence
from relaxnet.cli._values import (
    Fill,
    OfDicom,
    SkipFirst,
    TimeAxis,
    Volumes,
    check_positive,
    chosen,
    read_bounds,
    read_times,
    speaking_of,
    times,
)
from relaxnet.fitting import METHODS
from relaxnet.times import AXES

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


def _add_command(contrast: str) -> None:
    """Add the command for one contrast. Commands differ in their times, and in the unit of their maps."""
    known = KNOWN_CONTRASTS[contrast]

    def command(
        scan: Scan,
        volumes: Volumes = None,
        skip_first: SkipFirst = 0,
        time_axis: TimeAxis = None,
        series: OfDicom = None,
        mask: Mask = None,
        label: Label = None,
        label_table: LabelTable = None,
        out: Out = None,
        method: How = "nlls",
        bounds: str | None = None,
        saturation: Saturation = None,
        sigma: Sigma = None,
        labels: Labels = None,
        fill: Fill = None,
        strict: Strict = False,
        overwrite: Overwrite = False,
        as_json: AsJson = False,
        quiet: Quiet = False,
        **acquired: Any,
    ) -> None:
        acquisition, given = _acquired(contrast, acquired)
        limits, numbers = read_bounds(bounds, known), chosen(volumes)
        check_positive(saturation=saturation, sigma=sigma)
        if method == "rician" and sigma is None:
            raise typer.BadParameter("it needs --sigma, the standard deviation of the noise.", param_hint="--method")
        from relaxnet import signals  # noqa: PLC0415 (it needs torch, which takes seconds)
        from relaxnet.workflows import fit_scan  # noqa: PLC0415

        tr = {"tr_ms": acquired["tr_ms"]} if acquisition.takes_tr else {}
        with speaking_of(times_ms=acquisition.option):
            outcome = fit_scan(
                scan,
                contrast,
                times_ms=given,
                model=getattr(signals, acquisition.model)(**tr),
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
        _print(outcome, as_json=as_json, unit=known.unit)

    _take(command, known)
    text = HELP if known.unit == "ms" else HELP.replace("in seconds", f"in {known.unit}").replace(" in ms", "")
    app.command(contrast, help=text.format(name=known.label, suffix=known.suffix))(command)


def _take(command: Callable[..., None], known: KnownContrast) -> None:
    """Give a command the options of a contrast in place of its ``**acquired``; typer reads them from its signature."""
    range_of = f"Smallest and largest {known.label} to look for, in {known.unit}."
    options: dict[str, Any] = {
        "bounds": Annotated[str | None, typer.Option(known.bounds_option, metavar="LOW,HIGH", help=range_of)]
    }
    for series in known.series:
        keys = [AXIS_KEYS[series.axis]] if series.axis in AXIS_KEYS else known.time_keys
        default = f" [default: {' or '.join(keys)} in SCAN.json]" if len(known.series) == 1 else ""
        help_ = f"{series.what} of each volume.{default}"
        options[series.option] = Annotated[str | None, typer.Option(series.option, metavar="N,N,...", help=help_)]
    if any(series.takes_tr for series in known.series):
        needed = " or ".join(series.option for series in known.series if series.needs_tr)
        options["tr_ms"] = Annotated[
            float | None, typer.Option("--tr-ms", help=f"Repetition time in ms, needed with {needed}.")
        ]
    signature = inspect.signature(command)
    names = {key: key.strip("-").replace("-", "_") for key in options}
    kept = [p for name, p in signature.parameters.items() if name not in ("bounds", "acquired")]
    added = [
        inspect.Parameter(names[key], inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for key, kind in options.items()
    ]
    command.__signature__ = signature.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]
    hints = {name: hint for name, hint in command.__annotations__.items() if name != "acquired"}
    command.__annotations__ = hints | {names[key]: kind for key, kind in options.items()}


def _acquired(contrast: str, given: dict[str, Any]) -> tuple[Series, tuple[float, ...] | Path | None]:
    """Find out how a contrast was acquired from the options that were given, and check them."""
    series = KNOWN_CONTRASTS[contrast].series
    told = {one: given[one.option.strip("-").replace("-", "_")] for one in series}
    chosen = [one for one, text in told.items() if text is not None]
    names = " or ".join(one.option for one in series)
    if len(chosen) > 1 or (not chosen and len(series) > 1):
        raise typer.BadParameter(f"give one of them, for the model of {contrast} follows from it.", param_hint=names)
    one = chosen[0] if chosen else series[0]
    tr_ms = given.get("tr_ms")
    if tr_ms is None and one.needs_tr:
        raise typer.BadParameter(f"the repetition time is needed with {one.option}.", param_hint="--tr-ms")
    check_positive(tr_ms=tr_ms)
    return one, times(told[one], one.option, AXES[one.axis])


for _contrast in KNOWN_CONTRASTS:
    _add_command(_contrast)


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
    series: OfDicom = None,
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
    limits, numbers = read_bounds(bounds_ms, KNOWN_CONTRASTS["t2"]), chosen(volumes)
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


def _print(outcome: "Outcome", *, as_json: bool, unit: str = "ms") -> None:
    if as_json:
        print(json.dumps(outcome.summary, indent=2))
    else:
        pictures = "picture" if "picture" in outcome.files else "pictures"
        on_disk = "s" if unit == "ms" else unit
        print(f"{outcome.text}\nmaps in {on_disk}, {pictures} in {unit}\n{listed(outcome.files.values())}")
