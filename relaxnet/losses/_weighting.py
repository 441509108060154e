"""Base classes of all weightings."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Shaped
from torch import Tensor, distributed, nn

from relaxnet._numbers import whole
from relaxnet.losses._precision import at_least_single
from relaxnet.signals._transforms import in_transform, readable

LIMIT = 20.0
Needs = Literal["absolute", "signed", "scales"]


class Count(NamedTuple):
    """Numbers of voxels in a loss, on this device."""

    used: int
    """Voxels in the mean of a task."""
    left_out: int
    """Voxels outside the mask of all tasks."""
    not_finite: int
    """Voxels at which a residual is not finite; it is outside the mask."""


class Weighting(nn.Module, ABC):
    """Combine the residuals of all tasks into one loss.

    Derive a weighting that uses only the mean residual of each task from :class:`TaskWeighting`. Any weighting can be
    given to :func:`relaxnet.training.train`, which passes the inputs that it :attr:`needs` and calls :meth:`step` at
    the end of each epoch. The mask is (batch, ...), or (batch, task, ...) where data lack some contrast.

    ``torch.compile`` and the transforms of ``torch.func`` follow a call. There, residuals and masks are not checked,
    and :attr:`count` is None. In a transform, a weighting does not record its scales, and one whose loss depends on
    what it records has to be in evaluation mode.

    Parameters
    ----------
    n_tasks
        Number of tasks; None to take it from the first residual.

    Raises
    ------
    ValueError
        If there is no task.
    """

    needs: ClassVar[Needs] = "absolute"
    """Inputs of a call: ``"absolute"`` residuals (batch, task, ...); ``"signed"`` residuals (batch, task, pair, ...),
    as computed by :meth:`PairwiseConstraint.signed`; or absolute residuals and ``"scales"``, the log-scales of the
    network, of the same shape."""
    uncertainty: Literal["heteroscedastic", "faithful"] | None = None
    """The ``uncertainty`` of the :class:`~relaxnet.nets.RelaxationNet` that predicts the scales."""
    count: Count | None = None
    """Numbers of voxels in the last loss; None where they cannot be read."""
    any_used: Tensor | None = None
    """Which tasks had a voxel to use in the last loss, on any device of a distributed training; None in a transform."""

    def __init__(self, n_tasks: int | None) -> None:
        super().__init__()
        self.n_tasks = None if n_tasks is None else whole(n_tasks, "n_tasks", 1)
        self._starts: dict[str, Tensor] = {}

    @classmethod
    def for_tasks(cls, n_tasks: int, **options: Any) -> "Weighting":
        """Make the weighting with the settings that a training uses for its name.

        Parameters
        ----------
        n_tasks
            Number of tasks.
        **options
            Further arguments of the constructor.

        Returns
        -------
        Weighting
            The weighting.
        """
        return cls(n_tasks=n_tasks, **options)

    def _register_state(self, name: str, start: Shaped[Tensor, " *task"]) -> None:
        """Register a buffer that :meth:`reset` sets back to its start."""
        self._starts[name] = start
        self.register_buffer(name, start.clone())

    def adopt(self, n_tasks: int) -> None:
        """Set the number of tasks if it is not set yet.

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
        """Present factor of the mean residual of each task, without gradient."""

    @property
    def scales(self) -> Float[Tensor, " task"]:
        """Present Laplace scale of each task, the inverse of its weight, in the units of the residual."""
        return 1 / self.weights

    def reset(self) -> None:
        """Set the weighting back to its initial state."""
        for name, start in self._starts.items():
            self.get_buffer(name).copy_(start)

    def step(self) -> None:
        """End an epoch; called by :func:`relaxnet.training.train`. By default it does nothing."""

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Return the parameters of the weighting as groups for an optimiser.

        Parameters
        ----------
        lr
            Learning rate.

        Returns
        -------
        list of dict
            One parameter group with its own learning rate and without weight decay, which would pull scales towards 1.
            If nothing is learnt, the group is empty: ``optimizer.add_param_group(*weighting.parameter_groups(lr))``
            works for every weighting.
        """
        return [{"params": list(self.parameters()), "lr": lr, "weight_decay": 0.0}]

    def _used(self, residual: Tensor, mask: Tensor | None) -> Tensor | None:
        """Check the number of tasks and the mask; return it as bool (batch, 1 or task, ...), or None without one."""
        if self.n_tasks is None and residual.ndim > 1:
            self.adopt(residual.shape[1])
        if residual.ndim < 2 or residual.shape[1] != self.n_tasks:
            raise ValueError(f"residual has shape {tuple(residual.shape)}: axis 1 needs {self.n_tasks} tasks.")
        return None if mask is None else _binary(mask, residual)

    def _may_record(self, *, needed: bool) -> bool:
        """Return whether a call may change buffers; raise an error if it may not, but the loss needs it."""
        if not in_transform():
            return True
        if needed:
            raise ValueError(
                f"{type(self).__name__} changes with each batch, which a transform of torch.func does not allow: call "
                f"its eval() first."
            )
        return False

    def _mean(
        self,
        residual: Float[Tensor, "batch task *space"],
        mask: Shaped[Tensor, "batch *masked"] | None,
        *others: Float[Tensor, "batch task *space"],
    ) -> tuple[Float[Tensor, " task"], Tensor]:
        """Compute the mean of each task over the batch and the voxels to use, and which tasks have such a voxel.

        It is computed in single precision or better. In distributed training, it is over the voxels of all processes.
        """
        used = self._used(residual, mask)
        self.count = _count(used, residual, *others)
        total, count = self._sum(residual, used)
        self.any_used = None if in_transform() else count > 0
        return total / count.clamp(min=1), count > 0

    @staticmethod
    def _sum(residual: Tensor, used: Tensor | None) -> tuple[Tensor, Tensor]:
        """Compute the sum of each task over the voxels to use, and their number, both over all processes."""
        residual = at_least_single(residual)
        if used is not None:
            residual = torch.where(used, residual, 0)
        total = reduce(residual, "batch task ... -> task", "sum")
        if used is None:
            count = torch.full_like(total, residual[:, 0].numel())
        else:
            count = reduce(used, "batch task ... -> task", "sum").to(total).expand_as(total).contiguous()
        if distributed.is_available() and distributed.is_initialized():
            total = cast("Tensor", _SumOfProcesses.apply(total))  # type: ignore[no-untyped-call]
            distributed.all_reduce(count)
        return total, count


class TaskWeighting(Weighting):
    """A weighting that uses only the mean residual of each task, which may also be any other loss of that task.

    Examples
    --------
    >>> weighting = rx.losses.ProfiledLaplace(n_tasks=2)
    >>> losses = {"maps": torch.tensor(0.5), "edges": torch.tensor(0.1)}
    >>> bool(weighting(losses) == weighting([losses["maps"], losses["edges"]]))
    True
    """

    _names: tuple[str, ...] | None = None

    @abstractmethod
    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Compute the term of each task in the loss from its mean residual.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Term of each task; the loss is their sum.
        """

    def forward(
        self,
        residual: Float[Tensor, "batch task *space"] | Float[Tensor, " task"] | Sequence[Tensor] | Mapping[str, Tensor],
        *,
        mask: Shaped[Tensor, "batch *masked"] | None = None,
    ) -> Float[Tensor, ""]:
        """Compute the loss.

        Parameters
        ----------
        residual
            Residual of each task; or one loss a task, (task,); or a list or a dictionary of what each task has. The
            first dictionary says the order of the tasks.
        mask
            Voxels to use, (batch, ...), or those of each task, (batch, task, ...): bool, or zeros and ones; by default
            all.

        Returns
        -------
        Tensor
            The sum of :meth:`combine` over the tasks, from means over the batch and the voxels to use. A task without
            any voxel to use adds nothing to the loss and its gradient.

        Raises
        ------
        ValueError
            If the number of tasks or the shape of the mask does not fit, the mask is not binary, or the residual of a
            voxel to use is not finite.
        """
        means, any_used = self._mean(self._stacked(residual), mask)
        return torch.where(any_used, self.combine(means), 0).sum()

    def _stacked(self, given: Tensor | Sequence[Tensor] | Mapping[str, Tensor]) -> Tensor:
        """Return residuals (batch, task, ...); losses that are numbers already are a batch of one."""
        if isinstance(given, Mapping):
            self._names = self._names or tuple(given)
            if set(given) != set(self._names):
                raise ValueError(f"residual has the tasks {tuple(given)}, and had {self._names} before.")
            given = [given[name] for name in self._names]
        if not isinstance(given, Tensor):
            shapes = [tuple(one.shape) for one in given]
            if len(set(shapes)) != 1:
                raise ValueError(f"residual has the shapes {shapes}: one for each task is needed, all of one shape.")
            given = torch.stack([*given], dim=1 if shapes[0] else 0)
        return given[None] if given.ndim == 1 else given


class StoredWeights(TaskWeighting):
    """Multiply the mean residual of each task by a weight, which is a buffer.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    start
        Weight of each task at the beginning; 1 by default.
    """

    _weights: Tensor

    def __init__(self, n_tasks: int, start: Float[Tensor, " task"] | None = None) -> None:
        super().__init__(whole(n_tasks, "n_tasks", 1))
        self._register_state("_weights", torch.ones(n_tasks) if start is None else start)

    @property
    def weights(self) -> Float[Tensor, " task"]:
        """Present weight of each task."""
        return self._weights

    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Multiply the means by the weights.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Weighted mean residual of each task.
        """
        return self._weights.to(means.dtype, copy=True) * means  # the next batch may change them before the gradient


class _SumOfProcesses(torch.autograd.Function):
    """Sum over all processes. The loss of each process contains the sum, so gradients are summed, too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        del ctx
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _SumOfProcesses.forward(ctx, gradient)


def softly_bounded(log_scale: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Limit the growth of log-scales: the identity from -20 to 20, logarithmic beyond.

    A hard clamp would have no gradient beyond its limits, so such a scale could never return.
    """
    beyond = (log_scale.abs() - LIMIT).clamp(min=0)
    return torch.where(beyond > 0, torch.sign(log_scale) * (LIMIT + torch.log1p(beyond)), log_scale)


def _binary(mask: Tensor, residual: Tensor) -> Tensor:
    """Check a mask of voxels, or one of voxels for each task, and return it as bool (batch, 1 or task, ...)."""
    if mask.shape not in (residual[:, 0].shape, residual.shape):
        voxels, tasks = tuple(residual[:, 0].shape), tuple(residual.shape)
        raise ValueError(f"mask has shape {tuple(mask.shape)}, but {voxels} is needed, or {tasks} for a mask a task.")
    if readable(mask) and mask.dtype != torch.bool and not ((mask == 0) | (mask == 1)).all():
        raise ValueError("mask holds values other than 0 and 1: pass a comparison, as labels == 5.")
    used = mask == 1
    return used if mask.ndim == residual.ndim else rearrange(used, "batch ... -> batch 1 ...")


def _count(used: Tensor | None, *residuals: Tensor) -> Count | None:
    """Count voxels, and check that all residuals are finite at the voxels to use; None where values cannot be read."""
    if not readable(*residuals, *(() if used is None else (used,))):
        return None
    invalid = torch.stack([~torch.isfinite(residual) for residual in residuals]).any(0)
    used = torch.ones_like(invalid[:, :1]) if used is None else used
    counted = used.any(1).sum(), invalid.any(1).sum(), (invalid & used).any(1).sum()
    n_used, n_invalid, harmful = torch.stack(counted).tolist()  # one transfer from the device, as each waits for it
    if harmful:
        raise ValueError(
            f"residual is not finite in {harmful} of {n_used} voxels to use: leave them out with mask=, or see why."
        )
    return Count(used=n_used, left_out=invalid[:, 0].numel() - n_used, not_finite=n_invalid)
