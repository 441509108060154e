"""Packages whose parts are loaded when they are first used, so that importing them costs nothing."""

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazily(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the public names of a package available without importing what they need.

    The names are those that the package imports under ``if TYPE_CHECKING``, where readers and type checkers find them,
    too: so they are written once.

    Parameters
    ----------
    package
        Name of the package, ``__name__``.

    Returns
    -------
    tuple
        Its ``__getattr__``, ``__dir__`` and ``__all__``.
    """
    source = sys.modules[package].__loader__.get_source(package)  # type: ignore[union-attr]
    homes = {
        alias.name: statement.module
        for block in ast.parse(source).body
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        value = import_module(f"{package}.{name}") if home == package else getattr(import_module(str(home)), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, names, sorted(homes)
