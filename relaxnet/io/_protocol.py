"""A protocol in the sidecar of its images: which contrasts, at which times, in which order."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from relaxnet.io._bids import names_of
from relaxnet.io._sidecar import read_object
from relaxnet.protocol import Contrast, Protocol


def describe_protocol(protocol: Protocol) -> dict[str, Any]:
    """Describe a protocol in keys of a sidecar, with times in seconds.

    Parameters
    ----------
    protocol
        A protocol of contrasts that files have names for.

    Returns
    -------
    dict
        ``Contrasts``, in the order of the images; the times of each under its own key; and ``SharedFirst``.

    Raises
    ------
    ValueError
        If files have no name for a contrast.

    Examples
    --------
    >>> describe_protocol(rx.Protocol((rx.Contrast("t1rho", (0, 10, 30.5)),)))
    {'Contrasts': ['t1rho'], 'SpinLockTime': [0.0, 0.01, 0.0305], 'SharedFirst': False}
    """
    times = {
        # BIDS forbids an EchoTime of 0; an image at 0 ms was prepared, not refocused.
        names_of(c.name).time_keys[-1 if 0 in c.times_ms else 0]: [_shifted(t, -3) for t in c.times_ms]
        for c in protocol.contrasts
    }
    return {"Contrasts": list(protocol.names), **times, "SharedFirst": protocol.shared_first}


def read_protocol(path: Path) -> Protocol:
    """Read what images were acquired with from their sidecar.

    Parameters
    ----------
    path
        The JSON file.

    Returns
    -------
    Protocol
        The protocol, times in ms.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not JSON, lacks a key, or describes no protocol.
    """
    content = read_object(path)
    names = content.get("Contrasts")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path}: the key Contrasts must list the contrasts in the order of their images.")
    shared = content.get("SharedFirst", None if len(names) > 1 else False)
    if not isinstance(shared, bool):
        problem = "the key SharedFirst must say, true or false, whether one first image is common"
        raise ValueError(f"{path}: {problem}.")  # noqa: TRY004 (it is the file that is wrong)
    try:
        contrasts = tuple(Contrast(name, _times_ms(content, name)) for name in names)
        return Protocol(contrasts, shared_first=shared)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _times_ms(content: dict[str, Any], contrast: str) -> tuple[float, ...]:
    keys = names_of(contrast).time_keys
    found = [key for key in keys if isinstance(content.get(key), list)]
    if len(found) != 1:
        raise ValueError(f"one array {' or '.join(keys)} is needed for {contrast}, with its times in seconds.")
    values = content[found[0]]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise ValueError(f"{found[0]}={values} holds something else than numbers.")
    if any(value > 1 for value in values):
        raise ValueError(f"{found[0]}={values} looks like milliseconds; in files times are seconds, as BIDS asks.")
    return tuple(_shifted(value, 3) for value in values)


def _shifted(value: float, digits: int) -> float:
    """Move the decimal point, so that 18.2 ms are 0.0182 s and 18.2 ms again: 0.0182 * 1000 need not be 18.2."""
    return float(Decimal(repr(float(value))).scaleb(digits))
