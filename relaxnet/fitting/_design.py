"""What is fitted: a signal model at the times of some images, as a function of its parameters."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.signals import SignalModel


class Linearised(NamedTuple):
    """A model near some parameters."""

    prediction: Float[Tensor, "time voxel"]
    columns: list[Float[Tensor, "time voxel"]]
    """Derivative of the prediction with respect to each parameter: the columns of the Jacobian."""


@dataclass(frozen=True)
class Design:
    """A separable model with one amplitude, one or more relaxation times, and perhaps an offset.

    Parameter values are stacked as (parameter, voxel), in the order of :attr:`names`: the amplitude, the relaxation
    times, the offset.
    """

    model: SignalModel
    time: Float[Tensor, "time 1"]
    """Times of the images in ms."""
    t_names: tuple[str, ...]
    """Names of the relaxation times."""
    owner: Tensor | None = None
    """Which relaxation time each image decays with, by number; None where there is only one."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return ("m0", *self.t_names, *(("offset",) if self.model.has_offset else ()))

    @property
    def t_rows(self) -> slice:
        """Where the relaxation times stand among the parameters."""
        return slice(1, 1 + len(self.t_names))

    def jets(self, t: Float[Tensor, "t voxel"]) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate the basis at each image, with its first two derivatives with respect to the log of its own T."""
        return self.model.jet(t if self.owner is None else t[self.owner], self.time)

    def only(self, k: int, values: Float[Tensor, "time voxel"]) -> Float[Tensor, "time voxel"]:
        """Keep what concerns relaxation time ``k``; zero for images that decay with another."""
        return values if self.owner is None else values * (self.owner == k)[:, None]

    def linearise(self, values: Float[Tensor, "parameter voxel"]) -> Linearised:
        """Evaluate the model and its derivatives with respect to all parameters."""
        m0, t = values[0], values[self.t_rows]
        basis, slope, _ = self.jets(t)
        prediction = m0 * basis
        slope = m0 * slope
        columns = [basis, *(self.only(k, slope) / t[k] for k in range(len(t)))]
        if self.model.has_offset:
            prediction = prediction + values[-1]
            columns.append(torch.ones_like(basis))
        return Linearised(prediction, columns)
