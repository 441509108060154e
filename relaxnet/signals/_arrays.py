"""NumPy arrays and tensors: what comes in as an array goes out as one."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Values = Tensor | NDArray[Any] | float
"""What a signal may be given as."""


def to_tensor(values: Values) -> Tensor:
    """Return values as a tensor; an array or a number becomes a floating-point one in a copy.

    Parameters
    ----------
    values
        A tensor, an array, or a number.

    Returns
    -------
    Tensor
        The tensor itself, or a copy on the CPU.
    """
    if isinstance(values, Tensor):
        return values
    array = np.asarray(values)
    kind = array.dtype if array.dtype.kind == "f" and array.dtype.itemsize <= 8 else np.float64
    return torch.from_numpy(np.array(array, dtype=np.dtype(kind).newbyteorder("=")))


def like(tensor: Tensor, *given: object) -> Any:
    """Return a tensor if one was given, else an array.

    Parameters
    ----------
    tensor
        The answer.
    *given
        What was given.

    Returns
    -------
    Tensor or numpy.ndarray
        The answer in the kind of what was given.
    """
    return tensor if any(isinstance(value, Tensor) for value in given) else tensor.numpy()
