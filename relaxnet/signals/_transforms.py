"""Where values of tensors cannot be read, or buffers cannot be changed: in compiled code and transforms."""

import torch
from torch import Tensor


def in_transform() -> bool:
    """Return whether this is called in a transform of ``torch.func``, which forbids to change buffers.

    Returns
    -------
    bool
        Whether it is; False in compiled code, where buffers may change.
    """
    return not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active()  # noqa: SLF001 (no other way)


def readable(*tensors: Tensor) -> bool:
    """Return whether code may depend on values of tensors.

    Parameters
    ----------
    *tensors
        The tensors.

    Returns
    -------
    bool
        False in compiled code, in a transform of ``torch.func``, and for tensors without values.
    """
    return not (
        torch.compiler.is_compiling() or in_transform() or any(values.device.type == "meta" for values in tensors)
    )
