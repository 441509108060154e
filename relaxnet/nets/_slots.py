"""The channels of a network that takes any subset of a protocol's images."""

import torch
from einops import reduce, repeat
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.protocol import Protocol


def slots(
    protocol: Protocol, images: Float[Tensor, "batch image *space"], mask: Bool[Tensor, "batch image"]
) -> Float[Tensor, "batch slot *space"]:
    """Lay the input images out in the same way whatever they are.

    An image has a channel by what it is for: the first of its contrast, or a later one. Were it by its number, each
    input set would leave other channels empty, and a network would learn each set from the beginning.

    Parameters
    ----------
    protocol
        What was acquired.
    images
        All images of the protocol, zero where they are no inputs.
    mask
        Which are inputs.

    Returns
    -------
    Tensor
        The first images (the shared one once); then for each contrast the mean of its later input images, and the mean
        of their times as a part of the longest; zero for what there is not.
    """
    first = sorted({protocol.images_of(name)[0] for name in protocol.names})
    sides = dict(zip((f"side{k}" for k in range(images.ndim - 2)), images.shape[2:], strict=True))
    found = [images[:, first]]
    for contrast in protocol.contrasts:
        later = list(protocol.images_of(contrast.name)[1:])
        inputs = mask[:, later].to(images.dtype)
        n = reduce(inputs, "batch image -> batch", "sum").clamp(min=1)
        times = images.new_tensor(contrast.times_ms[1:]) / contrast.times_ms[-1]
        mean_time = reduce(inputs * times, "batch image -> batch", "sum") / n
        total = reduce(images[:, later], "batch image ... -> batch 1 ...", "sum")
        found.append(total / n.reshape(-1, *(1,) * (images.ndim - 1)))
        found.append(repeat(mean_time, f"batch -> batch 1 {' '.join(sides)}", **sides))
    return torch.cat(found, dim=1)
