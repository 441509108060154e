"""Base class of residuals, which compare maps with the images of a protocol, task by task."""

from collections.abc import Callable, Sequence, Sized

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from relaxnet.losses._held_out import HeldOutFrom, samples_of_each, used_images
from relaxnet.losses._precision import at_least_single
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel


class Residual(nn.Module):
    """Compare maps with the images of a protocol.

    Parameters
    ----------
    protocol
        The acquisition protocol; each contrast is a task.
    held_out_from
        The inputs of the network, which the residual does not use: the name of an input set or channel numbers; a
        sequence with one of these for each sample of a batch; None to use all images.

    Raises
    ------
    ValueError
        If there is no such input set, it leaves too few images, or a model adds a constant.
    """

    at_least: int
    """Number of images of each contrast that are needed."""

    def __init__(self, protocol: Protocol, held_out_from: HeldOutFrom = None) -> None:
        super().__init__()
        for contrast in protocol.contrasts:
            if contrast.model.has_offset:
                raise ValueError(
                    f"protocol: contrast {contrast.name!r} has the model {contrast.model!r}, whose constant no map "
                    f"predicts and no pair of images cancels: use {contrast.model.without_offset}."
                )
        self.protocol = protocol
        self.held_out_from = held_out_from
        n_sets = len(held_out_from) if isinstance(held_out_from, Sized) else 1
        for chosen, _ in samples_of_each(held_out_from, n_sets):
            used_images(protocol, chosen, at_least=self.at_least)

    def compare(
        self,
        maps_ms: Float[Tensor, "batch task *space"],
        images: Float[Tensor, "batch image *space"],
        held_out_from: HeldOutFrom,
        formula: Callable[..., Tensor],
        **others: Float[Tensor, "batch task ..."] | None,
    ) -> Float[Tensor, "batch task *rest"]:
        """Compute the residual of each contrast. Samples with the same input set are computed together.

        Parameters
        ----------
        maps_ms
            Relaxation times in ms.
        images
            All images of the protocol.
        held_out_from
            The inputs of the network; by default those of the constructor.
        formula
            Function that computes the residual of one contrast from its used images, T, their times, and ``model``.
        **others
            Further arguments of the formula, with one entry for each task along axis 1.

        Returns
        -------
        Tensor
            Residual of each task, in single precision or better.

        Raises
        ------
        ValueError
            If the number of maps, images or input sets does not fit, or shapes differ.
        """
        self._check(maps_ms, images)
        maps_ms, images = at_least_single(maps_ms), at_least_single(images)
        groups = samples_of_each(self.held_out_from if held_out_from is None else held_out_from, len(images))
        parts = []
        for chosen, samples in groups:
            # All samples are a slice, which needs no copy.
            rows = slice(None) if len(groups) == 1 else torch.tensor(samples, device=images.device)
            tasks = []
            used = used_images(self.protocol, chosen, at_least=self.at_least)
            for k, (contrast, (channels, times)) in enumerate(zip(self.protocol.contrasts, used, strict=True)):
                own = {name: v if v is None else v[rows][:, k] for name, v in others.items()}
                tasks.append(
                    formula(images[rows][:, channels], maps_ms[rows][:, k], times, model=contrast.model, **own)
                )
            parts.append(torch.stack(tasks, dim=1))
        if len(groups) == 1:
            return parts[0]
        order = torch.tensor([k for _, samples in groups for k in samples], device=images.device)
        return torch.cat(parts)[torch.argsort(order)]

    def _check(self, maps_ms: Tensor, images: Tensor) -> None:
        names = self.protocol.names
        if maps_ms.ndim < 2 or maps_ms.shape[1] != len(names):
            raise ValueError(f"maps_ms has shape {tuple(maps_ms.shape)}: axis 1 needs {len(names)} maps, {names}.")
        if images.ndim < 2 or images.shape[1] != self.protocol.n_images:
            raise ValueError(
                f"images has shape {tuple(images.shape)}: axis 1 needs all {self.protocol.n_images} images."
            )
        if maps_ms[:, 0].shape != images[:, 0].shape:
            raise ValueError(
                f"maps_ms {tuple(maps_ms.shape)} and images {tuple(images.shape)} differ in batch or space."
            )


def basis_of(
    model: SignalModel, t_ms: Float[Tensor, "batch *space"], times_ms: Sequence[float]
) -> Float[Tensor, "batch time *space"]:
    """Evaluate the basis of a signal model with a gradient that is finite at all times.

    Parameters
    ----------
    model
        The signal model.
    t_ms
        The parameter of the model, for most models a relaxation time in ms.
    times_ms
        The times in ms, or values of another axis of the model.

    Returns
    -------
    Tensor
        Images of unit amplitude.
    """
    time = rearrange(t_ms.new_tensor(times_ms), f"time -> time{' 1' * (t_ms.ndim - 1)}")
    return model.differentiable_basis(rearrange(t_ms, "batch ... -> batch 1 ..."), time)
