"""The contrasts that have a name in files and pictures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownContrast:
    """How files and pictures speak of a contrast."""

    label: str
    """What pictures call it."""
    suffix: str
    """BIDS suffix of its map."""
    time_keys: tuple[str, ...]
    """Keys under which a JSON sidecar may hold its times in seconds."""


KNOWN_CONTRASTS = {
    "t1rho": KnownContrast("T1rho", "T1rho", ("SpinLockTime",)),  # BIDS has no T1rhomap, nor a key for its times
    "t2": KnownContrast("T2", "T2map", ("EchoTime", "T2PreparationTime")),
    "t2star": KnownContrast("T2*", "T2starmap", ("EchoTime",)),
    "t1": KnownContrast("T1", "T1map", ("InversionTime", "SaturationTime")),
    "adc": KnownContrast("ADC", "ADC", ()),
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
