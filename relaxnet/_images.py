"""NumPy arrays as input images, and maps returned as they came."""

from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.errors import DtypeError

ImagesT = TypeVar("ImagesT", bound=NDArray[Any] | Tensor)


def to_tensor(images: object) -> Tensor:
    """Convert images to a tensor.

    Parameters
    ----------
    images
        A tensor, or an array of real numbers, whose masked entries become NaN.

    Returns
    -------
    Tensor
        The tensor itself; of an array, a floating-point copy.

    Raises
    ------
    TypeError
        If they are anything else.
    """
    if isinstance(images, Tensor):
        return images
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "buif":
        came = f"an array of {images.dtype}" if isinstance(images, np.ndarray) else f"a {type(images).__name__}"
        raise DtypeError(f"images is {came}: pass a tensor or an array of real numbers.")
    floating = np.float64 if images.dtype == np.float64 else np.float32
    return torch.from_numpy(np.ma.filled(np.ma.array(images, dtype=floating), np.nan))


def as_given(maps: dict[str, Tensor], images: ImagesT) -> dict[str, ImagesT]:
    """Return maps as arrays if the images are one.

    Parameters
    ----------
    maps
        Maps by name.
    images
        The images they were predicted from.

    Returns
    -------
    dict
        The maps.
    """
    given = maps if isinstance(images, Tensor) else {name: map_.cpu().numpy() for name, map_ in maps.items()}
    return cast("dict[str, ImagesT]", given)
