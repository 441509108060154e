"""Input images of any kind, and maps returned as they came.

Beside arrays and tensors, these are images that know more than their numbers: data arrays of xarray, with named
dimensions, and images of nibabel, with a position in space. They are known by their attributes, so that neither package
need be installed.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.errors import DtypeError, require


@runtime_checkable
class DataArray(Protocol):
    """What is used of a data array of xarray."""

    dims: Any
    coords: Any
    data: Any
    shape: Any


@runtime_checkable
class NiftiImage(Protocol):
    """What is used of an image of nibabel."""

    dataobj: Any
    affine: Any
    header: Any
    shape: Any


ImagesT = TypeVar("ImagesT", bound=NDArray[Any] | Tensor | DataArray | NiftiImage)
PLAIN = Tensor | np.ndarray
"""What knows no more than its numbers. It is asked for first: to look for the attributes of an image takes longer."""
Dim = int | str
"""An axis; of a data array, also the name of a dimension."""
P = ParamSpec("P")
R = TypeVar("R")


def array_of(given: Any) -> Any:
    """Return the array in an image of nibabel or a data array of xarray, and anything else as it is.

    Parameters
    ----------
    given
        Anything.

    Returns
    -------
    object
        An array or a tensor, where there is one; of a lazy data array, a dask array.
    """
    if isinstance(given, PLAIN):
        return given
    if isinstance(given, NiftiImage):
        return np.asanyarray(given.dataobj)
    return given.data if isinstance(given, DataArray) else given


def opens_images(
    close: Callable[[Any, Any, int], Any],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function of arrays take images that know more, and return what is like them.

    Its first argument is the images, and ``dim`` their axis: by default the last one of an image of nibabel. The mask
    and other arguments may be such images, too; their dimensions are brought into the order of the images.

    Parameters
    ----------
    close
        Makes the result of the function like the images: from the result, the images, and the axis.

    Returns
    -------
    Callable
        The decorator.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = next(iter(inspect.signature(function).parameters))

        @wraps(function)
        def opened(*arguments: P.args, **options: P.kwargs) -> R:
            images: Any = arguments[0] if arguments else options.get(name)
            if isinstance(images, PLAIN) or not isinstance(images, DataArray | NiftiImage):
                return function(*arguments, **options)
            dim: Any = options.pop("dim", -1 if isinstance(images, NiftiImage) else 1)
            named = isinstance(dim, str) and isinstance(images, DataArray)
            axis = cast("Any", images).get_axis_num(dim) if named else dim
            rest: dict[str, Any] = {key: array_of(_in_order(value, images)) for key, value in options.items()}
            rest.pop(name, None)
            result: Any = function(array_of(images), *arguments[1:], dim=axis, **rest)  # type: ignore[arg-type]
            return cast("R", close(result, images, axis))

        return opened

    return decorate


def _in_order(given: Any, images: Any) -> Any:
    """Bring the dimensions of a data array into the order that those of the images have."""
    if not (isinstance(given, DataArray) and isinstance(images, DataArray)):
        return given
    return cast("Any", given).transpose(*(dim for dim in images.dims if dim in given.dims), ...)


def maps_like(values: Any, images: Any, axis: int) -> Any:
    """Return a map as a data array if the images are one, with their dimensions but for one.

    Parameters
    ----------
    values
        The map.
    images
        The images.
    axis
        The axis of the images that the map does not have.

    Returns
    -------
    object
        The map; as it is for other images.
    """
    if not isinstance(images, DataArray):
        return values
    of_maps = cast("Any", images).isel({images.dims[axis]: 0}, drop=True)
    return type(images)(values, coords=of_maps.coords, dims=of_maps.dims)  # type: ignore[call-arg]


def images_like(values: Any, images: Any, axis: int) -> Any:
    """Return changed images of the kind that they were.

    Parameters
    ----------
    values
        The images, changed, as an array.
    images
        The images.
    axis
        Their axis.

    Returns
    -------
    object
        A data array or an image of nibabel.
    """
    del axis
    if isinstance(images, DataArray):
        return cast("Any", images).copy(data=values)
    header = images.header.copy()
    header.set_data_dtype(values.dtype)
    return type(images)(values, images.affine, header)


def to_tensor(images: object) -> Tensor:
    """Convert images to a tensor.

    Parameters
    ----------
    images
        A tensor, or an array of real numbers, whose masked entries become NaN; or an image of nibabel, (x, y, z,
        image), or a data array.

    Returns
    -------
    Tensor
        The tensor itself; of an array, a floating-point copy; of an image of nibabel, slices (slice, image, row,
        column) in the orientation of the phantom's.

    Raises
    ------
    TypeError
        If they are anything else.
    """
    if isinstance(images, Tensor):
        return images
    if isinstance(images, NiftiImage):
        io, scan = _on_grid(images)
        return cast("Tensor", io.as_slices(scan))
    if isinstance(images, DataArray):
        images = np.asanyarray(images.data)
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "buif":
        came = f"an array of {images.dtype}" if isinstance(images, np.ndarray) else f"a {type(images).__name__}"
        raise DtypeError(f"images is {came}: pass a tensor or an array of real numbers.")
    floating = np.float64 if images.dtype == np.float64 else np.float32
    return torch.from_numpy(np.ma.filled(np.ma.array(images, dtype=floating), np.nan))


def as_given(maps: dict[str, Tensor], images: ImagesT) -> dict[str, ImagesT]:
    """Return maps as arrays if the images are one, as data arrays, or on the grid of an image of nibabel.

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
    if isinstance(images, Tensor):
        return cast("dict[str, ImagesT]", maps)
    if isinstance(images, NiftiImage):
        io, scan = _on_grid(images)
        return {name: io.from_slices(map_, scan) for name, map_ in maps.items()}
    return {name: maps_like(map_.cpu().numpy(), images, 1) for name, map_ in maps.items()}


def _on_grid(image: NiftiImage) -> tuple[Any, Any]:
    """Return what knows orientations, the business of a floor above, and the image as a scan."""
    io = require("relaxnet.io", extra="io")
    pictures = require("relaxnet.io._pictures", extra="io")
    return pictures, io.Scan(Path("image.nii.gz"), array_of(image), np.asarray(image.affine, float), 0)
