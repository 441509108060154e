"""Running Lightning so that it says little, and that signals end as users expect."""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def honest_signals(trainer: Any) -> Iterator[None]:
    """Let Ctrl-C end as KeyboardInterrupt, and SIGTERM with status 143; Lightning would exit with 1 and 0.

    Parameters
    ----------
    trainer
        The Lightning trainer.

    Yields
    ------
    None
        Nothing.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)  # Lightning has it ignored from here on
            raise KeyboardInterrupt from None
        if trainer.received_sigterm:
            raise SystemExit(128 + signal.SIGTERM) from None
        raise


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's greetings and its advice for clusters off the user's screen.

    Yields
    ------
    None
        Nothing.
    """
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in ("does not have many workers", r"isinstance\(treespec, LeafSpec\)"):
            warnings.filterwarnings("ignore", message=f".*{message}.*")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
