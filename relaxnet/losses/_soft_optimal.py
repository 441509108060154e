"""Weights from the inverse of each residual, softened."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet._numbers import real, whole
from relaxnet.losses._weighting import TaskWeighting

_TINY = 1e-12


class SoftOptimalWeighting(TaskWeighting):
    r"""Weigh tasks by the softmax of their inverse residuals, "UW-SO".

    .. math:: w_k = \operatorname{softmax}_k\left(\frac{1}{\tau\, r_k}\right)

    The inverse residuals are the optimal weights of uncertainty weighting (:class:`ProfiledLaplace`); the softmax gives
    them a sum of 1. In contrast to these, they depend on the units of the residuals. They have no gradient.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    temperature
        :math:`\tau`: the larger it is, the more similar the weights are. With images of a scale of 1, as in a training,
        residuals are about 0.1, for which 1 is moderate.

    Raises
    ------
    ValueError
        If the temperature is not positive.

    References
    ----------
    Kirchdorfer et al., *Analytical uncertainty-based loss weighting in multi-task learning*, arXiv 2408.07985 (2024).

    Examples
    --------
    >>> weighting = rx.losses.SoftOptimalWeighting(n_tasks=2)
    >>> weighting(torch.tensor([[0.5, 1.0]]))
    tensor(0.6345)
    >>> weighting.weights
    tensor([0.7311, 0.2689])
    """

    _means: Tensor

    def __init__(self, n_tasks: int, *, temperature: float = 1.0) -> None:
        super().__init__(whole(n_tasks, "n_tasks", 1))
        self.temperature = real(temperature, "temperature", lambda t: 0 < t < math.inf, "it is positive and finite")
        self._register_state("_means", torch.ones(n_tasks))

    @property
    def weights(self) -> Float[Tensor, " task"]:
        """Weights of the last batch; the same for all tasks before the first one."""
        return torch.softmax(1 / (self.temperature * self._means), 0)

    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Record the mean residuals, and multiply them by the weights that follow.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Weighted mean residual of each task.
        """
        if self.training and self._may_record(needed=True) and self.any_used is not None:
            with torch.no_grad():  # a task without a voxel keeps its last residual
                self._means.copy_(torch.where(self.any_used, means.clamp(min=_TINY), self._means))
        return self.weights.to(means.dtype) * means
