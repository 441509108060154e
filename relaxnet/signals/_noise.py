"""Noise of magnitude images, and what it does to their mean."""

import math
from typing import Any, Literal, TypeVar, get_args

import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.signals._arrays import Values, like, to_tensor
from relaxnet.signals._transforms import readable

ArrayT = TypeVar("ArrayT", Tensor, NDArray[Any])
Noise = Literal["gaussian", "rician"]


def add_noise(
    images: ArrayT, sigma: Values, *, kind: Noise = "rician", generator: torch.Generator | None = None
) -> ArrayT:
    r"""Add the noise that an image of one receive channel has.

    The complex image has Gaussian noise of standard deviation ``sigma`` in its real and its imaginary part. Its
    magnitude is Rician, :math:`\sqrt{(S + n_1)^2 + n_2^2}`; where the signal is many times ``sigma``, its noise is
    nearly Gaussian.

    Parameters
    ----------
    images
        Images without noise, of any shape: a floating-point tensor, or an array.
    sigma
        Standard deviation of the noise in the units of the images: a number, or one that broadcasts against them.
    kind
        ``"rician"`` for magnitude images, ``"gaussian"`` for signed ones.
    generator
        Source of random numbers, on the device of the images; the same state gives the same noise.

    Returns
    -------
    Tensor or numpy.ndarray
        Noisy images, of the shape and dtype of ``images``.

    Raises
    ------
    ValueError
        If ``sigma`` is negative or not finite, or ``kind`` is unknown.

    References
    ----------
    Gudbjartsson and Patz, *The Rician distribution of noisy MRI data*, Magn Reson Med 34:910 (1995).

    Examples
    --------
    >>> rx.signals.add_noise(torch.tensor([100.0, 0.0]), sigma=0.0)
    tensor([100.,   0.])
    """
    if kind not in get_args(Noise):
        raise ValueError(f"kind={kind!r} is no kind of noise: use one of {get_args(Noise)}.")
    clean = to_tensor(images)
    scale = _level(sigma, clean)

    def noise() -> Tensor:
        return scale * torch.randn(clean.shape, dtype=clean.dtype, device=clean.device, generator=generator)

    real = clean + noise()
    noisy: ArrayT = like(real if kind == "gaussian" else torch.hypot(real, noise()), images)
    return noisy


def rician_mean(signal: ArrayT, sigma: Values) -> ArrayT:
    r"""Compute the mean of a magnitude whose noise is Rician.

    .. math:: \sigma \sqrt{\pi/2}\, e^{-x} \left[(1 + 2x) I_0(x) + 2x I_1(x)\right], \qquad x = \frac{S^2}{4\sigma^2}

    Parameters
    ----------
    signal
        Signal without noise, of any shape: a floating-point tensor, or an array.
    sigma
        Standard deviation of the noise in the units of the signal: a number, or one that broadcasts against it.

    Returns
    -------
    Tensor or numpy.ndarray
        Mean magnitude: the signal where it is many times the noise, 1.25 ``sigma`` where there is none.

    Raises
    ------
    ValueError
        If ``sigma`` is not positive and finite.

    References
    ----------
    Gudbjartsson and Patz, *The Rician distribution of noisy MRI data*, Magn Reson Med 34:910 (1995).

    Examples
    --------
    >>> rx.signals.rician_mean(torch.tensor([0.0, 10.0, 100.0]), sigma=10.0)
    tensor([ 12.5331,  15.4857, 100.5013])
    """
    clean = to_tensor(signal)
    scale = _level(sigma, clean)
    if readable(scale) and not (scale > 0).all():
        raise ValueError(f"sigma={sigma!r}: the noise level has to be positive.")
    x = (clean / scale).square() / 4
    bessel = (1 + 2 * x) * torch.special.i0e(x) + 2 * x * torch.special.i1e(x)
    mean: ArrayT = like(scale * math.sqrt(math.pi / 2) * bessel, signal)
    return mean


def remove_rician_bias(images: ArrayT, sigma: Values) -> ArrayT:
    r"""Take away what noise adds to the square of a magnitude, on average.

    The mean square of a Rician magnitude is :math:`S^2 + 2\sigma^2`, but a loss of absolute differences looks at its
    middle, which lies near :math:`\sqrt{S^2 + \sigma^2}`. So what is returned is

    .. math:: \sqrt{\max(M^2 - \sigma^2, 0)} .

    Parameters
    ----------
    images
        Magnitude images, of any shape: a floating-point tensor, or an array.
    sigma
        Standard deviation of the noise in the units of the images: a number, or one that broadcasts against them.

    Returns
    -------
    Tensor or numpy.ndarray
        Images of the same shape, for any loss.

    Raises
    ------
    ValueError
        If ``sigma`` is negative or not finite.

    References
    ----------
    Gudbjartsson and Patz, *The Rician distribution of noisy MRI data*, Magn Reson Med 34:910 (1995).

    Examples
    --------
    >>> rx.signals.remove_rician_bias(torch.tensor([5.0, 0.5]), sigma=3.0)
    tensor([4., 0.])
    """
    magnitude = to_tensor(images)
    scale = _level(sigma, magnitude)
    corrected: ArrayT = like((magnitude.square() - scale.square()).clamp(min=0).sqrt(), images)
    return corrected


def _level(sigma: Values, images: Tensor) -> Tensor:
    level = torch.as_tensor(sigma, dtype=images.dtype, device=images.device)
    if readable(level) and not (torch.isfinite(level) & (level >= 0)).all():
        raise ValueError(f"sigma={sigma!r}: a standard deviation is finite and not negative.")
    return level
