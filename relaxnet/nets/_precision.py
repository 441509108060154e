"""Computing in full precision where the rest of a network does not."""

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which PyTorch does not lower the precision by itself.

    Parameters
    ----------
    device
        The device of the tensors.

    Returns
    -------
    context manager
        The context.
    """
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()
