"""Work on blocks of voxels: on all processor cores, or on an accelerator as far as its memory reaches."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from relaxnet.fitting._core.voxels import Block, n_voxels, positions


def for_each(
    work: Callable[[Block], None], blocks: Sequence[Block], device: torch.device, space: tuple[int, ...]
) -> None:
    """Work on all blocks: one on each processor core at a time; one after another on an accelerator.

    Within a block torch uses a single thread: a block is too small to be spread over several, which would wait for one
    another, and whose number would change the last digits.
    """
    if device.type != "cpu":
        for block in blocks:
            _on_accelerator(work, block, space)
        return
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        if len(blocks) < 2 or threads < 2:
            for block in blocks:
                work(block)
            return
        count = min(threads, len(blocks))
        with ThreadPoolExecutor(count, "relaxnet-fit", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(torch.no_grad()(work), blocks))  # each thread has its own switch for gradients
    finally:
        torch.set_num_threads(threads)  # also what new threads start with


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
