"""The evidence of the images for a prior, over tiles of the image, and the prior that has most of it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
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
_TILT = 3.0  # how far the maps may go together
_LENGTHS = (0.03, 0.3)  # longer ones make the borders too sure of themselves
_PRECISIONS = (1.0, 1000.0)  # no tissue is known to differ by less than 3 % from voxel to voxel


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


def log_evidence(
    tiles: Tiles,
    spectrum: Float[Tensor, "tile voxel"],
    coupling: Float[Tensor, "row row"],
    length: Float[Tensor, ""],
    noise: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    r"""Compute the logarithm of the probability of the images, with the maps integrated out.

    Of the linearised model :math:`z = Jx + e`, with noise of variance :math:`s^2` and the prior precision Q,

    .. math:: \log p(z) = -\tfrac{N}{2} \log 2\pi s^2 - \tfrac{1}{2 s^2} z^T z + \tfrac12 b^T H^{-1} b
        + \tfrac12 \log |Q| - \tfrac12 \log |H|,

    with :math:`b = J^T z / s^2` and :math:`H = J^T J / s^2 + Q`.

    Parameters
    ----------
    tiles
        The data.
    spectrum
        Eigenvalues of the Laplacians of the tiles.
    coupling, length
        The prior: see :class:`~relaxnet.fitting._spatial.prior.Field`.
    noise
        The noise level, in units of that of the data.

    Returns
    -------
    Tensor
        The sum over the tiles, without the constants that belong to the unit of the data.
    """
    n_rows, n_voxels = tiles.product.shape[1:]
    rough = tiles.laplacian + length**2 * tiles.laplacian @ tiles.laplacian
    precision = torch.einsum("ab,tij->taibj", coupling, rough)
    own = torch.diag_embed(tiles.square / noise**2).movedim(2, 3)  # tile, row, voxel, row, voxel
    size = n_rows * n_voxels
    h = (precision + own).reshape(-1, size, size) + WEAK * torch.eye(size, dtype=rough.dtype, device=rough.device)
    root = torch.linalg.cholesky(h)
    b = tiles.product.reshape(-1, size, 1) / noise**2
    explained = torch.linalg.solve_triangular(root, b, upper=False).square().sum((1, 2))
    log_h = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    roughness = (spectrum * (1 + length**2 * spectrum))[..., None] * torch.linalg.eigvalsh(coupling)
    log_q = (roughness + WEAK).log().sum((1, 2))
    constant = tiles.count * (2 * math.pi * noise**2).log() + tiles.energy / noise**2
    of_each: Tensor = 0.5 * (explained + log_q - log_h - constant)
    return of_each.sum()


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
    """Cut the data into tiles, and keep some of those that are full, spread evenly over the images."""
    n_axes = len(edges)
    size = [min(_TILE[n_axes], n) for n in count.shape[1:]]
    starts = [range(0, n - s + 1, s) for n, s in zip(count.shape[1:], size, strict=True)]
    places = [(item, *corner) for item in range(count.shape[0]) for corner in np.ndindex(*map(len, starts))]
    boxes = [
        (item, *(slice(start[k], start[k] + s) for start, k, s in zip(starts, corner, size, strict=True)))
        for item, *corner in places
    ]
    filled = torch.stack([(count[box] > 0).sum() for box in boxes])
    order = torch.argsort(filled, descending=True, stable=True)
    good = order[filled[order] >= 0.75 * filled.max()].sort().values
    picked = good[torch.linspace(0, len(good) - 1, min(_MOST_TILES, len(good))).round().long()].tolist()

    def take(values: Tensor, box: tuple[int | slice, ...]) -> Tensor:
        lead = values.ndim - count.ndim
        return values[(*[slice(None)] * lead, *box)].flatten(lead).double()

    return Tiles(
        square=torch.stack([take(square, boxes[k]) for k in picked]),
        product=torch.stack([take(product, boxes[k]) for k in picked]),
        energy=torch.stack([take(energy, boxes[k]).sum() for k in picked]),
        count=torch.stack([take(count, boxes[k]).sum() for k in picked]),
        laplacian=torch.stack([_dense(edges, boxes[k]) for k in picked]),
    )


def _dense(edges: Edges, box: tuple[int | slice, ...]) -> Float[Tensor, "voxel voxel"]:
    """Write out the Laplacian of the ties within a box."""
    item, *spans = box
    shape = [span.stop - span.start for span in spans if isinstance(span, slice)]
    number = torch.arange(math.prod(shape)).view(shape)
    out = torch.zeros(number.numel(), number.numel(), dtype=torch.float64)
    for axis, weights in enumerate(edges):
        n = shape[axis] - 1
        inner = [slice(s.start, s.stop - (k == axis)) for k, s in enumerate(spans) if isinstance(s, slice)]
        weight = weights[(item, *inner)].double().cpu().flatten()
        i, j = (number.narrow(axis, first, n).flatten() for first in (0, 1))
        out[i, j] -= weight
        out[j, i] -= weight
        out[i, i] += weight
        out.view(-1).index_add_(0, j * (number.numel() + 1), weight)
    return out.to(edges[0].device)


def best_prior(
    tiles: Tiles, coupling: Float[Tensor, "row row"], length: float, *, fit_noise: bool, steps: int = 20
) -> tuple[Float[Tensor, "row row"], float, float]:
    """Find the prior with most evidence, and the noise level in units of the one that was assumed.

    Parameters
    ----------
    tiles
        The data.
    coupling, length
        Where to start.
    fit_noise
        Whether the noise level is unknown, too.
    steps
        The largest number of steps.

    Returns
    -------
    tuple
        The matrix of precisions, the length in voxels, and the noise level.
    """
    n = len(coupling)
    spectrum = tiles.spectrum
    row, column = torch.tril_indices(n, n, -1)
    device = tiles.square.device

    def unpack(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # Rows of a root of the precisions: directions, whose last entry is 1 before they are brought to length 1.
        root = torch.eye(n, dtype=torch.float64, device=device).index_put((row, column), v[n:-2])
        root = torch.exp(v[:n, None] / 2) * root / torch.linalg.vector_norm(root, dim=1, keepdim=True)
        return root @ root.T, torch.exp(v[-2]), torch.exp(v[-1])

    def cost(values: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        v = torch.tensor(values, dtype=torch.float64, device=device, requires_grad=True)
        value = -log_evidence(tiles, spectrum, *unpack(v)) / tiles.count.sum()
        (gradient,) = torch.autograd.grad(value, v)
        return value.item(), gradient.cpu().numpy()

    root = torch.linalg.cholesky(coupling.double())
    tilt = (root / root.diagonal()[:, None])[row, column].clamp(-_TILT, _TILT)
    start = [*coupling.diagonal().double().log().tolist(), *tilt.tolist(), math.log(max(length, _LENGTHS[0])), 0.0]
    bounds = [tuple(map(math.log, _PRECISIONS))] * n + [(-_TILT, _TILT)] * len(row)
    bounds += [tuple(map(math.log, _LENGTHS)), (-1.0, 1.0) if fit_noise else (0.0, 0.0)]
    start = [min(max(value, low), high) for value, (low, high) in zip(start, bounds, strict=True)]
    with torch.enable_grad():
        found = scipy.optimize.minimize(
            cost,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": steps, "ftol": 3e-5},
        )
    coupling, scale, noise = unpack(torch.tensor(found.x, dtype=torch.float64, device=device))
    return coupling, float(scale), float(noise)
