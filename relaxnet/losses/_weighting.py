"""The bases of all weightings: what they need, and what they tell."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Shaped
from torch import Tensor, distributed, nn

LIMIT = 20.0
Needs = Literal["absolute", "signed", "scales"]


class Count(NamedTuple):
    """How many voxels went into a loss, on this device."""

    used: int
    """Voxels that were averaged over."""
    left_out: int
    """Voxels outside the mask."""
    not_finite: int
    """Those of the voxels left out where a residual is not finite."""


class Weighting(nn.Module, ABC):
    """From the residual of each task to the one number that is minimised.

    Most weightings look at nothing but the mean residual of each task: derive those from :class:`TaskWeighting`. One
    that says what it :attr:`needs`, and has :meth:`step` called at the end of each epoch, can be given to
    :func:`relaxnet.training.train`.

    Parameters
    ----------
    n_tasks
        Number of tasks; None to find out from the first residual.

    Raises
    ------
    ValueError
        If there is no task.
    """

    needs: ClassVar[Needs] = "absolute"
    """What it is called with: ``"absolute"`` residuals (batch, task, ...); ``"signed"`` residuals (batch, task, pair,
    ...), as :meth:`PairwiseConstraint.signed` computes them; or absolute residuals and the log-``"scales"`` of the
    network, of the same shape."""
    uncertainty: Literal["heteroscedastic", "faithful"] | None = None
    """The ``uncertainty`` of the :class:`~relaxnet.nets.RelaxationNet` that predicts the scales it needs."""
    count: Count | None = None
    """What the last loss was averaged over."""

    def __init__(self, n_tasks: int | None) -> None:
        super().__init__()
        if n_tasks is not None and n_tasks < 1:
            raise ValueError(f"n_tasks={n_tasks}: there must be one task or more.")
        self.n_tasks = n_tasks

    @classmethod
    def for_tasks(cls, n_tasks: int, **options: Any) -> "Weighting":
        """Make the weighting as a training does that knows it by name.

        Parameters
        ----------
        n_tasks
            Number of tasks.
        **options
            Other arguments of the constructor.

        Returns
        -------
        Weighting
            The weighting.
        """
        return cls(n_tasks=n_tasks, **options)

    def _remember(self, name: str, start: float) -> None:
        """Keep a number for each task, which is part of the state."""
        self.register_buffer(name, torch.full((self.n_tasks or 1,), start))

    def adopt(self, n_tasks: int) -> None:
        """Settle the number of tasks, where it was left open.

        Parameters
        ----------
        n_tasks
            Number of tasks.
        """
        if self.n_tasks is not None:
            return
        self.n_tasks = n_tasks
        for name, values in list(self.named_buffers()):
            if values.ndim:
                self.register_buffer(name, values.expand(n_tasks).clone())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        lengths = {
            len(state_dict[prefix + name]) for name, v in self.named_buffers() if v.ndim and prefix + name in state_dict
        }
        if self.n_tasks is None and lengths - {1}:
            self.adopt(lengths.pop())
        super()._load_from_state_dict(state_dict, prefix, *args)

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

    def step(self) -> None:
        """End an epoch; :func:`relaxnet.training.train` calls it. By default nothing happens."""

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Describe what is learnt, for an optimiser.

        Parameters
        ----------
        lr
            Learning rate.

        Returns
        -------
        list of dict
            Parameter groups with a learning rate of their own and no weight decay, which would pull a scale towards 1.
            Where nothing is learnt it is one group without parameters, so that
            ``optimizer.add_param_group(*weighting.parameter_groups(lr))`` is always right.
        """
        return [{"params": list(self.parameters()), "lr": lr, "weight_decay": 0.0}]

    def _used(self, residual: Tensor, mask: Tensor | None) -> Tensor | None:
        """Check the number of tasks and the mask; return the voxels to use, where there is a mask."""
        if self.n_tasks is None and residual.ndim > 1:
            self.adopt(residual.shape[1])
        if residual.ndim < 2 or residual.shape[1] != self.n_tasks:
            raise ValueError(f"residual has shape {tuple(residual.shape)}: axis 1 needs {self.n_tasks} tasks.")
        return None if mask is None else _binary(mask, tuple(residual[:, 0].shape))

    def _mean(
        self,
        residual: Float[Tensor, "batch task *space"],
        mask: Shaped[Tensor, "batch *space"] | None,
        *others: Float[Tensor, "batch task *space"],
    ) -> tuple[Float[Tensor, " task"], Tensor]:
        """Compute the mean of each task over the batch and the voxels to use, and whether there are any.

        In a distributed training, sums and counts are those of all processes.
        """
        used = self._used(residual, mask)
        self.count = _count(residual, used, *others)
        if used is not None:
            residual = torch.where(rearrange(used, "batch ... -> batch 1 ..."), residual, 0)
        total = reduce(residual, "batch task ... -> task", "sum")
        count = total.new_tensor(self.count.used)
        if distributed.is_available() and distributed.is_initialized():
            total = cast("Tensor", _SumOfProcesses.apply(total))  # type: ignore[no-untyped-call]
            distributed.all_reduce(count)
        return total / count.clamp(min=1), count > 0


class TaskWeighting(Weighting):
    """A weighting that looks at nothing but the mean residual of each task."""

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
            If the number of tasks or the shape of the mask does not fit, the mask is not binary, or the residual of a
            voxel to use is not finite.
        """
        means, any_used = self._mean(residual, mask)
        return torch.where(any_used, self.combine(means), 0).sum()


class _SumOfProcesses(torch.autograd.Function):
    """A sum that depends on what each process has; so each one's gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        del ctx
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        del ctx
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def softly_bounded(log_scale: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Leave log-scales between -20 and 20 as they are, and let those beyond grow as slowly as a logarithm.

    A clamp would take the gradient away, and a scale that has slid beyond it would never come back.
    """
    beyond = (log_scale.abs() - LIMIT).clamp(min=0)
    return torch.where(beyond > 0, torch.sign(log_scale) * (LIMIT + torch.log1p(beyond)), log_scale)


def _binary(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    if mask.shape != shape:
        raise ValueError(f"mask has shape {tuple(mask.shape)}, but {shape} is needed.")
    if mask.dtype != torch.bool and not ((mask == 0) | (mask == 1)).all():
        raise ValueError("mask holds values other than 0 and 1: pass a comparison, as labels == 5.")
    return mask == 1


def _count(residual: Tensor, used: Tensor | None, *others: Tensor) -> Count:
    """Count voxels; refuse those to use that are not finite."""
    n = residual[:, 0].numel()
    invalid = ~torch.isfinite(residual).all(1)
    for other in others:
        invalid |= ~torch.isfinite(other).all(1)
    n_used = n if used is None else int(used.sum())
    n_invalid = int(invalid.sum())
    harmful = n_invalid if used is None or not n_invalid else int((invalid & used).sum())
    if harmful:
        raise ValueError(
            f"residual is not finite in {harmful} of {n_used} voxels to use: leave them out with mask=, or see why."
        )
    return Count(used=n_used, left_out=n - n_used, not_finite=n_invalid)
