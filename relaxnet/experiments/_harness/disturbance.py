"""The disturbed training loss of Table III: in the loss alone, the images of a contrast are scaled, or moved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.losses import Weighting
from relaxnet.nets import RelaxationNet, RelaxationOutput
from relaxnet.training import Loss
from relaxnet.training._augment import random_affine
from relaxnet.training._comparison import Comparison, to_maps

_DEGREES, _SHIFT = 5.0, 0.03  # of motions, uniformly up to these either way; the shift is a fraction of the image


@dataclass(frozen=True)
class DisturbedLoss(Loss):
    """A loss that compares with other images than were acquired."""

    gains: Mapping[str, float] = field(default_factory=dict)
    """Factors on the images of contrasts, by name: what other receiver gains would do."""
    moved: tuple[str, ...] = ()
    """Contrasts whose later images are moved, each by a motion of its own."""

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
        self.gains = torch.tensor([loss.gains.get(name, 1.0) for name in net.protocol.names])
        self.moving = [channel for name in loss.moved for channel in net.protocol.images_of(name)[1:]]

    def forward(
        self,
        output: RelaxationOutput,
        images: Float[Tensor, "batch image *space"],
        *scales: Tensor,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch task *rest"]:
        """Compare with disturbed images, as :meth:`Comparison.forward` does with those that were acquired."""
        assert generator is not None  # noqa: S101 (a training has one)
        residual = super().forward(output, self.move(images, generator), *scales, **options)
        # All images of a contrast have its gain, the shared one, too; residuals are proportional to images.
        return residual * to_maps(self.gains, residual)

    def move(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Move the later images of some contrasts, each by itself."""
        moved, motion = images.clone(), {"max_degrees": _DEGREES, "max_shift": _SHIFT}
        for channel in self.moving:
            moved[:, [channel]] = random_affine(images[:, [channel]], **motion, generator=generator)
        return moved
