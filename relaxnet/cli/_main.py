"""From arguments to an exit status, whatever happens in between."""

import os
import shlex
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from relaxnet._messages import printable
from relaxnet.cli._console import COMMAND_LINE, say
from relaxnet.errors import require

EXPECTED = (ValueError, OSError, ImportError, MemoryError)
"""What files, arguments and machines can cause. Anything else is a mistake in relaxnet."""


class Interrupted(BaseException):
    """A signal asked the process to stop. Not an Exception, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``relaxnet``.

    Parameters
    ----------
    arguments
        Arguments of the program; by default those of the process.

    Returns
    -------
    int
        Exit status: 0 done, 1 could not, 2 the command line was wrong, 130 and 143 interrupted by SIGINT and SIGTERM.

    Examples
    --------
    >>> status = main(["--version"])
    relaxnet ...
    >>> status
    0
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    typed = [argument for argument in given if argument != "--debug"]
    debug = len(typed) < len(given) or os.environ.get("RELAXNET_DEBUG", "0") not in ("", "0")
    try:
        with _signals_raise(), warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = _show_warning
            COMMAND_LINE.set(shlex.join(["relaxnet", *_without_folders(typed)]))
            return _run(typed)
    except Interrupted as interruption:
        say(f"interrupted by {signal.Signals(interruption.number).name}")
        return 128 + interruption.number
    except Exception as error:  # noqa: BLE001 (this is the place where all of them end)
        if debug:
            print(*map(printable, traceback.format_exc().splitlines()), sep="\n", file=sys.stderr)
        status, message = _explain(error)
        say(f"error: {message}")
        return status


def _without_folders(arguments: list[str]) -> Iterator[str]:
    """Leave names of files without their folders, and DIR for a folder, which may be named after a patient."""
    commands = 2 if arguments[:1] == ["fit"] else 1
    for k, argument in enumerate(arguments):
        with_value = argument.startswith("--") and "=" in argument
        option, equals, value = argument.partition("=") if with_value else ("", "", argument)
        is_folder = os.path.isdir(value)  # noqa: PTH112 (Path raises where a name is too long)
        is_folder |= "--out" in (option, arguments[k - 1]) or (arguments[0] == "bids" and k <= 2)
        folder = k >= commands and is_folder
        yield option + equals + ("DIR" if folder else Path(value).name or value)


def _run(arguments: list[str]) -> int:
    """Parse the arguments, run the command, and make sure that what it printed has arrived."""
    get_command = require("typer.main", extra="cli").get_command
    from relaxnet.cli._app import SETTINGS, app  # noqa: PLC0415 (it needs typer)
    from relaxnet.cli._bids import repeat_labels  # noqa: PLC0415

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter of a file name is no failure
    if arguments[:1] == ["bids"]:
        arguments = repeat_labels(arguments)
    command, name, rest = get_command(app), "relaxnet", arguments or ["--help"]
    while rest and rest[0] in getattr(command, "commands", {}):  # to read options of groups takes time
        command, name, rest = command.commands[rest[0]], f"{name} {rest[0]}", rest[1:]
    status = command.main(rest, name, standalone_mode=False, **SETTINGS)
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try once more, and complain
        raise
    return int(status or 0)


def _explain(error: Exception) -> tuple[int, str]:
    """Give the exit status and the message of an error."""
    usage: Any = error
    if hasattr(usage, "format_message"):  # typer's errors; their classes move from version to version
        hint = f" ('{usage.ctx.command_path} --help' tells more)" if getattr(usage, "ctx", None) else ""
        return int(usage.exit_code), usage.format_message() + hint
    if isinstance(error, OSError) and error.strerror:
        return 1, error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if isinstance(error, EXPECTED):
        return 1, str(error) or type(error).__name__
    return 1, f"unexpected {type(error).__name__}: {error} (this is a mistake in relaxnet; --debug shows where)"


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    if not issubclass(category, DeprecationWarning):  # which one library has for the developers of another
        say(f"warning: {message}")


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise, so that files are cleaned up on the way out."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        raise Interrupted(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and shells ask for in the background
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
