"""What is fitted: signal models at the times of some images, as a function of their parameters."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relaxnet.fitting._core.samples import Samples
from relaxnet.signals import ExponentialDecay, MonoExponentialWithOffset, SignalModel


@dataclass(frozen=True)
class Design:
    """One amplitude, one relaxation time or more, each with its model, and perhaps an offset.

    Parameter values are stacked as (parameter, voxel), in the order of :attr:`names`: the amplitude, the relaxation
    times, the offset. What is called a relaxation time, T, is the nonlinear parameter of any model.
    """

    models: tuple[SignalModel, ...]
    """The model of each relaxation time."""
    time: Float[Tensor, "time 1"]
    """Times of the images in ms, or what else the axis of the models is."""
    t_names: tuple[str, ...]
    """Names of the relaxation times."""
    owner: Int[Tensor, " time"] | None = None
    """Which relaxation time each image depends on, by number; None where there is only one."""
    folded: bool = False
    """Whether the images hold the magnitude of the signal, whose sign is to be found with the other parameters."""
    without_offset: bool = False
    """Whether the constant of the model is taken to be zero."""

    @property
    def model(self) -> SignalModel:
        """The only model."""
        (model,) = self.models
        return model

    @property
    def has_offset(self) -> bool:
        """Whether a constant is added to the signal."""
        return self.models[0].has_offset and not self.without_offset

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return ("m0", *self.t_names, *(("offset",) if self.has_offset else ()))

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""
        of_t = {name: model.parameter.unit for name, model in zip(self.t_names, self.models, strict=True)}
        return {name: of_t.get(name, "signal") for name in self.names}

    @property
    def t_rows(self) -> slice:
        """Where the relaxation times stand among the parameters."""
        return slice(1, 1 + len(self.t_names))

    def at(self, images: Int[Tensor, " chosen"]) -> "Design":
        """Keep some of the images."""
        return replace(self, time=self.time[images], owner=None if self.owner is None else self.owner[images])

    def to(self, dtype: torch.dtype) -> "Design":
        """Change the precision."""
        return replace(self, time=self.time.to(dtype))

    def images_of(self, k: int) -> Bool[Tensor, " time"]:
        """Find the images that depend on relaxation time ``k`` by their owner."""
        return torch.ones_like(self.time[:, 0], dtype=torch.bool) if self.owner is None else self.owner == k

    @cached_property
    def informative(self) -> Bool[Tensor, " time"]:
        """Which images depend on a relaxation time; the first image of decays, at time 0, does not."""
        depends = [self.models[k].constant_at(t) is None for k, t in self._images]
        return torch.tensor(depends, device=self.time.device)

    @cached_property
    def _images(self) -> list[tuple[int, float]]:
        """The owner and the time of each image."""
        owners = [0] * len(self.time) if self.owner is None else self.owner.tolist()
        return list(zip(owners, self.time[:, 0].tolist(), strict=True))

    @cached_property
    def repeats_times(self) -> bool:
        """Whether several images have the same owner and time."""
        return len(set(self._images)) < len(self._images)

    @cached_property
    def _decays(self) -> list[Int[Tensor, " some"]]:
        """The images of each T of a decay, from the latest to the first."""
        found = []
        for k, model in enumerate(self.models):
            if isinstance(model, ExponentialDecay | MonoExponentialWithOffset):
                images = self.images_of(k).nonzero()[:, 0]
                found.append(images[torch.argsort(self.time[images, 0], descending=True)])
        return found

    @cached_property
    def _groups(self) -> list[tuple[SignalModel, Int[Tensor, " some"]]]:
        """The images of each model, which are evaluated together."""
        models = [self.models[k] for k, _ in self._images]
        return [
            (model, torch.tensor([i for i, own in enumerate(models) if own == model], device=self.time.device))
            for model in dict.fromkeys(models)
        ]

    def basis_with_derivatives(self, t: Float[Tensor, "t voxel"]) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate the basis at each image, with its first two derivatives with respect to the log of its own T."""
        of_image = t if self.owner is None else t[self.owner]
        if len({*self.models}) == 1:
            return self.models[0].basis_with_derivatives(of_image, self.time)
        parts = [m.basis_with_derivatives(of_image[images], self.time[images]) for m, images in self._groups]
        order = torch.argsort(torch.cat([images for _, images in self._groups]))
        return cast("tuple[Tensor, Tensor, Tensor]", tuple(torch.cat(p)[order] for p in zip(*parts, strict=True)))

    def only(self, k: int, values: Float[Tensor, "time voxel"]) -> Float[Tensor, "time voxel"]:
        """Keep what concerns relaxation time ``k``; zero for images that depend on another."""
        return values if self.owner is None else values * (self.owner == k)[:, None]

    def blanked(
        self, samples: Float[Tensor, "time voxel"], used: Bool[Tensor, "time voxel"]
    ) -> Bool[Tensor, "time voxel"]:
        """Find the exact zeros after the last other sample of a decay: processing has put them there, not noise.

        Where less than two of the ``used`` samples come before, there are none: what is left would be no decay.
        """
        blank = torch.zeros_like(used)
        for latest_first in self._decays:
            if (samples[latest_first[0]] == 0).any() or not used[latest_first[0]].all():
                of_decay = used[latest_first]
                trailing = ((samples[latest_first] == 0) | ~of_decay).cummin(0).values
                blank[latest_first] = trailing & ((of_decay & ~trailing).sum(0) >= 2)
        return blank

    def incompatible(self, samples: Samples) -> Bool[Tensor, "t voxel"]:
        """Find the voxels that no T explains, for each T from its own images and the common first one."""
        found = []
        for k, model in enumerate(self.models):
            own = slice(None) if self.owner is None else self.images_of(k) | ~self.informative
            found.append(model.is_incompatible(samples.values[own], samples.weight[own], self.time[own]))
        return torch.stack(found)

    def unfold(self) -> "Design":
        """Describe a magnitude by the signal before the magnitude was taken, where its model knows that signal."""
        models = tuple(model.unfolded for model in self.models)
        return self if models == self.models else replace(self, models=models, folded=True)

    def sign(self, prediction: Float[Tensor, "time voxel"]) -> Float[Tensor, "time voxel"]:
        """Return the factor, 1 or -1, between the images and the signal."""
        return torch.where(prediction < 0, -1, 1).to(prediction) if self.folded else torch.ones_like(prediction)

    def linearise(
        self, values: Float[Tensor, "parameter voxel"]
    ) -> tuple[Float[Tensor, "time voxel"], list[Float[Tensor, "time voxel"]]]:
        """Evaluate the model, and the columns of its Jacobian: the derivative with respect to each parameter."""
        m0, t = values[0], values[self.t_rows]
        basis, slope, _ = self.basis_with_derivatives(t)
        columns = [basis, *(self.only(k, m0 * slope) / t[k] for k in range(len(t)))]
        if not self.has_offset:
            return m0 * basis, columns
        prediction, columns = m0 * basis + values[-1], [*columns, torch.ones_like(basis)]
        if not self.folded:
            return prediction, columns
        sign = self.sign(prediction)
        return sign * prediction, [sign * column for column in columns]
