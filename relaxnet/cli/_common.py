"""What all commands share: ``-q``, ``-v``, ``--json`` and ``--device``, and how their answer is printed."""

import inspect
import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Annotated, Any

import typer

from relaxnet._version import __version__
from relaxnet.cli._console import QUIET, say

_OPTIONS = {
    "as_json": Annotated[bool, typer.Option("--json", help="Print the result as JSON.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Print only results, warnings and errors.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Print versions and time, too.")],
    "device": Annotated[
        str, typer.Option(metavar="DEVICE", help="Where to compute: auto, cpu, cuda, cuda:1 or mps.", show_default=True)
    ],
}

_GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Answer:
    """What a command has to say in the end."""

    text: str
    """For people."""
    summary: dict[str, Any] = field(default_factory=dict)
    """The same in plain values, for programs."""
    status: int = 0
    """The exit status."""


def command(answer: Callable[..., Answer]) -> Callable[..., int]:
    """Give a command the options that all share, for typer to read, and let it print its answer.

    A command that has a parameter ``device`` gets the name of the device.
    """
    own = inspect.signature(answer).parameters

    def run(**options: Any) -> int:
        as_json, quiet, verbose, device = (options.pop(name) for name in _OPTIONS)
        started, before = perf_counter(), QUIET.set(quiet)
        try:
            with _visible(device) as seen:
                if verbose:
                    say(f"relaxnet {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores")
                given = answer(**options, **({"device": seen} if "device" in own else {}))
            if verbose:
                say(f"done in {perf_counter() - started:.1f} s")
            if as_json:
                print(json.dumps(given.summary, indent=2))
            elif given.text:
                print(given.text)
        finally:
            QUIET.reset(before)
        return given.status

    kept = [parameter for name, parameter in own.items() if name != "device"]
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default="auto" if name == "device" else False, annotation=annotation
        )
        for name, annotation in _OPTIONS.items()
    ]
    run.__signature__ = inspect.Signature([*kept, *added])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*kept, *added)}
    run.__doc__, run.__name__ = answer.__doc__, answer.__name__
    return run


@contextmanager
def _visible(device: str) -> Iterator[str]:
    """Let no other GPU be seen, here and in processes that are started, so that what chooses by itself chooses it.

    Yields the name that the device has then: the only GPU is ``"cuda"``, whatever its number was.
    """
    match = re.fullmatch(r"auto|cpu|mps|(cuda)(?::(\d{1,3}))?", device)
    if not match:
        raise typer.BadParameter(f"{device!r} is none of auto, cpu, cuda, cuda:1, mps.", param_hint="--device")
    gpu, number = match.groups()
    before = os.environ.get(_GPUS)
    if device == "cpu":
        os.environ[_GPUS] = ""
    elif number:
        there = before.split(",") if before else []
        os.environ[_GPUS] = (there[int(number) : int(number) + 1] or [""])[0] if before else number
    try:
        if (gpu or device == "mps") and not _is_there(gpu or device):
            raise typer.BadParameter(f"torch sees no {device} here.", param_hint="--device")
        yield gpu or device
    finally:
        if before is None:
            os.environ.pop(_GPUS, None)
        else:
            os.environ[_GPUS] = before


def _is_there(kind: str) -> bool:
    import torch  # noqa: PLC0415 (it takes seconds)

    return torch.cuda.is_available() if kind == "cuda" else torch.backends.mps.is_available()
