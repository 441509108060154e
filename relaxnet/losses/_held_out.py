"""The images that a residual uses: all, or only those held out from the network."""

from collections.abc import Iterable, Sequence
from numbers import Integral

from relaxnet._messages import brief
from relaxnet.protocol import Protocol

InputSet = str | Sequence[int]
"""The name of an input set of a protocol, or channel numbers."""
HeldOutFrom = InputSet | Sequence[InputSet] | None
"""One input set for all samples of a batch, or a sequence with one for each; None for no restriction."""


def used_images(
    protocol: Protocol, held_out_from: InputSet | None, *, at_least: int
) -> list[tuple[list[int], list[float]]]:
    """List for each contrast the images that a residual uses.

    Parameters
    ----------
    protocol
        The acquisition protocol.
    held_out_from
        The inputs of the network, which the residual does not use; None to use all images.
    at_least
        Number of images of each contrast that the residual needs.

    Returns
    -------
    list of tuple
        For each contrast, the channels of the images in a stack, and their times.

    Raises
    ------
    ValueError
        If there is no such input set, or too few images of a contrast are left.
    """
    inputs = () if held_out_from is None else protocol.channels(held_out_from)
    used = []
    for contrast in protocol.contrasts:
        channels = protocol.images_of(contrast.name)
        left = {
            channel: time for channel, time in zip(channels, contrast.times_ms, strict=True) if channel not in inputs
        }
        if len(left) < at_least:
            raise ValueError(
                f"held_out_from={held_out_from!r} leaves {len(left)} of {len(channels)} images of {contrast.name}: the "
                f"residual needs {at_least} or more that are no inputs of the network."
            )
        used.append((list(left), list(left.values())))
    return used


def samples_of_each(held_out_from: HeldOutFrom, batch: int) -> list[tuple[InputSet | None, list[int]]]:
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
        Input sets, each with the numbers of its samples.

    Raises
    ------
    ValueError
        If the number of input sets is neither one nor that of the samples.
    """
    given: object = held_out_from
    if given is not None and not isinstance(given, Iterable):
        raise ValueError(f"held_out_from={brief(repr(given))}: give the name of an input set, or channel numbers.")
    if held_out_from is None or isinstance(held_out_from, str) or all(isinstance(k, Integral) for k in held_out_from):
        return [(held_out_from, list(range(batch)))]  # type: ignore[list-item]
    sets = [entry if isinstance(entry, str) else tuple(entry) for entry in held_out_from]  # type: ignore[arg-type]
    if len(sets) != batch:
        raise ValueError(
            f"held_out_from has {len(sets)} input sets: one, or one for each of {batch} samples, is needed."
        )
    return [(chosen, [k for k, entry in enumerate(sets) if entry == chosen]) for chosen in dict.fromkeys(sets)]
