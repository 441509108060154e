"""``relaxnet fit t1rho``, ``t2``, ``t2star``, ``t1``, ``adc`` and ``joint``: their options, and what they print."""

import inspect
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relaxnet._contrasts import AXIS_KEYS, KNOWN_CONTRASTS, KnownContrast, Series
from relaxnet.cli._console import COMMAND_LINE, explain, listed, one_of, say, silence
from relaxnet.fitting import METHODS
from relaxnet.times import AXES, TIME, Axis, parse_times

if TYPE_CHECKING:
    from relaxnet.protocol import Protocol
    from relaxnet.workflows import Outcome

Method = one_of("Method", METHODS)

Scan = Annotated[Path, typer.Argument(help="NIfTI file of shape (x, y, z, time).")]
Mask = Annotated[Path | None, typer.Option(metavar="MASK", help="NIfTI file of zeros and ones on the grid of SCAN.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Where the maps go. [default: the folder of SCAN]")]
How = Annotated[Method, typer.Option(help=f"{explain(METHODS)}, with --sigma.")]  # type: ignore[valid-type]
Bounds = Annotated[
    str | None, typer.Option(metavar="LOW,HIGH", help="Smallest and largest T to look for, in ms. [default: 1,5000]")
]
Saturation = Annotated[float | None, typer.Option(help="Leave out samples at or above this value, such as 4095.")]
Sigma = Annotated[float | None, typer.Option(help="Standard deviation of the noise, for standard errors and rician.")]
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
        mask: Mask = None,
        out: Out = None,
        method: How = "nlls",
        bounds: str | None = None,
        saturation: Saturation = None,
        sigma: Sigma = None,
        overwrite: Overwrite = False,
        as_json: AsJson = False,
        quiet: Quiet = False,
        **acquired: Any,
    ) -> None:
        series, times = _acquired(contrast, acquired)
        limits = _bounds(bounds, known)
        _check_positive(saturation, "--saturation")
        _check_positive(sigma, "--sigma")
        if method == "rician" and sigma is None:
            raise typer.BadParameter("it needs --sigma, the standard deviation of the noise.", param_hint="--method")
        from relaxnet import signals  # noqa: PLC0415 (it needs torch, which takes seconds)
        from relaxnet.workflows import fit_scan  # noqa: PLC0415

        tr = {"tr_ms": acquired["tr_ms"]} if series.takes_tr else {}
        outcome = fit_scan(
            scan,
            contrast,
            times_ms=times,
            model=getattr(signals, series.model)(**tr),
            mask=mask,
            out=out,
            method=method,
            bounds_ms=limits,
            saturation=saturation,
            sigma=sigma,
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


def _acquired(contrast: str, given: dict[str, Any]) -> tuple[Series, tuple[float, ...] | None]:
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
    _check_positive(tr_ms, "--tr-ms")
    return one, _times(told[one], one.option, AXES[one.axis])


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
    mask: Mask = None,
    out: Out = None,
    bounds_ms: Bounds = None,
    saturation: Saturation = None,
    sigma: Sigma = None,
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
    bounds = _bounds(bounds_ms)
    _check_positive(saturation, "--saturation")
    _check_positive(sigma, "--sigma")
    from relaxnet.workflows import fit_joint_scan  # noqa: PLC0415 (it needs torch, which takes seconds)

    outcome = fit_joint_scan(
        scan,
        protocol=protocol,
        mask=mask,
        out=out,
        bounds_ms=bounds,
        saturation=saturation,
        sigma=sigma,
        overwrite=overwrite,
        command=COMMAND_LINE.get(),
        log=silence if quiet else say,
    )
    _print(outcome, as_json=as_json)


def _protocol(tsl: str | None, te: str | None) -> "Protocol | None":
    if tsl is None and te is None:
        return None
    options = {"--tsl-ms": tsl, "--te-ms": te}
    times = {option: _times(text, option) for option, text in options.items()}
    for option, found in times.items():
        if not found:
            raise typer.BadParameter("the times of both contrasts are needed.", param_hint=option)
        if found[0] != 0:
            raise typer.BadParameter(f"{options[option]!r} must begin with 0, the shared volume.", param_hint=option)
    from relaxnet.protocol import Contrast, Protocol  # noqa: PLC0415 (they need torch, which takes seconds)

    contrasts = []
    for name, (option, found) in zip(("t1rho", "t2"), times.items(), strict=True):
        try:
            contrasts.append(Contrast(name, found or ()))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=option) from error
    return Protocol(tuple(contrasts), shared_first=True)


def _check_positive(value: float | None, option: str) -> None:
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"{value:g} is not a positive number.", param_hint=option)


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not numbers with commas between them.", param_hint=option) from error


def _times(text: str | None, option: str, axis: Axis = TIME) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return parse_times(_numbers(text, option), name=option, axis=axis)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _bounds(text: str | None, known: KnownContrast = KNOWN_CONTRASTS["t2"]) -> tuple[float, float] | None:
    if text is None:
        return None
    option, unit = known.bounds_option, known.unit
    bounds = _numbers(text, option)
    if len(bounds) != 2 or not 0 < bounds[0] < bounds[1] < math.inf or (unit == "ms" and bounds[1] < 1):
        raise typer.BadParameter(f"{text!r} is not LOW,HIGH in {unit}, 0 < LOW < HIGH.", param_hint=option)
    return bounds[0], bounds[1]


def _print(outcome: "Outcome", *, as_json: bool, unit: str = "ms") -> None:
    if as_json:
        print(json.dumps(outcome.summary, indent=2))
    else:
        pictures = "picture" if "picture" in outcome.files else "pictures"
        on_disk = "s" if unit == "ms" else unit
        print(f"{outcome.text}\nmaps in {on_disk}, {pictures} in {unit}\n{listed(outcome.files.values())}")
