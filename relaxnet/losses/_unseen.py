"""Which images a residual may use: all, or only those that the network does not receive."""

from collections.abc import Sequence
from numbers import Integral

from relaxnet.protocol import Protocol

InputSet = str | Sequence[int]
"""The name of an input set of a protocol, or channel numbers."""
UnseenBy = InputSet | Sequence[InputSet] | None
"""One input set for all samples of a batch, or a sequence with one for each; None for no restriction."""


def used_images(protocol: Protocol, unseen_by: InputSet | None, *, at_least: int) -> list[list[int]]:
    """List for each contrast which of its images a residual uses, as positions in the order of its times.

    Parameters
    ----------
    protocol
        What was acquired.
    unseen_by
        The images that the network receives and the residual shall not use; None to use all.
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
    seen = () if unseen_by is None else protocol.channels(unseen_by)
    used = []
    for contrast in protocol.contrasts:
        channels = protocol.images_of(contrast.name)
        left = [position for position, channel in enumerate(channels) if channel not in seen]
        if len(left) < at_least:
            raise ValueError(
                f"unseen_by={unseen_by!r} leaves {len(left)} of {len(channels)} images of {contrast.name}: the residual"
                f" needs {at_least} or more that the network does not receive."
            )
        used.append(left)
    return used


def samples_of_each(unseen_by: UnseenBy, batch: int) -> list[tuple[InputSet | None, list[int] | None]]:
    """Group the samples of a batch by the input set that they do without.

    Parameters
    ----------
    unseen_by
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
    if unseen_by is None or isinstance(unseen_by, str) or all(isinstance(channel, Integral) for channel in unseen_by):
        return [(unseen_by, None)]  # type: ignore[list-item]
    sets = [entry if isinstance(entry, str) else tuple(entry) for entry in unseen_by]  # type: ignore[arg-type]
    if len(sets) != batch:
        raise ValueError(f"unseen_by has {len(sets)} input sets: one, or one for each of {batch} samples, is needed.")
    return [(chosen, [k for k, entry in enumerate(sets) if entry == chosen]) for chosen in dict.fromkeys(sets)]
