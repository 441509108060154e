"""Laplace scales at their optimum."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet._numbers import real
from relaxnet.losses._weighting import TaskWeighting

_TINY = 1e-12


class ProfiledLaplace(TaskWeighting):
    r"""Weigh tasks by their optimal Laplace scales, :math:`\sum_k 1 + \log 2 r_k`.

    The optimum of :math:`r_k/\sigma_k + \log 2\sigma_k` over :math:`\sigma_k` has a closed form,
    :math:`\sigma_k = r_k`, so there is nothing to learn and the scales follow the residuals without delay.

    Parameters
    ----------
    momentum
        None for the scales of each batch. A number in [0, 1) for a running mean over batches: the fraction of the mean
        that is kept in each step. The weights then vary less from one small batch to the next.
    n_tasks
        Number of tasks; by default that of the first residual.

    Raises
    ------
    ValueError
        If ``momentum`` is not in [0, 1).

    References
    ----------
    Kirchdorfer et al., *Analytical uncertainty-based loss weighting in multi-task learning* (2024).

    Examples
    --------
    >>> rx.losses.ProfiledLaplace()(torch.full((1, 2, 4, 4), 0.5))
    tensor(2.)
    """

    _scales: Tensor
    _fresh: Tensor

    def __init__(self, *, momentum: float | None = None, n_tasks: int | None = None) -> None:
        super().__init__(n_tasks)
        in_range = "it lies in [0, 1), or is None"
        self.momentum = None if momentum is None else real(momentum, "momentum", lambda m: 0 <= m < 1, in_range)
        self._register_state("_scales", torch.ones(n_tasks or 1))
        self._register_state("_fresh", torch.ones(n_tasks or 1, dtype=torch.bool))

    @property
    def weights(self) -> Float[Tensor, " task"]:
        """Inverse of the scale of each task, 1 before the first batch, without gradient."""
        return 1 / self._scales

    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Compute the Laplace negative log-likelihood at the optimal scale.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Negative log-likelihood of each task. A task whose residual is zero has no gradient.
        """
        scale = means.clamp(min=_TINY)
        if self.training and self._may_record(needed=self.momentum is not None) and self.any_used is not None:
            with torch.no_grad():
                kept = torch.where(self._fresh, 0.0, self.momentum or 0.0)
                kept = torch.where(self.any_used, kept, 1.0)  # without a voxel on any device, nothing changes
                self._scales.copy_(kept * self._scales + (1 - kept) * scale)
                self._fresh.logical_and_(~self.any_used)
        if self.momentum is None:
            return 1 + torch.log(2 * scale)
        running = self._scales.to(means.dtype, copy=True)  # the next batch may change them before the gradient
        return means / running + torch.log(running) + math.log(2)
