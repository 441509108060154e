"""Several contrasts at once: one amplitude, and a relaxation time for each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relaxnet._images import Dim, opens_images
from relaxnet.fitting._core.arguments import Device, as_voxels
from relaxnet.fitting._core.bounds import Bounds, end_of_search, log_bounds
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.engine import fit_voxels
from relaxnet.fitting._core.estimator import Estimate, Estimator
from relaxnet.fitting._core.fused import FusedDecay, fused_decay
from relaxnet.fitting._core.joint_grid import SURE, SWEEPS, log_grids
from relaxnet.fitting._core.newton import Point, Problem, minimise, tolerance
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._core.voxels import Voxels
from relaxnet.fitting._like import result_like
from relaxnet.fitting._nlls import LeastSquares
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._status import FitStatus
from relaxnet.protocol import Protocol
from relaxnet.times import CheckedTimes


@opens_images(result_like)
def fit_joint(
    images: ArrayT,
    protocol: Protocol,
    *,
    mask: Any = None,
    bounds: Bounds | Mapping[str, Bounds] | None = None,
    sigma: Any = None,
    saturation: float | None = None,
    dim: Dim = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
    device: Device = None,
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
        is one at time 0, or be a single one. Of mono-exponential decays, the common image may be later: the amplitude
        is then its signal (:meth:`relaxnet.Protocol.counted_from_first`).
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
    device
        Where to compute, such as ``"cuda"``: by default where the images are. Maps are where they are in any case.
        Images of another memory are brought over block by block, while the block before it is fitted, so they may be
        larger than the memory of the device.

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

    Notes
    -----
    Where the package numba is installed (extra ``fast``), large joint fits of mono-exponential decays in single
    precision on the processor are compiled, as those of :func:`~relaxnet.fitting.nlls` are: :doc:`/speed`.

    Examples
    --------
    >>> protocol = rx.protocols.LIVER_T1RHO_T2
    >>> subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=math.inf)[0]
    >>> joint = rx.fit_joint(subject.images, protocol)
    >>> bool((joint.maps["t2"] - subject.truth["t2"])[subject.roi].abs().max() < 0.1)  # ms; voxels hold mixtures
    True
    """
    voxels = joint_voxels(images, protocol, mask=mask, sigma=sigma, saturation=saturation, dim=dim, device=device)
    make = joint_estimator(voxels.design)
    return fit_voxels(make, voxels, like=images, bounds=bounds, chunk_size=chunk_size, maps_only=maps_only)


def joint_voxels(
    images: object,
    protocol: Protocol,
    *,
    mask: object,
    sigma: object,
    saturation: float | None,
    dim: Dim,
    device: Device = None,
) -> Voxels:
    """Check the arguments of a joint fit, and return them as voxels to fit."""
    protocol = protocol.counted_from_first()
    protocol.require_common_amplitude()
    times, owner = [0.0] * protocol.n_images, [0] * protocol.n_images
    for k, contrast in reversed(list(enumerate(protocol.contrasts))):
        for channel, time in zip(protocol.images_of(contrast.name), contrast.times_ms, strict=True):
            times[channel], owner[channel] = time, k
    checked = CheckedTimes(times)
    voxels = as_voxels(
        images, checked, mask=mask, sigma=sigma, saturation=saturation, unit="ms", dim=dim, device=device
    )
    of_image = None if len(protocol.contrasts) == 1 else torch.tensor(owner, device=voxels.times.device)
    models = tuple(contrast.model for contrast in protocol.contrasts)
    return replace(voxels, design=Design(models, voxels.design.time, protocol.names, of_image))


def joint_estimator(design: Design) -> type[Estimator]:
    """Return the estimator of a joint fit."""
    return LeastSquares if design.owner is None else Joint


class Joint(Estimator):
    """Variable projection for several relaxation times: a search over their logarithms."""

    obeys_weights = True
    differentiable = True

    def fused(self, saturation: float | None, n_voxels: int) -> FusedDecay | None:
        """Take the compiled fit of mono-exponential decays."""
        return fused_decay("joint", self.design, self.bounds, saturation, n_voxels)

    def estimate(self, samples: Samples) -> Estimate:
        """Minimise the reduced cost from the best point of a grid."""
        problem = _Reduced(self.design, samples)
        low, high = log_bounds(self.bounds, samples.values)
        start = problem.start(*log_grids(self.design, self.bounds))
        x, converged = minimise(problem, start, low, high, small=4 * tolerance(start.dtype))
        t, status = end_of_search(x, converged, self.bounds, self.design, samples)
        projection, square = problem.project(self.design.basis_with_derivatives(t)[0])
        m0 = projection / square
        return Estimate(torch.cat((m0[None], t)), torch.where(m0 > 0, status, FitStatus.NO_SIGNAL))


class _Reduced(Problem):
    """The reduced problem of some voxels, in which only the logarithms of the relaxation times are left."""

    def project(self, basis: Float[Tensor, "time voxel"]) -> tuple[Float[Tensor, " voxel"], Float[Tensor, " voxel"]]:
        """Compute the weighted products of the basis with the samples and with itself."""
        weight = self.samples.weight
        return (weight * self.samples.values * basis).sum(0), (weight * basis**2).sum(0)

    def evaluate(self, x: Float[Tensor, "t voxel"]) -> Point:
        """Compute the reduced cost, its gradient, and the second derivatives of the cost before the reduction.

        Each image depends on one relaxation time, so these are a row for the amplitude and a diagonal: the second
        derivative with respect to the amplitude, the mixed ones, and those with respect to each log T.
        """
        design, weight, values = self.design, self.samples.weight, self.samples.values
        basis, first, second = design.basis_with_derivatives(torch.exp(x))
        projection, square = self.project(basis)
        m0 = projection / square
        residual = weight * (values - m0 * basis)

        def of_each(terms: Float[Tensor, "time voxel"]) -> Float[Tensor, "t voxel"]:
            return torch.stack([design.only(k, terms).sum(0) for k in range(len(x))])

        residual_first = of_each(residual * first)
        mixed = m0 * of_each(weight * basis * first) - residual_first
        diagonal = m0 * (m0 * of_each(weight * first**2) - of_each(residual * second))
        return Point(
            cost=-(projection.clamp(min=0) ** 2) / square,  # the sum of squares of the samples is the same for all T
            gradient=-m0 * residual_first,
            gradient_scale=m0.abs() * of_each(weight * (values.abs() + (m0 * basis).abs()) * first.abs()),
            hessian=torch.cat((square[None], mixed, diagonal)),
        )

    def step(
        self, point: Point, damping: Float[Tensor, " voxel"], held: Bool[Tensor, "t voxel"]
    ) -> Float[Tensor, "t voxel"]:
        """Compute a damped Newton step; relaxation times that are held do not move.

        With the amplitude eliminated, the curvature is a diagonal matrix minus the square of one vector, which is
        inverted in closed form.
        """
        square, mixed, diagonal = point.hessian[0], point.hessian[1 : 1 + len(held)], point.hessian[1 + len(held) :]
        diagonal = torch.where(held, 1, diagonal.abs() * (1 + damping))
        mixed = torch.where(held, 0, mixed)
        by_diagonal = torch.where(held, 0, point.gradient) / diagonal
        mixed_by_diagonal = mixed / diagonal
        remainder = square * (1 + damping) - (mixed * mixed_by_diagonal).sum(0)
        convex = remainder > 1e-4 * square
        correction = torch.where(convex, (mixed * by_diagonal).sum(0) / remainder, 0)
        return -(by_diagonal + mixed_by_diagonal * correction)

    def start(self, grids: list[Float[Tensor, " _"]], typical: list[int]) -> Float[Tensor, "t voxel"]:
        """Choose a point of a grid in log T for each voxel.

        That is the best T of each contrast by itself where they explain nearly all of the signal together. Elsewhere a
        search goes from there, and from typical values, over one relaxation time after another.
        """
        design, samples = self.design, self.samples
        informative, weighted = design.informative, samples.weight * samples.values

        def project(grid: Float[Tensor, " grid"], k: int, images: Bool[Tensor, " time"]) -> Tensor:
            """Compute the products of :meth:`project` over some images, at each point of a grid: (2, grid, voxel)."""
            basis = design.models[k].basis(torch.exp(grid)[:, None], design.time[images].T)
            return torch.stack((basis @ weighted[images], basis**2 @ samples.weight[images]))

        tables = [project(grid, k, informative & design.images_of(k)) for k, grid in enumerate(grids)]
        common = project(grids[0][:1], 0, ~informative)[:, 0]  # of the common first image, the same for all T
        separate = [_explained(common[:, None] + table).argmax(0) for table in tables]
        start = torch.stack([grid[place] for grid, place in zip(grids, separate, strict=True)])
        together = common + sum(
            table.gather(1, at.expand(2, 1, -1))[:, 0] for table, at in zip(tables, separate, strict=True)
        )
        unsure = (_explained(together) < SURE * samples.dot(samples.values, samples.values)).nonzero()[:, 0]
        if len(unsure):
            usual = list(torch.tensor(typical, device=unsure.device)[:, None].expand(-1, len(unsure)))
            parts = [table[:, :, unsure] for table in tables]
            start[:, unsure] = _sweep(grids, parts, common[:, unsure], ([at[unsure] for at in separate], usual))
        return start


def _explained(products: Float[Tensor, "2 *grid voxel"]) -> Float[Tensor, "*grid voxel"]:
    """Compute the explained sum of squares from the products of the basis with the samples and with itself."""
    return products[0].clamp(min=0) ** 2 / products[1].clamp(min=torch.finfo(products.dtype).tiny)


def _sweep(
    grids: list[Float[Tensor, " _"]],
    tables: list[Float[Tensor, "2 _ voxel"]],
    common: Float[Tensor, "2 voxel"],
    beginnings: tuple[list[Int[Tensor, " voxel"]], ...],
) -> Float[Tensor, "t voxel"]:
    """Search one relaxation time after another on its grid, from several beginnings; keep the best end."""
    voxels = torch.arange(common.shape[1], device=common.device)
    ends = []
    for beginning in beginnings:
        places, reached = list(beginning), common[0]
        for _ in range(SWEEPS):
            for k, table in enumerate(tables):
                others = sum((tables[j][:, places[j], voxels] for j in range(len(tables)) if j != k), common)
                reached, places[k] = _explained(others[:, None] + table).max(0)
        ends.append((reached, torch.stack([grid[place] for grid, place in zip(grids, places, strict=True)])))
    reached, best = ends[0]
    for other_reached, other in ends[1:]:
        best, reached = torch.where(other_reached > reached, other, best), torch.maximum(reached, other_reached)
    return best
