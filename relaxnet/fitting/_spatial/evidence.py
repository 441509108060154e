"""The evidence of the images for a prior, over tiles of the image, and the prior that has most of it."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy  # which loads its parts when they are first used
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.fitting._spatial.edges import Edges
from relaxnet.fitting._spatial.gauss_newton import Data, normal_equations
from relaxnet.fitting._spatial.posterior import multiply
from relaxnet.fitting._spatial.prior import WEAK

_TILE = {1: 64, 2: 8, 3: 4}  # voxels along each axis of space
_MOST_TILES = 24
_HOMOGENEOUS = 0.25  # part of the tiles that is looked at: those with the fewest borders
_PRECISIONS = (1.0, 400.0)  # neighbours of one tissue are not believed to differ by less than 5 %
_NOISES = (math.exp(-1), math.exp(1))  # of the level that was assumed
_STEPS = 30
_FEWEST_TILES = 8
_BRIGHT = 25.0  # information on the logarithm of the amplitude of a voxel that counts: 20 % of it

Box = tuple[Any, ...]
"""An item of the batch, and a slice of each axis of space."""


@dataclass(frozen=True)
class Tiles:
    """Linearised data on tiles of the image, which are taken to be independent of one another."""

    square: Float[Tensor, "tile row row voxel"]
    """J^T J of each voxel, in units of the noise."""
    product: Float[Tensor, "tile row voxel"]
    """J^T z, where z is what the linearised model predicts from the deviation from the mean."""
    energy: Float[Tensor, " tile"]
    """z^T z."""
    count: Float[Tensor, " tile"]
    """Number of samples."""
    laplacian: Float[Tensor, "tile voxel voxel"]

    @property
    def spectrum(self) -> Float[Tensor, "tile voxel"]:
        """The eigenvalues of the Laplacians."""
        values: Tensor = torch.linalg.eigvalsh(self.laplacian)
        return values.clamp(min=0)


class Evidence(NamedTuple):
    """The logarithm of the evidence, and its derivatives."""

    value: float
    by_precision: Float[Tensor, " row"]
    """With respect to the logarithms of the precisions."""
    by_noise: float
    """With respect to the logarithm of the noise level."""


def log_evidence(
    tiles: Tiles, spectrum: Float[Tensor, "tile voxel"], precision: Float[Tensor, " row"], noise: float
) -> Evidence:
    r"""Compute the logarithm of the probability of the images, with the maps integrated out.

    Of the linearised model :math:`z = Jx + e`, with noise of variance :math:`s^2` and the prior precision
    :math:`Q_k = \lambda_k L + \epsilon I` of map k,

    .. math:: \log p(z) = -\tfrac{N}{2} \log 2\pi s^2 - \tfrac{1}{2 s^2} z^T z + \tfrac12 b^T m
        + \tfrac12 \log |Q| - \tfrac12 \log |H|,

    with :math:`b = J^T z / s^2`, :math:`H = J^T J / s^2 + Q` and :math:`m = H^{-1} b`. Its derivatives are

    .. math:: \frac{\partial \log p}{\partial \lambda_k} = \tfrac12 \mathrm{tr}\, (Q_k^{-1} - [H^{-1}]_{kk}) L
        - \tfrac12 m_k^T L m_k , \quad
        \frac{\partial \log p}{\partial s^2} = \frac{z^T z + m^T J^T J m + \mathrm{tr}\, H^{-1} J^T J}{2 s^4}
        - \frac{b^T m}{s^2} - \frac{N}{2 s^2} .

    Parameters
    ----------
    tiles
        The data.
    spectrum
        Eigenvalues of the Laplacians of the tiles.
    precision
        Precision of the differences between neighbours, for each map.
    noise
        The noise level, in units of that of the data.

    Returns
    -------
    Evidence
        The sum over the tiles, without the constants that belong to the unit of the data.
    """
    n_rows, n_voxels = tiles.product.shape[1:]
    size, variance = n_rows * n_voxels, noise**2
    h = tiles.square.new_zeros(len(tiles.count), n_rows, n_voxels, n_rows, n_voxels)
    for a in range(n_rows):
        h[:, a, :, a] = precision[a] * tiles.laplacian
        for b in range(n_rows):
            h[:, a, :, b].diagonal(dim1=1, dim2=2).add_(tiles.square[:, a, b], alpha=1 / variance)
    flat = h.view(-1, size, size)
    flat.diagonal(dim1=1, dim2=2).add_(WEAK)
    root = torch.linalg.cholesky(flat)
    target = tiles.product.reshape(-1, size, 1) / variance
    m = torch.cholesky_solve(target, root)
    inverse = torch.cholesky_inverse(root).view(h.shape)
    maps = m.view(tiles.product.shape)
    explained = float((target * m).sum())
    stiff = precision[:, None, None] * spectrum + WEAK
    log_q, log_h = stiff.log().sum(), 2 * root.diagonal(dim1=1, dim2=2).log().sum()
    count, energy = float(tiles.count.sum()), float(tiles.energy.sum())
    value = 0.5 * (explained + float(log_q - log_h) - count * math.log(2 * math.pi * variance) - energy / variance)
    rough = torch.einsum("tai,tij,taj->a", maps, tiles.laplacian, maps)
    own = inverse.diagonal(dim1=1, dim2=3)  # tile, voxel, voxel, row
    left = torch.einsum("tija,tij->a", own, tiles.laplacian)
    by_precision = 0.5 * ((spectrum / stiff).sum((1, 2)) - left - rough) * precision
    each = inverse.diagonal(dim1=2, dim2=4)  # tile, row, row, voxel
    known = float((each * tiles.square).sum() + torch.einsum("tai,tabi,tbi->", maps, tiles.square, maps))
    by_variance = 0.5 * (energy + known) / variance**2 - explained / variance - 0.5 * count / variance
    return Evidence(value, by_precision, 2 * variance * by_variance)


def linearised_tiles(data: Data, x: Float[Tensor, "row batch *space"], edges: Edges) -> Tiles:
    """Linearise the model at some maps, and cut the data into tiles."""
    square, downhill, residual = normal_equations(data, x)
    centred = x - data.grid(data.mean)
    product = downhill + multiply(square, centred[None])[0]
    # z is the residual and what the linearised model makes of the deviation from the mean.
    energy = residual.square().sum(0) + (centred * (product + downhill)).sum(0)
    return cut(square, product, energy, (data.root > 0).sum(0), edges)


def cut(
    square: Float[Tensor, "row row batch *space"],
    product: Float[Tensor, "row batch *space"],
    energy: Float[Tensor, "batch *space"],
    count: Int[Tensor, "batch *space"],
    edges: Edges,
) -> Tiles:
    """Cut the data into tiles that overlap by half, and keep some that are full and have few borders.

    A border is no difference between neighbours of one tissue: tiles across borders would make tissue look rough.
    """
    n_axes = len(edges)
    size = [min(_TILE[n_axes], n) for n in count.shape[1:]]
    starts = [range(0, n - s + 1, max(s // 2, 1)) for n, s in zip(count.shape[1:], size, strict=True)]
    boxes: list[Box] = [
        (item, *(slice(start[k], start[k] + s) for start, k, s in zip(starts, corner, size, strict=True)))
        for item in range(count.shape[0])
        for corner in np.ndindex(*map(len, starts))
    ]
    bright = square[0, 0] > _BRIGHT  # air says nothing of tissue
    filled = torch.stack([bright[box].sum() for box in boxes])
    full = torch.nonzero(filled >= 0.75 * filled.max()).flatten()
    tied = torch.stack([_tied(edges, boxes[k]) for k in full.tolist()]) / filled[full].clamp(min=1)
    n_best = max(round(_HOMOGENEOUS * len(full)), _FEWEST_TILES)
    best = full[torch.argsort(tied, descending=True, stable=True)[:n_best]].sort().values
    picked = best[torch.linspace(0, len(best) - 1, min(_MOST_TILES, len(best))).round().long()].tolist()

    def take(values: Tensor, box: Box) -> Tensor:
        lead = values.ndim - count.ndim
        return values[(*[slice(None)] * lead, *box)].flatten(lead).double()

    return Tiles(
        square=torch.stack([take(square, boxes[k]) for k in picked]),
        product=torch.stack([take(product, boxes[k]) for k in picked]),
        energy=torch.stack([take(energy, boxes[k]).sum() for k in picked]),
        count=torch.stack([take(count, boxes[k]).sum() for k in picked]),
        laplacian=torch.stack([_dense(edges, boxes[k]) for k in picked]),
    )


def _inner(box: Box, axis: int) -> Box:
    """Return the ties along an axis of space that lie within a box."""
    item, *spans = box
    return (item, *(slice(s.start, s.stop - (k == axis)) for k, s in enumerate(spans)))


def _tied(edges: Edges, box: Box) -> Float[Tensor, ""]:
    """Sum the ties within a box."""
    return torch.stack([weight[_inner(box, axis)].sum() for axis, weight in enumerate(edges)]).sum()


def _dense(edges: Edges, box: Box) -> Float[Tensor, "voxel voxel"]:
    """Write out the Laplacian of the ties within a box."""
    shape = [span.stop - span.start for span in box[1:]]
    number = torch.arange(math.prod(shape)).view(shape)
    out = torch.zeros(number.numel(), number.numel(), dtype=torch.float64)
    for axis, weights in enumerate(edges):
        n = shape[axis] - 1
        weight = weights[_inner(box, axis)].double().cpu().flatten()
        i, j = (number.narrow(axis, first, n).flatten() for first in (0, 1))
        out[i, j] -= weight
        out[j, i] -= weight
        out[i, i] += weight
        out.view(-1).index_add_(0, j * (number.numel() + 1), weight)
    return out.to(edges[0].device)


def best_prior(tiles: Tiles, precision: Float[Tensor, " row"], *, fit_noise: bool) -> tuple[Tensor, float]:
    """Find the prior with most evidence, and the noise level in units of the one that was assumed.

    Parameters
    ----------
    tiles
        The data.
    precision
        Where to start.
    fit_noise
        Whether the noise level is unknown, too.

    Returns
    -------
    tuple
        The precision of each map, and the noise level.
    """
    spectrum, n_samples = tiles.spectrum, float(tiles.count.sum())

    def cost(values: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        *precisions, noise = np.exp(values).tolist()
        found = log_evidence(tiles, spectrum, spectrum.new_tensor(precisions), noise)
        return -found.value / n_samples, -np.array([*found.by_precision.tolist(), found.by_noise]) / n_samples

    bounds = [_PRECISIONS] * len(precision) + [_NOISES if fit_noise else (1.0, 1.0)]
    low, high = np.log(bounds).T
    start = np.clip(np.log([*precision.tolist(), 1.0]), low, high)
    options = {"maxiter": _STEPS, "ftol": 1e-6}
    found = scipy.optimize.minimize(
        cost, start, jac=True, method="L-BFGS-B", bounds=list(zip(low, high, strict=True)), options=options
    )
    *precisions, noise = np.exp(found.x).tolist()
    return spectrum.new_tensor(precisions), noise
