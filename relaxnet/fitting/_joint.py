"""Several contrasts at once: one amplitude, and a relaxation time for each."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.fitting._core.bounds import at_bounds, log_bounds
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.engine import fit_voxels
from relaxnet.fitting._core.estimator import Bounds, Estimate, Estimator
from relaxnet.fitting._core.newton import climb, tolerance
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._core.voxels import check_bounds, check_voxels
from relaxnet.fitting._nlls import LeastSquares
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._status import FitStatus
from relaxnet.protocol import Contrast, Protocol
from relaxnet.times import CheckedTimes

SWEEPS = 4


def fit_joint(
    images: ArrayT,
    protocol: Protocol,
    *,
    mask: Any = None,
    bounds: Bounds | Mapping[str, Bounds] | None = None,
    sigma: Any = None,
    saturation: float | None = None,
    dim: int = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
) -> FitResult[ArrayT]:
    r"""Fit all contrasts of a protocol at once, by nonlinear least squares with one common amplitude.

    .. math:: S_k = m_0\, b_{c(k)}(T_{c(k)}, t_k)

    where :math:`c(k)` is the contrast that image k belongs to, and b the basis of its model. The amplitude is
    eliminated (variable projection), and only the relaxation times are searched. Fitted apart, each contrast has an
    amplitude of its own, for which it pays with precision; here all images agree on one.

    Parameters
    ----------
    images
        All images of the protocol, with one axis for them: (batch, image, ...) by default.
    protocol
        What was acquired. Its contrasts must begin with a common image that none of their T changes, which for decays
        is one at time 0, or be a single one.
    mask
        Voxels to fit: binary, of the shape of the images without their axis ``dim``.
    bounds
        Smallest and largest T, those of the models by default: for all contrasts, or by the name of each.
    sigma
        Standard deviation of the noise: one number, one an image, or one a sample (of the shape of ``images``), which
        then also weighs the samples. Without it, the standard errors come from the residuals.
    saturation
        Samples at or above this value are not used.
    dim
        The axis of ``images`` along which they follow one another.
    chunk_size
        Voxels fitted at once; by default as many as fit the cache of a processor, or fill an accelerator.
    maps_only
        Leave out standard errors and goodness of fit.

    Returns
    -------
    FitResult
        Maps ``"m0"`` and one for each contrast, differentiable by the images as those of
        :func:`~relaxnet.fitting.nlls` are. ``AT_BOUND`` means that at least one relaxation time is.

    Raises
    ------
    ValueError
        If the contrasts have no common first image, or if shapes, ``mask``, ``bounds`` or ``sigma`` do not
        fit together or make no sense.
    TypeError
        If the images are not made of real numbers.

    See Also
    --------
    relaxnet.fitting.nlls : Each contrast by itself.

    Examples
    --------
    >>> protocol = rx.protocols.LIVER_T1RHO_T2
    >>> subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=math.inf)[0]
    >>> joint = rx.fit_joint(subject.images, protocol)
    >>> bool((joint.maps["t2"] - subject.truth["t2"])[subject.roi].abs().max() < 0.1)  # ms; voxels hold mixtures
    True
    """
    names = protocol.names
    protocol.require_common_amplitude()
    times, owner = [0.0] * protocol.n_images, [0] * protocol.n_images
    for k, contrast in reversed(list(enumerate(protocol.contrasts))):
        for channel, time in zip(protocol.images_of(contrast.name), contrast.times_ms, strict=True):
            times[channel], owner[channel] = time, k
    voxels = check_voxels(
        images, CheckedTimes(times), mask=mask, sigma=sigma, saturation=saturation, unit="ms", dim=dim
    )
    if isinstance(bounds, Mapping) and not set(bounds) <= set(names):
        raise ValueError(f"bounds has the names {tuple(bounds)}: the contrasts are {names}.")
    limits = tuple(
        check_bounds(bounds.get(c.name) if isinstance(bounds, Mapping) else bounds, c.model, _first_informative(c))
        for c in protocol.contrasts
    )
    models = tuple(contrast.model for contrast in protocol.contrasts)
    if len(names) == 1:
        estimator: Estimator = LeastSquares(Design(models, voxels.times[:, None], names), limits)
    else:
        of_image = torch.tensor(owner, device=voxels.times.device)
        estimator = Joint(Design(models, voxels.times[:, None], names, of_image), limits)
    return fit_voxels(estimator, voxels, like=images, chunk_size=chunk_size, maps_only=maps_only)


def _first_informative(contrast: Contrast) -> float:
    """Return the first time at which an image depends on T."""
    return next(time for time in contrast.times_ms if contrast.model.constant_at(time) is None)


class Joint(Estimator):
    """Search over the logarithms of all relaxation times."""

    obeys_weights = True
    differentiable = True

    def estimate(self, samples: Samples) -> Estimate:
        """Find the best point of a grid, one relaxation time after another, and climb from there."""
        problem = _Reduced(self.design, samples)
        low, high = log_bounds(self.bounds, samples.values)
        x, settled = climb(problem, problem.start(low, high), low, high, small=4 * tolerance(samples.values.dtype))
        t, at_bound, at_flat = at_bounds(x, self.bounds, self.design.models)
        m0 = problem.evaluate(torch.log(t)).m0
        status = torch.where(at_bound.any(0), FitStatus.AT_BOUND, FitStatus.CONVERGED)
        status = torch.where((at_flat & problem.incompatible()).any(0), FitStatus.NO_DECAY, status)
        status = torch.where(settled, status, FitStatus.NOT_CONVERGED)
        status = torch.where(m0 > 0, status, FitStatus.NO_SIGNAL)
        return Estimate(torch.cat((m0[None], t)), status)


class _Point:
    """The reduced problem at some logarithms of T, the amplitude eliminated: its cost, gradient and curvature."""

    def __init__(self, *parts: Tensor) -> None:
        self.m0, self.cost, self.square, self.gradient, self.cancelling, self.diagonal, self.mixed = self.parts = parts

    @classmethod
    def of(cls, problem: "_Reduced", x: Float[Tensor, "t voxel"]) -> "_Point":
        """Evaluate the problem."""
        design, weight, values = problem.design, problem.weight, problem.values
        basis, first, second = design.basis_with_derivatives(torch.exp(x))
        square = (weight * basis**2).sum(0)
        projection = (weight * values * basis).sum(0)
        m0 = projection / square
        residual = weight * (values - m0 * basis)

        def of_each(terms: Float[Tensor, "time voxel"]) -> Float[Tensor, "t voxel"]:
            return torch.stack([design.only(k, terms).sum(0) for k in range(len(x))])

        pull = of_each(residual * first)
        diagonal = m0 * (m0 * of_each(weight * first**2) - of_each(residual * second))
        mixed = m0 * of_each(weight * basis * first) - pull
        cancelling = m0.abs() * of_each(weight * (values.abs() + (m0 * basis).abs()) * first.abs())
        # What is explained is subtracted from a cost that is the same for all T.
        cost = -(projection.clamp(min=0) ** 2) / square
        return cls(m0, cost, square, -m0 * pull, cancelling, diagonal, mixed)

    def step(self, damping: Float[Tensor, " voxel"], held: Bool[Tensor, "t voxel"]) -> Float[Tensor, "t voxel"]:
        """Take a damped Newton step; relaxation times that are held stay.

        The curvature is a diagonal less the square of one vector, so it is inverted in closed form.
        """
        diagonal = torch.where(held, 1, self.diagonal.abs() * (1 + damping))
        gradient = torch.where(held, 0, self.gradient)
        mixed = torch.where(held, 0, self.mixed)
        straight = gradient / diagonal
        across = mixed / diagonal
        left = self.square * (1 + damping) - (mixed * across).sum(0)
        convex = left > 1e-4 * self.square
        bend = torch.where(convex, (mixed * straight).sum(0) / left, 0)
        return -(straight + across * bend)

    def pick(self, chosen: Tensor) -> "_Point":
        """Keep some of the voxels."""
        return type(self)(*(part[..., chosen] for part in self.parts))

    def where(self, better: Bool[Tensor, " voxel"], other: "_Point") -> "_Point":
        """Keep the voxels that are better, and take the others from another point."""
        return type(self)(*(torch.where(better, a, b) for a, b in zip(self.parts, other.parts, strict=True)))


class _Reduced:
    """The reduced problem of some voxels: only the relaxation times are left of it."""

    def __init__(self, design: Design, samples: Samples) -> None:
        self.design = design
        self.samples = samples
        self.values = samples.values
        self.weight = samples.weights().expand_as(samples.values)

    def pick(self, chosen: Tensor) -> "_Reduced":
        """Keep some of the voxels."""
        return _Reduced(self.design, self.samples.pick(chosen))

    def evaluate(self, x: Float[Tensor, "t voxel"]) -> _Point:
        """Evaluate the problem at each voxel's own relaxation times."""
        return _Point.of(self, x)

    def incompatible(self) -> Bool[Tensor, "t voxel"]:
        """Find the contrasts that no T explains, from their own images and the common first one."""
        design, found = self.design, []
        for k, model in enumerate(design.models):
            own = design.images_of(k) | ~design.informative
            found.append(model.is_incompatible(self.values[own], self.weight[own], design.time[own]))
        return torch.stack(found)

    def start(self, low: Float[Tensor, "t 1"], high: Float[Tensor, "t 1"]) -> Float[Tensor, "t voxel"]:
        """Search a grid in log T, one relaxation time after another, from two beginnings; keep the better end."""
        design, informative = self.design, self.design.informative
        weighted = self.weight * self.values

        def tables(grid: Float[Tensor, " grid"], k: int, images: Bool[Tensor, " time"]) -> tuple[Tensor, Tensor]:
            """Project some images on the basis of one model, and sum up its squares, at each point of a grid."""
            basis = design.models[k].basis(torch.exp(grid)[:, None], design.time[images].T)
            return basis @ weighted[images], basis**2 @ self.weight[images]

        grids, projections, squares = [], [], []
        for k, model in enumerate(design.models):
            n_grid = max(3, int((high[k] - low[k]).item() / model.log_step) + 2)
            grids.append(torch.linspace(low[k].item(), high[k].item(), n_grid).to(design.time))
            projection, square = tables(grids[k], k, informative & design.images_of(k))
            projections.append(projection)
            squares.append(square)
        # The common first image is the same for all T.
        first_projection, first_square = (row[0] for row in tables(low[0], 0, ~informative))

        def explained(projection: Tensor, square: Tensor) -> Tensor:
            return projection.clamp(min=0) ** 2 / square.clamp(min=torch.finfo(square.dtype).tiny)

        most = torch.full_like(first_projection, -1)
        best = torch.zeros(len(low), len(most), dtype=low.dtype, device=low.device)
        alone = [
            explained(first_projection + p, first_square + s).argmax(0)
            for p, s in zip(projections, squares, strict=True)
        ]
        usual = [math.log(model.parameter.typical) for model in design.models]
        together = [(grid - x).abs().argmin().expand(len(most)) for grid, x in zip(grids, usual, strict=True)]
        for places in (alone, together):
            for _ in range(SWEEPS):
                for k in range(len(grids)):
                    others = [j for j in range(len(grids)) if j != k]
                    p = sum((_at(projections[j], places[j]) for j in others), first_projection)
                    s = sum((_at(squares[j], places[j]) for j in others), first_square)
                    reached, places[k] = explained(p + projections[k], s + squares[k]).max(0)
            better = reached > most
            most = torch.where(better, reached, most)
            found = torch.stack([grid[place] for grid, place in zip(grids, places, strict=True)])
            best = torch.where(better, found, best)
        return best


def _at(table: Float[Tensor, "grid voxel"], place: Tensor) -> Float[Tensor, " voxel"]:
    """Take each voxel's value at its own place of a grid."""
    return table.gather(0, place[None])[0]
