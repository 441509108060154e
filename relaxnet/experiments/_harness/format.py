"""How numbers stand in tables."""

from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {"t1rho": "T1rho", "t2": "T2"}
"""How a table calls a contrast."""


def with_interval(mean: float, interval: Sequence[float], digits: int = 2) -> str:
    """Write a number with its interval.

    Parameters
    ----------
    mean
        The number.
    interval
        Ends of the interval.
    digits
        Digits behind the point.

    Returns
    -------
    str
        ``"3.28 [3.10, 3.47]"``.
    """
    low, high = interval
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def of_entry(entry: Mapping[str, Any] | None, digits: int = 2) -> str:
    """Write the mean of an entry with its interval.

    Parameters
    ----------
    entry
        The entry, if there is one.
    digits
        Digits behind the point.

    Returns
    -------
    str
        The text; empty without an entry.
    """
    return "" if entry is None else with_interval(entry["mean"], entry["ci95"], digits)


def of_difference(entry: Mapping[str, Any] | None, digits: int = 2) -> str:
    """Write how an entry differs from the baseline.

    Parameters
    ----------
    entry
        The entry, if there is one.
    digits
        Digits behind the point.

    Returns
    -------
    str
        ``"-0.17 [-0.25, -0.09], p 0.004"``; empty for the baseline itself.
    """
    if entry is None or "difference" not in entry:
        return ""
    difference = entry["difference"]
    p = "p < 0.001" if difference["p"] < 0.001 else f"p {difference['p']:.3f}"
    return f"{difference_with_interval(difference, digits)}, {p}"


def difference_with_interval(difference: Mapping[str, Any], digits: int = 2) -> str:
    """Write a difference, with signs.

    Parameters
    ----------
    difference
        Its ``mean`` and ``ci95``.
    digits
        Digits behind the point.

    Returns
    -------
    str
        ``"-0.17 [-0.25, -0.09]"``.
    """
    low, high = difference["ci95"]
    return f"{difference['mean']:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def find(row: Mapping[str, Any], **wanted: Any) -> dict[str, Any] | None:
    """Find the entry of a row that is about something.

    Parameters
    ----------
    row
        A row of a result.
    **wanted
        What the entry says.

    Returns
    -------
    dict
        The first such entry; ``None`` without one.
    """
    return next((e for e in row["entries"] if all(e.get(key) == value for key, value in wanted.items())), None)
