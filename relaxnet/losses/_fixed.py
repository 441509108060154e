"""Fixed weights."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.losses._weighting import TaskWeighting


class FixedWeights(TaskWeighting):
    r"""Weigh tasks by fixed numbers, :math:`\sum_k w_k r_k`.

    Weights of 1 are the paper's "Baseline"; (1, 0) trains one task alone ("ST").

    Parameters
    ----------
    weights
        Weight of each task, not negative.

    Raises
    ------
    ValueError
        If a weight is negative or not finite.

    Examples
    --------
    >>> rx.losses.FixedWeights((1.0, 0.5))(torch.ones(1, 2, 4, 4))
    tensor(1.5000)
    """

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__(n_tasks=len(weights))
        values = torch.tensor(weights, dtype=torch.float32)
        if not (torch.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"weights={weights}: weights are finite and not negative.")
        self._weights: Tensor
        self.register_buffer("_weights", values)

    @classmethod
    def for_tasks(cls, n_tasks: int, **options: Any) -> "FixedWeights":
        """Make weights of 1.

        Parameters
        ----------
        n_tasks
            Number of tasks.
        **options
            None.

        Returns
        -------
        FixedWeights
            The weighting.
        """
        return cls((1.0,) * n_tasks, **options)

    @property
    def weights(self) -> Float[Tensor, " task"]:
        """The weights, as they were given."""
        return self._weights

    def reset(self) -> None:
        """Do nothing: nothing is learnt."""

    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Multiply by the weights.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Weighted mean residual of each task.
        """
        return self._weights.to(means.dtype) * means
