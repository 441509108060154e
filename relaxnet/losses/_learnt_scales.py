"""Learnt scales and their initial values."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from relaxnet._messages import brief
from relaxnet._numbers import real, whole
from relaxnet.losses._weighting import Weighting
from relaxnet.signals._transforms import in_transform

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
        super().__init__(whole(n_tasks, "n_tasks", 1))
        needed = f"give a positive scale, one for each of {n_tasks} tasks, or 'data'"
        scales = init if isinstance(init, list | tuple | np.ndarray | Tensor) else (init,) * n_tasks
        if isinstance(init, str) and str(init) == "data":
            scales = (1.0,) * n_tasks
        if len(scales) != n_tasks:
            raise ValueError(f"init={brief(repr(init))}: {needed}.")
        numbers = (s.item() if isinstance(s, Tensor) else s for s in scales)
        checked = [real(s, "init", lambda x: 0 < x < math.inf, needed) for s in numbers]
        start = torch.tensor(checked, dtype=torch.get_default_dtype())
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
        if in_transform():
            self._may_record(needed=bool(self._waits_for_data.any()))
            return
        with torch.no_grad():
            begins = self._waits_for_data & (means > 0)
            # A change through .data leaves the graph of an earlier batch as it was.
            self.log_scale.data.copy_(torch.where(begins, torch.log(means), self.log_scale))
            self._waits_for_data.logical_and_(~begins)
