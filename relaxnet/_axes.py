"""What the images of a series differ in, times, flip angles or b-values, and in which unit; help needs no NumPy."""

from dataclasses import dataclass
from typing import Literal

TimeUnit = Literal["ms", "s"]


class CheckedTimes(tuple[float, ...]):
    """Times whose unit has been checked, or was said: they may be below 1 ms, as echo times of an ultrashort TE are."""

    __slots__ = ()


@dataclass(frozen=True)
class Axis:
    """What the images of a series differ in, and how values in a wrong unit give themselves away.

    Examples
    --------
    >>> rx.times.FLIP_ANGLE.unit
    'degrees'
    """

    name: str
    """What it is called: ``"time"``."""
    unit: str
    """Unit of its values: ``"ms"``."""
    least: float
    """Values that are all below this one are refused, since they look like those of ``other_unit``."""
    other_unit: str
    """The unit that such values are taken for."""
    remedy: str
    """How to convert them."""
    most: float
    """Values above this one cause a warning."""
    doubt: str
    """What the warning asks."""


TIME = Axis(
    "time",
    "ms",
    least=1.0,
    other_unit="seconds; relaxnet works in milliseconds",
    remedy="Multiply by 1000, pass unit='s', or use Contrast.from_seconds.",
    most=1e4,
    doubt="above 10 s: are they microseconds?",
)
FLIP_ANGLE = Axis(
    "flip angle",
    "degrees",
    least=1.0,
    other_unit="radians; relaxnet takes flip angles in degrees",
    remedy="Use numpy.rad2deg.",
    most=180.0,
    doubt="above 180 degrees: are they in another unit?",
)
B_VALUE = Axis(
    "b-value",
    "s/mm²",
    least=10.0,
    other_unit="ms/µm²; relaxnet takes b-values in s/mm²",
    remedy="Multiply by 1000.",
    most=1e5,
    doubt="above 100 000 s/mm²: are they in s/m²?",
)
AXES = {axis.name: axis for axis in (TIME, FLIP_ANGLE, B_VALUE)}
"""By their names."""
