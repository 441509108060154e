"""How good a fit is: standard errors, covariances, residuals."""

from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.samples import Samples


def quality_names(parameters: tuple[str, ...]) -> list[str]:
    """Name the rows that :func:`quality` returns."""
    stds = [f"{name}_std" for name in parameters]
    covariances = [f"{a}_{b}_covariance" for a, b in combinations(parameters, 2)]
    return [*stds, *covariances, "rmse", "r2"]


def quality(design: Design, samples: Samples, values: Float[Tensor, "parameter voxel"]) -> Float[Tensor, "row voxel"]:
    r"""Judge least-squares fits by linearising the model at them: the covariance is :math:`s^2 (J^T W J)^{-1}`.

    Without a known noise level, :math:`s^2` is the weighted residual sum of squares over the degrees of freedom.
    """
    prediction, columns = design.linearise(values)
    residual = torch.where(samples.used, samples.values - prediction, 0)
    if samples.noise is None:
        freedom = samples.n_used - len(columns)
        variance = torch.where(freedom > 0, samples.dot(residual, residual) / freedom, torch.nan)
    else:
        variance = samples.noise**2
    inverse = invert_normal(samples, columns)
    return torch.stack([*errors(inverse, variance), *goodness(samples, residual)])


def invert_normal(samples: Samples, columns: list[Float[Tensor, "time voxel"]]) -> list[list[Float[Tensor, " voxel"]]]:
    """Invert J^T W J by making the columns of J orthogonal to one another, so that nearly parallel ones do not cancel.

    Returns the rows of its inverse's triangular root, from which any entry is a scalar product.
    """
    n = len(columns)
    orthogonal: list[Tensor] = []
    lengths: list[Tensor] = []
    # root[a] holds row a of R^-1, where J = Q R; zero left of the diagonal.
    root: list[list[Tensor]] = [[] for _ in range(n)]
    for j, original in enumerate(columns):
        column = original
        shares = []
        for direction, length in zip(orthogonal, lengths, strict=True):
            share = samples.dot(direction, column) / length
            column = column - share * direction
            shares.append(share)
        orthogonal.append(column)
        lengths.append(samples.dot(column, column))
        scale = torch.rsqrt(lengths[-1])
        for a in range(j):
            root[a].append(-scale * sum(root[a][b - a] * torch.sqrt(lengths[b]) * shares[b] for b in range(a, j)))
        root[j].append(scale)
    return root


def errors(
    root: list[list[Float[Tensor, " voxel"]]], variance: Float[Tensor, "*voxel"]
) -> list[Float[Tensor, " voxel"]]:
    """Compute standard errors, then the covariance of each pair, from what :func:`invert_normal` returns."""

    def entry(a: int, b: int) -> Tensor:
        total = sum(root[a][k - a] * root[b][k - b] for k in range(max(a, b), len(root)))
        return variance * total

    n = len(root)
    return [*(torch.sqrt(entry(a, a)) for a in range(n)), *(entry(a, b) for a, b in combinations(range(n), 2))]


def goodness(
    samples: Samples, residual: Float[Tensor, "time voxel"]
) -> tuple[Float[Tensor, " voxel"], Float[Tensor, " voxel"]]:
    """Compute the root mean squared residual, and the share of the variation that the fit explains."""
    deviation = torch.where(samples.used, samples.values - samples.mean(), 0)
    total = samples.dot(deviation, deviation)
    rounding = (4 * torch.finfo(total.dtype).eps) ** 2
    flat: Bool[Tensor, " voxel"] = total <= rounding * samples.dot(samples.values, samples.values)
    r2 = torch.where(flat, torch.nan, 1 - samples.dot(residual, residual) / total)
    return torch.sqrt((residual * residual).sum(0) / samples.n_used), r2
