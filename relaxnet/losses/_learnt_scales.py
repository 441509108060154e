"""Scales that are learnt, and where they begin."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from relaxnet.losses._weighting import Weighting

Start = float | Sequence[float] | Literal["data"]


class LearntScales(Weighting):
    """A weighting that learns one scale for each task, by its logarithm, so that it is always positive.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    init
        Scale of each task at the beginning: a number for all, one for each, or ``"data"`` for the mean absolute
        residuals of the first batch. From there, a learning does not depend on the units of a task.

    Raises
    ------
    ValueError
        If ``init`` is not positive, or not one scale a task.
    """

    def __init__(self, n_tasks: int, init: Start) -> None:
        super().__init__(n_tasks)
        if isinstance(init, str) and str(init) != "data":
            raise ValueError(f"init={init!r}: give positive scales, or 'data'.")
        start = torch.tensor(1.0 if isinstance(init, str) else init).expand(n_tasks).float()
        if not (torch.isfinite(start) & (start > 0)).all():
            raise ValueError(f"init={init!r}: give positive scales, or 'data'.")
        self.log_scale = nn.Parameter(torch.log(start))
        self.register_buffer("_start", torch.log(start))
        self.register_buffer("_waits_for_data", torch.tensor(init == "data"))
        self._start: Tensor
        self._waits_for_data: Tensor
        self._init = init

    @classmethod
    def for_tasks(cls, n_tasks: int, **options: Any) -> "LearntScales":
        """Make the weighting with scales that begin at the data, whatever their units.

        Parameters
        ----------
        n_tasks
            Number of tasks.
        **options
            Other arguments of the constructor.

        Returns
        -------
        LearntScales
            The weighting.
        """
        return cls(n_tasks, **{"init": "data", **options})

    def reset(self) -> None:
        """Set all scales back to where they began."""
        with torch.no_grad():
            self.log_scale.copy_(self._start)
            self._waits_for_data.fill_(self._init == "data")

    def _begin(self, means: Float[Tensor, " task"]) -> None:
        """Begin at the means, where the data are waited for; those without any voxel tell nothing."""
        if self._waits_for_data and (means > 0).all():
            with torch.no_grad():
                self.log_scale.copy_(torch.log(means))
                self._waits_for_data.fill_(False)
