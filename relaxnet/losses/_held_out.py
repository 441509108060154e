"""Which images a residual may use: all, or only those held out from the network."""

from collections.abc import Sequence
from numbers import Integral

from relaxnet.protocol import Protocol

InputSet = str | Sequence[int]
"""The name of an input set of a protocol, or channel numbers."""
HeldOutFrom = InputSet | Sequence[InputSet] | None
"""One input set for all samples of a batch, or a sequence with one for each; None for no restriction."""


def used_images(protocol: Protocol, held_out_from: InputSet | None, *, at_least: int) -> list[list[int]]:
    """List for each contrast the images that a residual uses, as positions in the order of its times.

    Parameters
    ----------
    protocol
        What was acquired.
    held_out_from
        The inputs of the network, which the residual does not use; None to use all images.
    at_least
        How many images of each contrast the residual needs.

    Returns
    -------
    list of list of int
        Positions, for each contrast.

    Raises
    ------
    ValueError
        If there is no such input set, or too few images of a contrast are left.
    """
    inputs = () if held_out_from is None else protocol.channels(held_out_from)
    used = []
    for contrast in protocol.contrasts:
        channels = protocol.images_of(contrast.name)
        left = [position for position, channel in enumerate(channels) if channel not in inputs]
        if len(left) < at_least:
            raise ValueError(
                f"held_out_from={held_out_from!r} leaves {len(left)} of {len(channels)} images of {contrast.name}: the "
                f"residual needs {at_least} or more that are no inputs of the network."
            )
        used.append(left)
    return used


def samples_of_each(held_out_from: HeldOutFrom, batch: int) -> list[tuple[InputSet | None, list[int] | None]]:
    """Group the samples of a batch by their input set.

    Parameters
    ----------
    held_out_from
        One input set, or one for each sample.
    batch
        Number of samples.

    Returns
    -------
    list of tuple
        Input sets, each with its samples; None in the place of the samples stands for all of them.

    Raises
    ------
    ValueError
        If there is not one input set for each sample.
    """
    if (
        held_out_from is None
        or isinstance(held_out_from, str)
        or all(isinstance(channel, Integral) for channel in held_out_from)
    ):
        return [(held_out_from, None)]  # type: ignore[list-item]
    sets = [entry if isinstance(entry, str) else tuple(entry) for entry in held_out_from]  # type: ignore[arg-type]
    if len(sets) != batch:
        raise ValueError(
            f"held_out_from has {len(sets)} input sets: one, or one for each of {batch} samples, is needed."
        )
    return [(chosen, [k for k, entry in enumerate(sets) if entry == chosen]) for chosen in dict.fromkeys(sets)]
