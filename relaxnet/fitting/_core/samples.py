"""The samples of a block of voxels, ready to be fitted."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """Samples of some voxels with their weights. Both are 0 where a sample is not to be used."""

    values: Float[Tensor, "time voxel"]
    weight: Float[Tensor, "time #voxel"] | None
    """Relative weight of each sample; None where all count alike."""
    used: Bool[Tensor, "time voxel"] | None
    """Which samples are to be used; None where all are."""
    n_used: Int[Tensor, " #voxel"]
    """How many samples are to be used."""
    noise: Float[Tensor, " #voxel"] | None
    """Known standard deviation of a sample of weight 1, or None."""

    def dot(self, a: Float[Tensor, "time #voxel"], b: Float[Tensor, "time #voxel"]) -> Float[Tensor, " #voxel"]:
        """Sum products over the times, weighted."""
        product = a * b
        return (product if self.weight is None else self.weight * product).sum(0)

    def mean(self) -> Float[Tensor, " #voxel"]:
        """Average over the samples used, weighted."""
        if self.weight is None:
            return self.values.mean(0)
        return (self.weight * self.values).sum(0) / self.weight.sum(0)

    def at(self, images: Tensor) -> "Samples":
        """Keep some of the images, all of which are used."""
        weight = self.weight if self.weight is None else self.weight[images]
        return replace(self, values=self.values[images], weight=weight, used=None)

    def pick(self, chosen: Tensor) -> "Samples":
        """Keep some of the voxels."""

        def of_each(tensor: Tensor | None) -> Tensor | None:
            return tensor if tensor is None or tensor.shape[-1] == 1 else tensor[..., chosen]

        n_used = self.n_used if self.n_used.shape[-1] == 1 else self.n_used[chosen]
        return replace(
            self,
            values=self.values[:, chosen],
            weight=of_each(self.weight),
            used=None if self.used is None else self.used[:, chosen],
            n_used=n_used,
            noise=of_each(self.noise),
        )

    def weights(self) -> Float[Tensor, "time #voxel"]:
        """Return the weights, ones where all samples count alike."""
        return torch.ones_like(self.values[:, :1]) if self.weight is None else self.weight
