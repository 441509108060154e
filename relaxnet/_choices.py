"""Things that users choose by name, written down once: where they are, and what they are in one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar

from relaxnet._messages import brief

ChoiceT = TypeVar("ChoiceT")


@dataclass(frozen=True)
class Choice:
    """One of several things with a name, which is imported when it is first used.

    Examples
    --------
    >>> rx.fitting.METHODS["nlls"].load() is rx.fitting.nlls
    True
    """

    where: str
    """Where it is, ``"module:name"``."""
    summary: str
    """What it is, in one sentence."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What it is made with, beside what every one of its kind is given."""

    def load(self) -> Any:
        """Import it.

        Returns
        -------
        object
            The function, class or object.
        """
        module, _, name = self.where.partition(":")
        return getattr(import_module(module), name)


def pick(argument: str, name: object, known: Mapping[str, ChoiceT], *, instead: str = "") -> ChoiceT:
    """Look up what a user chose by name.

    Parameters
    ----------
    argument
        Name of the argument, for messages.
    name
        The given value.
    known
        All that there is, by name.
    instead
        Alternatives to a name, for the message.

    Returns
    -------
    object
        The value of that name.

    Raises
    ------
    ValueError
        If nothing has.
    """
    if isinstance(name, str) and name in known:
        return known[name]
    close = get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"{argument}={brief(repr(name))} is unknown: use one of {tuple(known)}{instead}.{hint}")
