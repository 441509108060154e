"""Nonlinear least squares by variable projection."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relaxnet.fitting._engine import Estimate, run
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._status import FitStatus
from relaxnet.fitting._voxels import Times, check_bounds, check_sigma, check_voxels
from relaxnet.protocol import TimeUnit
from relaxnet.signals import MonoExponential, SignalModel

GRID_STEP = 0.27  # in log T; the reduced cost has no finer structure, since it is smooth over a factor e in T
MAX_STEPS = 60  # Newton takes 3 to 6; bisection alone needs 40 from a bracket of two grid steps to 1e-12


def nlls(
    signal: ArrayT,
    times_ms: Times,
    *,
    model: SignalModel | None = None,
    mask: Any = None,
    bounds: tuple[float, float] | None = None,
    sigma: Any = None,
    saturation: float | None = None,
    unit: TimeUnit = "ms",
    dim: int = 1,
    chunk_size: int | None = None,
) -> FitResult[ArrayT]:
    r"""Fit a separable signal model to every voxel by nonlinear least squares.

    The amplitude is linear, so it is eliminated (variable projection): with the basis :math:`b(T)`,

    .. math:: m_0(T) = \frac{\langle S, b \rangle}{\langle b, b \rangle}, \qquad
       c(T) = \langle S, S \rangle - \frac{\langle S, b \rangle^2}{\langle b, b \rangle},

    and only T is searched: the best of a grid in log T gives a bracket around the global optimum within the bounds,
    where a safeguarded Newton method runs, for each voxel until it has converged.

    Parameters
    ----------
    signal
        Magnitude images, real, with one axis for the times: (batch, time, ...) by default. One axis is one voxel.
    times_ms
        Times of the images in ms, in any order, or a :class:`~relaxnet.Contrast`, whose name the map then has.
    model
        The signal model; a mono-exponential decay by default.
    mask
        Voxels to fit: binary, of the shape of the signal without its time axis.
    bounds
        Shortest and longest T in ms, (1, 5000) by default. An optimum beyond is set to the bound and its status to
        ``AT_BOUND``. The search never goes below 1/40 of the first time, where all signal has vanished.
    sigma
        Standard deviation of the noise: one number, or one a time, which then also weighs the samples. Without it, the
        standard errors come from the residuals.
    saturation
        Samples at or above this value are not used.
    unit
        Unit of ``times_ms``; maps are in ms whatever it is.
    dim
        The time axis of ``signal``.
    chunk_size
        Voxels fitted at once; by default as many as fit the cache of a processor, or fill an accelerator.

    Returns
    -------
    FitResult
        Maps with their errors and status. Samples that are not finite are not used. Zero and negative samples are;
        they are what noise makes of a small signal.

    Raises
    ------
    ValueError
        If shapes, times, ``mask``, ``bounds`` or ``sigma`` do not fit together or make no sense.
    TypeError
        If the signal is not made of real numbers.

    See Also
    --------
    two_point : Closed form for two images.

    Notes
    -----
    Float64 signals are fitted in float64, all others in float32. The signal is never modified; gradients do not flow
    through the fit. Memory beyond the signal and the maps is that of one chunk.

    References
    ----------
    Golub and Pereyra, *Separable nonlinear least squares: the variable projection method and its applications*, Inverse
    Problems 19:R1 (2003).

    Examples
    --------
    >>> signal = rx.signals.MonoExponential()(torch.tensor([100.0]), torch.tensor([45.0]), (0, 10, 30, 50))
    >>> result = rx.fitting.nlls(signal, (0, 10, 30, 50))
    >>> result.maps["t"], result.maps["m0"]
    (tensor([45.000...]), tensor([100.000...]))
    """
    voxels = check_voxels(signal, times_ms, mask=mask, saturation=saturation, unit=unit, dim=dim)
    low, high = check_bounds(bounds, voxels.times)
    noise = check_sigma(sigma, voxels.times)
    chosen = MonoExponential() if model is None else model

    def estimator(
        samples: Float[Tensor, "time voxel"], weight: Float[Tensor, "time #voxel"], time: Float[Tensor, "time 1"]
    ) -> Estimate:
        return project(chosen, samples, weight, time, low, high)

    return run(estimator, voxels, chosen, sigma=noise, positive_only=False, chunk_size=chunk_size, like=signal)


def project(
    model: SignalModel,
    samples: Float[Tensor, "time voxel"],
    weight: Float[Tensor, "time #voxel"],
    time: Float[Tensor, "time 1"],
    low: float,
    high: float,
) -> Estimate:
    """Minimise the reduced cost over log T between two bounds."""
    log_low, log_high = (torch.tensor(bound, dtype=samples.dtype).log().item() for bound in (low, high))
    n_grid = max(3, int((log_high - log_low) / GRID_STEP) + 2)
    grid = torch.linspace(log_low, log_high, n_grid, dtype=samples.dtype, device=samples.device)
    best, has_signal = _search(model, samples, weight, time, grid)
    x, settled = _newton(model, samples, weight, time, grid, best)
    t = torch.exp(x)
    basis = model.basis(t, time)
    m0 = (weight * samples * basis).sum(0) / (weight * basis**2).sum(0)
    margin = 4 * torch.finfo(x.dtype).eps * max(1.0, abs(log_low), abs(log_high))
    at_low, at_high = x <= log_low + margin, x >= log_high - margin
    t = torch.where(at_low, low, torch.where(at_high, high, t))
    status = torch.where(at_low | at_high, FitStatus.AT_BOUND, FitStatus.CONVERGED)
    status = torch.where(at_high & model.contradicted_by(samples, weight, time), FitStatus.NO_DECAY, status)
    status = torch.where(settled, status, FitStatus.NOT_CONVERGED)
    status = torch.where(has_signal & (m0 > 0), status, FitStatus.NO_SIGNAL)
    return Estimate(m0, t, status)


def _search(
    model: SignalModel,
    samples: Float[Tensor, "time voxel"],
    weight: Float[Tensor, "time #voxel"],
    time: Float[Tensor, "time 1"],
    grid: Float[Tensor, " grid"],
) -> tuple[Int[Tensor, " voxel"], Tensor]:
    """Find the point of the grid with the smallest reduced cost, and whether any point has a positive amplitude."""
    basis = model.basis(torch.exp(grid)[:, None], time.T)
    projection = (basis @ (weight * samples)).clamp(min=0)
    square = (basis**2) @ weight
    gain, best = (projection**2 / square).max(0)
    return best, gain > 0


def _newton(
    model: SignalModel,
    samples: Float[Tensor, "time voxel"],
    weight: Float[Tensor, "time #voxel"],
    time: Float[Tensor, "time 1"],
    grid: Float[Tensor, " grid"],
    best: Int[Tensor, " voxel"],
) -> tuple[Float[Tensor, " voxel"], Tensor]:
    """Run Newton's method on the reduced cost, inside a bracket that shrinks with every sign of the gradient.

    A step that leaves the bracket, or meets a cost that is not convex, is replaced by a bisection. A voxel has settled
    when its step is below the tolerance, or when its gradient cannot be told from zero in this precision. Settled
    voxels are taken out, so the slowest ones do not cost time for all.
    """
    eps = torch.finfo(samples.dtype).eps
    tolerance = 1e-6 if samples.dtype == torch.float32 else 1e-12
    x = grid[best]
    settled = torch.zeros_like(x, dtype=torch.bool)
    current, lower, upper = x, grid[(best - 1).clamp(min=0)], grid[(best + 1).clamp(max=len(grid) - 1)]
    active = torch.arange(len(x), device=x.device)
    weight = weight.expand_as(samples)
    for _ in range(MAX_STEPS):
        gradient, curvature, rounding = _derivatives(model, samples, weight, time, torch.exp(current))
        lower = torch.where(gradient < 0, current, lower)
        upper = torch.where(gradient > 0, current, upper)
        step = current - gradient / curvature
        inside = (curvature > 0) & (step >= lower) & (step <= upper)
        following = torch.where(inside, step, (lower + upper) / 2)
        flat = gradient.abs() <= 4 * eps * rounding
        following = torch.where(flat, current, following)
        done = (following - current).abs() <= tolerance
        x[active] = following
        settled[active] = done
        if done.all():
            break
        keep = ~done
        active, current, lower, upper = active[keep], following[keep], lower[keep], upper[keep]
        samples, weight = samples[:, keep], weight[:, keep]
    return x, settled


def _derivatives(
    model: SignalModel,
    samples: Float[Tensor, "time voxel"],
    weight: Float[Tensor, "time voxel"],
    time: Float[Tensor, "time 1"],
    t: Float[Tensor, " voxel"],
) -> tuple[Float[Tensor, " voxel"], Float[Tensor, " voxel"], Float[Tensor, " voxel"]]:
    """Differentiate half the reduced cost twice with respect to log T; also tell the size of the terms that cancel."""
    basis, first, second = model.jet(t, time)
    square = (weight * basis**2).sum(0)
    m0 = (weight * samples * basis).sum(0) / square
    residual = weight * (samples - m0 * basis)
    overlap = (weight * basis * first).sum(0)
    pull = (residual * first).sum(0)
    m0_slope = (pull - m0 * overlap) / square
    gradient = -m0 * pull
    curvature = (
        m0 * (m0 * (weight * first**2).sum(0) + m0_slope * overlap - (residual * second).sum(0)) - m0_slope * pull
    )
    rounding = m0.abs() * (weight * (samples.abs() + m0.abs() * basis.abs()) * first.abs()).sum(0)
    return gradient, curvature, rounding
