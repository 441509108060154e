"""Copies between the memory of the processor and that of a GPU, which go on while the GPU computes.

That takes pinned memory, and streams: what is queued on one does not wait for another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor


def bring(samples: Tensor, like: Tensor) -> Tensor:
    """Bring samples to the device and dtype of a tensor."""
    if samples.device.type == "cpu" and like.device.type == "cuda":
        samples = samples.contiguous().pin_memory().to(like.device, non_blocking=True)
    return samples.to(like)


def take_home(rows: Tensor, home: torch.device) -> Tensor:
    """Bring results to where the signal is, when they are ready."""
    if not (rows.device.type == "cuda" and home.type == "cpu"):
        return rows.to(home)
    pinned = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
    pinned.copy_(rows, non_blocking=True)
    wait(rows.device)
    return pinned


@contextmanager
def own_stream(device: torch.device, number: int) -> Iterator[None]:
    """Queue what is done meanwhile on one of two streams."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.stream(_streams(device)[number]):
        yield


@cache
def _streams(device: torch.device) -> tuple[Any, Any]:
    """Return the same streams each time, so that their memory is used again."""
    stream: Any = torch.cuda.Stream
    return stream(device), stream(device)


def wait(device: torch.device) -> None:
    """Wait for what has been queued so far."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
