"""Selection of images: the inputs of a network, and the images of a contrast among them."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from relaxnet.protocol import Contrast, Protocol

Inputs = str | Sequence[int] | Sequence[str | Sequence[int]] | Bool[Tensor, "batch image"] | None


def input_mask(protocol: Protocol, inputs: Inputs, batch: int) -> Bool[Tensor, "batch image"]:
    """Convert a selection of input images to a mask.

    Parameters
    ----------
    protocol
        The acquisition protocol.
    inputs
        A key of :attr:`Protocol.input_sets`, channel numbers, a sequence with one of these for each sample, or a mask.
        None selects all images.
    batch
        Number of samples.

    Returns
    -------
    Tensor
        True where an image is an input of a sample. If a mask was given, it is returned as it is.

    Raises
    ------
    ValueError
        If ``inputs`` is not in the protocol, is for another number of samples, or leaves a sample without any image.

    Examples
    --------
    >>> rx.nets.input_mask(rx.protocols.LIVER_T1RHO_T2, ["short", (0, 6)], batch=2).int()
    tensor([[1, 1, 0, 0, 1, 0, 0],
            [1, 0, 0, 0, 0, 0, 1]], dtype=torch.int32)
    """
    shape = (batch, protocol.n_images)
    if inputs is None:
        return torch.ones(shape, dtype=torch.bool)
    if isinstance(inputs, Tensor):
        if inputs.dtype != torch.bool or inputs.shape != shape:
            raise ValueError(f"inputs is {inputs.dtype} of shape {tuple(inputs.shape)}: a mask is torch.bool, {shape}.")
        if torch.compiler.is_compiling():  # a graph is made without looking at values
            return inputs
        empty = torch.nonzero(~inputs.any(dim=1)).flatten().tolist()
        if empty:
            raise ValueError(f"inputs has no image for samples {empty}: each needs one at least.")
        return inputs
    one_for_all = isinstance(inputs, str) or all(isinstance(channel, Integral) for channel in inputs)
    rows: list[Any] = [inputs] * batch if one_for_all else list(inputs)
    if len(rows) != batch:
        raise ValueError(f"inputs={inputs!r} is for {len(rows)} samples, images holds {batch}.")
    mask = torch.zeros(shape, dtype=torch.bool)
    for row, own in zip(mask, rows, strict=True):
        try:
            row[list(protocol.channels(own))] = True
        except ValueError as error:
            raise ValueError(f"inputs={inputs!r}: {error}") from error
    return mask


def own_images(contrast: Contrast, protocol: Protocol, channels: Sequence[int]) -> tuple[list[int], list[float]]:
    """Find the images of a contrast among some channels of a stack.

    Parameters
    ----------
    contrast
        The contrast.
    protocol
        The acquisition protocol.
    channels
        The channels.

    Returns
    -------
    tuple
        Positions in ``channels``, and times of the images.
    """
    times = dict(zip(protocol.images_of(contrast.name), contrast.times_ms, strict=True))
    own = [k for k, channel in enumerate(channels) if channel in times]
    return own, [times[channels[k]] for k in own]
