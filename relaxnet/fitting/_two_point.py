"""Closed-form fit of two images."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relaxnet.fitting._design import Design
from relaxnet.fitting._engine import Estimate, Estimator, run
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._samples import Samples
from relaxnet.fitting._status import FitStatus
from relaxnet.fitting._voxels import Times, check_bounds, check_voxels
from relaxnet.protocol import TimeUnit
from relaxnet.signals import MonoExponential


def two_point(
    signal: ArrayT,
    times_ms: Times,
    *,
    pair: tuple[int, int] = (0, -1),
    mask: Any = None,
    bounds: tuple[float, float] | None = None,
    sigma: Any = None,
    saturation: float | None = None,
    unit: TimeUnit = "ms",
    dim: int = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
) -> FitResult[ArrayT]:
    r"""Fit a mono-exponential decay through two images.

    .. math:: T = \frac{t_k - t_0}{\log(S_0 / S_k)}, \qquad m_0 = S_0\, e^{t_0/T}

    Parameters
    ----------
    signal
        Magnitude images, real, with one axis for the times: (batch, time, ...) by default. One axis is one voxel.
    times_ms
        Times of the images in ms, or a :class:`~relaxnet.Contrast`, whose name the map then has.
    pair
        Which two images to use, as positions along the time axis.
    mask
        Voxels to fit: binary, of the shape of the signal without its time axis.
    bounds
        Shortest and longest T in ms, (1, 5000) by default. A T beyond is set to the bound, its status to ``AT_BOUND``.
    sigma
        Standard deviation of the noise: one number, one a time, or one a sample (of the shape of the signal). Without
        it there are no standard errors, because two samples leave no residual to estimate it from.
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
        Maps with their errors and status. Samples that are zero, negative or not finite are not used.

    Raises
    ------
    ValueError
        If shapes, times, ``pair``, ``mask``, ``bounds`` or ``sigma`` do not fit together or make no sense.
    TypeError
        If the signal is not made of real numbers.

    See Also
    --------
    nlls : Uses all images.

    References
    ----------
    Huang et al. (2023), section III-C.

    Examples
    --------
    >>> result = rx.fitting.two_point(torch.tensor([[100.0, 36.788]]), (0, 50))
    >>> result.maps["t"].round(decimals=2)
    tensor([50.])
    """
    voxels = check_voxels(signal, times_ms, mask=mask, sigma=sigma, saturation=saturation, unit=unit, dim=dim)
    n_times = len(voxels.times)
    first, second = pair
    if not all(-n_times <= position < n_times for position in pair):
        raise ValueError(f"pair={pair}: the signal has {n_times} images.")
    chosen = voxels.at([first % n_times, second % n_times])
    if chosen.times[0] == chosen.times[1]:
        raise ValueError(f"pair={pair} has the times {chosen.times.tolist()} ms: choose two images of different times.")
    design = Design(MonoExponential(), chosen.times[:, None], (voxels.t_name,))
    estimator = TwoPoint(design, check_bounds(bounds, chosen.times))
    return run(estimator, chosen, like=signal, chunk_size=chunk_size, maps_only=maps_only)


class TwoPoint(Estimator):
    """The decay through two positive samples."""

    def __init__(self, design: Design, bounds: tuple[float, float]) -> None:
        super().__init__(design)
        self.bounds = bounds

    def usable(self, samples: Float[Tensor, "time voxel"]) -> Bool[Tensor, "time voxel"]:
        """Only positive samples have a logarithm."""
        return samples > 0

    def estimate(self, samples: Samples) -> Estimate:
        """Evaluate the closed form."""
        start, end = samples.values
        first, second = self.design.time
        t, status = bounded(torch.log(start / end) / (second - first), self.bounds)
        return Estimate(torch.stack((start * torch.exp(first / t), t)), status)


def bounded(
    rate: Float[Tensor, " voxel"], bounds: tuple[float, float]
) -> tuple[Float[Tensor, " voxel"], Int[Tensor, " voxel"]]:
    """Turn decay rates into relaxation times within the bounds, and say where that was not possible."""
    low, high = bounds
    t = torch.where(rate > 0, (1 / rate).clamp(low, high), high)
    status = torch.where((t > low) & (t < high), FitStatus.CONVERGED, FitStatus.AT_BOUND)
    return t, torch.where(rate < 0, FitStatus.NO_DECAY, status)
