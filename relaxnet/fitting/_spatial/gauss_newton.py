"""Gauss-Newton: the most probable maps."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.fitting._core.design import Design
from relaxnet.fitting._spatial.posterior import Posterior
from relaxnet.fitting._spatial.prior import Field

_LONGEST = 1.0  # step in the logarithm of a map
_HALVINGS = 8
_INEXACT = 0.1  # how well the system of a step is solved; the next step mends the rest
_SETTLED = 0.02  # step in the logarithm of a map, of a voxel that has settled


@dataclass(frozen=True)
class Data:
    """Samples on a grid, what is expected of them, and the range of the maps."""

    samples: Float[Tensor, "image batch *space"]
    """The samples; 0 where they are not used."""
    root: Float[Tensor, "image batch *space"]
    """One over the standard deviation of their noise; 0 where they are not used."""
    design: Design
    mean: Float[Tensor, " row"]
    """The typical value of each map, in the coordinates of the search."""
    low: Float[Tensor, " row"]
    high: Float[Tensor, " row"]
    offset_scale: float
    """The unit of an offset, whose coordinate is itself; that of other maps is the logarithm."""

    def with_samples(self, samples: Tensor, root: Tensor) -> "Data":
        """Exchange the samples and their noise."""
        return replace(self, samples=samples, root=root)

    def with_mean(self, mean: Float[Tensor, " row"]) -> "Data":
        """Exchange the typical value."""
        return replace(self, mean=mean)

    def grid(self, rows: Float[Tensor, " row"]) -> Tensor:
        """Bring one number a map to the axes of the maps."""
        return rows.view(-1, *[1] * (self.samples.ndim - 1))

    def to_values(self, x: Float[Tensor, "row batch *space"]) -> Float[Tensor, "row batch *space"]:
        """Convert coordinates to maps."""
        if not self.design.has_offset:
            return torch.exp(x)
        return torch.cat((torch.exp(x[:-1]), self.offset_scale * x[-1:]))

    def from_values(self, values: Float[Tensor, "row *grid"]) -> Float[Tensor, "row *grid"]:
        """Convert maps to coordinates."""
        if not self.design.has_offset:
            return torch.log(values)
        return torch.cat((torch.log(values[:-1]), values[-1:] / self.offset_scale))

    def slopes(self, values: Float[Tensor, "row batch *space"]) -> Float[Tensor, "row batch *space"]:
        """Compute the derivative of each map with respect to its coordinate."""
        if not self.design.has_offset:
            return values
        return torch.cat((values[:-1], torch.full_like(values[-1:], self.offset_scale)))

    def linearise(self, x: Float[Tensor, "row batch *space"]) -> tuple[Tensor, Tensor]:
        """Compute the residuals and the Jacobian (image, row, batch, *space), both in units of the noise."""
        values = self.to_values(x)
        prediction, columns = self.design.linearise(values.flatten(1))
        residual = self.root * (self.samples - prediction.view(self.samples.shape))
        jacobian = torch.stack(columns, 1).view(len(prediction), *x.shape)
        return residual, self.root[:, None] * jacobian * self.slopes(values)

    def filled(self, x: Float[Tensor, "row batch *space"]) -> Float[Tensor, "image batch *space"]:
        """Put what the maps predict in the place of samples that are not used."""
        prediction, _ = self.design.linearise(self.to_values(x).flatten(1))
        return torch.where(self.root > 0, self.samples, prediction.view(self.samples.shape))

    def noise(self) -> Float[Tensor, "image batch *space"]:
        """Return the standard deviation of the noise, the usual one for samples that are not used."""
        used = self.root > 0
        usual = self.root[used].median() if used.any() else self.root.new_tensor(1.0)
        return 1 / torch.where(used, self.root, usual)

    def misfit(self, x: Float[Tensor, "row batch *space"]) -> Float[Tensor, " batch"]:
        """Compute half the sum of squared residuals, for each item of the batch."""
        prediction, _ = self.design.linearise(self.to_values(x).flatten(1))
        residual = self.root * (self.samples - prediction.view(self.samples.shape))
        return 0.5 * residual.square().movedim(1, 0).flatten(1).sum(1)


def normal_equations(
    data: Data, x: Float[Tensor, "row batch *space"]
) -> tuple[
    Float[Tensor, "row row batch *space"], Float[Tensor, "row batch *space"], Float[Tensor, "image batch *space"]
]:
    """Return J^T J, J^T r, and r, in units of the noise."""
    residual, jacobian = data.linearise(x)
    square = torch.einsum("ka...,kb...->ab...", jacobian, jacobian)
    return square, torch.einsum("ka...,k...->a...", jacobian, residual), residual


def most_probable(
    data: Data, field: Field, x: Float[Tensor, "row batch *space"], *, steps: int, tolerance: float = 0.003
) -> tuple[Float[Tensor, "row batch *space"], Bool[Tensor, "batch *space"]]:
    """Maximise the posterior from a starting point.

    Parameters
    ----------
    data
        The samples.
    field
        The prior.
    x
        The starting point.
    steps
        The largest number of Gauss-Newton steps.
    tolerance
        The search ends where the next step is expected to be this long, in standard deviations of the posterior, in
        the root mean square over the maps.

    Returns
    -------
    tuple of Tensor
        The maps in the coordinates of the search, and which voxels have settled.
    """
    mean, low, high = (data.grid(rows) for rows in (data.mean, data.low, data.high))
    x = torch.minimum(torch.maximum(x, low), high)
    cost = data.misfit(x) + field.energy(x - mean)
    used = (data.root > 0).any(0)
    settled = torch.zeros_like(used)
    n_maps = used.sum().clamp(min=1) * len(x)
    for _ in range(steps):
        square, downhill, _ = normal_equations(data, x)
        downhill = downhill - field.apply(x - mean)
        # A map at a bound, with the way down leading outside, stays there.
        held = ((x <= low) & (downhill < 0)) | ((x >= high) & (downhill > 0))
        stiff = torch.diag_embed((held * 1e6 * square.amax()).movedim(0, -1)).movedim((-2, -1), (0, 1))
        downhill = torch.where(held, 0, downhill)
        step = Posterior(square + stiff.to(square), field).solve(downhill[None], _INEXACT)[0]
        expected = (downhill * step).sum()  # the square of its length in standard deviations
        step = torch.where(held, 0, step).clamp(-_LONGEST, _LONGEST)
        scale = torch.ones_like(cost)
        for _ in range(_HALVINGS):
            trial = torch.minimum(torch.maximum(x + scale.view(-1, *[1] * (x.ndim - 2)) * step, low), high)
            new = data.misfit(trial) + field.energy(trial - mean)
            worse = ~(new <= cost * (1 + 1e-6))
            if not worse.any():
                break
            scale = torch.where(worse, scale / 2, scale)
        better = ~worse
        settled = step.abs().amax(0) < _SETTLED
        x = torch.where(better.view(-1, *[1] * (x.ndim - 2)), trial, x)
        cost = torch.where(better, new, cost)
        if expected <= tolerance**2 * n_maps or worse.all():
            break
    return x, settled
