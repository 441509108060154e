"""Working on blocks of voxels: on all cores, or on an accelerator as far as its memory goes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from relaxnet.fitting._core.voxels import Block, n_voxels, positions


def for_each(
    work: Callable[[Block], None], blocks: Sequence[Block], device: torch.device, space: tuple[int, ...]
) -> None:
    """Work on all blocks: one on each processor core at a time; one after another on an accelerator.

    A block is too small to be spread over threads by torch, which would only make them wait for one another, and make
    the last digits depend on how many were free.
    """
    if device.type != "cpu":
        for block in blocks:
            _on_accelerator(work, block, space)
        return
    threads = torch.get_num_threads()
    try:
        if len(blocks) < 2 or threads < 2:
            torch.set_num_threads(1)
            for block in blocks:
                work(block)
            return
        count = min(threads, len(blocks))
        pool = ThreadPoolExecutor(count, "relaxnet-fit", initializer=torch.set_num_threads, initargs=(1,))
        try:
            for future in [pool.submit(_without_gradient, work, block) for block in blocks]:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)
    finally:
        torch.set_num_threads(threads)  # also what threads to come start with


def _on_accelerator(work: Callable[[Block], None], block: Block, space: tuple[int, ...]) -> None:
    """Work on a block; where memory runs out, on quarters of it, once."""
    try:
        work(block)
    except torch.OutOfMemoryError:
        pass  # what it holds is free only after this clause
    else:
        return
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
    axes = positions(block, torch.arange(n_voxels(block, space)), space)
    size = max(1, len(axes[0]) // 4)
    try:
        for part in zip(*(torch.split(axis, size) for axis in axes), strict=True):
            work(part)
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(
            f"The memory of the device is not enough for {size} voxels at once: pass a smaller chunk_size, or leave "
            f"the signal in the memory of the processor, as a NumPy array."
        ) from error


def _without_gradient(work: Callable[[Block], None], block: Block) -> None:
    with torch.no_grad():  # each thread has a switch of its own
        work(block)
