"""The prior of the logarithms of all maps: a Gauss-Markov random field."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.fitting._spatial.edges import Edges, degrees, laplacian, scatter

WEAK = 0.1  # precision of each voxel about the median: a standard deviation of a factor of 24


@dataclass(frozen=True)
class Field:
    r"""A Gaussian random field with the precision :math:`Q = \Lambda \otimes L (I + \ell^2 L) + \epsilon I`.

    L is the Laplacian of the ties between neighbours. Differences between neighbours have the precision
    :math:`\Lambda`, and :math:`\ell` is the length, in voxels, below which the maps are smooth. A weak pull towards
    the mean, :math:`\epsilon`, keeps it proper.
    """

    coupling: Float[Tensor, "row row"]
    """The matrix of precisions, one row for each map."""
    length: float
    """The length, in voxels."""
    edges: Edges

    def rough(self, x: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
        """Apply the matrix of the space, which is the same for all maps."""
        once = laplacian(self.edges, x)
        return once + self.length**2 * laplacian(self.edges, once) if self.length else once

    def apply(self, x: Float[Tensor, "draw row batch *space"]) -> Float[Tensor, "draw row batch *space"]:
        """Multiply by the precision."""
        rough = self.rough(x)
        return torch.einsum("ab,db...->da...", self.coupling, rough) + WEAK * x

    def diagonal(self) -> Float[Tensor, "row row batch *space"]:
        """Return the block of the precision that belongs to each voxel."""
        degree = degrees(self.edges)
        own = degree + self.length**2 * (degree**2 + degrees(tuple(weight**2 for weight in self.edges)))
        eye = torch.eye(len(self.coupling), dtype=own.dtype, device=own.device)
        shape = (*self.coupling.shape, *[1] * own.ndim)
        return self.coupling.view(shape) * own + WEAK * eye.view(shape)

    def noise(self, n: int, generator: torch.Generator) -> Float[Tensor, "draw row batch *space"]:
        """Draw vectors whose covariance is the precision."""
        space = degrees(self.edges).shape
        shape = (n, len(self.coupling), *space)

        def normal(shape: torch.Size | tuple[int, ...]) -> Tensor:
            like = self.coupling
            return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)

        out = self.length * laplacian(self.edges, normal(shape)) if self.length else self.coupling.new_zeros(shape)
        for axis, weight in enumerate(self.edges, -len(self.edges)):
            scatter(out, weight.sqrt() * normal((*shape[:2], *weight.shape)), axis)
        root = torch.linalg.cholesky(self.coupling)
        out = torch.einsum("ab,db...->da...", root, out)
        return out.add_(WEAK**0.5 * normal(shape))

    def energy(self, x: Float[Tensor, "row batch *space"]) -> Float[Tensor, " batch"]:
        """Compute half the square of a deviation in units of the prior, for each item of a batch."""
        products = x * self.apply(x[None])[0]
        return 0.5 * products.movedim(1, 0).flatten(1).sum(1)
