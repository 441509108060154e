"""Input channels of a network that takes any subset of the images of a protocol."""

import torch
from einops import reduce
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.nets._space import over_space
from relaxnet.protocol import Protocol


def slots(
    protocol: Protocol, images: Float[Tensor, "batch image *space"], mask: Bool[Tensor, "batch image"]
) -> Float[Tensor, "batch slot *space"]:
    """Arrange the input images in channels that have the same meaning for every input set.

    The first image of a contrast has a channel of its own, and its later images share one. With one channel for each
    image, each input set would leave other channels empty, and a network would learn each set from scratch.

    Parameters
    ----------
    protocol
        The acquisition protocol.
    images
        All images of the protocol, zero where they are no inputs.
    mask
        Images that are inputs.

    Returns
    -------
    Tensor
        The first images (a shared one once); then for each contrast the mean of its later input images, and the mean of
        their times as a fraction of the longest time; zeros for images that are no inputs.
    """
    found = [images[:, first_images(protocol)]]
    for contrast in protocol.contrasts:
        later = list(protocol.images_of(contrast.name)[1:])
        inputs = mask[:, later].to(images.dtype)
        n = inputs.sum(1).clamp(min=1)
        times = images.new_tensor(contrast.times_ms[1:]) / contrast.times_ms[-1]
        mean_time = (inputs * times).sum(1) / n
        total = reduce(images[:, later], "batch image ... -> batch 1 ...", "sum")
        found += [total / over_space(n, images.ndim - 1), over_space(mean_time, images.ndim - 1).expand_as(total)]
    return torch.cat(found, dim=1)


def first_images(protocol: Protocol) -> list[int]:
    """List the channels of the first images of all contrasts, a shared one once.

    Parameters
    ----------
    protocol
        The acquisition protocol.

    Returns
    -------
    list of int
        Channel numbers, in order.
    """
    return sorted({protocol.images_of(name)[0] for name in protocol.names})
