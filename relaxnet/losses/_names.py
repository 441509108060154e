"""Names of options of residuals. Commands and settings read them, so this module does not import torch."""

from typing import Any, Literal, get_args

Pairs = Literal["all", "forward", "orthogonal"]
"""Pairs of images: all ordered pairs, later images from earlier ones, or orthogonal distances."""
Distance = Literal["l1", "l2", "rician-mean", "rician-likelihood"]
"""Distances of images from their reconstruction."""


def require_option(name: str, option: object, known: Any) -> None:
    """Check that an option is known.

    Parameters
    ----------
    name
        Name of the argument.
    option
        Value of the argument.
    known
        ``Literal`` type of all options.

    Raises
    ------
    ValueError
        If the option is unknown.
    """
    if option not in get_args(known):
        raise ValueError(f"{name}={option!r} is unknown: use one of {get_args(known)}.")
