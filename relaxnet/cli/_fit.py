"""``relaxnet fit t1rho``, ``t2``, ``t2star``, ``t1``, ``adc`` and ``joint``: their options, and what they print."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relaxnet._axes import AXES
from relaxnet._contrasts import KNOWN_CONTRASTS, KnownContrast, Series
from relaxnet.cli._common import Answer
from relaxnet.cli._common import command as shared_by_all
from relaxnet.cli._console import COMMAND_LINE, explain, listed, one_of, say
from relaxnet.cli._examples import examples
from relaxnet.cli._values import (
    Average,
    Fill,
    OfDicom,
    Resample,
    SkipFirst,
    TimeAxis,
    Volumes,
    check_positive,
    chosen,
    read_bounds,
    speaking_of,
    times,
)
from relaxnet.fitting import JOINT_METHODS, METHODS, SPATIAL

if TYPE_CHECKING:
    from relaxnet.protocol import Protocol
    from relaxnet.workflows import Outcome

Method = one_of("Method", METHODS | SPATIAL)
JointMethod = one_of("JointMethod", JOINT_METHODS)
Unit = one_of("Unit", ("ms", "s"))
First = one_of("First", ("mean", "t1rho", "t2"))

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
How = Annotated[
    Method,  # type: ignore[valid-type]
    typer.Option(help=f"{explain(METHODS)}, with --sigma; {explain(SPATIAL)}."),
]
HowJointly = Annotated[JointMethod, typer.Option(help=f"{explain(JOINT_METHODS)}.")]  # type: ignore[valid-type]
Saturation = Annotated[float | None, typer.Option(help="Leave out samples at or above this value, such as 4095.")]
Sigma = Annotated[float | None, typer.Option(help="Standard deviation of the noise, for standard errors and rician.")]
Labels = Annotated[
    Path | None,
    typer.Option(
        metavar="LABELS", help="NIfTI file of whole numbers on the grid of SCAN: adds a table of its regions."
    ),
]
Rates = Annotated[bool, typer.Option("--rates", help="Write maps of the rates, 1/T in 1/s, too.")]
Dicom = Annotated[bool, typer.Option("--dicom", help="Write DICOM Parametric Maps in ms, too, of a SCAN in DICOM.")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail where the input does not look like what was meant.")]
Pictures = Annotated[bool, typer.Option("--pictures/--no-pictures", help="Whether to draw a picture of the map.")]
Report = Annotated[bool, typer.Option("--report", help="Write a report, too: one HTML file with figures and tables.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace maps that are already there.")]

HELP = """Fit {name} to every voxel of a scan.

Writes maps in seconds, each with a JSON file that says what it is, and a picture in ms. For scan.nii.gz these are
scan_{suffix}.nii.gz, scan_S0map.nii.gz, scan_desc-std_{suffix}.nii.gz (standard error), likewise desc-r2, desc-rmse and
desc-status, and scan_{suffix}.png. Voxels without a result are NaN; their status says why. The picture leaves out
voxels whose standard error is above T/2."""

app = typer.Typer(rich_markup_mode=None)


def _shared(
    scan: Scan,
    volumes: Volumes = None,
    skip_first: SkipFirst = 0,
    time_axis: TimeAxis = None,
    series: OfDicom = None,
    average: Average = False,
    resample: Resample = False,
    mask: Mask = None,
    label: Label = None,
    label_table: LabelTable = None,
    out: Out = None,
    saturation: Saturation = None,
    sigma: Sigma = None,
    labels: Labels = None,
    fill: Fill = None,
    rates: Rates = False,
    dicom: Dicom = False,
    strict: Strict = False,
    pictures: Pictures = True,
    report: Report = False,
    overwrite: Overwrite = False,
    device: str = "auto",
) -> dict[str, Any]:
    """Turn the options that all fits share, which are these parameters, into arguments of a workflow."""
    check_positive(saturation=saturation, sigma=sigma)
    return {
        "scan": scan,
        "volumes": chosen(volumes),
        "skip_first": skip_first,
        "time_axis": time_axis,
        "series": series,
        "average": average,
        "resample": resample,
        "mask": mask,
        "label": label,
        "label_table": label_table,
        "out": out,
        "saturation": saturation,
        "sigma": sigma,
        "labels": labels,
        "fill": fill,
        "rates": rates,
        "dicom": dicom,
        "strict": strict,
        "pictures": pictures,
        "report": report,
        "overwrite": overwrite,
        "command": COMMAND_LINE.get(),
        "device": device,
        "log": say,
    }


def _with_options(command: Callable[..., Answer], **own: tuple[Any, Any]) -> Callable[..., int]:
    """Give a command the options of :func:`_shared` and some of its own, (annotation, default), for typer to read."""
    scan, *shared = inspect.signature(_shared).parameters.values()
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in own.items()
    ]
    parameters = [scan, *added, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in shared)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return shared_by_all(command)


def _add_command(contrast: str) -> None:
    """Add the command for one contrast. Commands differ in their times, and in the unit of their maps."""
    known = KNOWN_CONTRASTS[contrast]
    acquisition = _acquisition_options(known)

    def command(*, method: str, bounds: str | None, **options: Any) -> Answer:
        acquired = {name: options.pop(name) for name in acquisition}
        series, given = _acquired(contrast, acquired)
        limits, shared = read_bounds(bounds, known), _shared(**options)
        if method == "rician" and shared["sigma"] is None:
            raise typer.BadParameter("it needs --sigma, the standard deviation of the noise.", param_hint="--method")
        from relaxnet import signals  # noqa: PLC0415 (it needs torch, which takes seconds)
        from relaxnet.workflows import fit_scan  # noqa: PLC0415

        tr = {"tr_ms": acquired["tr_ms"]} if series and series.tr_keys else {}
        model = getattr(signals, series.model)(**tr) if series else None
        with speaking_of(times_ms=" or ".join(one.option for one in known.series)):
            outcome = fit_scan(
                contrast=contrast, times_ms=given, model=model, method=method, bounds_ms=limits, **shared
            )
        return _answer(outcome, known.unit)

    text = HELP if known.unit == "ms" else HELP.replace("in seconds", f"in {known.unit}").replace(" in ms", "")
    own = {**acquisition, "method": (How, "nlls"), "bounds": _bounds(known, known.label)}
    text = text.format(name=known.label, suffix=known.suffix)
    app.command(contrast, help=text, epilog=examples(f"fit {contrast}"))(_with_options(command, **own))


def _bounds(known: KnownContrast, what: str) -> tuple[Any, None]:
    """Return the option for the bounds of a contrast, with its default."""
    default = " [default: 1,5000]" if known.unit == "ms" else ""
    help_ = f"Smallest and largest {what} to look for, in {known.unit}.{default}"
    return Annotated[str | None, typer.Option(known.bounds_option, metavar="LOW,HIGH", help=help_)], None


def _acquisition_options(known: KnownContrast) -> dict[str, tuple[Any, None]]:
    """Return the options for how a contrast was acquired, with their defaults, by the names of parameters."""
    options: dict[str, tuple[Any, None]] = {}
    for series in known.series:
        help_ = f"{series.what} of each volume. [default: {' or '.join(series.keys)} in SCAN.json]"
        kind = Annotated[str | None, typer.Option(series.option, metavar="N,N,...", help=help_)]
        options[_parameter(series.option)] = (kind, None)
    if any(series.axis == "time" for series in known.series):
        options["unit"] = _UNIT
    if any(series.tr_keys for series in known.series):
        needed = " or ".join(series.option for series in known.series if series.needs_tr)
        help_ = f"Repetition time in ms, needed with {needed}."
        options["tr_ms"] = (Annotated[float | None, typer.Option("--tr-ms", help=help_)], None)
    return options


_UNIT = (
    Annotated[Unit | None, typer.Option(help="Unit of the times that are given here: ms, which is the default, or s.")],
    None,
)


def _parameter(option: str) -> str:
    return option.strip("-").replace("-", "_")


def _acquired(contrast: str, given: dict[str, Any]) -> tuple[Series | None, tuple[float, ...] | None]:
    """Find out how a contrast was acquired from the options that were given, and check them; None if none was."""
    told = {series: given[_parameter(series.option)] for series in KNOWN_CONTRASTS[contrast].series}
    chosen = [series for series, text in told.items() if text is not None]
    tr_ms = given.get("tr_ms")
    check_positive(tr_ms=tr_ms)
    names = " or ".join(series.option for series in told)
    if len(chosen) > 1:
        raise typer.BadParameter(f"give one of them, for the model of {contrast} follows from it.", param_hint=names)
    if not chosen:
        if tr_ms is not None:
            raise typer.BadParameter(f"it is taken with {names} alone.", param_hint="--tr-ms")
        return None, None
    one = chosen[0]
    if tr_ms is None and one.needs_tr:
        raise typer.BadParameter(f"the repetition time is needed with {one.option}.", param_hint="--tr-ms")
    return one, times(told[one], one.option, AXES[one.axis], given.get("unit"))


for _contrast in KNOWN_CONTRASTS:
    _add_command(_contrast)


def _joint(
    *, tsl: str | None, te: str | None, unit: Any, first: str, method: str, bounds: str | None, **options: Any
) -> Answer:
    """Fit T1rho and T2 at once to every voxel of a scan whose first volume both share.

    The volumes are the first one, most often at 0 ms; the other spin-locked ones; the other T2-prepared ones. All of
    them agree on one amplitude, so both maps are more precise than those of fits apart. Two SCANs are two series, T1rho
    and T2; --first says which of their first volumes is taken. Writes what fit t1rho and fit t2 write, but one
    scan_S0map.nii.gz; goodness of fit and status are those of the joint fit. The JSON file of one SCAN must name the
    Contrasts in their order, and say SharedFirst, where the times are not given here.
    """
    protocol = _protocol(tsl, te, unit)
    limits, shared = read_bounds(bounds, KNOWN_CONTRASTS["t2"]), _shared(**options)
    from relaxnet.workflows import fit_joint_scan  # noqa: PLC0415 (it needs torch, which takes seconds)

    with speaking_of(times_ms="--tsl-ms ... --te-ms"):
        outcome = fit_joint_scan(protocol=protocol, first=first, method=method, bounds_ms=limits, **shared)
    return _answer(outcome)


_TIMES = "times, from that of the shared volume. [default: those of SCAN.json]"
_FIRST = "Of two series, the first volume to take for both: that of t1rho or t2, or their mean."
app.command("joint", epilog=examples("fit joint"))(
    _with_options(
        _joint,
        tsl=(Annotated[str | None, typer.Option("--tsl-ms", metavar="MS,MS,...", help=f"Spin-lock {_TIMES}")], None),
        te=(Annotated[str | None, typer.Option("--te-ms", metavar="MS,MS,...", help=f"T2 preparation {_TIMES}")], None),
        unit=_UNIT,
        first=(Annotated[First, typer.Option(help=_FIRST)], "mean"),
        method=(HowJointly, "nlls"),
        bounds=_bounds(KNOWN_CONTRASTS["t2"], "T"),
    )
)


def _protocol(tsl: str | None, te: str | None, unit: Any) -> "Protocol | None":
    if tsl is None and te is None:
        return None
    options = {"--tsl-ms": tsl, "--te-ms": te}
    given = {option: times(text, option, unit=unit) for option, text in options.items()}
    for option, found in given.items():
        if not found:
            raise typer.BadParameter("the times of both contrasts are needed.", param_hint=option)
    if len({found[0] for found in given.values() if found}) > 1:
        told = f"{tsl!r} and {te!r} must begin with the same time, that of the first volume"
        raise typer.BadParameter(f"{told}.", param_hint="--tsl-ms and --te-ms")
    from relaxnet.protocol import Contrast, Protocol  # noqa: PLC0415 (they need torch, which takes seconds)

    contrasts = []
    for name, (option, found) in zip(("t1rho", "t2"), given.items(), strict=True):
        try:
            contrasts.append(Contrast(name, found or ()))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=option) from error
    return Protocol(tuple(contrasts), shared_first=True)


def _answer(outcome: "Outcome", unit: str = "ms") -> Answer:
    n = sum(path.suffix == ".png" for path in outcome.files.values())
    drawn = f", picture{'s' * (n > 1)} in {unit}" if n else ""
    text = f"{outcome.text}\nmaps in {'s' if unit == 'ms' else unit}{drawn}\n{listed(outcome.files.values())}"
    return Answer(text, outcome.summary)
