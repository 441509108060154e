"""The contrasts that have a name in files and pictures."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Series:
    """One way to acquire a contrast."""

    option: str
    """Option of the command line that gives what its images differ in."""
    model: str
    """Its signal model, a class of :mod:`relaxnet.signals`."""
    what: str
    """What its images differ in, for help."""
    keys: tuple[str, ...]
    """Keys under which a JSON sidecar may hold that: times in seconds, or values in the unit of the axis."""
    raw: str | None = None
    """BIDS suffix of its images."""
    axis: str = "time"
    """Name of the :class:`~relaxnet.times.Axis` of that."""
    tr_keys: tuple[str, ...] = ()
    """Keys of a repetition time that the model takes, ``tr_ms``."""
    needs_tr: bool = False
    """Whether it must be given."""


@dataclass(frozen=True)
class KnownContrast:
    """How commands, files and pictures speak of a contrast."""

    label: str
    """What pictures call it."""
    suffix: str
    """BIDS suffix of its map."""
    series: tuple[Series, ...]
    """The ways to acquire it."""
    unit: str = "ms"
    """Unit of its maps in memory, and of their bounds."""

    def keys_along(self, axis: str = "time") -> tuple[str, ...]:
        """Return the keys of sidecars for what the images along an axis differ in."""
        return tuple(key for series in self.series if series.axis == axis for key in series.keys)

    @property
    def bounds_option(self) -> str:
        """Option of the command line for the smallest and the largest value."""
        return "--bounds-ms" if self.unit == "ms" else "--bounds"


_DECAY = "MonoExponential"
_ECHOES = Series("--te-ms", _DECAY, "Echo time", ("EchoTime",), raw="MEGRE")
KNOWN_CONTRASTS = {
    # BIDS has no suffixes for T1rho, nor a key for its times
    "t1rho": KnownContrast("T1rho", "T1rho", (Series("--tsl-ms", _DECAY, "Spin-lock time", ("SpinLockTime",)),)),
    "t2": KnownContrast("T2", "T2map", (replace(_ECHOES, keys=("EchoTime", "T2PreparationTime"), raw="MESE"),)),
    "t2star": KnownContrast("T2*", "T2starmap", (_ECHOES,)),
    "t1": KnownContrast(
        "T1",
        "T1map",
        (
            Series(
                "--ti-ms",
                "InversionRecovery",
                "Inversion time",
                ("InversionTime",),
                raw="IRT1",
                tr_keys=("RepetitionTimePreparation",),  # RepetitionTime is that of echoes for some vendors
            ),
            Series(
                "--ts-ms",
                "SaturationRecovery",
                "Time after the saturation",
                ("SaturationTime",),
                tr_keys=("RepetitionTimePreparation",),
            ),
            Series(
                "--flip-deg",
                "VariableFlipAngle",
                "Flip angle",
                ("FlipAngle",),
                raw="VFA",
                axis="flip angle",
                tr_keys=("RepetitionTimeExcitation", "RepetitionTime"),
                needs_tr=True,
            ),
        ),
    ),
    "adc": KnownContrast(
        "ADC",
        "ADC",
        (Series("--b", "Diffusion", "b-value in s/mm²", ("DiffusionBValue",), axis="b-value"),),
        unit="mm²/s",
    ),
}
"""By the name of the contrast."""


def label(name: str) -> str:
    """Return the name of a contrast as the field writes it.

    Parameters
    ----------
    name
        Name of a contrast.

    Returns
    -------
    str
        The name for a title or an axis.

    Examples
    --------
    >>> label("t1rho"), label("t2star"), label("my_t")
    ('T1rho', 'T2*', 'my_t')
    """
    return KNOWN_CONTRASTS[name].label if name in KNOWN_CONTRASTS else name
