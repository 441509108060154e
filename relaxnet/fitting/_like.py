"""Results that are like the images that were fitted."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from relaxnet._images import NiftiImage, maps_like

_ARRAYS = ("maps", "std", "covariances", "rmse", "r2", "n_used", "status")


def changed(result: Any, change: Callable[[Any], Any]) -> dict[str, Any]:
    """Change all arrays of a result.

    Parameters
    ----------
    result
        The result of a fit.
    change
        Takes an array, and returns another one.

    Returns
    -------
    dict
        The changed arrays by the names of their fields.
    """
    held = {name: getattr(result, name) for name in _ARRAYS}
    return {
        name: {key: change(array) for key, array in of.items()} if isinstance(of, dict) else change(of)
        for name, of in held.items()
    }


def result_like(result: Any, images: Any, axis: int) -> Any:
    """Return a result whose maps are data arrays if the images are one, or that knows the image of nibabel.

    Parameters
    ----------
    result
        The result of a fit; a number is returned as it is.
    images, axis
        As for :func:`relaxnet._images.maps_like`.

    Returns
    -------
    object
        The result.
    """
    if isinstance(result, float):
        return result
    if isinstance(images, NiftiImage):
        return replace(result, image=images)
    return replace(result, **changed(result, lambda values: maps_like(values, images, axis)))
