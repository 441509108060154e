"""What all weightings have in common."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn


class Weighting(nn.Module, ABC):
    """From the residual of each task to the one number that is minimised.

    Parameters
    ----------
    n_tasks
        Number of tasks.

    Raises
    ------
    ValueError
        If there is no task.
    """

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        if n_tasks < 1:
            raise ValueError(f"n_tasks={n_tasks}: there must be one task or more.")
        self.n_tasks = n_tasks

    @property
    @abstractmethod
    def weights(self) -> Float[Tensor, " task"]:
        """What each task's mean residual is multiplied with at present, without gradient."""

    @property
    def scales(self) -> Float[Tensor, " task"]:
        """Laplace scale of each task at present, the inverse of its weight, in the units of the residual."""
        return 1 / self.weights

    @abstractmethod
    def reset(self) -> None:
        """Forget what has been learnt."""

    @abstractmethod
    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Turn the mean residual of each task into its share of the loss.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Share of each task.
        """

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Describe what is learnt, for an optimiser.

        Parameters
        ----------
        lr
            Learning rate.

        Returns
        -------
        list of dict
            Parameter groups with a learning rate of their own and no weight decay, which would pull a scale towards 1;
            none where nothing is learnt.
        """
        parameters = list(self.parameters())
        return [{"params": parameters, "lr": lr, "weight_decay": 0.0}] if parameters else []

    def forward(
        self, residual: Float[Tensor, "batch task *space"], *, mask: Shaped[Tensor, "batch *space"] | None = None
    ) -> Float[Tensor, ""]:
        """Weigh the tasks.

        Parameters
        ----------
        residual
            Residual of each task.
        mask
            Voxels to use: bool, or zeros and ones; by default all.

        Returns
        -------
        Tensor
            The loss: a sum over the tasks of what is made of each one's mean over the batch and the voxels used. With
            no voxel to use it is zero, with a gradient of zero.

        Raises
        ------
        ValueError
            If the number of tasks or the shape of the mask does not fit, or the mask is not binary.
        """
        if residual.ndim < 2 or residual.shape[1] != self.n_tasks:
            raise ValueError(f"residual has shape {tuple(residual.shape)}: axis 1 needs {self.n_tasks} tasks.")
        if mask is None:
            return self.combine(residual.transpose(0, 1).flatten(1).mean(1)).sum()
        if mask.shape != residual[:, 0].shape:
            raise ValueError(f"mask has shape {tuple(mask.shape)}, but {tuple(residual[:, 0].shape)} is needed.")
        if mask.dtype != torch.bool:
            if not ((mask == 0) | (mask == 1)).all():
                raise ValueError("mask holds values other than 0 and 1: pass a comparison, as labels == 5.")
            mask = mask == 1
        count = mask.sum()
        total = torch.where(mask.unsqueeze(1), residual, 0).transpose(0, 1).flatten(1).sum(1)
        return torch.where(count > 0, self.combine(total / count.clamp(min=1)), 0).sum()
