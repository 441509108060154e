"""Exceptions of relaxnet that Python does not have."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

__all__ = ["DtypeError", "MissingExtraError"]


class DtypeError(TypeError, ValueError):
    """Numbers of a kind that cannot be used: complex, text, objects.

    It is both a :class:`TypeError` and a :class:`ValueError`, so that ``except ValueError`` around a call meets
    everything that a bad argument can cause.
    """


class MissingExtraError(ImportError):
    """A part of relaxnet needs a package that is not installed."""


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Parameters
    ----------
    module
        Dotted name of the module to import.
    extra
        The extra of relaxnet that installs it.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # the package is here, but something of its own is broken: that is not ours to explain away
        raise _missing(package, extra) from error


def look_for(package: str, *, extra: str) -> None:
    """Make sure that an optional package is installed, without the time that its import takes.

    Parameters
    ----------
    package
        Its name.
    extra
        The extra of relaxnet that installs it.

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    """
    if find_spec(package) is None:
        raise _missing(package, extra)


def how_to_install(extra: str) -> str:
    """Write the command that installs an extra, from an index and from a clone.

    Parameters
    ----------
    extra
        Its name.

    Returns
    -------
    str
        The end of a sentence.

    Examples
    --------
    >>> how_to_install("io")
    "pip install 'relaxnet[io]', or pip install '.[io]' in a clone of relaxnet"
    """
    return f"pip install 'relaxnet[{extra}]', or pip install '.[{extra}]' in a clone of relaxnet"


def how_to_add(package: str) -> str:
    """Write the command that installs a package of data of relaxnet, from an index and from a clone.

    Parameters
    ----------
    package
        Its name.

    Returns
    -------
    str
        The end of a sentence.

    Examples
    --------
    >>> how_to_add("relaxnet-weights")
    'pip install relaxnet-weights, or pip install ./weights in a clone of relaxnet'
    """
    return f"pip install {package}, or pip install ./{package.removeprefix('relaxnet-')} in a clone of relaxnet"


def _missing(package: str, extra: str) -> MissingExtraError:
    return MissingExtraError(f"{package} is not installed. It comes with the extra {extra!r}: {how_to_install(extra)}")
