"""Quality of a fit: standard errors, covariances and goodness of fit."""

from itertools import combinations, combinations_with_replacement

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.samples import Samples


def quality_names(parameters: tuple[str, ...]) -> list[str]:
    """Return the names of the rows of :func:`quality`."""
    stds = [f"{name}_std" for name in parameters]
    covariances = [f"{a}_{b}_covariance" for a, b in combinations(parameters, 2)]
    return [*stds, *covariances, "rmse", "r2"]


def quality(design: Design, samples: Samples, values: Float[Tensor, "parameter voxel"]) -> Float[Tensor, "row voxel"]:
    r"""Compute the quality of least-squares fits, from the model linearised at their parameters.

    The covariance is :math:`s^2 (J^T W J)^{-1}`. Without a known noise level, :math:`s^2` is the weighted residual sum
    of squares over the degrees of freedom.
    """
    prediction, columns = design.linearise(values)
    residual = torch.where(samples.used, samples.values - prediction, 0)
    n = len(columns)
    if samples.noise is None:
        freedom = samples.n_used - n
        variance = torch.where(freedom > 0, samples.dot(residual, residual) / freedom, torch.nan)
    else:
        variance = samples.noise**2
    root = _inverse_root(samples, columns)
    covariance = {
        (a, b): variance * sum(root[a][k - a] * root[b][k - b] for k in range(b, n))
        for a, b in combinations_with_replacement(range(n), 2)
    }
    stds = [torch.sqrt(covariance[a, a]) for a in range(n)]
    return torch.stack([*stds, *(covariance[pair] for pair in combinations(range(n), 2)), *goodness(samples, residual)])


def _inverse_root(samples: Samples, columns: list[Float[Tensor, "time voxel"]]) -> list[list[Float[Tensor, " voxel"]]]:
    """Compute the rows of R^-1, where J = Q R, from the diagonal on: J^T W J has the inverse R^-1 R^-T.

    The columns of J are made orthogonal to one another first, so that nearly parallel ones do not cancel.
    """
    n = len(columns)
    orthogonal: list[Tensor] = []
    squares: list[Tensor] = []
    root: list[list[Tensor]] = [[] for _ in range(n)]
    for j, original in enumerate(columns):
        column = original
        shares = []
        for direction, square in zip(orthogonal, squares, strict=True):
            share = samples.dot(direction, column) / square
            column = column - share * direction
            shares.append(share)
        orthogonal.append(column)
        squares.append(samples.dot(column, column))
        scale = torch.rsqrt(squares[-1])
        for a in range(j):
            root[a].append(-scale * sum(root[a][b - a] * torch.sqrt(squares[b]) * shares[b] for b in range(a, j)))
        root[j].append(scale)
    return root


def goodness(
    samples: Samples, residual: Float[Tensor, "time voxel"]
) -> tuple[Float[Tensor, " voxel"], Float[Tensor, " voxel"]]:
    """Compute the root mean squared residual, and the coefficient of determination."""
    total, flat = samples.variation()
    r2 = torch.where(flat, torch.nan, 1 - samples.dot(residual, residual) / total)
    return torch.sqrt((residual * residual).sum(0) / samples.n_used), r2
