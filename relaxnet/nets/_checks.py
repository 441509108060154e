"""Checks of what networks are given."""

import math
from collections.abc import Mapping, Sequence

from relaxnet.protocol import Protocol


def require_positive(**numbers: int) -> None:
    """Refuse numbers below 1.

    Parameters
    ----------
    **numbers
        Numbers by the name of the argument.

    Raises
    ------
    ValueError
        If one is below 1.
    """
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name}={number}: at least 1 is needed.")


def require_known(name: str, option: object, *known: object) -> None:
    """Refuse an option that is unknown.

    Parameters
    ----------
    name
        Name of the argument.
    option
        What came.
    *known
        What it can be.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if option not in known:
        raise ValueError(f"{name}={option!r}: it is {' or '.join(map(repr, known))}.")


def check_bounds(
    bounds_ms: Sequence[float] | Mapping[str, Sequence[float]] | None, protocol: Protocol
) -> dict[str, tuple[float, float]]:
    """Settle the smallest and largest output of each contrast.

    Parameters
    ----------
    bounds_ms
        Bounds of all contrasts, or by name; None, or a name that is missing, for those of the signal model.
    protocol
        What was acquired.

    Returns
    -------
    dict
        Bounds by name.

    Raises
    ------
    ValueError
        If there is no such contrast, or the bounds are not positive and rising.
    """
    if isinstance(bounds_ms, Mapping):
        if not set(bounds_ms) <= set(protocol.names):
            raise ValueError(f"bounds_ms has the names {tuple(bounds_ms)}: the contrasts are {protocol.names}.")
        given = {name: bounds_ms.get(name) for name in protocol.names}
    else:
        given = dict.fromkeys(protocol.names, bounds_ms)
    found = {}
    for contrast in protocol.contrasts:
        low, high = given[contrast.name] or contrast.model.parameter.network_bounds
        if not 0 < low < high < math.inf:
            raise ValueError(
                f"bounds_ms={bounds_ms}: give the smallest and the largest T, with 0 < smallest < largest."
            )
        found[contrast.name] = (float(low), float(high))
    return found


def require_same(protocol: Protocol, own: Protocol) -> None:
    """Refuse images that were acquired in another way.

    Parameters
    ----------
    protocol
        How they were acquired.
    own
        How they should have been. The rounding of times that were once in seconds is forgiven.

    Raises
    ------
    ValueError
        If the two differ.
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
