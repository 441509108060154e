"""Checks of arguments of networks."""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from relaxnet.nets._input_mask import own_images
from relaxnet.protocol import Protocol


def require_positive(**numbers: Any) -> None:
    """Check that numbers are whole, and 1 or more.

    Parameters
    ----------
    **numbers
        Numbers by the name of the argument.

    Raises
    ------
    ValueError
        If a number is not whole, or below 1.
    """
    for name, number in numbers.items():
        if not isinstance(number, Integral) or number < 1:
            raise ValueError(f"{name}={number!r}: a whole number of at least 1 is needed.")


def require_decay(protocol: Protocol, channels: Sequence[int]) -> None:
    """Check that some contrast can be seen to change.

    Parameters
    ----------
    protocol
        The acquisition protocol.
    channels
        The input images.

    Raises
    ------
    ValueError
        If no contrast has two images among them.
    """
    if all(len(own_images(contrast, protocol, channels)[0]) < 2 for contrast in protocol.contrasts):
        raise ValueError(f"inputs={tuple(channels)}: two images of a contrast are needed, one shows no decay.")


def require_known(name: str, option: object, *known: object) -> None:
    """Check that an option is known.

    Parameters
    ----------
    name
        Name of the argument.
    option
        Value of the argument.
    *known
        All known options.

    Raises
    ------
    ValueError
        If the option is unknown.
    """
    if option not in known:
        raise ValueError(f"{name}={option!r}: it is {' or '.join(map(repr, known))}.")


def check_bounds(
    bounds_ms: Sequence[float] | Mapping[str, Sequence[float]] | None, protocol: Protocol
) -> dict[str, tuple[float, float]]:
    """Return the smallest and largest output of each contrast.

    Parameters
    ----------
    bounds_ms
        Bounds of all contrasts, or by name. For None or a missing name, those of the signal model are used.
    protocol
        The acquisition protocol.

    Returns
    -------
    dict
        Bounds by name.

    Raises
    ------
    ValueError
        If there is no such contrast, or the bounds are not positive and rising.
    """
    given = bounds_ms if isinstance(bounds_ms, Mapping) else dict.fromkeys(protocol.names, bounds_ms)
    if not set(given) <= set(protocol.names):
        raise ValueError(f"bounds_ms has the names {tuple(given)}: the contrasts are {protocol.names}.")
    found = {}
    for contrast in protocol.contrasts:
        own = given.get(contrast.name)
        try:
            low, high = contrast.model.parameter.network_bounds if own is None else map(float, own)
        except (TypeError, ValueError):
            raise ValueError(f"bounds_ms={bounds_ms!r}: give two numbers, the smallest and the largest T.") from None
        if not 0 < low < high < math.inf:
            raise ValueError(
                f"bounds_ms={bounds_ms}: give the smallest and the largest T, with 0 < smallest < largest."
            )
        found[contrast.name] = (float(low), float(high))
    return found


def require_same(protocol: Protocol, own: Protocol) -> None:
    """Check that images were acquired with the protocol of the network.

    Parameters
    ----------
    protocol
        Protocol of the images. Rounding errors of times that were converted from seconds are tolerated.
    own
        Protocol of the network.

    Raises
    ------
    ValueError
        If the protocols differ.
    """
    alike = (protocol.names, protocol.shared_first) == (own.names, own.shared_first) and all(
        len(a.times_ms) == len(b.times_ms)
        and all(math.isclose(s, t, rel_tol=1e-6) for s, t in zip(a.times_ms, b.times_ms, strict=True))
        and a.model == b.model
        for a, b in zip(protocol.contrasts, own.contrasts, strict=True)
    )
    if not alike:
        raise ValueError(f"protocol is {_show(protocol)}: the network was made for {_show(own)}.")


def _show(protocol: Protocol) -> str:
    times = ", ".join(f"{c.name} {c.times_ms} {c.model.axis.unit} ({c.model!r})" for c in protocol.contrasts)
    return f"{times}, shared_first={protocol.shared_first}"
