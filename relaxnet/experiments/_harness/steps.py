"""An experiment is a list of steps. Each is computed once and kept, so a run that was interrupted can be resumed."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from relaxnet._files import write_text

_OUTCOME = ".json"
_FORMAT = 5  # of what steps compute; a new one computes all of them again


@dataclass(frozen=True)
class Step:
    """A function, and what it is called with."""

    title: str
    """Name of the step, for those who wait."""
    function: Callable[..., Any]
    """Returns an outcome that JSON can hold. Called with a path for a file of its own if the step ``keeps`` one, the
    paths of the files of the steps that it needs, and the arguments."""
    arguments: dict[str, Any]
    """Keyword arguments: plain values, and dataclasses of such. A dataclass says what it stands for by a property
    ``content``, if that is not what its fields hold."""
    needs: tuple["Step", ...] = ()
    """Steps whose files it reads."""
    keeps: str = ""
    """Suffix of the file of its own, such as ``".safetensors"``; without one it has none."""
    alone: bool = False
    """Whether it is computed when nothing else is, with all cores, because it is timed."""

    @cached_property
    def key(self) -> str:
        """Name of its outcome; other arguments, or another meaning of them, give another one."""
        content = [_FORMAT, self.function.__name__, self.arguments, [step.key for step in self.needs]]
        text = json.dumps(content, sort_keys=True, default=_content)
        return f"{self.function.__name__}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def file(self, cache: Path, suffix: str = "") -> Path:
        """Name a file of the step.

        Parameters
        ----------
        cache
            Folder of the outcomes.
        suffix
            Suffix of the file; by default that of the file that it keeps.

        Returns
        -------
        Path
            The path.
        """
        return cache / f"{self.key}{suffix or self.keeps}"


@contextmanager
def workers(jobs: int | None = None) -> Iterator[Executor | None]:
    """Start processes that compute steps.

    Parameters
    ----------
    jobs
        Number of steps to compute at a time; by default one a core, or one where there is a GPU.

    Yields
    ------
    Executor or None
        The processes; ``None`` for one step at a time, which this process computes itself.

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
    threads = max((os.cpu_count() or 1) // jobs, 1)
    with _threads_of_children(threads), ProcessPoolExecutor(jobs, context, _prepare, (threads,)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """Limit the threads of numpy's matrix library, which keep cores busy while they wait; it reads that when loaded."""
    name = "OMP_NUM_THREADS"
    usual = os.environ.get(name)
    os.environ.setdefault(name, str(threads))
    try:
        yield
    finally:
        if usual is None:
            del os.environ[name]


def run_steps(
    steps: Iterable[Step], cache: Path, pool: Executor | None = None, *, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Compute the steps that have not been computed yet.

    Parameters
    ----------
    steps
        The steps; those that they need are added.
    cache
        Folder of the outcomes.
    pool
        Processes of :func:`workers`, which compute several at a time; ``None`` for this one.
    say
        Called with a line of text for each step that is done, with an estimate of the time left.

    Returns
    -------
    dict
        Outcomes by :attr:`Step.key`.

    Raises
    ------
    ValueError
        If the file of an outcome is damaged.
    """
    wanted = _ordered(steps)
    cache.mkdir(parents=True, exist_ok=True)
    kept = {key: path for key, step in wanted.items() if (path := step.file(cache, _OUTCOME)).exists()}
    outcomes = {key: _read(path) for key, path in kept.items()}
    missing = {key: step for key, step in wanted.items() if key not in outcomes}
    if len(wanted) > len(missing) > 0:
        say(f"{len(wanted) - len(missing)} of {len(wanted)} steps have been computed before")
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
    """Estimate the time left: a step takes as long as others of its kind took, or else as the slowest kind."""
    means = {kind: sum(seconds) / len(seconds) for kind, seconds in took.items()}
    work = sum(means.get(step.function.__name__, max(means.values())) for step in left)
    done = sum(map(sum, took.values()))  # more than has elapsed where several are computed at a time
    return work * elapsed / max(done, 1e-9) / 60


def _compute_together(
    steps: list[Step], cache: Path, outcomes: dict[str, Any], pool: Executor, note: Callable[[Step, Any, float], None]
) -> None:
    """Compute steps in other processes, each as soon as those that it needs are done."""
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
    """Compute a step and keep its outcome; return it, and the seconds that it took."""
    begin = time.perf_counter()
    own = [step.file(cache)] if step.keeps else []
    outcome = step.function(*own, *(need.file(cache) for need in step.needs), **step.arguments)
    # Through JSON, so that it is now what it will be when read again.
    path = step.file(cache, _OUTCOME)
    write_text(path, json.dumps({"outcome": outcome, "sha256": _digest(outcome)}))
    return _read(path), time.perf_counter() - begin


def _read(path: Path) -> Any:
    try:
        content = json.loads(path.read_bytes())
        outcome, written = content["outcome"], content["sha256"]
        if _digest(outcome) != written:
            raise ValueError("it is not what was written")  # noqa: TRY301 (as what is no JSON)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: delete it, and the step is computed again.") from error
    return outcome


def _digest(outcome: Any) -> str:
    return hashlib.sha256(json.dumps(outcome).encode()).hexdigest()


def _content(thing: Any) -> Any:
    """Say what decides an argument that is no plain value."""
    return thing.content if hasattr(thing, "content") else asdict(thing)


def _prepare(threads: int) -> None:
    """Set up a process that computes steps, and let it end with the one that started it, even if that is killed."""
    torch.set_num_threads(threads)

    def follow() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=follow, daemon=True).start()


def _ordered(steps: Iterable[Step]) -> dict[str, Step]:
    """List each step once, behind those that it needs."""
    found: dict[str, Step] = {}
    for step in steps:
        found |= _ordered(step.needs) | {step.key: step}
    return found
