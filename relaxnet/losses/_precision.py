"""The precision in which losses are computed."""

import torch
from jaxtyping import Float
from torch import Tensor


def at_least_single(values: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Convert half precision to single precision, in which sums over many voxels neither overflow nor stand still.

    Parameters
    ----------
    values
        Values of any precision.

    Returns
    -------
    Tensor
        The same values; the gradient is of their own precision.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))
