"""The input images of a network of any subset, and those of each sample of a batch."""

from numbers import Integral
from typing import Any

import torch

from relaxnet.losses._held_out import InputSet
from relaxnet.nets import RelaxationNet
from relaxnet.protocol import Protocol
from relaxnet.training._average import EACH

RANDOM = "random"
"""Instead of an input set: in each step others, of any images."""
_FEWEST = 2  # images of a contrast that show a decay


def channels_of(net: RelaxationNet, inputs: Any) -> tuple[int, ...]:
    """Return the channel numbers of the input images.

    Parameters
    ----------
    net
        The network.
    inputs
        As for :meth:`relaxnet.training.Trained.predict`.

    Returns
    -------
    tuple of int
        Those of one input set, for a network that takes any; else all that the network takes.

    Raises
    ------
    ValueError
        If the protocol has no such input set.
    """
    of_one = isinstance(inputs, str) and inputs != EACH
    of_one |= isinstance(inputs, list | tuple) and all(isinstance(channel, Integral) for channel in inputs)
    return net.protocol.channels(inputs) if net.any_subset and of_one else net.input_channels


def in_turns(protocol: Protocol, n: int, generator: torch.Generator) -> list[InputSet]:
    """Take the input sets of a protocol in turns, in a random order.

    A normalisation over the batch should always meet the same mixture.

    Parameters
    ----------
    protocol
        What was acquired.
    n
        Number of samples.
    generator
        Random number generator on the CPU.

    Returns
    -------
    list
        The input set of each sample.
    """
    sets = list(protocol.input_sets)
    order = torch.randperm(len(sets), generator=generator).tolist()
    return [sets[order[k % len(sets)]] for k in range(n)]


def at_random(protocol: Protocol, n: int, generator: torch.Generator, *, held_out: int) -> list[InputSet]:
    """Draw input images: two or more of each contrast, any number and any images.

    Parameters
    ----------
    protocol
        What was acquired.
    n
        Number of samples.
    generator
        Random number generator on the CPU.
    held_out
        Images of each contrast that are left out.

    Returns
    -------
    list
        The input images of each sample, as channel numbers.

    Raises
    ------
    ValueError
        If a contrast has too few images.
    """
    for contrast in protocol.contrasts:
        if len(contrast.times_ms) < _FEWEST + held_out:
            raise ValueError(
                f"inputs={RANDOM!r}: {contrast.name} has {len(contrast.times_ms)} images, and {_FEWEST + held_out} are "
                f"needed: {_FEWEST} or more as inputs, and {held_out} held out from the network."
            )
    return [_draw(protocol, held_out, generator) for _ in range(n)]


def _draw(protocol: Protocol, held_out: int, generator: torch.Generator) -> tuple[int, ...]:
    images = [protocol.images_of(name) for name in protocol.names]
    counts = [_FEWEST + _whole(len(own) - held_out - _FEWEST + 1, generator) for own in images]
    shared = protocol.shared_first
    # Contrasts have their first image in common, or none has it: as often as the first contrast would draw it.
    all_of_one = any(count == len(own) for own, count in zip(images, counts, strict=True))
    with_first = shared and (all_of_one or _whole(len(images[0]), generator) < counts[0])
    chosen = {0} if with_first else set()
    for own, count in zip(images, counts, strict=True):
        later = own[1:] if shared else own
        chosen |= {later[k] for k in torch.randperm(len(later), generator=generator)[: count - with_first].tolist()}
    return tuple(sorted(chosen))


def _whole(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator))
