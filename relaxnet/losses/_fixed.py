"""Fixed weights."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from relaxnet._messages import brief
from relaxnet._numbers import real
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
        needed = "weights are numbers that are finite and not negative, one for each task"
        given: Any = weights
        if isinstance(given, str) or not hasattr(given, "__len__"):
            raise ValueError(f"weights={brief(repr(weights))}: {needed}.")
        numbers = (w.item() if isinstance(w, torch.Tensor) else w for w in given)
        values = [real(w, "weights", lambda x: 0 <= x < math.inf, needed) for w in numbers]
        super().__init__(len(values), start=torch.tensor(values, dtype=torch.get_default_dtype()))

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
