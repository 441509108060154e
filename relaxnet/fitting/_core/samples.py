"""The samples of a block of voxels, ready to be fitted."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """Samples of some voxels with their weights. Both are 0 where a sample is not used."""

    values: Float[Tensor, "time voxel"]
    """The samples, divided by the largest absolute value of their voxel."""
    weight: Float[Tensor, "time voxel"]
    """Relative weight of each sample, at most 1."""
    used: Bool[Tensor, "time voxel"]
    """Mask of the samples to use."""
    n_used: Int[Tensor, " voxel"]
    """Number of samples to use."""
    noise: Float[Tensor, " voxel"] | None
    """Known standard deviation of a sample of weight 1, or None."""

    def dot(self, a: Float[Tensor, "time voxel"], b: Float[Tensor, "time voxel"]) -> Float[Tensor, " voxel"]:
        """Sum the weighted products over the times."""
        return (self.weight * (a * b)).sum(0)

    def mean(self) -> Float[Tensor, " voxel"]:
        """Compute the weighted mean of the samples of each voxel."""
        return (self.weight * self.values).sum(0) / self.weight.sum(0)

    def constant(self) -> Bool[Tensor, " voxel"]:
        """Find the voxels whose used samples are all alike."""
        first = self.values.gather(0, self.used.int().argmax(0)[None])
        return ((self.values == first) | ~self.used).all(0)

    def variation(self) -> tuple[Float[Tensor, " voxel"], Bool[Tensor, " voxel"]]:
        """Sum the weighted squares about the mean, and say where they cannot be told from rounding errors."""
        deviation = torch.where(self.used, self.values - self.mean(), 0)
        total = self.dot(deviation, deviation)
        rounding = (4 * torch.finfo(total.dtype).eps) ** 2
        return total, total <= rounding * self.dot(self.values, self.values)

    def at(self, images: Tensor) -> "Samples":
        """Keep the samples of some images."""
        return replace(self, values=self.values[images], weight=self.weight[images], used=self.used[images])

    def to(self, dtype: torch.dtype) -> "Samples":
        """Change the precision."""
        noise = None if self.noise is None else self.noise.to(dtype)
        return replace(self, values=self.values.to(dtype), weight=self.weight.to(dtype), noise=noise)

    def pick(self, chosen: Tensor) -> "Samples":
        """Keep the samples of some voxels."""
        values, weight, used = (rows[:, chosen] for rows in (self.values, self.weight, self.used))
        return Samples(values, weight, used, self.n_used[chosen], None if self.noise is None else self.noise[chosen])
