"""Which images a network is shown."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from relaxnet.protocol import Protocol

Seen = str | Sequence[int] | Sequence[str | Sequence[int]] | Bool[Tensor, "batch image"] | None


def seen_mask(protocol: Protocol, seen: Seen, batch: int) -> Bool[Tensor, "batch image"]:
    """Turn any way of saying which images are seen into a mask.

    Parameters
    ----------
    protocol
        What was acquired.
    seen
        A key of :attr:`Protocol.input_sets`, channel numbers, a sequence with one of these for each sample, or a mask.
        ``None`` means all.
    batch
        Number of samples.

    Returns
    -------
    Tensor
        True where a sample's image is seen; on the device of the mask that was given, if one was.

    Raises
    ------
    ValueError
        If ``seen`` is not in the protocol, is not made for so many samples, or leaves a sample without any image.

    Examples
    --------
    >>> rx.nets.seen_mask(rx.protocols.LIVER_T1RHO_T2, ["short", (0, 6)], batch=2).int()
    tensor([[1, 1, 0, 0, 1, 0, 0],
            [1, 0, 0, 0, 0, 0, 1]], dtype=torch.int32)
    """
    shape = (batch, protocol.n_images)
    if seen is None:
        return torch.ones(shape, dtype=torch.bool)
    if isinstance(seen, Tensor):
        if seen.dtype != torch.bool or seen.shape != shape:
            raise ValueError(f"seen is {seen.dtype} of shape {tuple(seen.shape)}: a mask is torch.bool, {shape}.")
        if not seen.any(dim=1).all():
            empty = torch.nonzero(~seen.any(dim=1)).flatten().tolist()
            raise ValueError(f"seen has no image for samples {empty}: each needs one at least.")
        return seen
    one_for_all = isinstance(seen, str) or all(isinstance(channel, Integral) for channel in seen)
    rows: list[Any] = [seen] * batch if one_for_all else list(seen)
    if len(rows) != batch:
        raise ValueError(f"seen={seen!r} is for {len(rows)} samples, images holds {batch}.")
    mask = torch.zeros(shape, dtype=torch.bool)
    for row, inputs in zip(mask, rows, strict=True):
        try:
            row[list(protocol.channels(inputs))] = True
        except ValueError as error:
            raise ValueError(f"seen={seen!r}: {error}") from error
    return mask
