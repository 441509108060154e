"""One learnt Laplace scale for each task."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.losses._learnt_scales import LearntScales, Start
from relaxnet.losses._weighting import TaskWeighting, softly_bounded


class HomoscedasticLaplace(LearntScales, TaskWeighting):
    r"""Weigh tasks by one learnt Laplace scale each, :math:`\sum_k r_k/\sigma_k + \log 2\sigma_k`.

    A task with large residuals learns a large scale and gets a small weight. The learnt parameter is
    :math:`s_k = \log \sigma_k`, so that scales stay positive. The loss may be negative, and it also falls when a scale
    does: follow the residuals to see whether a network improves.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    init
        Initial scale of each task: one number for all tasks, one for each, or ``"data"`` for the mean residuals of the
        first batch, which are close to the optimum in any units.

    Raises
    ------
    ValueError
        If ``init`` is not positive, or not one scale for each task.

    Notes
    -----
    The optimal :math:`\sigma_k` is the mean residual of task k. From :math:`\sigma = 1`, Adam needs thousands of steps
    to reach it with the learning rate of a network, and about a hundred with
    :meth:`Weighting.parameter_groups` at a rate of 0.05.

    References
    ----------
    Huang et al. (2023), eq. (5), "HOMOU"; Kendall, Gal and Cipolla, *Multi-task learning using uncertainty to weigh
    losses for scene geometry and semantics*, CVPR 2018.

    Examples
    --------
    >>> weighting = rx.losses.HomoscedasticLaplace(n_tasks=2)
    >>> weighting(torch.ones(1, 2, 4, 4))  # sigma starts at 1: 2 * (1 + log 2)
    tensor(3.3863, grad_fn=<SumBackward0>)
    >>> optimizer = torch.optim.Adam(torch.nn.Conv2d(3, 2, 1).parameters(), lr=5e-4)
    >>> optimizer.add_param_group(*weighting.parameter_groups(lr=5e-2))
    """

    def __init__(self, n_tasks: int, *, init: Start = 1.0) -> None:
        super().__init__(n_tasks, init)

    @property
    def weights(self) -> Float[Tensor, " task"]:
        """Inverse of the present scale of each task, without gradient."""
        return torch.exp(-softly_bounded(self.log_scale.detach()))

    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Compute the Laplace negative log-likelihood.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Negative log-likelihood of each task.
        """
        self._initialise(means)
        log_scale = softly_bounded(self.log_scale)
        return means * torch.exp(-log_scale) + log_scale + math.log(2)
