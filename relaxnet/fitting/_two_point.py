"""Closed-form fit of two images."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.fitting._engine import Estimate, run
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._status import FitStatus
from relaxnet.fitting._voxels import Times, check_bounds, check_sigma, check_voxels
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
        Standard deviation of the noise: one number, or one a time. Without it there are no standard errors, because two
        samples leave no residual to estimate it from.
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
    >>> result.maps["t"]
    tensor([50.000...])
    """
    voxels = check_voxels(signal, times_ms, mask=mask, saturation=saturation, unit=unit, dim=dim)
    n_times = len(voxels.times)
    first, second = pair
    if not all(-n_times <= position < n_times for position in pair):
        raise ValueError(f"pair={pair}: the signal has {n_times} images.")
    chosen = [first % n_times, second % n_times]
    times = voxels.times[chosen]
    if times[0] == times[1]:
        raise ValueError(f"pair={pair} has the times {times.tolist()} ms: choose two images of different times.")
    low, high = check_bounds(bounds, times)
    noise = check_sigma(sigma, voxels.times)

    def estimator(
        samples: Float[Tensor, "2 voxel"], weight: Float[Tensor, "2 #voxel"], time: Float[Tensor, "2 1"]
    ) -> Estimate:
        del weight
        start, end = samples
        rate = torch.log(start / end) / (time[1] - time[0])
        t = (1 / rate).clamp(low, high)
        t = torch.where(rate <= 0, high, t)
        status = torch.where((t > low) & (t < high), FitStatus.CONVERGED, FitStatus.AT_BOUND)
        status = torch.where(rate < 0, FitStatus.NO_DECAY, status)
        return Estimate(start * torch.exp(time[0] / t), t, status)

    return run(
        estimator,
        voxels.at(chosen),
        MonoExponential(),
        sigma=None if noise is None else noise[chosen],
        positive_only=True,
        chunk_size=chunk_size,
        like=signal,
    )
