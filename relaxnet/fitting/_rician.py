"""Maximum likelihood under Rician noise."""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.fitting._design import Design
from relaxnet.fitting._engine import Estimate, Estimator, run
from relaxnet.fitting._projection import tolerance
from relaxnet.fitting._quality import goodness
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._samples import Samples
from relaxnet.fitting._status import FitStatus
from relaxnet.fitting._voxels import Times, check_bounds, check_voxels
from relaxnet.protocol import TimeUnit
from relaxnet.signals import MonoExponential, SignalModel

MAX_STEPS = 100
FAINT = 1e-2  # an amplitude below this fraction of the noise is none


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
    dim: int = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
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
        The signal model, without an offset; a mono-exponential decay by default.
    mask
        Voxels to fit: binary, of the shape of the signal without its time axis.
    bounds
        Shortest and longest T in ms, (1, 5000) by default. An optimum beyond is set to the bound, its status to
        ``AT_BOUND``.
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
    chosen = MonoExponential() if model is None else model
    if chosen.has_offset:
        raise ValueError(
            "model has an offset: under Rician noise the floor is part of the likelihood. Use one without."
        )
    voxels = check_voxels(signal, times_ms, mask=mask, sigma=sigma, saturation=saturation, unit=unit, dim=dim)
    design = Design(chosen, voxels.times[:, None], (voxels.t_name,))
    estimator = Rician(design, check_bounds(bounds, voxels.times))
    return run(estimator, voxels, like=signal, chunk_size=chunk_size, maps_only=maps_only)


class Rician(Estimator):
    """Search over amplitude and log T."""

    def __init__(self, design: Design, bounds: tuple[float, float]) -> None:
        super().__init__(design)
        self.bounds = bounds

    def usable(self, samples: Float[Tensor, "time voxel"]) -> Bool[Tensor, "time voxel"]:
        """Only samples that can be magnitudes."""
        return samples >= 0

    def estimate(self, samples: Samples) -> Estimate:
        """Start at the best point of a grid over T, and climb from there."""
        problem = _Likelihood(self.design, samples)
        low, high = (math.log(bound) for bound in self.bounds)
        m0, x = problem.start(low, high)
        m0, x, settled = _climb(problem, m0, x, low, high)
        margin = 4 * torch.finfo(x.dtype).eps * max(1.0, abs(low), abs(high))
        at_low, at_high = x <= low + margin, x >= high - margin
        t = torch.where(at_low, self.bounds[0], torch.where(at_high, self.bounds[1], torch.exp(x)))
        status = torch.where(at_low | at_high, FitStatus.AT_BOUND, FitStatus.CONVERGED)
        contradicted = self.design.model.contradicted_by(samples.values, samples.weights(), self.design.time)
        status = torch.where(at_high & contradicted, FitStatus.NO_DECAY, status)
        status = torch.where(settled, status, FitStatus.NOT_CONVERGED)
        status = torch.where(m0 > FAINT * problem.least_sigma, status, FitStatus.NO_SIGNAL)
        return Estimate(torch.stack((m0, t)), status)

    def judge(self, samples: Samples, values: Float[Tensor, "parameter voxel"]) -> Float[Tensor, "row voxel"]:
        """Invert the curvature of the likelihood."""
        problem = _Likelihood(self.design, samples)
        m0, t = values
        at = problem.evaluate(m0, torch.log(t))
        determinant = at.mm * at.xx - at.mx**2
        covariance = -at.mx / determinant * t
        residual = torch.where(problem.used, samples.values - problem.mean(m0, t), 0)
        stds = torch.sqrt(at.xx / determinant), t * torch.sqrt(at.mm / determinant)
        return torch.stack([*stds, covariance, *goodness(samples, residual)])


class _Point(NamedTuple):
    """Negative log-likelihood at some amplitude m and log T x, with its derivatives."""

    cost: Float[Tensor, " voxel"]
    m: Float[Tensor, " voxel"]
    x: Float[Tensor, " voxel"]
    mm: Float[Tensor, " voxel"]
    mx: Float[Tensor, " voxel"]
    xx: Float[Tensor, " voxel"]


class _Likelihood:
    """Rician likelihood of some voxels."""

    def __init__(self, design: Design, samples: Samples) -> None:
        self.design = design
        self.samples = samples
        self.values = samples.values
        self.least_sigma = samples.noise if samples.noise is not None else torch.ones_like(self.values[0])
        # The inverse variance of each sample, 0 where it is not used.
        self.precision = (samples.weights() / self.least_sigma**2).expand_as(self.values)
        self.used = self.precision > 0

    def pick(self, chosen: Tensor) -> "_Likelihood":
        """Keep some of the voxels."""
        return _Likelihood(self.design, self.samples.pick(chosen))

    def start(self, low: float, high: float) -> tuple[Float[Tensor, " voxel"], Float[Tensor, " voxel"]]:
        """Find the best of a grid over log T, with the amplitude of least squares to samples roughly corrected."""
        n_grid = max(3, int((high - low) / self.design.model.log_step) + 2)
        grid = torch.linspace(low, high, n_grid, dtype=self.values.dtype, device=self.values.device)
        variance = torch.where(self.used, 1 / torch.where(self.used, self.precision, 1), 0)
        corrected = torch.sqrt((self.values**2 - variance).clamp(min=0))
        best_cost = torch.full_like(self.values[0], torch.inf)
        best_m0, best_x = torch.zeros_like(best_cost), torch.full_like(best_cost, low)
        for x in grid:
            basis = self.design.model.basis(torch.exp(x), self.design.time)
            m0 = (self.precision * corrected * basis).sum(0) / (self.precision * basis**2).sum(0)
            cost = self._cost(m0 * basis)
            better = cost < best_cost
            best_cost = torch.where(better, cost, best_cost)
            best_m0, best_x = torch.where(better, m0, best_m0), torch.where(better, x, best_x)
        # From an amplitude of exactly 0 there is no way up.
        return torch.maximum(best_m0, 0.1 * self.least_sigma), best_x

    def _cost(self, amplitude: Float[Tensor, "time voxel"]) -> Float[Tensor, " voxel"]:
        z = self.precision * self.values * amplitude
        return (self.precision * (self.values - amplitude) ** 2 / 2 - torch.log(torch.special.i0e(z))).sum(0)

    def evaluate(self, m0: Float[Tensor, " voxel"], x: Float[Tensor, " voxel"]) -> _Point:
        """Compute the negative log-likelihood and its first two derivatives by amplitude and log T."""
        basis, first, second = self.design.model.jet(torch.exp(x), self.design.time)
        amplitude, slope = m0 * basis, m0 * first
        z = self.precision * self.values * amplitude
        scaled = torch.special.i0e(z)
        ratio = torch.special.i1e(z) / scaled
        pull = self.precision * (amplitude - self.values * ratio)
        stiffness = self.precision * (1 - self.precision * self.values**2 * _ratio_slope(z, ratio))
        return _Point(
            cost=(self.precision * (self.values - amplitude) ** 2 / 2 - torch.log(scaled)).sum(0),
            m=(pull * basis).sum(0),
            x=(pull * slope).sum(0),
            mm=(stiffness * basis**2).sum(0),
            mx=(stiffness * basis * slope + pull * first).sum(0),
            xx=(stiffness * slope**2 + pull * m0 * second).sum(0),
        )

    def mean(self, m0: Float[Tensor, " voxel"], t: Float[Tensor, " voxel"]) -> Float[Tensor, "time voxel"]:
        """Give the mean of the Rician distribution, which lies above the amplitude."""
        amplitude = m0 * self.design.model.basis(t, self.design.time)
        half = self.precision * amplitude**2 / 4
        laguerre = (1 + 2 * half) * torch.special.i0e(half) + 2 * half * torch.special.i1e(half)
        return torch.where(self.used, math.sqrt(math.pi / 2) * laguerre / torch.sqrt(self.precision), 0)


def _ratio_slope(z: Float[Tensor, "time voxel"], ratio: Float[Tensor, "time voxel"]) -> Float[Tensor, "time voxel"]:
    """Differentiate I1/I0: in closed form where z is small, by its series where that would cancel."""
    small = z < 30
    closed = 1 - ratio / torch.where(z > 1e-6, z, 1) - ratio**2
    closed = torch.where(z > 1e-6, closed, 0.5)
    inverse = 1 / torch.where(small, 30, z)
    return torch.where(small, closed, inverse**2 * (0.5 + inverse * (0.25 + 0.375 * inverse)))


def _climb(
    problem: _Likelihood, m0: Float[Tensor, " voxel"], x: Float[Tensor, " voxel"], low: float, high: float
) -> tuple[Float[Tensor, " voxel"], Float[Tensor, " voxel"], Bool[Tensor, " voxel"]]:
    """Run a damped Newton method (Levenberg and Marquardt) until a voxel's step is below the tolerance.

    A step that would make the likelihood worse is not taken, and the next one is shorter. T stays at a bound for as
    long as the likelihood rises beyond it. Settled voxels are taken out.
    """
    small = 10 * tolerance(x.dtype)
    rounding = 8 * torch.finfo(x.dtype).eps
    result_m0, result_x, settled = m0.clone(), x.clone(), torch.zeros_like(x, dtype=torch.bool)
    active = torch.arange(len(x), device=x.device)
    damping = torch.full_like(x, 1e-3)
    here = problem.evaluate(m0, x)
    for _ in range(MAX_STEPS):
        held = ((x <= low) & (here.x > 0)) | ((x >= high) & (here.x < 0))
        mm = here.mm.abs() * (1 + damping)
        xx = torch.where(held, 1, here.xx.abs() * (1 + damping))
        mx = torch.where(held, 0, here.mx)
        mx = torch.where(mm * xx > 1.0001 * mx**2, mx, 0)  # not convex here: follow the slope of each by itself
        by_x = torch.where(held, 0, here.x)
        determinant = mm * xx - mx**2
        step_m = (mx * by_x - xx * here.m) / determinant
        step_x = ((mx * here.m - mm * by_x) / determinant).clamp(-1, 1)
        new_m0, new_x = torch.maximum(m0 + step_m, 0.1 * m0), (x + step_x).clamp(low, high)
        there = problem.evaluate(new_m0, new_x)
        better = there.cost <= here.cost + rounding * here.cost.abs()
        done = ((new_x - x).abs() <= small) & ((new_m0 - m0).abs() <= small * m0)
        done |= new_m0 < FAINT * problem.least_sigma
        damping = torch.where(better, damping / 10, damping * 8).clamp(1e-12, 1e12)
        m0, x = torch.where(better, new_m0, m0), torch.where(better, new_x, x)
        here = _Point(*(torch.where(better, a, b) for a, b in zip(there, here, strict=True)))
        result_m0[active], result_x[active], settled[active] = m0, x, done
        if done.all():
            break
        keep = (~done).nonzero()[:, 0]
        if len(keep) < 0.75 * len(done):
            active, problem = active[keep], problem.pick(keep)
            m0, x, damping = m0[keep], x[keep], damping[keep]
            here = _Point(*(part[keep] for part in here))
    return result_m0, result_x, settled
