"""From what a network says to what it means."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

START_MS = 40.0
MAX_LOG_SCALE = 10.0


def bounded_time(
    z: Float[Tensor, "batch task *space"], bounds_ms: tuple[float, float]
) -> Float[Tensor, "batch task *space"]:
    r"""Bound a relaxation time.

    .. math:: \log T = \log a + \operatorname{sigmoid}(z + z_0) \log(b / a)

    Parameters
    ----------
    z
        Any number.
    bounds_ms
        The bounds a and b.

    Returns
    -------
    Tensor
        Relaxation times in ms; 40 ms for z = 0, or near it where the bounds leave no room.
    """
    low, high = bounds_ms
    # Where 40 ms lies outside the bounds or close to one, start away from them: the sigmoid is flat there.
    start = min(max(math.log(START_MS / low) / math.log(high / low), 0.1), 0.9)
    return low * torch.exp(torch.sigmoid(z + math.log(start / (1 - start))) * math.log(high / low))


def positive_amplitude(
    z: Float[Tensor, "batch 1 *space"], scale: Float[Tensor, "batch 1 *_"]
) -> Float[Tensor, "batch 1 *space"]:
    r"""Make an amplitude positive, in the units of the images.

    .. math:: M_0 = s \operatorname{softplus}(z + \log(e - 1))

    Parameters
    ----------
    z
        Any number.
    scale
        The number s that the images were divided by.

    Returns
    -------
    Tensor
        Amplitudes; s for z = 0.
    """
    # In floating point, the softplus of a very negative number is zero.
    return scale * (functional.softplus(z + math.log(math.e - 1)) + torch.finfo(z.dtype).eps)


def laplace_log_scale(
    z: Float[Tensor, "batch task *space"], scale: Float[Tensor, "batch 1 *_"]
) -> Float[Tensor, "batch task *space"]:
    r"""Bound the logarithm of a Laplace scale, in the units of the images.

    .. math:: \log \sigma = 10 \tanh(z / 10) + \log s

    The bounds are soft, because a head that a hard clamp has caught gets no gradient and never comes back.

    Parameters
    ----------
    z
        Any number.
    scale
        The number s that the images were divided by.

    Returns
    -------
    Tensor
        Natural logarithm of the scales; that of s for z = 0.
    """
    return MAX_LOG_SCALE * torch.tanh(z / MAX_LOG_SCALE) + scale.log()
