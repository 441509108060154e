"""The contrasts that have a name in files and pictures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One way to acquire a contrast."""

    option: str
    """Option of the command line that gives what its images differ in."""
    model: str
    """Its signal model, a class of :mod:`relaxnet.signals`."""
    what: str
    """What its images differ in, for help."""
    axis: str = "time"
    """Name of the :class:`~relaxnet.times.Axis` of that."""
    takes_tr: bool = False
    """Whether the model takes a repetition time, ``tr_ms``."""
    needs_tr: bool = False
    """Whether it must be given."""


@dataclass(frozen=True)
class KnownContrast:
    """How commands, files and pictures speak of a contrast."""

    label: str
    """What pictures call it."""
    suffix: str
    """BIDS suffix of its map."""
    time_keys: tuple[str, ...]
    """Keys under which a JSON sidecar may hold its times in seconds."""
    series: tuple[Series, ...]
    """The ways to acquire it."""
    unit: str = "ms"
    """Unit of its maps in memory, and of their bounds."""

    @property
    def bounds_option(self) -> str:
        """Option of the command line for the smallest and the largest value."""
        return "--bounds-ms" if self.unit == "ms" else "--bounds"


_DECAY = "MonoExponential"
_ECHOES = Series("--te-ms", _DECAY, "Echo time")
_ANGLES = Series("--flip-deg", "VariableFlipAngle", "Flip angle", axis="flip angle", takes_tr=True, needs_tr=True)
KNOWN_CONTRASTS = {
    # BIDS has no T1rhomap, nor a key for its times
    "t1rho": KnownContrast("T1rho", "T1rho", ("SpinLockTime",), (Series("--tsl-ms", _DECAY, "Spin-lock time"),)),
    "t2": KnownContrast("T2", "T2map", ("EchoTime", "T2PreparationTime"), (_ECHOES,)),
    "t2star": KnownContrast("T2*", "T2starmap", ("EchoTime",), (_ECHOES,)),
    "t1": KnownContrast(
        "T1",
        "T1map",
        ("InversionTime", "SaturationTime"),
        (
            Series("--ti-ms", "InversionRecovery", "Inversion time", takes_tr=True),
            Series("--ts-ms", "SaturationRecovery", "Time after the saturation", takes_tr=True),
            _ANGLES,
        ),
    ),
    "adc": KnownContrast(
        "ADC", "ADC", (), (Series("--b", "Diffusion", "b-value in s/mm²", axis="b-value"),), unit="mm²/s"
    ),
}
"""By the name of the contrast."""

AXIS_KEYS = {"flip angle": "FlipAngle", "b-value": "DiffusionBValue"}
"""Keys of what is no time, by the name of the axis, in the unit of the axis."""


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
