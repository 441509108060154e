"""A straight line through the logarithms of the signal."""

from functools import partial
from typing import Any, Literal, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet._images import Dim, opens_images
from relaxnet.fitting._core.arguments import Device, Times, as_voxels
from relaxnet.fitting._core.bounds import Bounds, clip_to_bounds
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.engine import fit_voxels
from relaxnet.fitting._core.estimator import Estimate, Estimator
from relaxnet.fitting._core.line import LineShortcut
from relaxnet.fitting._core.quality import goodness, quality
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._like import result_like
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.signals import ExponentialDecay, SignalModel
from relaxnet.times import TimeUnit


@opens_images(result_like)
def log_linear(
    signal: ArrayT,
    times_ms: Times,
    *,
    weights: Literal["signal"] | None = "signal",
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
    r"""Fit an exponential decay by linear regression of the logarithm of the signal.

    .. math:: \log S(t) = \log m_0 - t/T

    Of a stretched exponential and of diffusion, the coordinate of the decay takes the place of t, and its rate that of
    1/T.

    Parameters
    ----------
    signal
        Magnitude images, real, with one axis for the times: (batch, time, ...) by default. One axis is one voxel.
    times_ms
        Times of the images in ms, or a :class:`~relaxnet.Contrast`, whose name the map then has.
    weights
        ``"signal"`` weighs each logarithm by the square of its signal, the inverse of its variance: first the measured
        signal, then, in a second pass, the fitted one. None weighs all alike, which lets the noise of late images spoil
        the fit of short T.
    model
        The signal model, an :class:`~relaxnet.signals.ExponentialDecay`: that of the contrast, or a mono-exponential
        decay by default.
    mask
        Voxels to fit: binary, of the shape of the signal without its time axis.
    bounds
        Smallest and largest T, those of the model by default: (1, 5000) in ms. A T beyond is set to the bound, its
        status to ``AT_BOUND``.
    sigma
        Standard deviation of the noise: one number, one a time, or one a sample (of the shape of the signal), which
        then also weighs the samples where ``weights`` is ``"signal"``. Without it, the standard errors come from the
        residuals.
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
        Maps with their errors and status. Samples that are zero, negative or not finite have no logarithm and are not
        used; ``n_used`` says how many were. That only high noise is kept is a bias: prefer :func:`nlls` at low SNR.

    Raises
    ------
    ValueError
        If the model is not an exponential decay, or shapes, times, ``weights``, ``mask``, ``bounds`` or ``sigma`` do
        not fit together or make no sense.
    TypeError
        If the signal is not made of real numbers.

    See Also
    --------
    nlls : The reference.

    Examples
    --------
    >>> signal = rx.signals.MonoExponential()(torch.tensor([100.0]), torch.tensor([45.0]), (0, 10, 30, 50))
    >>> rx.fitting.log_linear(signal, (0, 10, 30, 50)).maps["t"].round(decimals=2)
    tensor([45.])
    """
    if weights not in ("signal", None):
        raise ValueError(f"weights={weights!r}: use 'signal' or None.")
    voxels = as_voxels(
        signal, times_ms, model=model, mask=mask, sigma=sigma, saturation=saturation, unit=unit, dim=dim, device=device
    )
    make = partial(LogLinear, weighted=weights == "signal")
    return fit_voxels(make, voxels, like=signal, bounds=bounds, chunk_size=chunk_size, maps_only=maps_only)


class LogLinear(Estimator):
    """Linear regression of logarithms on the coordinate in which a decay is exponential, perhaps weighted."""

    obeys_weights = True

    def __init__(self, design: Design, bounds: tuple[Bounds, ...], *, weighted: bool) -> None:
        super().__init__(design, bounds)
        if not isinstance(design.model, ExponentialDecay):
            raise ValueError(  # noqa: TRY004 (it is a model, but not of the right kind)
                f"model={design.model!r}: method 'log-linear' needs an exponential decay without a constant, whose "
                f"logarithm is a straight line. Use method='nlls'."
            )
        self.weighted = weighted
        self.coordinate = design.model.coordinate(design.time)

    def usable(self, samples: Float[Tensor, "time voxel"]) -> Bool[Tensor, "time voxel"]:
        """Only positive samples have a logarithm."""
        return samples > 0

    def shortcut(self, weight: Float[Tensor, " time"]) -> LineShortcut | None:
        """Take the shortcut of positive samples, if their squares are the weights."""
        model = cast("ExponentialDecay", self.design.model)
        return LineShortcut(model, self.design.time[:, 0], weight, self.bounds[0]) if self.weighted else None

    def estimate(self, samples: Samples) -> Estimate:
        """Draw the line, and draw it again with weights from the first one."""
        u = self.coordinate
        logs = torch.log(torch.where(samples.values > 0, samples.values, 1))
        weight = samples.weight * samples.values**2 if self.weighted else samples.used.to(logs.dtype)
        intercept, slope = _line(u, logs, weight)
        if self.weighted:
            # Scaled so that the largest is about 1: squares of a poor first line must not overflow.
            fitted = slope * u
            fitted = torch.exp(2 * (fitted - torch.where(samples.used, fitted, -torch.inf).amax(0)))
            intercept, slope = _line(u, logs, samples.weight * fitted)
        # A slope that rounding alone could have made is flat.
        rounding = 8 * torch.finfo(logs.dtype).eps * (1 + logs.abs().amax(0)) / u.amax()
        rate = torch.where(slope.abs() <= rounding, 0, -slope)
        t, status = clip_to_bounds(cast("ExponentialDecay", self.design.model).from_rate(rate), self.bounds[0])
        return Estimate(torch.stack((torch.exp(intercept), t)), status)

    def judge(self, samples: Samples, values: Float[Tensor, "parameter voxel"]) -> Float[Tensor, "row voxel"]:
        """Propagate the noise of the logarithms through the regression."""
        if self.weighted:
            return quality(self.design, samples, values)
        model, u = cast("ExponentialDecay", self.design.model), self.coordinate
        m0, t = values
        prediction = m0 * model.basis(t, self.design.time)
        used = samples.used.to(m0.dtype)
        residual = used * (samples.values - prediction)
        if samples.noise is None:  # regression takes the logarithms to be equally noisy
            in_logs = used * (torch.log(torch.where(samples.values > 0, samples.values, 1)) - torch.log(prediction))
            freedom = samples.n_used - 2
            variance = used * torch.where(freedom > 0, (in_logs**2).sum(0) / freedom, torch.nan)
        else:
            of_sample = samples.noise**2 / torch.where(samples.used, samples.weight, 1)
            variance = used * of_sample / prediction**2
        # What each sample contributes to the slope and to the value at time 0; with R = T^-p, dT/dR is -T/(p R).
        total = used.sum(0)
        centred = used * (u - (used * u).sum(0) / total)
        by_slope = centred / (centred**2).sum(0)
        by_intercept = used / total - by_slope * (used * u).sum(0) / total
        by_sample = (m0 * by_intercept, t / (model.power * model.rate(t)) * by_slope)
        stds = [torch.sqrt((variance * share**2).sum(0)) for share in by_sample]
        covariance = (variance * by_sample[0] * by_sample[1]).sum(0)
        return torch.stack([*stds, covariance, *goodness(samples, residual)])


def _line(
    time: Float[Tensor, "time 1"], logs: Float[Tensor, "time voxel"], weight: Float[Tensor, "time #voxel"]
) -> tuple[Float[Tensor, " voxel"], Float[Tensor, " voxel"]]:
    """Draw the weighted regression line: its value at time 0, and its slope."""
    total = weight.sum(0)
    middle = (weight * time).sum(0) / total
    mean = (weight * logs).sum(0) / total
    slope = (weight * (time - middle) * (logs - mean)).sum(0) / (weight * (time - middle) ** 2).sum(0)
    return mean - slope * middle, slope
