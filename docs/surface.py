"""The public surface: every public name with its signature, and every command with its options.

``python docs/surface.py`` writes it into ``tests/public_surface.txt``, with which the tests compare it: so a change of
what users call is seen, and meant.
"""

import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from from_code import public_names
from signatures import signature_of
from typer.main import get_command

import relaxnet as rx
from relaxnet.cli._app import app

WRITTEN = Path(__file__).parents[1] / "tests" / "public_surface.txt"


def surface() -> str:
    """List the public surface.

    Returns
    -------
    str
        A line for each name, attribute and command.
    """
    lines = [line for name in rx.__all__ for line in _of_value(f"relaxnet.{name}", getattr(rx, name))]
    return "\n".join([*lines, *_commands(get_command(app), "relaxnet")]) + "\n"


def _of_value(path: str, value: Any) -> Iterator[str]:
    """List a name and what can be reached by it."""
    if isinstance(value, ModuleType):
        for name in sorted(public_names(path.rpartition(".")[2])):
            if name not in rx.__all__:  # which stands above
                yield from _of_value(f"{path}.{name}", getattr(value, name))
    elif inspect.isclass(value) and issubclass(value, Enum):
        yield from (f"{path}.{member.name} = {member.value!r}" for member in value)
    elif inspect.isclass(value):
        bases = ", ".join(base.__name__ for base in value.__mro__[1:] if base in _classes())
        yield f"{path}{_signature(value)}{bases and f', a kind of {bases}'}"
        yield from (f"{path}.{name}{_signature(getattr(value, name))}" for name in sorted(_attributes(value)))
    else:
        yield path + _signature(value)


@cache
def _classes() -> set[Any]:
    """Find all public classes."""
    modules = [of for of in (getattr(rx, name) for name in rx.__all__) if isinstance(of, ModuleType)]
    values = [getattr(of, name) for of in modules for name in public_names(of.__name__.rpartition(".")[2])]
    return {value for value in values if inspect.isclass(value)}


def _attributes(cls: type) -> set[str]:
    """Find methods and attributes of a class that neither its signature names nor a public class it derives from."""
    own = [base for base in cls.__mro__ if base.__module__.startswith("relaxnet")]
    held = {name for base in own if base is cls or base not in _classes() for name in vars(base)}
    fields = {*getattr(cls, "__dataclass_fields__", ()), *getattr(cls, "_fields", ())}
    return {name for name in held if not name.startswith("_")} - fields


def _signature(value: Any) -> str:
    """Write what a function or class takes and returns; nothing for what is neither."""
    found = signature_of(value, {}) if inspect.isroutine(value) or inspect.isclass(value) else None
    parameters, returned = found or ("", None)
    return parameters if returned is None else f"{parameters} -> {returned}"


def _commands(command: Any, path: str) -> Iterator[str]:
    """List commands with their arguments and options."""
    below = getattr(command, "commands", {})
    for name, sub in sorted(below.items()):
        yield from _commands(sub, f"{path} {name}")
    if not below:
        words = (p.name.upper() if p.param_type_name == "argument" else "/".join(p.opts) for p in command.params)
        yield " ".join([path, *words])


if __name__ == "__main__":
    WRITTEN.write_text(surface(), encoding="utf-8")
    print(WRITTEN, file=sys.stderr)
