"""Progress of a command on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from relaxnet.cli._console import QUIET, say


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far something is: a bar on a terminal, now and then a line elsewhere.

    Parameters
    ----------
    what
        Name of the activity.

    Yields
    ------
    Callable
        To be told how much is done, and of how much.
    """
    from rich.console import Console  # noqa: PLC0415 (it is an extra)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda done, total: _say_now_and_then(what, done, total)
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=QUIET.get()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say_now_and_then(what: str, done: int, total: int) -> None:
    if done and (done % max(1, total // 10) == 0 or done == total):
        say(f"{what}: {done} of {total}")
