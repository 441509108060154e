"""Residuals of a training loss, from normalised images."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.losses import HeldOutFrom, PairwiseConstraint, Reconstruction, Weighting
from relaxnet.losses._held_out import InputSet
from relaxnet.nets import RelaxationNet, RelaxationOutput
from relaxnet.nets._space import over_space
from relaxnet.signals import remove_rician_bias


class Comparison(torch.nn.Module):
    """Residual of a loss, computed from images that are normalised by the network.

    It does not depend on the receiver gain, so all subjects have the same weight.

    Parameters
    ----------
    loss
        The training loss, a :class:`~relaxnet.training.Loss` (whose module names this class, so this one does not).
    net
        The network, for its protocol and inputs.
    weighting
        The weighting, for the kind of residuals that it needs; by default absolute residuals.

    Raises
    ------
    ValueError
        If too few images are held out, or the weighting does not go with the loss.
    """

    def __init__(self, loss: Any, net: RelaxationNet, weighting: Weighting | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.signed = weighting is not None and weighting.needs == "signed"
        if self.signed and loss.kind != "pairwise":
            raise ValueError(
                f"weighting={type(weighting).__name__} needs the signed residuals of pairs, not {loss.kind!r}."
            )
        signed = net.protocol.signed_images
        magnitudes = torch.tensor([k not in signed for k in range(net.protocol.n_images)])
        self.magnitudes = over_space(magnitudes, net.dims)
        self.residual: PairwiseConstraint | Reconstruction | None = None
        held_out_from: HeldOutFrom = None
        if loss.held_out:  # for a network of any subset, this checks all input sets; each batch passes its own
            held_out_from = tuple(net.protocol.input_sets) if net.any_subset else net.input_channels
        if loss.kind == "pairwise":
            self.residual = PairwiseConstraint(net.protocol, pairs=loss.pairs, held_out_from=held_out_from)
        elif loss.kind == "reconstruction":
            self.residual = Reconstruction(net.protocol, distance=loss.distance, held_out_from=held_out_from)

    def forward(
        self,
        output: RelaxationOutput,
        images: Float[Tensor, "batch image *space"],
        scale: Float[Tensor, "batch 1 *ones"],
        sigma: Float[Tensor, " batch"],
        *,
        labels: Float[Tensor, "batch task *space"] | None = None,
        inputs: list[InputSet] | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch task *rest"]:
        """Compute the residual of each task.

        Parameters
        ----------
        output
            The outputs of the network.
        images
            All images of the protocol.
        scale
            The numbers that the network divided the images by.
        sigma
            Noise levels of the images.
        labels
            Labels in ms, for a supervised loss.
        inputs
            The input set of each sample, for a network of any subset.
        generator
            Random number generator, for custom losses.

        Returns
        -------
        Tensor
            Residual of each task, in ms for a supervised loss, else in units of ``scale``.

        Raises
        ------
        ValueError
            If a supervised loss has no labels.
        """
        del generator
        if self.residual is None:
            if labels is None:
                raise ValueError("labels are missing: a supervised loss needs them.")
            return (output.maps_ms - labels).abs()
        target = images / scale
        noise = sigma.reshape(scale.shape) / scale
        held_out_from = inputs if self.loss.held_out else None
        if isinstance(self.residual, Reconstruction):
            m0 = None if output.m0 is None else output.m0 / scale
            level = noise.flatten() if self.loss.needs_sigma else None
            residual: Tensor = self.residual(output.maps_ms, target, m0=m0, sigma=level, held_out_from=held_out_from)
            return residual
        if self.loss.remove_bias:
            unbiased = remove_rician_bias(target, noise)
            target = torch.where(self.magnitudes.to(target.device), unbiased, target)
        compare = self.residual.signed if self.signed else self.residual
        residual = compare(output.maps_ms, target, held_out_from=held_out_from)
        return residual  # noqa: RET504 (for the type checker)


def to_maps(of_tasks: Float[Tensor, " task"], like: Float[Tensor, "batch task *rest"]) -> Float[Tensor, "task *ones"]:
    """Append spatial axes to one number for each task, so that it broadcasts against maps.

    Parameters
    ----------
    of_tasks
        The numbers.
    like
        The maps.

    Returns
    -------
    Tensor
        The numbers, on the device of the maps.
    """
    return over_space(of_tasks.to(like), like.ndim - 2)


def usable(net: RelaxationNet, images: Float[Tensor, "batch image *space"]) -> Bool[Tensor, "batch task *space"]:
    """Return the voxels that each contrast is trained with: its images are finite, and not all inputs are zero.

    Parameters
    ----------
    net
        The network, for its protocol and inputs.
    images
        All images of the protocol.

    Returns
    -------
    Tensor
        Mask of the voxels of each contrast.
    """
    shown = (images[:, net.input_channels].nan_to_num(0.0) != 0).any(dim=1, keepdim=True)
    return complete(net, images) & shown


def complete(net: RelaxationNet, images: Float[Tensor, "batch image *space"]) -> Bool[Tensor, "batch task *space"]:
    """Return the voxels where all images of a contrast are finite.

    Parameters
    ----------
    net
        The network, for its protocol.
    images
        All images of the protocol.

    Returns
    -------
    Tensor
        Mask of the voxels of each contrast.
    """
    finite = torch.isfinite(images)
    return torch.stack([finite[:, net.protocol.images_of(name)].all(1) for name in net.protocol.names], dim=1)
