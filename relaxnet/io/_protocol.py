"""A protocol in the sidecar of its images: which contrasts, at which times, in which order."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from relaxnet._contrasts import AXIS_KEYS
from relaxnet.io._bids import names_of, time_key
from relaxnet.io._sidecar import read_object
from relaxnet.protocol import Contrast, Protocol
from relaxnet.signals import MonoExponential, SignalModel, describe_model, restore_model
from relaxnet.times import TIME, Axis, CheckedTimes


def describe_protocol(protocol: Protocol) -> dict[str, Any]:
    """Describe a protocol in keys of a sidecar, with times in seconds.

    Parameters
    ----------
    protocol
        A protocol of contrasts that files have names for.

    Returns
    -------
    dict
        ``Contrasts``, in the order of the images; the times of each under its own key; ``SharedFirst``; and the
        ``SignalModels`` of contrasts that are no mono-exponential decays.

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
        time_key(c.name, c.model.axis, c.times_ms): [_shifted(t, -3) if c.model.axis == TIME else t for t in c.times_ms]
        for c in protocol.contrasts
    }
    others = {c.name: describe_model(c.model) for c in protocol.contrasts if c.model != MonoExponential()}
    return {
        "Contrasts": list(protocol.names),
        **times,
        "SharedFirst": protocol.shared_first,
        **({"SignalModels": others} if others else {}),
    }


def describes_protocol(path: Path) -> bool:
    """Return whether a sidecar describes a protocol.

    Parameters
    ----------
    path
        The JSON file.

    Returns
    -------
    bool
        Whether it names ``Contrasts``.
    """
    return "Contrasts" in read_object(path)


def read_protocol(path: Path, models: Mapping[str, SignalModel] | None = None) -> Protocol:
    """Read what images were acquired with from their sidecar.

    Parameters
    ----------
    path
        The JSON file.
    models
        Signal models of your own by the name of their contrast.

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
        contrasts = tuple(_contrast(content, name, (models or {}).get(name)) for name in names)
        return Protocol(contrasts, shared_first=shared)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _contrast(content: dict[str, Any], name: str, given: SignalModel | None) -> Contrast:
    described = content.get("SignalModels", {})
    if not isinstance(described, dict):
        raise ValueError(f"SignalModels={described!r} is not an object with a model for each contrast.")  # noqa: TRY004
    model = given or MonoExponential()
    if name in described:
        try:
            model = restore_model(name, described[name], given)
        except (KeyError, TypeError) as error:
            raise ValueError(f"SignalModels: {name}={described[name]!r} is no signal model: {error!r}.") from error
    return Contrast(name, _times(content, name, model.axis), model)


def _times(content: dict[str, Any], contrast: str, axis: Axis) -> tuple[float, ...]:
    keys = names_of(contrast).time_keys if axis == TIME else (AXIS_KEYS[axis.name],)
    found = [key for key in keys if isinstance(content.get(key), list)]
    if len(found) != 1:
        raise ValueError(f"one array {' or '.join(keys)} is needed for {contrast}, with its {axis.name}s.")
    values = content[found[0]]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise ValueError(f"{found[0]}={values} holds something else than numbers.")
    if axis != TIME:
        return tuple(values)
    if any(value > 1 for value in values) and contrast != "t1":
        raise ValueError(f"{found[0]}={values} looks like milliseconds; in files times are seconds, as BIDS asks.")
    return CheckedTimes(_shifted(value, 3) for value in values)


def _shifted(value: float, digits: int) -> float:
    """Move the decimal point, so that 18.2 ms are 0.0182 s and 18.2 ms again: 0.0182 * 1000 need not be 18.2."""
    return float(Decimal(repr(float(value))).scaleb(digits))
