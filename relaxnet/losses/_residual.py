"""What all residuals of images have in common: they compare maps with the images of a protocol, task by task."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from relaxnet.losses._held_out import HeldOutFrom, samples_of_each, used_images
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel


class Residual(nn.Module):
    """Compare maps with the images of a protocol.

    Parameters
    ----------
    protocol
        What was acquired; each of its contrasts is a task.
    held_out_from
        The inputs of the network, which are then not used: the name of an input set or channel numbers; a sequence with
        one such for each sample of a batch; None to use all images.

    Raises
    ------
    ValueError
        If there is no such input set, it leaves too few images, or a model adds a constant.
    """

    at_least: int
    """How many images of each contrast are needed."""

    def __init__(self, protocol: Protocol, held_out_from: HeldOutFrom = None) -> None:
        super().__init__()
        for contrast in protocol.contrasts:
            if contrast.model.has_offset:
                raise ValueError(
                    f"protocol: contrast {contrast.name!r} has the model {contrast.model!r}, whose constant no map "
                    f"predicts and no pair of images cancels: use a model without one."
                )
        self.protocol = protocol
        self.held_out_from = held_out_from
        for chosen, _ in samples_of_each(held_out_from, len(held_out_from) if held_out_from is not None else 1):
            used_images(protocol, chosen, at_least=self.at_least)

    def compare(
        self,
        maps_ms: Float[Tensor, "batch task *space"],
        images: Float[Tensor, "batch image *space"],
        held_out_from: HeldOutFrom,
        formula: Callable[..., Tensor],
        **others: Float[Tensor, "batch task ..."] | None,
    ) -> Float[Tensor, "batch task *rest"]:
        """Compare all maps with their images; samples with the same inputs go together.

        Parameters
        ----------
        maps_ms, images
            Maps and images.
        held_out_from
            The inputs of the network; by default those of the constructor.
        formula
            The residual of one contrast, from those of its images that are used, T, their times, and its ``model``.
        **others
            What else the formula takes, with one entry a task along axis 1.

        Returns
        -------
        Tensor
            Residual of each task.
        """
        self._check(maps_ms, images)
        groups = samples_of_each(self.held_out_from if held_out_from is None else held_out_from, len(images))
        parts = []
        for chosen, samples in groups:
            used = used_images(self.protocol, chosen, at_least=self.at_least)
            rows = slice(None) if samples is None else torch.tensor(samples, device=images.device)
            tasks = []
            for k, (contrast, positions) in enumerate(zip(self.protocol.contrasts, used, strict=True)):
                channels = self.protocol.images_of(contrast.name)
                own = images[rows][:, [channels[p] for p in positions]]
                times = [contrast.times_ms[p] for p in positions]
                extra: dict[str, Any] = {name: v if v is None else v[rows][:, k] for name, v in others.items()}
                tasks.append(formula(own, maps_ms[rows][:, k], times, model=contrast.model, **extra))
            parts.append(torch.stack(tasks, dim=1))
        if len(parts) == 1 and groups[0][1] is None:
            return parts[0]
        order = torch.tensor([k for _, samples in groups for k in samples or ()], device=images.device)
        return torch.cat(parts)[torch.argsort(order)]

    def _check(self, maps_ms: Tensor, images: Tensor) -> None:
        names = self.protocol.names
        if maps_ms.ndim < 2 or maps_ms.shape[1] != len(names):
            raise ValueError(f"maps_ms has shape {tuple(maps_ms.shape)}: axis 1 needs {len(names)} maps, {names}.")
        if images.ndim < 2 or images.shape[1] != self.protocol.n_images:
            raise ValueError(
                f"images has shape {tuple(images.shape)}: axis 1 needs all {self.protocol.n_images} images."
            )
        if (images.shape[0], *images.shape[2:]) != (maps_ms.shape[0], *maps_ms.shape[2:]):
            raise ValueError(
                f"maps_ms {tuple(maps_ms.shape)} and images {tuple(images.shape)} differ in batch or space."
            )


def basis_of(
    model: SignalModel, t_ms: Float[Tensor, "batch *space"], times_ms: Sequence[float]
) -> Float[Tensor, "batch time *space"]:
    """Evaluate the basis of a model at some times, with a gradient that is finite at all of them.

    Parameters
    ----------
    model
        The signal model.
    t_ms
        Its parameter, a relaxation time in ms for most models.
    times_ms
        The times.

    Returns
    -------
    Tensor
        Images of unit amplitude.
    """
    time = rearrange(t_ms.new_tensor(times_ms), f"time -> time{' 1' * (t_ms.ndim - 1)}")
    return model.differentiable_basis(rearrange(t_ms, "batch ... -> batch 1 ..."), time)
