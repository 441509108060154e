"""What Table III does to a training: in the loss alone, the images of a contrast are scaled, or moved."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.losses import Weighting
from relaxnet.nets import RelaxationNet, RelaxationOutput
from relaxnet.training import Loss
from relaxnet.training._augment import random_affine
from relaxnet.training._comparison import Comparison, to_maps


@dataclass(frozen=True)
class DisturbedLoss(Loss):
    """A loss that compares with other images than were acquired."""

    gains: Mapping[str, float] = field(default_factory=dict)
    """Factors on the images of contrasts, by name: what other receiver gains would do."""
    moved: tuple[str, ...] = ()
    """Contrasts whose later images are moved, each by a motion of its own."""
    motion_degrees: float = 5.0
    """Of what is moved: rotation, uniformly up to this angle either way."""
    motion_shift: float = 0.03
    """Of what is moved: translation, uniformly up to this fraction of the image either way."""

    def comparison(self, net: RelaxationNet, weighting: Weighting | None = None) -> Comparison:
        """Make the module that compares.

        Parameters
        ----------
        net, weighting
            As for :meth:`relaxnet.training.Loss.comparison`.

        Returns
        -------
        Comparison
            The module.
        """
        return _Disturbed(self, net, weighting)


class _Disturbed(Comparison):
    def __init__(self, loss: DisturbedLoss, net: RelaxationNet, weighting: Weighting | None) -> None:
        super().__init__(loss, net, weighting)
        self.disturbance = loss
        self.gains = torch.tensor([loss.gains.get(name, 1.0) for name in net.protocol.names])
        self.moving = [channel for name in loss.moved for channel in net.protocol.images_of(name)[1:]]

    def forward(
        self,
        output: RelaxationOutput,
        images: Float[Tensor, "batch image *space"],
        scale: Float[Tensor, "batch 1 *ones"],
        sigma: Float[Tensor, " batch"],
        *,
        labels: Float[Tensor, "batch task *space"] | None = None,
        inputs: list[str] | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch task *rest"]:
        """Compare with disturbed images, as :meth:`Comparison.forward` does with those that were acquired."""
        assert generator is not None  # noqa: S101 (a training has one)
        moved = self.move(images, generator)
        residual = super().forward(output, moved, scale, sigma, labels=labels, inputs=inputs)
        # All images of a contrast have its gain, the shared one, too; residuals are proportional to images.
        return residual * to_maps(self.gains, residual)

    def move(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Move the later images of some contrasts, each by itself."""
        moved = images.clone()
        for channel in self.moving:
            moved[:, [channel]] = random_affine(
                images[:, [channel]],
                max_degrees=self.disturbance.motion_degrees,
                max_shift=self.disturbance.motion_shift,
                generator=generator,
            )
        return moved
