"""Nonlinear least squares by variable projection."""

from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor

from relaxnet._images import Dim, opens_images
from relaxnet.fitting._core.arguments import Device, Times, as_voxels
from relaxnet.fitting._core.bounds import Bounds
from relaxnet.fitting._core.decay import DecayShortcut
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.engine import fit_voxels
from relaxnet.fitting._core.estimator import Estimate, Estimator, estimate_apart
from relaxnet.fitting._core.fused import FusedDecay, fused_decay
from relaxnet.fitting._core.polarity import project_folded
from relaxnet.fitting._core.projection import project, project_constant
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._like import result_like
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.signals import ExponentialDecay, SignalModel
from relaxnet.times import TimeUnit


@opens_images(result_like)
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
    dim: Dim = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
    device: Device = None,
) -> FitResult[ArrayT]:
    r"""Fit a separable signal model to every voxel by nonlinear least squares.

    The amplitude is linear, so it is eliminated (variable projection): with the basis :math:`b(T)`,

    .. math:: m_0(T) = \frac{\langle S, b \rangle}{\langle b, b \rangle}, \qquad
       c(T) = \langle S, S \rangle - \frac{\langle S, b \rangle^2}{\langle b, b \rangle},

    and only T is searched, with Newton's method, for each voxel until it has converged. A grid in log T sees to it that
    what is found is the global optimum within the bounds.

    Parameters
    ----------
    signal
        Magnitude images, real, with one axis for the times: (batch, time, ...) by default. One axis is one voxel.
    times_ms
        Times of the images in ms, in any order, or a :class:`~relaxnet.Contrast`, whose name the map then has.
    model
        The signal model: that of the contrast, or a mono-exponential decay by default.
    mask
        Voxels to fit: binary, of the shape of the signal without its time axis.
    bounds
        Smallest and largest T, those of the model by default: (1, 5000) in ms, from a
        tenth of the last time where that is below 10 ms. An optimum beyond is set to the bound
        and its status to ``AT_BOUND``. The search for a decay never goes below 1/40 of the first time, where all signal
        has vanished.
    sigma
        Standard deviation of the noise: one number, one a time, or one a sample (of the shape of the signal), which
        then also weighs the samples. Without it, the standard errors come from the residuals.
    saturation
        Samples at or above this value are not used.
    unit
        Unit of ``times_ms``; maps are in ms whatever it is.
    dim
        The time axis of ``signal``.
    chunk_size
        Voxels fitted at once; by default as many as fit the cache of a processor, or fill an accelerator.
    maps_only
        Leave out standard errors and goodness of fit, for about twice the speed.
    device
        Where to compute, such as ``"cuda"``: by default where the signal is. Maps are where the signal is in any case.
        A signal of another memory is brought over block by block, while the block before it is fitted, so it may be
        larger than the memory of the device.

    Returns
    -------
    FitResult
        Maps with their errors and status. Samples that are not finite are not used, nor exact zeros after the last of
        two or more other samples of a decay, which processing has put there; ``n_used`` counts the others. Other zeros
        and negative samples are used: they are what noise makes of a small signal.

    Raises
    ------
    ValueError
        If shapes, times, ``mask``, ``bounds`` or ``sigma`` do not fit together or make no sense.
    TypeError
        If the signal is not made of real numbers.

    See Also
    --------
    log_linear : A straight line through the logarithms.
    rician : Without the bias that least squares has at low signal-to-noise ratio.
    relaxnet.fit_joint : Several contrasts with a common first image.

    Notes
    -----
    Float64 signals are fitted in float64, all others in float32, until no T moves by more than a relative 1e-12 or
    1e-6. Without an offset, voxels where rounding to float32 may decide are fitted in float64, too, but not on MPS. The
    signal is never modified, and is read chunk by chunk, also from a memory-mapped array; memory beyond the signal and
    the maps is that of a chunk for each core.

    The maps are differentiable by the signal: where it requires a gradient, they carry one, which is exact, by the
    implicit function theorem at the optimum. At a bound T has none, and voxels without a result have none. Second
    derivatives and forward mode raise ``NotImplementedError``.

    Where the package numba is installed (extra ``fast``), large fits of a mono-exponential decay, with an offset or
    without, in single precision on the processor are compiled, the first time on a machine within half a minute.
    Statuses are the same, with an offset but for a few voxels where rounding decides, and maps agree within rounding:
    :doc:`/speed`.

    References
    ----------
    Golub and Pereyra, *Separable nonlinear least squares: the variable projection method and its applications*, Inverse
    Problems 19:R1 (2003).

    Examples
    --------
    >>> signal = rx.signals.MonoExponential()(torch.tensor([100.0]), torch.tensor([45.0]), (0, 10, 30, 50))
    >>> result = rx.fitting.nlls(signal, (0, 10, 30, 50))
    >>> result.maps["t"].round(decimals=2), result.maps["m0"].round(decimals=2)
    (tensor([45.]), tensor([100.]))
    """
    voxels = as_voxels(
        signal, times_ms, model=model, mask=mask, sigma=sigma, saturation=saturation, unit=unit, dim=dim, device=device
    )
    return fit_voxels(LeastSquares, voxels, like=signal, bounds=bounds, chunk_size=chunk_size, maps_only=maps_only)


class LeastSquares(Estimator):
    """Variable projection for one relaxation time, with a shortcut where the model is an exponential decay."""

    obeys_weights = True
    differentiable = True

    def __init__(self, design: Design, bounds: tuple[Bounds, ...]) -> None:
        super().__init__(design.unfold(), bounds)

    def shortcut(self, weight: Float[Tensor, " time"]) -> DecayShortcut | None:
        """Take the shortcut of exponential decays."""
        model = self.design.model
        if not isinstance(model, ExponentialDecay):
            return None
        return DecayShortcut(model, self.design.time[:, 0], weight, self.bounds[0])

    def fused(self, saturation: float | None, n_voxels: int) -> FusedDecay | None:
        """Take the compiled fit of mono-exponential decays, with an offset or without."""
        if self.design.folded:
            return None
        return fused_decay("least squares", self.design, self.bounds, saturation, n_voxels)

    def estimate(self, samples: Samples) -> Estimate:
        """Search the whole range of T, unless the samples are all alike."""
        if self.design.folded:
            return project_folded(self.design, samples, self.bounds[0])
        constant = samples.constant()
        if not (isinstance(self.design.model, ExponentialDecay) and constant.any()):
            return project(self.design, samples, self.bounds[0])
        fits = (constant, project_constant), (~constant, project)
        return estimate_apart(samples, ((some, partial(fit, self.design, bounds=self.bounds[0])) for some, fit in fits))
