"""Fixed weights."""

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from relaxnet.losses._weighting import StoredWeights


class FixedWeights(StoredWeights):
    r"""Weigh tasks by fixed numbers, :math:`\sum_k w_k r_k`.

    Weights of 1 are the paper's "Baseline"; (1, 0) trains a single task ("ST"), and the residual of
    the other one may be NaN.

    Parameters
    ----------
    weights
        Weight of each task, not negative.

    Raises
    ------
    ValueError
        If there is no weight, or a weight is negative or not finite.

    Examples
    --------
    >>> rx.losses.FixedWeights((1.0, 0.5))(torch.ones(1, 2, 4, 4))
    tensor(1.5000)
    """

    def __init__(self, weights: Sequence[float]) -> None:
        values = torch.tensor(weights, dtype=torch.get_default_dtype())
        super().__init__(len(weights), start=values)
        if not (torch.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"weights={weights}: weights are finite and not negative.")

    @classmethod
    def for_tasks(cls, n_tasks: int, **options: Any) -> "FixedWeights":
        """Make the weighting with a weight of 1 for each task.

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

    def _used(self, residual: Tensor, mask: Tensor | None) -> Tensor | None:
        used = super()._used(residual, mask)
        weighed = rearrange(self._weights != 0, f"task -> 1 task{' 1' * (residual.ndim - 2)}").to(residual.device)
        return weighed.expand_as(residual) if used is None else used & weighed
