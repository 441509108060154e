"""What a network is taught by."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.losses import (
    CorrelatedLaplace,
    Distance,
    Pairs,
    PairwiseConstraint,
    Reconstruction,
    UnseenBy,
    Weighting,
)
from relaxnet.nets import RelaxationNet, RelaxationOutput
from relaxnet.signals import remove_rician_bias

Kind = Literal["pairwise", "reconstruction", "supervised"]
LossName = Literal[
    "paper",
    "orthogonal",
    "unseen-orthogonal",
    "reconstruction",
    "unseen-reconstruction",
    "supervised-nlls",
    "supervised-truth",
]


@dataclass(frozen=True)
class Loss:
    """What predicted maps are compared with, and how.

    Raises
    ------
    ValueError
        If an option is unknown.
    """

    kind: Kind
    """``"pairwise"``: the images with one another; ``"reconstruction"``: the images with those that the maps predict,
    the amplitude being predicted, too; ``"supervised"``: the maps with labels."""
    unseen: bool = False
    """Whether only images are used that the network does not receive."""
    pairs: Pairs = "orthogonal"
    """Of ``"pairwise"``: see :func:`~relaxnet.losses.pairwise_residual`."""
    distance: Distance = "l1"
    """Of ``"reconstruction"``: see :class:`~relaxnet.losses.Reconstruction`."""
    remove_bias: bool = False
    """Of ``"pairwise"``: whether :func:`~relaxnet.signals.remove_rician_bias` is applied to the images first."""
    labels: Literal["nlls", "truth"] = "nlls"
    """Of ``"supervised"``: the maps of a fit of all images, or the truth that a phantom knows."""
    gains: dict[str, float] = field(default_factory=dict)
    """Factors on the images of contrasts, by name, in the loss alone: what other receiver gains would do to it."""
    moved: tuple[str, ...] = ()
    """Contrasts whose later images are moved in the loss alone, each by a motion of its own, as a patient moves."""
    motion_degrees: float = 5.0
    """Of what is moved: rotation, uniformly up to this angle either way."""
    motion_shift: float = 0.03
    """Of what is moved: translation, uniformly up to this fraction of the image either way."""

    def __post_init__(self) -> None:
        for name, kinds in (("kind", Kind), ("pairs", Pairs), ("distance", Distance)):
            if getattr(self, name) not in get_args(kinds):
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown: use one of {get_args(kinds)}.")
        if self.labels not in ("nlls", "truth"):
            raise ValueError(f"labels={self.labels!r} is unknown: use 'nlls' or 'truth'.")
        if self.kind == "supervised" and (self.gains or self.moved):
            raise ValueError("gains and moved concern images: a supervised loss compares with labels.")
        for name, gain in self.gains.items():
            if not (math.isfinite(gain) and gain > 0):
                raise ValueError(f"gains[{name!r}]={gain!r}: a gain is a positive number.")

    @property
    def needs_sigma(self) -> bool:
        """Whether it has to know the noise level of the images."""
        if self.kind == "pairwise":
            return self.remove_bias
        return self.kind == "reconstruction" and self.distance.startswith("rician")


LOSSES: dict[LossName, Loss] = {
    "paper": Loss("pairwise", pairs="all"),
    "orthogonal": Loss("pairwise", remove_bias=True),
    "unseen-orthogonal": Loss("pairwise", unseen=True, remove_bias=True),
    "reconstruction": Loss("reconstruction"),
    "unseen-reconstruction": Loss("reconstruction", unseen=True, distance="rician-mean"),
    "supervised-nlls": Loss("supervised"),
    "supervised-truth": Loss("supervised", labels="truth"),
}
"""The named losses: ``paper`` is that of Huang et al. (2023), all ordered pairs of all images; ``supervised-truth`` is
for phantoms alone. Supervised losses compare in ms, so tissues of long T outweigh others."""


class Comparison(torch.nn.Module):
    """The residual of a loss, computed in units of the network's own normalisation.

    In these, a strong receiver weighs no more than a weak one.

    Parameters
    ----------
    loss
        What is compared.
    net
        The network, for its protocol and inputs.
    weighting
        Whether it wants signed residuals.

    Raises
    ------
    ValueError
        If the images that the network does not receive are too few, or the weighting does not go with the loss.
    """

    def __init__(self, loss: Loss, net: RelaxationNet, weighting: Weighting | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.signed = isinstance(weighting, CorrelatedLaplace)
        if self.signed and loss.kind != "pairwise":
            raise ValueError(f"weighting is correlated: it needs the signed residuals of pairs, not {loss.kind!r}.")
        for name in (*loss.gains, *loss.moved):
            net.protocol.images_of(name)  # raises where there is no such contrast
        self.gains = torch.tensor([loss.gains.get(name, 1.0) for name in net.protocol.names])
        self.residual: PairwiseConstraint | Reconstruction | None = None
        unseen_by: UnseenBy = None
        if loss.unseen:
            unseen_by = None if net.any_subset else net.input_channels
            if net.any_subset:  # raises here rather than in the first batch
                PairwiseConstraint(net.protocol, unseen_by=tuple(net.protocol.input_sets))
        if loss.kind == "pairwise":
            self.residual = PairwiseConstraint(net.protocol, pairs=loss.pairs, unseen_by=unseen_by)
        elif loss.kind == "reconstruction":
            self.residual = Reconstruction(net.protocol, distance=loss.distance, unseen_by=unseen_by)

    def forward(
        self,
        output: RelaxationOutput,
        images: Float[Tensor, "batch image *space"],
        scale: Float[Tensor, "batch 1 *ones"],
        sigma: Float[Tensor, " batch"],
        labels: Float[Tensor, "batch task *space"] | None = None,
        seen: list[str] | None = None,
    ) -> Float[Tensor, "batch task *rest"]:
        """Compare.

        Parameters
        ----------
        output
            What the network answered.
        images
            All images of the protocol.
        scale
            What the network divided them by.
        sigma
            Their noise levels.
        labels
            Labels in ms, for a supervised loss.
        seen
            The input set of each sample, for a network that takes any.

        Returns
        -------
        Tensor
            Residual of each task.
        """
        if self.residual is None:
            if labels is None:
                raise ValueError("labels are missing: a supervised loss needs them.")
            return (output.maps_ms - labels).abs()
        target = images / scale
        noise = sigma.reshape(scale.shape) / scale
        unseen_by = seen if self.loss.unseen else None
        if isinstance(self.residual, Reconstruction):
            m0 = None if output.m0 is None else output.m0 / scale
            residual: Tensor = self.residual(
                output.maps_ms, target, m0=m0, sigma=noise.flatten() if self.loss.needs_sigma else None,
                unseen_by=unseen_by,
            )  # fmt: skip
        else:
            if self.loss.remove_bias:
                target = remove_rician_bias(target, noise)
            compare = self.residual.signed if self.signed else self.residual
            residual = compare(output.maps_ms, target, unseen_by=unseen_by)
        if self.loss.gains:
            # All images of a contrast have its gain, the shared one, too; residuals are proportional to images.
            residual = residual * self.gains.to(residual).reshape(-1, *(1,) * (residual.ndim - 2))
        return residual


def usable(output: RelaxationOutput, images: Tensor) -> Bool[Tensor, "batch *space"]:
    """Tell which voxels can teach: those where all images are finite, and not all that the network saw are zero.

    Parameters
    ----------
    output
        What the network answered.
    images
        All images of the protocol.

    Returns
    -------
    Tensor
        Mask of the voxels.
    """
    return output.valid & torch.isfinite(images).all(1)
