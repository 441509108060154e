"""Protocols in the sidecars of their images: contrasts, times and signal models."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from relaxnet._files import naming
from relaxnet._messages import brief
from relaxnet.io._sidecar import describe_times, read_object, times_of
from relaxnet.protocol import Contrast, Protocol
from relaxnet.signals import MonoExponential, SignalModel, describe_model, restore_model


def describe_contrasts(
    contrasts: Iterable[tuple[str, Iterable[float], SignalModel]], *, shared_first: bool | None = None
) -> dict[str, Any]:
    """Describe contrasts, (name, times in ms, model), in keys of a sidecar; default models are left out."""
    described: dict[str, Any] = {"Contrasts": []}
    models = {}
    for name, times, model in contrasts:
        described["Contrasts"].append(name)
        described |= describe_times(name, times, model)
        if model != MonoExponential():
            models[name] = describe_model(model)
    if shared_first is not None:
        described["SharedFirst"] = shared_first
    return described | ({"SignalModels": models} if models else {})


def describe_protocol(protocol: Protocol) -> dict[str, Any]:
    """Describe a protocol in keys of a sidecar, with times in seconds.

    Examples
    --------
    >>> describe_protocol(rx.Protocol((rx.Contrast("t1rho", (0, 10, 30.5)),)))
    {'Contrasts': ['t1rho'], 'SpinLockTime': [0.0, 0.01, 0.0305], 'SharedFirst': False}
    """
    contrasts = ((contrast.name, contrast.times_ms, contrast.model) for contrast in protocol.contrasts)
    return describe_contrasts(contrasts, shared_first=protocol.shared_first)


def describes_protocol(path: Path) -> bool:
    """Return whether a sidecar describes a protocol.

    Parameters
    ----------
    path
        The JSON file.

    Returns
    -------
    bool
        Whether it has the key ``Contrasts``.
    """
    return "Contrasts" in read_object(path)


def read_protocol(path: Path, models: Mapping[str, SignalModel] | None = None) -> Protocol:
    """Read the protocol of images from their sidecar.

    Parameters
    ----------
    path
        The JSON file.
    models
        Your own signal models by the name of their contrast.

    Returns
    -------
    Protocol
        The protocol, times in ms.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not JSON, lacks a key, or does not describe a protocol.
    """
    content = read_object(path)
    names = content.get("Contrasts")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path}: the key Contrasts must list the contrasts in the order of their images.")
    shared = content.get("SharedFirst", None if len(names) > 1 else False)
    if not isinstance(shared, bool):
        problem = "the key SharedFirst must be true or false: whether the contrasts share their first image"
        raise ValueError(f"{path}: {problem}.")  # noqa: TRY004 (the file is wrong)
    with naming(path):
        contrasts = tuple(_contrast(content, name, (models or {}).get(name)) for name in names)
        return Protocol(contrasts, shared_first=shared)


def _contrast(content: dict[str, Any], name: str, given: SignalModel | None) -> Contrast:
    """Make a contrast from the content of a sidecar; its model may be given."""
    described = content.get("SignalModels", {})
    if not isinstance(described, dict):
        problem = "is not an object with a model for each contrast"
        raise ValueError(f"SignalModels={brief(repr(described))} {problem}.")  # noqa: TRY004 (the file is wrong)
    model = given or MonoExponential()
    if name in described:
        try:
            model = restore_model(name, described[name], given)
        except (KeyError, TypeError) as error:
            what = f"SignalModels: {name}={brief(repr(described[name]))} is no signal model: {brief(error)}"
            raise ValueError(f"{what}.") from error
    return Contrast(name, times_of(content, name, model.axis), model)
