"""Noise of magnitude images."""

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
    scale = torch.as_tensor(sigma, dtype=images.dtype, device=images.device)
    if not (torch.isfinite(scale) & (scale >= 0)).all():
        raise ValueError(f"sigma={sigma!r}: a standard deviation is finite and not negative.")

    def noise() -> Tensor:
        return scale * torch.randn(images.shape, dtype=images.dtype, device=images.device, generator=generator)

    real = images + noise()
    return real if kind == "gaussian" else torch.hypot(real, noise())
