"""The prior of the logarithms of all maps: a Gauss-Markov random field."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.fitting._spatial.edges import Edges, degrees, laplacian, scatter

WEAK = 0.1  # precision of each voxel about the median: a standard deviation of a factor of 24


@dataclass(frozen=True)
class Field:
    r"""A Gaussian random field, independent for each map k, with the precision :math:`\lambda_k L + \epsilon I`.

    L is the Laplacian of the ties between neighbours, so differences between neighbours have the precision
    :math:`\lambda_k`. A weak pull towards the mean, :math:`\epsilon`, keeps it proper.
    """

    precision: Float[Tensor, " row"]
    """Precision of the differences between neighbours, for each map."""
    edges: Edges

    @cached_property
    def ties(self) -> Edges:
        """The precision of each difference, (row, batch, *space)."""
        return tuple(self.precision.view(-1, *[1] * weight.ndim) * weight for weight in self.edges)

    def apply(self, x: Float[Tensor, "row batch *space"]) -> Float[Tensor, "row batch *space"]:
        """Multiply by the precision."""
        return laplacian(self.ties, x).add_(x, alpha=WEAK)

    def diagonal(self) -> Float[Tensor, "row batch *space"]:
        """Return the diagonal of the precision."""
        return degrees(self.ties) + WEAK

    def noise(self, n: int, generator: torch.Generator) -> Float[Tensor, "draw row batch *space"]:
        """Draw vectors whose covariance is the precision."""

        def normal(like: Tensor) -> Tensor:
            return torch.randn((n, *like.shape), dtype=like.dtype, device=like.device, generator=generator)

        out = normal(degrees(self.ties)).mul_(WEAK**0.5)
        for axis, tie in enumerate(self.ties, -len(self.ties)):
            scatter(out, tie.sqrt() * normal(tie), axis)
        return out

    def energy(self, x: Float[Tensor, "row batch *space"]) -> Float[Tensor, " batch"]:
        """Compute half the square of a deviation in units of the prior, for each item of a batch."""
        return 0.5 * (x * self.apply(x)).movedim(1, 0).flatten(1).sum(1)
