"""Numbers that arguments hold: what came, checked and converted."""

import operator
from collections.abc import Callable
from numbers import Real

from relaxnet._messages import brief


def whole(value: object, name: str, least: int, most: int | None = None) -> int:
    """Return a whole number that is in its range.

    Parameters
    ----------
    value
        What came.
    name
        Name of the argument.
    least, most
        The range; None for no upper limit.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ValueError
        If it is none, or out of the range.

    Examples
    --------
    >>> whole(2.0, "n_tasks", 1)
    Traceback (most recent call last):
    ValueError: n_tasks=2.0: give a whole number, 1 or more.
    """
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least or (most is not None and number > most):
        wanted = f"{least} or more" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name}={brief(repr(value))}: give a whole number, {wanted}.")
    return number


def seed_of(value: object) -> int:
    """Return the seed of random numbers, which NumPy and torch take.

    Parameters
    ----------
    value
        What came.

    Returns
    -------
    int
        The seed.

    Raises
    ------
    ValueError
        If it is no whole number, negative, or has more than 64 bits.
    """
    return whole(value, "seed", 0, 2**64 - 1)


def real(value: object, name: str, fits: Callable[[float], bool], needed: str) -> float:
    """Return a number that fits.

    Parameters
    ----------
    value
        What came.
    name
        Name of the argument.
    fits
        Whether a number may be used; not asked for anything else.
    needed
        What is needed, for the message.

    Returns
    -------
    float
        The number.

    Raises
    ------
    ValueError
        If it does not fit, or is text, a truth value, or no number at all.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not fits(float(value)):
        raise ValueError(f"{name}={brief(repr(value))}: {needed}.")
    return float(value)
