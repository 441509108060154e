"""Maximum likelihood under Rician noise."""

import math
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relaxnet._images import Dim, opens_images
from relaxnet.fitting._core import bessel
from relaxnet.fitting._core.arguments import Device, Times, as_voxels
from relaxnet.fitting._core.bounds import Bounds, end_of_search
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.engine import fit_voxels
from relaxnet.fitting._core.estimator import Estimate, Estimator, estimate_apart
from relaxnet.fitting._core.fused import FusedDecay, fused_decay
from relaxnet.fitting._core.newton import Point, Problem, minimise, tolerance
from relaxnet.fitting._core.projection import PEAK_MARGIN, Grid, grid_of
from relaxnet.fitting._core.quality import goodness
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._like import result_like
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._status import FitStatus
from relaxnet.signals import MonoExponential, SignalModel
from relaxnet.times import TimeUnit

BRIGHT = 10  # times the noise, all samples but the largest are together far above it
FAINT = 1e-2  # an amplitude below this fraction of the noise is none


@opens_images(result_like)
def rician(
    signal: ArrayT,
    times_ms: Times,
    *,
    sigma: Any = None,
    model: SignalModel | None = None,
    mask: Any = None,
    bounds: tuple[float, float] | None = None,
    saturation: float | None = None,
    unit: TimeUnit = "ms",
    dim: Dim = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
    device: Device = None,
) -> FitResult[ArrayT]:
    r"""Fit a separable signal model to magnitude images by maximum likelihood under Rician noise.

    A magnitude is never negative, so noise lifts small signals: least squares takes the lift for a slower decay. The
    likelihood knows of it. With the model's amplitude :math:`A_k = m_0 b(T, t_k)`, its negative logarithm is

    .. math:: \sum_k \frac{(S_k - A_k)^2}{2\sigma^2} - \log\left(e^{-z_k} I_0(z_k)\right), \qquad
       z_k = \frac{S_k A_k}{\sigma^2},

    whose scaled Bessel function neither overflows nor underflows, at any signal-to-noise ratio.

    Parameters
    ----------
    signal
        Magnitude images of one receive channel, with one axis for the times: (batch, time, ...) by default.
    times_ms
        Times of the images in ms, or a :class:`~relaxnet.Contrast`, whose name the map then has.
    sigma
        Standard deviation of the noise in the real and in the imaginary part, needed: one number, one a time, or one a
        sample (of the shape of the signal). :func:`estimate_sigma` finds it from the background or from residuals.
    model
        The signal model, without an offset: that of the contrast, or a mono-exponential decay by default.
    mask
        Voxels to fit: binary, of the shape of the signal without its time axis.
    bounds
        Smallest and largest T, those of the model by default: (1, 5000) in ms. An optimum beyond is set to the bound,
        its status to ``AT_BOUND``.
    saturation
        Samples at or above this value are not used.
    unit
        Unit of ``times_ms``; maps are in ms whatever it is.
    dim
        The time axis of ``signal``.
    chunk_size
        Voxels fitted at once; by default as many as fit the cache of a processor, or fill an accelerator.
    maps_only
        Leave out standard errors and goodness of fit.
    device
        Where to compute, such as ``"cuda"``: by default where the signal is. Maps are where the signal is in any case.
        A signal of another memory is brought over block by block, while the block before it is fitted, so it may be
        larger than the memory of the device.

    Returns
    -------
    FitResult
        Maps with their errors, from the curvature of the likelihood, and status. Residuals are those to the mean of the
        Rician distribution. Negative samples cannot be magnitudes and are not used.

    Raises
    ------
    ValueError
        If ``sigma`` is missing, the model has an offset, or shapes, times, ``mask``, ``bounds`` or ``sigma`` do not fit
        together or make no sense.
    TypeError
        If the signal is not made of real numbers.

    See Also
    --------
    nlls : Faster, and as good where the signal is many times the noise in all images.
    estimate_sigma : Finds the noise level.

    Notes
    -----
    Where the package numba is installed (extra ``fast``), large fits of a mono-exponential decay in single precision on
    the processor are compiled, the first time on a machine within half a minute: :doc:`/speed`.

    References
    ----------
    Sijbers et al., *Maximum-likelihood estimation of Rician distribution parameters*, IEEE Trans Med Imaging 17:357
    (1998).

    Examples
    --------
    >>> clean = rx.signals.MonoExponential()(torch.full((20000,), 100.0), torch.full((20000,), 20.0), (0, 10, 30, 50))
    >>> noisy = rx.signals.add_noise(clean, sigma=10.0, generator=torch.Generator().manual_seed(0))
    >>> for method in ("nlls", "rician"):
    ...     result = rx.fit(noisy, (0, 10, 30, 50), method=method, sigma=10.0)
    ...     print(f"{method}: {result.maps['t'][result.ok].median():.1f} ms, truth 20 ms")
    nlls: 22.2 ms, truth 20 ms
    rician: 19.9 ms, truth 20 ms
    """
    if sigma is None:
        raise ValueError(
            "sigma is missing: Rician likelihood needs the noise level; relaxnet.fitting.estimate_sigma finds it."
        )
    voxels = as_voxels(
        signal, times_ms, model=model, mask=mask, sigma=sigma, saturation=saturation, unit=unit, dim=dim, device=device
    )
    return fit_voxels(Rician, voxels, like=signal, bounds=bounds, chunk_size=chunk_size, maps_only=maps_only)


class Rician(Estimator):
    """Search over the logarithms of amplitude and T."""

    obeys_weights = True

    def __init__(self, design: Design, bounds: tuple[Bounds, ...]) -> None:
        if design.has_offset:
            raise ValueError(
                f"model={design.model!r} has an offset: under Rician noise the floor is part of the likelihood. Use "
                f"{design.model.without_offset}."
            )
        if design.model.signed:
            raise ValueError(
                f"model={design.model!r} is that of signed images, whose noise is Gaussian: use method='nlls', or the "
                f"model of magnitudes."
            )
        super().__init__(design, bounds)

    def usable(self, samples: Float[Tensor, "time voxel"]) -> Bool[Tensor, "time voxel"]:
        """Only samples that can be magnitudes."""
        return samples >= 0

    def fused(self, saturation: float | None, n_voxels: int) -> FusedDecay | None:
        """Take the compiled fit of mono-exponential decays."""
        return fused_decay("rician", self.design, self.bounds, saturation, n_voxels)

    def estimate(self, samples: Samples) -> Estimate:
        """Minimise the negative log-likelihood from the best point of a grid over T, and from rivals of it.

        Where more than one sample is far above the noise, least squares knows the best points.
        """
        grid = grid_of(self.design, self.bounds[0])
        energy = samples.weight * samples.values**2
        bright = energy.sum(0) - energy.amax(0) > (BRIGHT * cast("Tensor", samples.noise)) ** 2
        ways = (bright, True), (~bright, False)
        return estimate_apart(
            samples, ((some, partial(self._estimate, grid=grid, by_least_squares=way)) for some, way in ways)
        )

    def _estimate(self, samples: Samples, grid: Grid, *, by_least_squares: bool) -> Estimate:
        problem = _Likelihood(self.design, samples)
        cost, starts = problem.on_grid_by_least_squares(grid.x) if by_least_squares else problem.on_grid(grid.x)
        # At the end of a piece there may be a ridge, which no descent leaves: begin inside.
        ends = ~(grid.has_lower & grid.has_upper)
        cost[1:-1] = torch.where(ends[1:-1, None], torch.inf, cost[1:-1])
        best = cost.argmin(0)
        x, converged = self._search(problem, grid, starts, best)
        for place, voxels in grid.other_peaks(-cost, best, problem.rival_margin()):
            part = _Likelihood(self.design, samples.pick(voxels))
            other, other_converged = self._search(part, grid, starts[:, voxels], place)
            better = part.evaluate(other).cost < part.evaluate(x[:, voxels]).cost
            x[:, voxels] = torch.where(better, other, x[:, voxels])
            converged[voxels] = torch.where(better, other_converged, converged[voxels])
        t, status = end_of_search(x[1:], converged, self.bounds, self.design, samples)
        m0 = torch.exp(x[0])
        status = torch.where(m0 > FAINT * problem.sigma, status, FitStatus.NO_SIGNAL)
        return Estimate(torch.stack((m0, t[0])), status)

    def _search(
        self, problem: "_Likelihood", grid: Grid, amplitudes: Float[Tensor, "grid voxel"], place: Int[Tensor, " voxel"]
    ) -> tuple[Float[Tensor, "2 voxel"], Bool[Tensor, " voxel"]]:
        """Minimise from one place of the grid for each voxel, within the piece that this lies in."""
        # From an amplitude near 0, the search would take many steps.
        m0 = torch.maximum(amplitudes.gather(0, place[None])[0], 0.1 * problem.sigma)
        start = torch.stack((m0.log(), grid.x[place]))
        # An amplitude that falls below what can be told from zero stays there.
        low = torch.stack((torch.log(FAINT / 2 * problem.sigma), grid.first[place]))
        high = torch.stack((torch.full_like(start[0], torch.inf), grid.last[place]))
        search = partial(minimise, small=10 * tolerance(start.dtype))
        x, converged = search(problem, start, low, high)
        left, first = (~converged).nonzero()[:, 0], self.design.time.min()
        if len(left) and first > 0 and isinstance(self.design.model, MonoExponential):
            # Where only a late first image holds signal, m0 and T lie in a narrow valley that bends; the amplitude of
            # that image and T do not.
            design = replace(self.design, time=self.design.time - first)
            since = torch.stack((first / torch.exp(x[1, left]), torch.zeros_like(x[1, left])))
            part = _Likelihood(design, problem.samples.pick(left))
            found, converged[left] = search(part, x[:, left] - since, low[:, left] - since, high[:, left])
            found[0] += first / torch.exp(found[1])
            x[:, left] = found
        return x, converged

    def judge(self, samples: Samples, values: Float[Tensor, "parameter voxel"]) -> Float[Tensor, "row voxel"]:
        """Compute standard errors from the curvature of the likelihood, and residuals from the mean."""
        problem = _Likelihood(self.design, samples)
        m0, t = values
        by_m0, mixed, by_t = problem.evaluate(torch.log(values)).hessian
        determinant = by_m0 * by_t - mixed**2
        covariance = -mixed / determinant * m0 * t
        residual = torch.where(problem.used, samples.values - problem.mean(m0, t), 0)
        stds = m0 * torch.sqrt(by_t / determinant), t * torch.sqrt(by_m0 / determinant)
        return torch.stack([*stds, covariance, *goodness(samples, residual)])


class _Likelihood(Problem):
    """Negative Rician log-likelihood of some voxels, over the logarithms of amplitude and T."""

    def __init__(self, design: Design, samples: Samples) -> None:
        super().__init__(design, samples)
        self.values = samples.values
        self.sigma = cast("Tensor", samples.noise)
        """Noise level of a sample of weight 1."""
        self.precision = samples.weight / self.sigma**2
        """Inverse variance of each sample, 0 where it is not used."""
        self.used = self.precision > 0

    def _corrected(self) -> Float[Tensor, "time voxel"]:
        """Remove most of the bias from the samples."""
        variance = torch.where(self.used, 1 / torch.where(self.used, self.precision, 1), 0)
        return torch.sqrt((self.values**2 - variance).clamp(min=0))

    def on_grid(self, grid: Float[Tensor, " grid"]) -> tuple[Float[Tensor, "grid voxel"], Float[Tensor, "grid voxel"]]:
        """Compute the cost at all points of a grid in log T, and the amplitudes there.

        The amplitude is that of least squares to samples from which most of the bias has been removed.
        """
        squares, amplitudes = self.on_grid_by_least_squares(grid)
        costs = []
        for x, m0, square in zip(grid, amplitudes, squares, strict=True):
            amplitude = m0 * self.design.model.basis(torch.exp(x), self.design.time)
            cost = self._cost(amplitude, self.precision * self.values * amplitude)
            costs.append(torch.where(torch.isfinite(cost + square), cost, torch.inf))
        return torch.stack(costs), amplitudes

    def on_grid_by_least_squares(
        self, grid: Float[Tensor, " grid"]
    ) -> tuple[Float[Tensor, "grid voxel"], Float[Tensor, "grid voxel"]]:
        """Compute about the same by products of matrices: the cost of least squares, up to a constant."""
        basis = self.design.model.basis(torch.exp(grid)[:, None], self.design.time.T)
        projection, square = basis @ (self.precision * self._corrected()), basis**2 @ self.precision
        m0 = projection / square
        cost = -m0 * projection / 2
        finite = torch.isfinite(cost)
        return torch.where(finite, cost, torch.inf), torch.where(finite, m0, 0)

    def rival_margin(self) -> Float[Tensor, " voxel"]:
        """Return by how much the cost of a point of the grid may exceed the best one's, to be searched from, too."""
        return 1 + PEAK_MARGIN / 2 * (self.precision * self.values**2).sum(0)

    def _cost(self, amplitude: Float[Tensor, "time voxel"], z: Float[Tensor, "time voxel"]) -> Float[Tensor, " voxel"]:
        """Compute the negative log-likelihood from the amplitudes A and from z."""
        return (self.precision * (self.values - amplitude) ** 2 / 2 - bessel.log_i0e(z)).sum(0)

    def evaluate(self, x: Float[Tensor, "2 voxel"]) -> Point:
        """Compute the negative log-likelihood and its first two derivatives with respect to log m0 and log T.

        The entries of the second derivatives are those of m0 twice, of both, and of T twice.
        """
        m0, t = torch.exp(x)
        basis, first, second = self.design.model.basis_with_derivatives(t, self.design.time)
        amplitude, slope = m0 * basis, m0 * first  # A, and its derivative with respect to log T
        z = self.precision * self.values * amplitude
        ratio = bessel.ratio(z)
        # First and second derivative of the cost with respect to A.
        by_a = self.precision * (amplitude - self.values * ratio)
        by_a_twice = self.precision * (1 - self.precision * self.values**2 * _ratio_slope(z, ratio))
        by_m0 = (by_a * amplitude).sum(0)
        scale = self.precision * (amplitude.abs() + self.values * ratio.abs())
        m0_twice = (by_a_twice * amplitude**2).sum(0) + by_m0
        mixed = (by_a_twice * amplitude * slope + by_a * slope).sum(0)
        t_twice = (by_a_twice * slope**2 + by_a * m0 * second).sum(0)
        return Point(
            cost=self._cost(amplitude, z),
            gradient=torch.stack((by_m0, (by_a * slope).sum(0))),
            gradient_scale=torch.stack(((scale * amplitude.abs()).sum(0), (scale * slope.abs()).sum(0))),
            hessian=torch.stack((m0_twice, mixed, t_twice)),
        )

    def step(
        self, point: Point, damping: Float[Tensor, " voxel"], held: Bool[Tensor, "2 voxel"]
    ) -> Float[Tensor, "2 voxel"]:
        """Compute a damped Newton step; parameters that are held do not move."""
        by_m0, by_t = torch.where(held, 0, point.gradient)
        m0_twice, t_twice = torch.where(held, 1, point.hessian[::2].abs() * (1 + damping))
        mixed = torch.where(held.any(0), 0, point.hessian[1])
        # Where the matrix is not positive definite, follow each derivative by itself.
        mixed = torch.where(m0_twice * t_twice > 1.0001 * mixed**2, mixed, 0)
        determinant: Tensor = m0_twice * t_twice - mixed**2
        return torch.stack((mixed * by_t - t_twice * by_m0, mixed * by_m0 - m0_twice * by_t)) / determinant

    def mean(self, m0: Float[Tensor, " voxel"], t: Float[Tensor, " voxel"]) -> Float[Tensor, "time voxel"]:
        """Compute the mean of the Rician distribution, which lies above the amplitude."""
        amplitude = m0 * self.design.model.basis(t, self.design.time)
        half = self.precision * amplitude**2 / 4
        laguerre = (1 + 2 * half) * torch.special.i0e(half) + 2 * half * torch.special.i1e(half)
        return torch.where(self.used, math.sqrt(math.pi / 2) * laguerre / torch.sqrt(self.precision), 0)


def _ratio_slope(z: Float[Tensor, "time voxel"], ratio: Float[Tensor, "time voxel"]) -> Float[Tensor, "time voxel"]:
    """Differentiate I1(z)/I0(z): in closed form for small z, by its series where that would cancel."""
    small = z < 30
    closed = 1 - ratio / torch.where(z > 1e-6, z, 1) - ratio**2
    closed = torch.where(z > 1e-6, closed, 0.5)
    inverse = 1 / torch.where(small, 30, z)
    return torch.where(small, closed, inverse**2 * (0.5 + inverse * (0.25 + 0.375 * inverse)))
