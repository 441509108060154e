"""Double precision on any device."""

from torch import Tensor


def in_double(values: Tensor) -> Tensor:
    """Convert to double precision; on the processor where the device, an Apple one, has none.

    Parameters
    ----------
    values
        Numbers of any kind.

    Returns
    -------
    Tensor
        The same in double precision.
    """
    return (values.cpu() if values.device.type == "mps" else values).double()
