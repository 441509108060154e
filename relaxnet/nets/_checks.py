"""What networks can be given."""

import math

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
        for a, b in zip(protocol.contrasts, own.contrasts, strict=True)
    )
    if not alike:
        raise ValueError(f"protocol is {_show(protocol)}: the network was made for {_show(own)}.")


def _show(protocol: Protocol) -> str:
    times = ", ".join(f"{contrast.name} {contrast.times_ms} ms" for contrast in protocol.contrasts)
    return f"{times}, shared_first={protocol.shared_first}"
