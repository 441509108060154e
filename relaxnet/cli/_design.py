"""``relaxnet design``: its options, and what it prints."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relaxnet._axes import CheckedTimes
from relaxnet._contrasts import KNOWN_CONTRASTS
from relaxnet.cli._common import Answer
from relaxnet.cli._console import one_of
from relaxnet.cli._values import check_positive, numbers

if TYPE_CHECKING:
    from relaxnet.signals import SignalModel

Contrast = one_of("Contrast", KNOWN_CONTRASTS)


def design(
    contrast: Annotated[Contrast, typer.Argument(help="What is measured.")],  # type: ignore[valid-type]
    t_range: Annotated[
        str,
        typer.Option("--range-ms", "--range", metavar="LOW,HIGH", help="Range of interest, in the unit of the map."),
    ],
    n: Annotated[int, typer.Option("--n", min=2, help="Number of images.")],
    longest: Annotated[
        float, typer.Option("--max-ms", "--max", help="Largest possible time in ms, flip angle or b-value.")
    ],
    shortest: Annotated[float, typer.Option("--min-ms", "--min", help="Smallest possible one.")] = 0.0,
    gap: Annotated[float, typer.Option("--min-gap-ms", "--min-gap", help="Smallest distance of two of them.")] = 0.0,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Signal model. [default: the first of the contrast]")
    ] = None,
    tr_ms: Annotated[float | None, typer.Option("--tr-ms", help="Repetition time in ms, for models of T1.")] = None,
    snr: Annotated[float, typer.Option(help="Amplitude over the standard deviation of the noise.")] = 20.0,
) -> Answer:
    """Find the times at which images measure a range of relaxation times best.

    Prints them beside equidistant times, with the smallest possible standard deviation relative to T (Cramer-Rao bound,
    root mean square over the range). A time that is there twice means that the image is acquired twice.
    """
    known = KNOWN_CONTRASTS[contrast]
    given = numbers(t_range, "--range-ms")
    check_positive(snr=snr, tr_ms=tr_ms, max_ms=longest)
    if len(given) != 2 or not 0 < given[0] <= given[1] < math.inf:
        wanted = f"LOW,HIGH in {known.unit}, 0 < LOW <= HIGH"
        raise typer.BadParameter(f"{t_range!r} is not {wanted}.", param_hint="--range-ms")
    form = _model(contrast, model, tr_ms)
    from relaxnet.information import optimal_times, relative_precision  # noqa: PLC0415 (it needs torch)

    low, high = given
    try:
        best = optimal_times(form, (low, high), n, longest, min_ms=shortest, min_gap_ms=gap)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=_option_of(str(error))) from error
    times = {"best": best, "equidistant": tuple(shortest + k * (longest - shortest) / (n - 1) for k in range(n))}
    found = {name: relative_precision(form, (low, high), CheckedTimes(of), snr=snr) for name, of in times.items()}
    lines = [f"{known.label} of {low:g} to {high:g} {known.unit}, {form}, SNR {snr:g}"]
    for name, of in times.items():
        listed = ", ".join(f"{t:.4g}" for t in of)
        lines.append(f"{name:<13}{listed} {form.axis.unit}: {100 * found[name]:.3g} % of {known.label}")
    summary = {
        "contrast": str(contrast),
        "model": repr(form),
        "range": [low, high],
        "unit": known.unit,
        "times_unit": form.axis.unit,
        "snr": snr,
        **{name: {"times": list(of), "relative_std": _finite(found[name])} for name, of in times.items()},
    }
    return Answer("\n".join(lines), summary)


def _model(contrast: str, name: str | None, tr_ms: float | None) -> "SignalModel":
    """Make the signal model that was asked for."""
    from relaxnet import signals  # noqa: PLC0415 (it needs torch, which takes seconds)

    known = KNOWN_CONTRASTS[contrast].series
    chosen = name or known[0].model
    kind: Any = getattr(signals, chosen, None)
    if not isinstance(kind, type) or not issubclass(kind, signals.SignalModel):
        usual = ", ".join(dict.fromkeys(one.model for one in known))
        raise typer.BadParameter(f"{chosen!r} is no model of relaxnet.signals, such as {usual}.", param_hint="--model")
    try:
        made: SignalModel = kind(**({} if tr_ms is None else {"tr_ms": tr_ms}))
    except TypeError as error:
        told = str(error).partition(") ")[2] or str(error)
        raise typer.BadParameter(f"{chosen}: {told}.", param_hint="--model, --tr-ms") from error
    return made


def _option_of(message: str) -> str:
    """Return the option that an error of the library is about."""
    options = {"min_gap_ms": "--min-gap-ms", "n=": "--n", "min_ms": "--min-ms, --max-ms"}
    return next((option for name, option in options.items() if message.startswith(name)), "--range-ms")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
