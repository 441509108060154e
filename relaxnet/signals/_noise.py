"""Noise of magnitude images, and what it does to their mean."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

Noise = Literal["gaussian", "rician"]


def add_noise(
    images: Tensor, sigma: float | Tensor, *, kind: Noise = "rician", generator: torch.Generator | None = None
) -> Tensor:
    r"""Add the noise that an image of one receive channel has.

    The complex image has Gaussian noise of standard deviation ``sigma`` in its real and its imaginary part. Its
    magnitude is Rician, :math:`\sqrt{(S + n_1)^2 + n_2^2}`; where the signal is many times ``sigma``, its noise is
    nearly Gaussian.

    Parameters
    ----------
    images
        Images without noise, of any shape, floating point.
    sigma
        Standard deviation of the noise in the units of the images: a number, or a tensor that broadcasts against them.
    kind
        ``"rician"`` for magnitude images, ``"gaussian"`` for signed ones.
    generator
        Source of random numbers, on the device of the images; the same state gives the same noise.

    Returns
    -------
    Tensor
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
    scale = _level(sigma, images)

    def noise() -> Tensor:
        return scale * torch.randn(images.shape, dtype=images.dtype, device=images.device, generator=generator)

    real = images + noise()
    return real if kind == "gaussian" else torch.hypot(real, noise())


def rician_mean(signal: Tensor, sigma: float | Tensor) -> Tensor:
    r"""Compute the mean of a magnitude whose noise is Rician.

    .. math:: \sigma \sqrt{\pi/2}\, e^{-x} \left[(1 + 2x) I_0(x) + 2x I_1(x)\right], \qquad x = \frac{S^2}{4\sigma^2}

    Parameters
    ----------
    signal
        Signal without noise, of any shape, floating point.
    sigma
        Standard deviation of the noise in the units of the signal: a number, or a tensor that broadcasts against it.

    Returns
    -------
    Tensor
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
    scale = _level(sigma, signal)
    if not (scale > 0).all():
        raise ValueError(f"sigma={sigma!r}: the noise level has to be positive.")
    x = (signal / scale).square() / 4
    bessel = (1 + 2 * x) * torch.special.i0e(x) + 2 * x * torch.special.i1e(x)
    mean: Tensor = scale * math.sqrt(math.pi / 2) * bessel
    return mean


def remove_rician_bias(images: Tensor, sigma: float | Tensor) -> Tensor:
    r"""Take away what noise adds to the square of a magnitude, on average.

    The mean square of a Rician magnitude is :math:`S^2 + 2\sigma^2`, but a loss of absolute differences looks at its
    middle, which lies near :math:`\sqrt{S^2 + \sigma^2}`. So what is returned is

    .. math:: \sqrt{\max(M^2 - \sigma^2, 0)} .

    Parameters
    ----------
    images
        Magnitude images, of any shape, floating point.
    sigma
        Standard deviation of the noise in the units of the images: a number, or a tensor that broadcasts against them.

    Returns
    -------
    Tensor
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
    scale = _level(sigma, images)
    return (images.square() - scale.square()).clamp(min=0).sqrt()


def _level(sigma: float | Tensor, images: Tensor) -> Tensor:
    level = torch.as_tensor(sigma, dtype=images.dtype, device=images.device)
    if not (torch.isfinite(level) & (level >= 0)).all():
        raise ValueError(f"sigma={sigma!r}: a standard deviation is finite and not negative.")
    return level
