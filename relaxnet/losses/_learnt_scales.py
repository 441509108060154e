"""Learnt scales and their initial values."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from relaxnet.losses._weighting import Weighting

Start = float | Sequence[float] | Literal["data"]


class LearntScales(Weighting):
    """A weighting with one learnt scale for each task. The logarithm is learnt, so that scales stay positive.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    init
        Initial scale of each task: one number for all tasks, one for each, or ``"data"`` for the mean absolute
        residuals of the first batch, with which training does not depend on the units of a task.

    Raises
    ------
    ValueError
        If ``init`` is not positive, or not one scale for each task.
    """

    _start: Tensor
    _waits_for_data: Tensor

    def __init__(self, n_tasks: int, init: Start) -> None:
        super().__init__(n_tasks)
        if isinstance(init, str) and str(init) != "data":
            raise ValueError(f"init={init!r}: give positive scales, or 'data'.")
        start = torch.tensor(1.0 if isinstance(init, str) else init, dtype=torch.get_default_dtype()).expand(n_tasks)
        if not (torch.isfinite(start) & (start > 0)).all():
            raise ValueError(f"init={init!r}: give positive scales, or 'data'.")
        self.log_scale = nn.Parameter(torch.log(start))
        self.register_buffer("_start", torch.log(start))
        self._register_state("_waits_for_data", torch.full((n_tasks,), init == "data"))

    @classmethod
    def for_tasks(cls, n_tasks: int, **options: Any) -> "LearntScales":
        """Make the weighting with scales that are initialised from the data.

        Parameters
        ----------
        n_tasks
            Number of tasks.
        **options
            Further arguments of the constructor.

        Returns
        -------
        LearntScales
            The weighting.
        """
        return cls(n_tasks, **{"init": "data", **options})

    def reset(self) -> None:
        """Set all scales back to their initial values."""
        super().reset()
        with torch.no_grad():
            self.log_scale.copy_(self._start)

    def _initialise(self, means: Float[Tensor, " task"]) -> None:
        """Set each scale to the mean of the first batch that has one, where ``init`` is ``"data"``."""
        if self._waits_for_data.any():
            with torch.no_grad():
                begins = self._waits_for_data & (means > 0)
                self.log_scale.copy_(torch.where(begins, torch.log(means), self.log_scale))
                self._waits_for_data.logical_and_(~begins)
