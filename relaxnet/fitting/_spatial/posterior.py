"""The posterior of a linearised model: a sparse precision, solved by conjugate gradients."""

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.fitting._spatial.prior import Field

_MAX_STEPS = 500
_SAMPLES_TOGETHER = 4_000_000


def multiply(blocks: Float[Tensor, "row row *grid"], x: Float[Tensor, "draw row *grid"]) -> Tensor:
    """Multiply each voxel by its own small matrix."""
    out = blocks[:, 0] * x[:, :1]
    for k in range(1, blocks.shape[1]):
        out.addcmul_(blocks[:, k].expand_as(out), x[:, k : k + 1].expand_as(out))
    return out


@dataclass(frozen=True)
class Posterior:
    """A Gaussian posterior with the precision H: what the data say of each voxel by itself, and the prior."""

    data: Float[Tensor, "row row batch *space"]
    field: Field

    @cached_property
    def _diagonal(self) -> Float[Tensor, "row batch *space"]:
        return self.data.diagonal(dim1=0, dim2=1).movedim(-1, 0) + self.field.diagonal()

    def apply(self, x: Float[Tensor, "draw row batch *space"]) -> Float[Tensor, "draw row batch *space"]:
        """Multiply by the precision H."""
        out = self._diagonal * x
        for axis, tie in enumerate(self.field.ties, -len(self.field.ties)):
            n = tie.shape[axis]
            for here, there in ((0, 1), (1, 0)):
                out.narrow(axis, here, n).addcmul_(
                    tie.expand_as(x.narrow(axis, there, n)), x.narrow(axis, there, n), value=-1
                )
        for a, b in permutations(range(len(self.data)), 2):
            out[:, a].addcmul_(self.data[a, b].expand_as(x[:, b]), x[:, b])
        return out

    @cached_property
    def _inverse(self) -> Float[Tensor, "row row batch *space"]:
        """The inverse of the block of H that belongs to each voxel: the covariance given all other voxels."""
        blocks = self.data.movedim((0, 1), (-2, -1)) + torch.diag_embed(self.field.diagonal().movedim(0, -1))
        return torch.cholesky_inverse(torch.linalg.cholesky(blocks)).movedim((-2, -1), (0, 1)).contiguous()

    def solve(self, b: Float[Tensor, "draw row batch *space"], tolerance: float) -> Tensor:
        """Solve H x = b, each item of the batch by itself, until residuals have fallen to the tolerance."""

        def dot(a: Tensor, b: Tensor) -> Tensor:
            return (a * b).sum(dim=(1, *range(3, a.ndim)), keepdim=True)

        x, residual = torch.zeros_like(b), b.clone()
        z = multiply(self._inverse, residual)
        direction, rho = z.clone(), dot(residual, z)
        enough = tolerance**2 * rho
        tiny = torch.finfo(b.dtype).tiny
        for _ in range(_MAX_STEPS):
            if (rho <= enough).all():
                break
            ahead = self.apply(direction)
            step = rho / dot(direction, ahead).clamp(min=tiny)
            x.addcmul_(direction, step.expand_as(x))
            residual.addcmul_(ahead, step.expand_as(x), value=-1)
            z = multiply(self._inverse, residual)
            before, rho = rho, dot(residual, z)
            direction.mul_(rho / before.clamp(min=tiny)).add_(z)
        return x

    def covariance(self, n: int, seed: int, tolerance: float = 3e-2) -> Float[Tensor, "row row batch *space"]:
        """Estimate the covariance of the maps in each voxel from draws of the posterior.

        What the neighbours leave open is known exactly, and only what they themselves have left is estimated.

        References
        ----------
        Papandreou and Yuille, *Gaussian sampling by local perturbations*, NeurIPS 23 (2010). Sidén, Lindgren, Bolin and
        Villani, *Efficient covariance approximations for large sparse precision matrices*, J Comput Graph Stat 27:898
        (2018).
        """
        like = self.data
        generator = torch.Generator(like.device).manual_seed(seed)
        blocks = like.movedim((0, 1), (-2, -1))
        small = 1e-6 * blocks.diagonal(dim1=-2, dim2=-1).mean(-1).clamp(min=1e-6)
        eye = torch.eye(len(like), dtype=like.dtype, device=like.device)
        root = torch.linalg.cholesky(blocks + small[..., None, None] * eye).movedim((-2, -1), (0, 1))
        total = self._inverse.clone()
        together = max(1, min(n, _SAMPLES_TOGETHER // like[0].numel()))
        for start in range(0, n, together):
            count = min(together, n - start)
            noise = self.field.noise(count, generator)
            white = torch.randn(noise.shape, dtype=like.dtype, device=like.device, generator=generator)
            draws = self.solve(noise + multiply(root, white), tolerance)
            conditional = draws - multiply(self._inverse, self.apply(draws))
            total += torch.einsum("da...,db...->ab...", conditional, conditional) / n
        return total
