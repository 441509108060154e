"""An experiment is a list of steps. Each is computed once, and kept: what is interrupted goes on where it stopped."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from relaxnet._files import write_text

_FORMAT = 2  # of what steps compute; a new one computes all of them again


@dataclass(frozen=True)
class Step:
    """A function of plain values, whose outcome is plain values, too."""

    title: str
    """What it is, for those who wait."""
    function: Callable[..., Any]
    """Is called with a path for files of its own, those of the steps that it needs, and the arguments."""
    arguments: dict[str, Any]
    """Plain values, as JSON has them."""
    needs: tuple["Step", ...] = ()
    """Steps whose files it reads."""
    alone: bool = False
    """Whether it is computed when nothing else is, with all cores, because its time counts."""

    @cached_property
    def key(self) -> str:
        """Name of its outcome, another one for other arguments."""
        content = [_FORMAT, self.function.__name__, self.arguments, [step.key for step in self.needs]]
        text = json.dumps(content, sort_keys=True)
        return f"{self.function.__name__.strip('_')}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@contextmanager
def workers(jobs: int | None = None) -> Iterator[Executor | None]:
    """Start processes that compute steps; none before there is something to compute.

    Parameters
    ----------
    jobs
        How many steps are computed at a time; by default one a core, or one where there is a GPU.

    Yields
    ------
    Executor or None
        The processes; ``None`` if it is one step at a time, which this process computes.

    Raises
    ------
    ValueError
        If ``jobs`` is less than 1.
    """
    if jobs is None:
        jobs = 1 if torch.cuda.is_available() else os.cpu_count() or 1
    if jobs < 1:
        raise ValueError(f"jobs={jobs}: at least one step is computed at a time.")
    if jobs == 1:
        yield None
        return
    context = get_context("spawn")  # a fork of a process whose torch has threads may never return
    with ProcessPoolExecutor(jobs, context, _prepare, (max((os.cpu_count() or 1) // jobs, 1),)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run_steps(
    steps: Iterable[Step], cache: Path, pool: Executor | None = None, *, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Compute those steps that have not been computed yet.

    Parameters
    ----------
    steps
        The steps; what they need is added.
    cache
        Folder of the outcomes.
    pool
        Processes of :func:`workers`, which compute several at a time; ``None`` for this one.
    say
        Is told of each step that is done, and of the time left.

    Returns
    -------
    dict
        Outcomes by :attr:`Step.key`.
    """
    wanted = _ordered(steps)
    cache.mkdir(parents=True, exist_ok=True)
    outcomes = {key: json.loads(path.read_text()) for key in wanted if (path := _path(cache, key)).exists()}
    missing = {key: step for key, step in wanted.items() if key not in outcomes}
    if len(wanted) > len(missing) > 0:
        say(f"{len(wanted) - len(missing)} of {len(wanted)} steps are there")
    begin, took = time.perf_counter(), dict[str, list[float]]()

    def note(step: Step, outcome: Any, seconds: float) -> None:
        outcomes[step.key] = outcome
        took.setdefault(step.function.__name__, []).append(seconds)
        left = [other for key, other in missing.items() if key not in outcomes]
        say(f"{step.title}: done, {len(left)} left, about {_minutes(left, took, time.perf_counter() - begin):.0f} min")

    if pool is not None:
        _compute_together([step for step in missing.values() if not step.alone], cache, outcomes, pool, note)
    for key, step in missing.items():
        if key not in outcomes:
            note(step, *_compute(step, cache))
    return outcomes


def _minutes(left: Sequence[Step], took: Mapping[str, list[float]], elapsed: float) -> float:
    """Estimate how long it will be, where a step takes as long as others of its kind did, or as the slowest kind."""
    means = {kind: sum(seconds) / len(seconds) for kind, seconds in took.items()}
    work = sum(means.get(step.function.__name__, max(means.values())) for step in left)
    done = sum(map(sum, took.values()))  # more than has elapsed where several are computed at a time
    return work * elapsed / max(done, 1e-9) / 60


def _compute_together(
    steps: list[Step], cache: Path, outcomes: dict[str, Any], pool: Executor, note: Callable[[Step, Any, float], None]
) -> None:
    """Compute steps in other processes, each as soon as what it needs is there."""
    waiting = list(steps)
    running: dict[Future[Any], Step] = {}
    while waiting or running:
        ready = [step for step in waiting if all(need.key in outcomes for need in step.needs)]
        for step in ready:
            waiting.remove(step)
            running[pool.submit(_compute, step, cache)] = step
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            note(running.pop(future), *future.result())


def _compute(step: Step, cache: Path) -> tuple[Any, float]:
    """Compute a step and keep its outcome; tell how long it took."""
    begin = time.perf_counter()
    outcome = step.function(cache / step.key, *(cache / need.key for need in step.needs), **step.arguments)
    # Through JSON, so that it is now what it will be when read again.
    text = json.dumps(outcome)
    write_text(_path(cache, step.key), text)
    return json.loads(text), time.perf_counter() - begin


def _path(cache: Path, key: str) -> Path:
    return cache / f"{key}.json"


def _prepare(threads: int) -> None:
    """Set up a process that computes steps; it ends with the one that started it, which may have been killed."""
    torch.set_num_threads(threads)

    def follow() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=follow, daemon=True).start()


def _ordered(steps: Iterable[Step]) -> dict[str, Step]:
    """Put each step behind those that it needs, once."""
    found: dict[str, Step] = {}

    def add(some: Sequence[Step]) -> None:
        for step in some:
            add(step.needs)
            found.setdefault(step.key, step)

    add(tuple(steps))
    return found
