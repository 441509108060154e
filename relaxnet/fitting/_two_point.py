"""Closed-form fit of two images."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet._images import Dim, opens_images
from relaxnet.fitting._core.arguments import Device, Times, as_voxels, is_whole
from relaxnet.fitting._core.bounds import clip_to_bounds
from relaxnet.fitting._core.engine import fit_voxels
from relaxnet.fitting._core.estimator import Estimate, Estimator
from relaxnet.fitting._core.projection import grid_of
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._like import result_like
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._status import FitStatus
from relaxnet.signals import ExponentialDecay, SignalModel
from relaxnet.times import TimeUnit

_HALVINGS = 50  # of a step of the grid, to less than the rounding of double precision


@opens_images(result_like)
def two_point(
    signal: ArrayT,
    times_ms: Times,
    *,
    pair: tuple[int, int] = (0, -1),
    model: SignalModel | None = None,
    mask: Any = None,
    bounds: tuple[float, float] | None = None,
    sigma: Any = None,
    saturation: float | None = None,
    unit: TimeUnit = "ms",
    dim: Dim = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
    device: Device = None,
) -> FitResult[ArrayT]:
    r"""Fit a signal model through two images.

    Of a mono-exponential decay, and of other models that have one, there is a closed form:

    .. math:: T = \frac{t_k - t_0}{\log(S_0 / S_k)}, \qquad m_0 = S_0\, e^{t_0/T}

    Of others, the T with :math:`S_0\, b(T, t_k) = S_k\, b(T, t_0)` is searched.

    Parameters
    ----------
    signal
        Magnitude images, real, with one axis for the times: (batch, time, ...) by default. One axis is one voxel.
    times_ms
        Times of the images in ms, or a :class:`~relaxnet.Contrast`, whose name the map then has.
    pair
        Which two images to use, as positions along the time axis.
    model
        The signal model, without an offset: that of the contrast, or a mono-exponential decay by default.
    mask
        Voxels to fit: binary, of the shape of the signal without its time axis.
    bounds
        Smallest and largest T, those of the model by default: (1, 5000) in ms. A T beyond is set to the bound, its
        status to ``AT_BOUND``.
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
    device
        Where to compute, such as ``"cuda"``: by default where the signal is. Maps are where the signal is in any case.
        A signal of another memory is brought over block by block, while the block before it is fitted, so it may be
        larger than the memory of the device.

    Returns
    -------
    FitResult
        Maps with their errors and status. Samples that are not finite, and those of a decay that are zero or negative,
        are not used. Where more than one T explains the two samples, as with the magnitude of an inversion recovery,
        the voxel is NaN and ``TOO_FEW_SAMPLES``; where none does, it is ``NO_DECAY``.

    Raises
    ------
    ValueError
        If the model has an offset, or shapes, times, ``pair``, ``mask``, ``bounds`` or ``sigma`` do not fit together or
        make no sense.
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
    voxels = as_voxels(
        signal, times_ms, model=model, mask=mask, sigma=sigma, saturation=saturation, unit=unit, dim=dim, device=device
    )
    if voxels.design.has_offset:
        raise ValueError(
            f"model={voxels.design.model!r} has three parameters, which two images do not determine: use "
            f"method='nlls', or {voxels.design.model.without_offset}."
        )
    n_times = len(voxels.times)
    if not _is_pair(pair, n_times):
        raise ValueError(f"pair={pair!r}: the signal has {n_times} images, of which two are needed, by position.")
    chosen = voxels.at(pair)
    if chosen.times[0] == chosen.times[1]:
        raise ValueError(f"pair={pair} has the times {chosen.times.tolist()} ms: choose two images of different times.")
    return fit_voxels(TwoPoint, chosen, like=signal, bounds=bounds, chunk_size=chunk_size, maps_only=maps_only)


def _is_pair(pair: object, n_images: int) -> bool:
    """Say whether something is the positions of two images."""
    positions = list(pair) if isinstance(pair, Iterable) else []
    return len(positions) == 2 and all(is_whole(p) and -n_images <= p < n_images for p in positions)


class TwoPoint(Estimator):
    """The model through two samples."""

    def usable(self, samples: Float[Tensor, "time voxel"]) -> Bool[Tensor, "time voxel"]:
        """Only positive samples of a decay have a logarithm."""
        return samples > 0 if isinstance(self.design.model, ExponentialDecay) else super().usable(samples)

    def estimate(self, samples: Samples) -> Estimate:
        """Evaluate the closed form, or search where the model has none."""
        model, (start, end) = self.design.model, samples.values
        before, after = self.design.time[:, 0].tolist()
        found = model.solve_pair(start, end, (before, after))
        if found is None:
            return self._search(samples)
        t, status = clip_to_bounds(found, self.bounds[0])
        return Estimate(torch.stack((start / model.basis(t, self.design.time[0]), t)), status)

    def _search(self, samples: Samples) -> Estimate:
        """Find the T at which the two samples are in the proportion of the basis, if there is exactly one.

        It is a root of S0 b(t1) - S1 b(t0), at which the amplitude must be positive.
        """
        model, time, (start, end) = self.design.model, self.design.time, samples.values
        grid = grid_of(self.design, self.bounds[0])

        def mismatch(x: Tensor) -> tuple[Tensor, Tensor]:
            first, second = model.basis(torch.exp(x), time[0]), model.basis(torch.exp(x), time[1])
            return start * second - end * first, start * first + end * second

        error, amplitude = mismatch(grid.x[:, None])
        crosses = (error[:-1] >= 0) != (error[1:] >= 0)
        crosses &= (amplitude[:-1] > 0) & (amplitude[1:] > 0)
        count, place = crosses.sum(0), crosses.int().argmax(0)
        low, high = grid.x[place], grid.x[place + 1]
        rises = error.gather(0, place[None])[0] < 0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = (mismatch(middle)[0] < 0) == rises
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        # Without a root, the end of the range that comes nearest is a bound that the truth lies beyond.
        nearest = torch.where(amplitude > 0, error.abs() / amplitude, torch.inf).argmin(0)
        x = torch.where(count == 1, (low + high) / 2, grid.x[nearest])
        t = torch.exp(x)
        basis = torch.stack([model.basis(t, moment) for moment in time])
        m0 = (samples.values * basis).sum(0) / (basis * basis).sum(0)
        outside = (nearest == 0) | (nearest == len(grid.x) - 1)
        status = torch.where(outside, FitStatus.AT_BOUND, FitStatus.NO_DECAY)
        status = torch.where(count == 1, FitStatus.CONVERGED, status)
        status = torch.where(count > 1, FitStatus.TOO_FEW_SAMPLES, status)
        return Estimate(torch.stack((m0, t)), torch.where((amplitude > 0).any(0), status, FitStatus.NO_SIGNAL))
