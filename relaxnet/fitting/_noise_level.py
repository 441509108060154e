"""How noisy a series of images is."""

import math
from typing import Any

import numpy as np
import scipy  # which loads its parts when they are first used
import torch

from relaxnet._images import Dim, opens_images
from relaxnet.denoise._noise_level import image_noise
from relaxnet.fitting._core.arguments import Times, as_voxels
from relaxnet.fitting._core.voxels import Voxels
from relaxnet.fitting._like import result_like
from relaxnet.fitting._nlls import nlls
from relaxnet.fitting._result import FitResult, to_numpy
from relaxnet.signals import SignalModel
from relaxnet.signals._precision import in_double
from relaxnet.times import TimeUnit

_FEWEST = 8  # voxels along each of two axes, for their differences to say something


@opens_images(result_like)
def estimate_sigma(
    signal: Any,
    times_ms: Times,
    *,
    model: SignalModel | None = None,
    background: Any = None,
    mask: Any = None,
    saturation: float | None = None,
    unit: TimeUnit = "ms",
    dim: Dim = 1,
) -> float:
    r"""Estimate the standard deviation of the noise, in the real and in the imaginary part of the complex images.

    From ``background``, where there is no signal, it follows from the mean square of the magnitudes, which is
    :math:`2\sigma^2`. Without, it is the smaller of two estimates, since whatever disturbs one of them makes it too
    large:

    - from the residuals of least-squares fits, which hold what the model does not describe, too: the median over the
      voxels of the residual sum of squares, over the median of the :math:`\chi^2` distribution that it has;
    - where voxels have neighbours, from differences between these, which hold fine texture, too: the median magnitude
      of :math:`(a - b - c + d)/2` of four neighbours in the bright half of an image.

    Parameters
    ----------
    signal
        Magnitude images, real, with one axis for the times: (batch, time, ...) by default.
    times_ms
        Times of the images in ms, or a :class:`~relaxnet.Contrast`.
    model
        The signal model: that of the contrast, or a mono-exponential decay by default.
    background
        Voxels of air, away from ghosts: binary, of the shape of the signal without its time axis.
    mask
        Without a background, voxels to fit; by default all that converge. Choose those with much signal: residuals of
        noise alone are too small, because a magnitude varies less than either of its parts.
    saturation
        Samples at or above this value are not used.
    unit
        Unit of ``times_ms``.
    dim
        The time axis of ``signal``.

    Returns
    -------
    float
        The noise level, in signal units.

    Raises
    ------
    ValueError
        If both a background and a mask are given, if there is no voxel to learn from, or if arguments make no sense.

    Notes
    -----
    Images that the scanner has filtered, interpolated, or combined from several channels have another distribution;
    neighbours that were smoothed or interpolated differ by less than the noise. There, learn from the background.

    References
    ----------
    Donoho and Johnstone, *Ideal spatial adaptation by wavelet shrinkage*, Biometrika 81:425 (1994).

    Examples
    --------
    >>> clean = rx.signals.MonoExponential()(torch.full((5000,), 100.0), torch.full((5000,), 45.0), (0, 10, 30, 50))
    >>> noisy = rx.signals.add_noise(clean, sigma=4.0, generator=torch.Generator().manual_seed(0))
    >>> round(rx.fitting.estimate_sigma(noisy, (0, 10, 30, 50)), 1)
    4.0
    """
    shared: Any = {"model": model, "saturation": saturation, "unit": unit, "dim": dim}
    if background is not None:
        if mask is not None:
            raise ValueError("background and mask are both given: learn from the one or from the other.")
        voxels = as_voxels(signal, times_ms, mask=background, sigma=None, **shared)
        parts = [in_double(voxels.read(block)) for block in voxels.blocks(None)]
        samples = torch.cat([part[torch.isfinite(part)] for part in parts]) if parts else torch.empty(0)
        if samples.numel() == 0:
            raise ValueError("background holds no sample: choose voxels of air.")
        return float(torch.sqrt((samples**2).mean() / 2))
    voxels = as_voxels(signal, times_ms, mask=mask, sigma=None, **shared)
    return min(from_residuals(nlls(signal, times_ms, mask=mask, **shared)), from_neighbours(voxels))


def from_residuals(result: FitResult[Any]) -> float:
    """Estimate the noise level from the residuals of a fit without a known one."""
    ok, rmse, n_used = (to_numpy(values) for values in (result.ok, result.rmse, result.n_used))
    n_parameters = len(result.maps)
    ok = ok & (n_used > n_parameters)
    if not ok.any():
        raise ValueError("no voxel leaves a residual: there must be converged fits of more images than parameters.")
    usual = int(np.median(n_used[ok]))
    squares = (rmse.astype(np.float64) ** 2 * n_used)[ok & (n_used == usual)]
    return float(np.sqrt(np.median(squares) / (2 * scipy.special.gammaincinv((usual - n_parameters) / 2, 0.5))))


def from_neighbours(voxels: Voxels) -> float:
    """Take the smallest estimate over all pairs of adjacent axes; infinite where too few voxels have neighbours."""
    n_times, estimates = len(voxels.times), [math.inf]
    images = torch.zeros(n_times, *voxels.space, dtype=voxels.times.dtype, device=voxels.times.device)
    for block in voxels.blocks(None):
        samples = voxels.read(block)
        target = images[(slice(None), *block)]
        images[(slice(None), *block)] = torch.where(voxels.used(samples), samples, 0).reshape(target.shape)
    for axis in range(1, images.ndim - 1):
        slices = images.movedim((axis, axis + 1), (-2, -1)).reshape(n_times, -1, *images.shape[axis : axis + 2])
        if min(slices.shape[2:]) >= _FEWEST:
            noise = image_noise(slices.movedim(0, 1))
            estimates.append(float(noise[noise > 0].median()) if (noise > 0).any() else math.inf)
    return min(estimates)
