"""Several contrasts at once: one amplitude, and a relaxation time for each."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.fitting._design import Design
from relaxnet.fitting._engine import Estimate, Estimator, run
from relaxnet.fitting._gradient import with_gradient
from relaxnet.fitting._projection import tolerance
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._samples import Samples
from relaxnet.fitting._status import FitStatus
from relaxnet.fitting._voxels import check_bounds, check_voxels
from relaxnet.protocol import Protocol
from relaxnet.signals import MonoExponential

MAX_STEPS = 100
SWEEPS = 4

Bounds = tuple[float, float]


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

    .. math:: S_k = m_0\, e^{-t_k/T_{c(k)}}

    where :math:`c(k)` is the contrast that image k belongs to. The amplitude is eliminated (variable projection), and
    only the relaxation times are searched. Fitted apart, each contrast has an amplitude of its own, for which it pays
    with precision; here all images agree on one.

    Parameters
    ----------
    images
        All images of the protocol, with one axis for them: (batch, image, ...) by default.
    protocol
        What was acquired. Its contrasts must begin with a common image at time 0, or be a single one.
    mask
        Voxels to fit: binary, of the shape of the images without their axis ``dim``.
    bounds
        Shortest and longest T in ms, (1, 5000) by default: for all contrasts, or by the name of each.
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
        If the contrasts have no common first image at time 0, or if shapes, ``mask``, ``bounds`` or ``sigma`` do not
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
    firsts = [contrast.times_ms[0] for contrast in protocol.contrasts]
    if len(names) > 1 and not (protocol.shared_first and firsts[0] == 0):
        raise ValueError(
            f"protocol: a joint fit needs contrasts with a common first image at 0 ms, which share an amplitude; these "
            f"have shared_first={protocol.shared_first} and start at {firsts} ms. Fit each with relaxnet.fit."
        )
    times, owner = [0.0] * protocol.n_images, [0] * protocol.n_images
    for k, contrast in reversed(list(enumerate(protocol.contrasts))):
        for channel, time in zip(protocol.images_of(contrast.name), contrast.times_ms, strict=True):
            times[channel], owner[channel] = time, k
    voxels = check_voxels(images, times, mask=mask, sigma=sigma, saturation=saturation, unit="ms", dim=dim)
    limits = tuple(
        check_bounds(bounds.get(name) if isinstance(bounds, Mapping) else bounds, voxels.times[voxels.times > 0])
        for name in names
    )
    if isinstance(bounds, Mapping) and not set(bounds) <= set(names):
        raise ValueError(f"bounds has the names {tuple(bounds)}: the contrasts are {names}.")
    of_image = torch.tensor(owner, device=voxels.times.device)
    design = Design(MonoExponential(), voxels.times[:, None], names, of_image if len(names) > 1 else None)
    result = run(Joint(design, limits), voxels, like=images, chunk_size=chunk_size, maps_only=maps_only)
    return with_gradient(result, design, voxels, limits)


class Joint(Estimator):
    """Search over the logarithms of all relaxation times."""

    def __init__(self, design: Design, bounds: tuple[Bounds, ...]) -> None:
        super().__init__(design)
        self.bounds = bounds

    def estimate(self, samples: Samples) -> Estimate:
        """Find the best point of a grid, one relaxation time after another, and climb from there."""
        problem = _Reduced(self.design, samples)
        logs = [[math.log(bound) for bound in bounds] for bounds in self.bounds]
        low, high = samples.values.new_tensor(logs).T[:, :, None]
        x = problem.start(low, high)
        x, settled = _climb(problem, x, low, high)
        margin = 4 * torch.finfo(x.dtype).eps * torch.maximum(low.abs(), high.abs()).clamp(min=1)
        at_low, at_high = x <= low + margin, x >= high - margin
        shortest, longest = samples.values.new_tensor(self.bounds).T[:, :, None]
        t = torch.where(at_low, shortest, torch.where(at_high, longest, torch.exp(x)))
        m0 = problem.evaluate(torch.log(t)).m0
        status = torch.where((at_low | at_high).any(0), FitStatus.AT_BOUND, FitStatus.CONVERGED)
        status = torch.where((at_high & problem.rising()).any(0), FitStatus.NO_DECAY, status)
        status = torch.where(settled, status, FitStatus.NOT_CONVERGED)
        status = torch.where(m0 > 0, status, FitStatus.NO_SIGNAL)
        return Estimate(torch.cat((m0[None], t)), status)


class _Point:
    """The reduced problem at some logarithms of T: gain, gradient and curvature, the amplitude eliminated."""

    def __init__(self, problem: "_Reduced", x: Float[Tensor, "t voxel"]) -> None:
        design, weight, values = problem.design, problem.weight, problem.values
        basis, first, second = design.jets(torch.exp(x))
        square = (weight * basis**2).sum(0)
        projection = (weight * values * basis).sum(0)
        self.m0 = projection / square
        self.gain = projection.clamp(min=0) ** 2 / square
        residual = weight * (values - self.m0 * basis)

        def of_each(terms: Float[Tensor, "time voxel"]) -> Float[Tensor, "t voxel"]:
            return torch.stack([design.only(k, terms).sum(0) for k in range(len(x))])

        pull = of_each(residual * first)
        self.gradient = -self.m0 * pull
        self.diagonal = self.m0 * (self.m0 * of_each(weight * first**2) - of_each(residual * second))
        self.mixed = self.m0 * of_each(weight * basis * first) - pull
        self.square = square

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
        return _Point(self, x)

    def rising(self) -> Bool[Tensor, "t voxel"]:
        """Tell which contrasts rise with time."""
        time, owner = self.design.time, self.design.owner
        everywhere = torch.ones(len(time), dtype=torch.bool, device=time.device)
        rising = []
        for k in range(len(self.design.t_names)):
            own = everywhere if owner is None else (owner == k) | (time[:, 0] == 0)
            rising.append(self.design.model.contradicted_by(self.values[own], self.weight[own], time[own]))
        return torch.stack(rising)

    def start(self, low: Float[Tensor, "t 1"], high: Float[Tensor, "t 1"]) -> Float[Tensor, "t voxel"]:
        """Search a grid in log T, one relaxation time after another, from two beginnings; keep the better end."""
        time, owner = self.design.time[:, 0], self.design.owner
        late = time > 0
        weighted = self.weight * self.values
        first_projection, first_square = weighted[~late].sum(0), self.weight[~late].sum(0)
        grids, projections, squares = [], [], []
        for k in range(len(low)):
            own = late if owner is None else late & (owner == k)
            n_grid = max(3, int((high[k] - low[k]).item() / self.design.model.log_step) + 2)
            grid = torch.linspace(low[k].item(), high[k].item(), n_grid, dtype=time.dtype, device=time.device)
            basis = torch.exp(-time[own] / torch.exp(grid)[:, None])
            grids.append(grid)
            projections.append(basis @ weighted[own])
            squares.append(basis**2 @ self.weight[own])

        def gain(projection: Tensor, square: Tensor) -> Tensor:
            return projection.clamp(min=0) ** 2 / square.clamp(min=torch.finfo(square.dtype).tiny)

        best_gain = torch.full_like(first_projection, -1)
        best = torch.zeros(len(low), len(best_gain), dtype=time.dtype, device=time.device)
        for alone in (True, False):
            if alone:  # each as if it were the only contrast
                places = [
                    gain(first_projection + p, first_square + s).argmax(0)
                    for p, s in zip(projections, squares, strict=True)
                ]
            else:  # all at a T like their times
                middle = torch.log(time[late].mean())
                places = [(grid - middle).abs().argmin().expand(len(best_gain)) for grid in grids]
            for _ in range(SWEEPS):
                for k in range(len(grids)):
                    others = [j for j in range(len(grids)) if j != k]
                    p = sum((_at(projections[j], places[j]) for j in others), first_projection)
                    s = sum((_at(squares[j], places[j]) for j in others), first_square)
                    reached, places[k] = gain(p + projections[k], s + squares[k]).max(0)
            better = reached > best_gain
            best_gain = torch.where(better, reached, best_gain)
            found = torch.stack([grid[place] for grid, place in zip(grids, places, strict=True)])
            best = torch.where(better, found, best)
        return best


def _at(table: Float[Tensor, "grid voxel"], place: Tensor) -> Float[Tensor, " voxel"]:
    """Take each voxel's value at its own place of a grid."""
    return table.gather(0, place[None])[0]


def _climb(
    problem: _Reduced, x: Float[Tensor, "t voxel"], low: Float[Tensor, "t 1"], high: Float[Tensor, "t 1"]
) -> tuple[Float[Tensor, "t voxel"], Bool[Tensor, " voxel"]]:
    """Run a damped Newton method (Levenberg and Marquardt) until no relaxation time of a voxel moves any more.

    A step that would make the fit worse is not taken, and the next one is shorter. A T stays at a bound for as long as
    the fit improves beyond it. Settled voxels are taken out.
    """
    small = 4 * tolerance(x.dtype)
    rounding = 4 * torch.finfo(x.dtype).eps
    result, settled = x.clone(), torch.zeros(x.shape[1], dtype=torch.bool, device=x.device)
    active = torch.arange(x.shape[1], device=x.device)
    damping = torch.full_like(x[0], 1e-3)
    for _ in range(MAX_STEPS):
        here = problem.evaluate(x)
        held = ((x <= low) & (here.gradient > 0)) | ((x >= high) & (here.gradient < 0))
        following = (x + here.step(damping, held).clamp(-1, 1)).clamp(low, high)
        done = ((following - x).abs() <= small).all(0)
        better = problem.evaluate(following).gain >= here.gain * (1 - rounding)
        damping = torch.where(better, damping / 10, damping * 8).clamp(1e-12, 1e12)
        x = torch.where(better, following, x)
        result[:, active], settled[active] = x, done
        if done.all():
            break
        keep = (~done).nonzero()[:, 0]
        if len(keep) < 0.75 * len(done):
            active, problem, x, damping = active[keep], problem.pick(keep), x[:, keep], damping[keep]
    return result, settled
