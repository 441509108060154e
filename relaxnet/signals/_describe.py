"""Signal models as plain values, for files."""

from collections.abc import Mapping
from typing import Any

import relaxnet.signals
from relaxnet.signals._model import SignalModel


def describe_model(model: SignalModel) -> dict[str, Any]:
    """Describe a signal model in plain values.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    dict
        Its class, its settings, and whether the class is one of the user's own.

    Examples
    --------
    >>> rx.signals.describe_model(rx.signals.VariableFlipAngle(tr_ms=5.0))
    {'name': 'VariableFlipAngle', 'settings': {'tr_ms': 5.0}, 'own': False}
    """
    name = type(model).__name__
    plain = {key: value for key, value in model.settings.items() if isinstance(value, bool | int | float | str)}
    return {"name": name, "settings": plain, "own": type(model) is not getattr(relaxnet.signals, name, None)}


def restore_model(contrast: str, description: Mapping[str, Any], given: SignalModel | None = None) -> SignalModel:
    """Make a described model anew, or check that the given one is it.

    Parameters
    ----------
    contrast
        Name of the contrast, for messages.
    description
        Return value of :func:`describe_model`.
    given
        The model, if it is one of the user's own.

    Returns
    -------
    SignalModel
        The model.

    Raises
    ------
    ValueError
        If the model is one of the user's own and is not given, or another one is.
    """
    name, settings = description["name"], description["settings"]
    if given is not None:
        if describe_model(given) != description:
            raise ValueError(f"models[{contrast!r}] is {given!r}: contrast {contrast!r} has {name} with {settings}.")
        return given
    if description["own"]:
        raise ValueError(
            f"models: contrast {contrast!r} has a signal model of its own, {name} with {settings}: pass it, "
            f"models={{{contrast!r}: {name}(...)}}."
        )
    made = getattr(relaxnet.signals, name, None)
    if not (isinstance(made, type) and issubclass(made, SignalModel)):
        raise ValueError(  # noqa: TRY004 (it is a file that is wrong)
            f"contrast {contrast!r} has the model {name!r}, which this version does not know."
        )
    return made(**settings)
