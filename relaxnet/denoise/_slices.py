"""Images of any layout as a stack of slices, and back."""

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet._images import Dim, to_tensor
from relaxnet._numbers import real
from relaxnet.denoise._noise_level import image_noise
from relaxnet.errors import DtypeError

Slices = Float[Tensor, "slice image row column"]
Denoise = Callable[[Slices, Float[Tensor, " slice"]], Slices]
"""Takes slices, with NaN in all images of a voxel that is missing, and their noise levels; returns slices."""


def by_slices(images: Any, sigma: object, dim: Dim, plane: tuple[int, int] | None, denoise: Denoise) -> Any:
    """Denoise images of any layout slice by slice.

    Parameters
    ----------
    images
        Real images, an array or a tensor, with an axis for the images and two or more for space.
    sigma
        Their noise level; None to estimate that of each slice.
    dim
        The axis of the images.
    plane
        The axes of a slice; by default the last two, or the first two where ``dim`` is the last one.
    denoise
        What denoises slices.

    Returns
    -------
    array or Tensor
        Images of the same kind and shape. Integers become float32.

    Raises
    ------
    ValueError
        If the axes or the noise level make no sense, or the latter cannot be estimated.
    DtypeError
        If the images are not made of real numbers.
    """
    tensor = to_tensor(images)
    if tensor.is_complex():
        raise DtypeError(f"images is complex ({tensor.dtype}): pass its magnitude, images.abs().")
    axes = _axes(tensor.ndim, dim, plane)
    if axes is None:
        raise ValueError(
            f"images has shape {tuple(tensor.shape)}, dim={dim}, plane={plane}: give an axis of images, and two others "
            "for the plane of a slice."
        )
    kept = tensor.dtype if tensor.is_floating_point() else torch.float32
    working = torch.float64 if kept == torch.float64 else torch.float32
    moved = tensor.movedim(axes, (-3, -2, -1))
    slices = moved.reshape(-1, *moved.shape[-3:])
    whole = torch.isfinite(slices).all(dim=1, keepdim=True)
    slices = torch.where(whole, slices.to(working), torch.nan)
    out = torch.where(whole, denoise(slices, _noise_of(slices, sigma)), torch.nan).to(kept)
    out = out.view(moved.shape).movedim((-3, -2, -1), axes)
    return out if isinstance(images, Tensor) else out.numpy()


def _axes(ndim: int, dim: Dim, plane: tuple[int, int] | None) -> tuple[int, int, int] | None:
    """Return the axes of images, rows and columns; None where they make no sense."""
    if ndim < 3 or not isinstance(dim, int) or not -ndim <= dim < ndim:
        return None
    axis = dim % ndim
    if plane is None:
        plane = (0, 1) if axis == ndim - 1 else tuple(k for k in range(ndim) if k != axis)[-2:]  # type: ignore[assignment]
    axes = (axis, *(k % ndim for k in cast("tuple[int, int]", plane) if -ndim <= k < ndim))
    return axes if len(set(axes)) == len(axes) == 3 else None


def _noise_of(slices: Slices, sigma: object) -> Float[Tensor, " slice"]:
    """Return the noise level of each slice."""
    if sigma is not None:
        given = real(sigma, "sigma", lambda number: number > 0, "give the noise level, a positive number")
        return slices.new_full((len(slices),), given)
    enough = min(slices.shape[-2:]) > 1
    found = image_noise(slices.nan_to_num(0)) if enough else slices.new_zeros(len(slices))
    good = torch.isfinite(found) & (found > 0)
    if not good.any():
        raise ValueError("sigma is needed: the noise level cannot be estimated from so small or so clean images.")
    # A slice with nothing in it has no noise of its own to be found.
    return torch.where(good, found, found[good].median())
