"""What ``texture=`` asks for: how tissue varies within an organ, and small structures of the liver."""

from dataclasses import dataclass

from relaxnet._messages import brief
from relaxnet._numbers import real


@dataclass(frozen=True)
class Texture:
    """Texture with short-range structure, as in real tissue, in place of the smooth one.

    Relaxation times vary as a Gaussian random field in space whose autocorrelation is exponential, exp(-r / length).
    The numbers are those of a point; a voxel averages the field, and so varies less. Amplitudes vary likewise, as an
    independent field. In the liver there are also small dark vessels, which no label tells, and small tumours, which
    are labelled. Both are part of the truth.

    The default is that of a measured map: T2 of the white matter of a brain varies by 6.1 % without noise, and its
    autocorrelation falls to 1/e in 5 to 6 pixels. The liver of an MR image has more (``make texture``). Correlation,
    vessels and lesions are assumed.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> rx.phantom.Texture(0.12)
    Texture(sd=0.12, length_mm=5.0, correlation=0.5, vessels=16.0, lesions=1.3)
    """

    sd: float = 0.06
    """Relative standard deviation of relaxation times in the liver, healthy or not, up to 0.3. Other tissues have more
    or less, in the proportion of their smooth texture, which is assumed: most of them as much, bile a third, the
    pancreas twice, and the content of the bowel 3.3 times, but no tissue more than 0.3."""
    length_mm: float = 5.0
    """Length of the autocorrelation in mm, 1 to 100, in all tissues."""
    correlation: float = 0.5
    """Correlation of the textures of T1rho and T2, 0 to 1."""
    vessels: float = 16.0
    """Small vessels, of 0.8 to 2.2 mm in radius, in 100 cm² of liver in a slice, on average; up to 200."""
    lesions: float = 1.3
    """Small tumours, of 2 to 5 mm in radius, in 100 cm² of liver in a slice, on average; up to 20."""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = _within(getattr(self, name), f"texture: {name}", low, high)
            object.__setattr__(self, name, value)


LARGEST_SD = 0.3
"""Relative standard deviation above which a Gaussian texture would make times that are not positive."""


_RANGES = {
    "sd": (0, LARGEST_SD),
    "length_mm": (1, 100),
    "correlation": (0, 1),
    "vessels": (0, 200),
    "lesions": (0, 20),
}


def _within(value: object, name: str, low: float, high: float) -> float:
    return real(value, name, lambda number: low <= number <= high, f"give a number from {low:g} to {high:g}")


def as_texture(given: object) -> Texture | None:
    """Return the texture that an argument asks for; None is the smooth one."""
    if given is None or isinstance(given, Texture):
        return given
    if isinstance(given, tuple | list) and len(given) == 2:
        return Texture(*given)
    raise ValueError(
        f"texture={brief(repr(given))}: give standard deviation and length in mm, such as (0.06, 5), or a Texture."
    )
