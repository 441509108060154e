"""Ties between neighbouring voxels: their weights, and the Laplacian that they make."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

Edges = tuple[Tensor, ...]
"""The weights of the ties along each axis of space, (batch, *space), with one element less along that axis."""


def differences(x: Shaped[Tensor, "..."], n_axes: int) -> list[Shaped[Tensor, "..."]]:
    """Subtract from each voxel the one before it, along each of the last axes."""
    return [x.diff(dim=axis) for axis in range(-n_axes, 0)]


def laplacian(edges: Edges, x: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
    r"""Apply the Laplacian, :math:`(Lx)_i = \sum_j w_{ij} (x_i - x_j)`, to the last axes of ``x``."""
    out = torch.zeros_like(x)
    for axis, (weight, step) in enumerate(zip(edges, differences(x, len(edges)), strict=True), -len(edges)):
        scatter(out, weight * step, axis)
    return out


def scatter(out: Tensor, flow: Tensor, axis: int) -> None:
    """Add to each voxel what flows in over its ties along an axis, the transpose of a difference."""
    n = flow.shape[axis]
    out.narrow(axis, 1, n).add_(flow)
    out.narrow(axis, 0, n).sub_(flow)


def degrees(edges: Edges) -> Float[Tensor, "*lead space"]:
    """Sum the weights of the ties of each voxel: the diagonal of the Laplacian."""
    shape = list(edges[0].shape)
    shape[-len(edges)] += 1
    out = edges[0].new_zeros(shape)
    for axis, weight in enumerate(edges, -len(edges)):
        n = weight.shape[axis]
        out.narrow(axis, 1, n).add_(weight)
        out.narrow(axis, 0, n).add_(weight)
    return out


def within(usable: Bool[Tensor, "batch *space"], spacing: Sequence[float]) -> Edges:
    """Tie usable neighbours to one another, those that are further apart less."""
    ties = []
    for axis, distance in enumerate(spacing, -len(spacing)):
        n = usable.shape[axis] - 1
        both = usable.narrow(axis, 1, n) & usable.narrow(axis, 0, n)
        ties.append(both * (min(spacing) / distance) ** 2)
    return tuple(ties)


def loosen_between_labels(edges: Edges, labels: Shaped[Tensor, "batch *space"]) -> Edges:
    """Cut the ties between voxels of different labels."""
    steps = differences(labels, len(edges))
    return tuple(weight * (step == 0) for weight, step in zip(edges, steps, strict=True))


def loosen_by_images(
    edges: Edges, images: Float[Tensor, "image batch *space"], noise: Float[Tensor, "image batch *space"], width: float
) -> Edges:
    r"""Loosen the ties between voxels whose images differ.

    The weights become :math:`w\, e^{-d^2 / 2 k^2}`, where :math:`d^2` is the mean over the images of the squared
    difference in units of its noise, and k the width.
    """
    variance = noise**2
    loosened = []
    for axis, weight in enumerate(edges, -len(edges)):
        n = weight.shape[axis]
        square = images.diff(dim=axis) ** 2 / (variance.narrow(axis, 1, n) + variance.narrow(axis, 0, n))
        loosened.append(weight * torch.exp(-0.5 * square.mean(0) / width**2))
    return tuple(loosened)
