"""Where to compute."""

import torch


def known_device(name: str | torch.device) -> torch.device:
    """Check that torch sees a device here.

    Parameters
    ----------
    name
        Its name, such as ``"cuda"``.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ValueError
        If torch knows no such device, or does not see it here.
    """
    try:
        return torch.empty(0, device=torch.device(name)).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={name!r}: torch sees no such device here.") from error
