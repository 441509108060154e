"""Work on blocks of voxels: on all processor cores, or on an accelerator as far as its memory reaches.

A process that is forked while another thread is in the matrix library, or ends after it was there, inherits a lock that
nobody will release. So the threads of fits are kept from one fit to the next, and a fork waits for running fits.
The threads of users are beyond reach: after a fit in one of them, a forked process refuses to fit.
"""

import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from relaxnet.fitting._core.transfer import own_stream, wait
from relaxnet.fitting._core.voxels import Block, Voxels, n_voxels, positions


def for_each(work: Callable[[Block], None], blocks: Sequence[Block], voxels: Voxels) -> None:
    """Work on all blocks: one on each processor core at a time; one after another on an accelerator.

    Within a block torch uses a single thread: a block is too small to be spread over several, which would wait for one
    another, and whose number would change the last digits. Blocks that come from another memory are worked on by two
    threads, so that one is copied while the accelerator is busy with the other.
    """
    if voxels.times.device.type != "cpu":
        _on_accelerator(work, blocks, voxels)
        return
    with one_thread() as threads:
        if len(blocks) < 2 or threads < 2:
            for block in blocks:
                work(block)
        else:  # each thread has its own switch for gradients
            list(_fits.pool(threads).map(torch.no_grad()(work), blocks))


@contextmanager
def one_thread() -> Iterator[int]:
    """Let torch use a single thread, as a part of a fit; give the number of threads that it had."""
    with _fits.running():
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(1)
            yield threads
        finally:
            torch.set_num_threads(threads)  # also what new threads start with


class _Fits:
    """The threads of this process that fit, and how many fits are running."""

    def __init__(self) -> None:
        self.in_threads_of_users = self.refused = False
        self._begin()

    def _begin(self) -> None:
        self.idle = threading.Condition(threading.RLock())
        self.n_running = 0
        self.of_thread = threading.local()
        self.executor: ThreadPoolExecutor | None = None
        self.n_threads = 0

    def pool(self, n_threads: int) -> ThreadPoolExecutor:
        """Return threads in which torch uses a single one: those of the last call if they are as many."""
        with self.idle:
            if self.executor is None or self.n_threads != n_threads:
                self.executor = ThreadPoolExecutor(n_threads, "relaxnet-fit", self._begin_thread)
                self.n_threads = n_threads
            return self.executor

    def _begin_thread(self) -> None:
        torch.set_num_threads(1)
        self.of_thread.depth = math.inf  # an estimator that forks in here cannot wait for itself

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count a fit, during which no other thread can fork."""
        if self.refused:
            raise RuntimeError(
                "this process was forked from one that had fitted in several threads, so a fit could wait for ever: "
                "start processes with multiprocessing.get_context('spawn'), or fit in threads or in processes alone."
            )
        if threading.current_thread() is not threading.main_thread():
            self.in_threads_of_users = True
        depth = getattr(self.of_thread, "depth", 0)
        with self.idle:
            self.n_running += 1
        self.of_thread.depth = depth + 1
        try:
            yield
        finally:
            self.of_thread.depth = depth
            with self.idle:
                self.n_running -= 1
                self.idle.notify_all()

    def before_fork(self) -> None:
        """Wait for the fits of other threads, and keep new ones from starting."""
        self.idle.acquire()
        self.idle.wait_for(lambda: self.n_running <= getattr(self.of_thread, "depth", 0))

    def after_fork(self) -> None:
        """Let fits start again."""
        self.idle.release()

    def after_fork_in_child(self) -> None:
        """Begin anew, without the threads of the parent, which do not exist here."""
        self.refused |= self.in_threads_of_users
        self._begin()


_fits = _Fits()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_fits.before_fork, after_in_parent=_fits.after_fork, after_in_child=_fits.after_fork_in_child
    )


def _on_accelerator(work: Callable[[Block], None], blocks: Sequence[Block], voxels: Voxels) -> None:
    """Work on blocks one after another; those that come from another memory are shared by two threads."""
    device = voxels.times.device
    at_first = len(blocks) if voxels.home == device else 1  # which may compile what the others need, too
    for block in blocks[:at_first]:
        _within_memory(work, block, voxels)
    if len(blocks) <= at_first:
        return

    @torch.no_grad()
    def work_on(number: int) -> None:
        with own_stream(device, number):
            for block in blocks[at_first + number :: 2]:
                _within_memory(work, block, voxels)

    wait(device)  # for what has been prepared
    with _fits.running():
        list(_fits.pool(2).map(work_on, (0, 1)))


def _within_memory(work: Callable[[Block], None], block: Block, voxels: Voxels) -> None:
    """Work on a block; where the memory of the accelerator runs out, on quarters of it, once."""
    try:
        work(block)
    except torch.OutOfMemoryError:
        pass  # what it holds is free only after this clause
    else:
        return
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
    places = torch.arange(n_voxels(block, voxels.space), device=voxels.home)
    axes = positions(block, places, voxels.space)
    size = max(1, len(axes[0]) // 4)
    try:
        for part in zip(*(torch.split(axis, size) for axis in axes), strict=True):
            work(part)
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(
            f"The memory of the device is not enough for {size} voxels at once: pass a smaller chunk_size, or leave "
            f"the signal in the memory of the processor, and pass device={voxels.times.device.type!r}."
        ) from error
