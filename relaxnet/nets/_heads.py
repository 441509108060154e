"""From what a network says to what it means."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

START_MS = 40.0
MAX_LOG_SCALE = 10.0
_MARGIN = 0.05
_FAINTEST = 0.05


def bounded_time(
    z: Float[Tensor, "batch task *space"],
    start: Float[Tensor, "batch task *space"] | None,
    bounds_ms: tuple[float, float],
) -> Float[Tensor, "batch task *space"]:
    r"""Bound a relaxation time.

    .. math:: \log T = \log a + \operatorname{sigmoid}(z + z_0) \log(b / a)

    Parameters
    ----------
    z
        Any number.
    start
        The relaxation time for z = 0, on a logarithmic scale, -1 for a and 1 for b; None for 40 ms.
    bounds_ms
        The bounds a and b.

    Returns
    -------
    Tensor
        Relaxation times in ms; that of the start for z = 0, or near it where the start is close to a bound.
    """
    low, high = bounds_ms
    if start is None:
        start = z.new_tensor(2 * math.log(START_MS / low) / math.log(high / low) - 1)
    # At the bounds the sigmoid is flat: start away from them.
    return low * torch.exp(torch.sigmoid(z + torch.logit((start + 1) / 2, eps=_MARGIN)) * math.log(high / low))


def positive_amplitude(
    z: Float[Tensor, "batch 1 *space"],
    start: Float[Tensor, "batch 1 *space"] | None,
    scale: Float[Tensor, "batch 1 *_"],
) -> Float[Tensor, "batch 1 *space"]:
    r"""Make an amplitude positive, in the units of the images.

    .. math:: M_0 = s \operatorname{softplus}(z + \log(e^a - 1))

    Parameters
    ----------
    z
        Any number.
    start
        The amplitude a for z = 0, in units of s; None for 1.
    scale
        The number s that the images were divided by.

    Returns
    -------
    Tensor
        Amplitudes.
    """
    if start is None:
        start = z.new_tensor(1.0)
    # Near zero the softplus is flat: start away from it.
    start = start.clamp(min=_FAINTEST)
    inverse = start + torch.log(-torch.expm1(-start))
    # In floating point, the softplus of a very negative number is zero.
    return scale * (functional.softplus(z + inverse) + torch.finfo(z.dtype).eps)


def laplace_log_scale(
    z: Float[Tensor, "batch task *space"], scale: Float[Tensor, "batch 1 *_"], first: Float[Tensor, " task"]
) -> Float[Tensor, "batch task *space"]:
    r"""Bound the logarithm of a Laplace scale, in the units of the images.

    .. math:: \log \sigma = 10 \tanh(z / 10) + \log s + c

    The bounds are soft, because a head that a hard clamp has caught gets no gradient and never comes back.

    Parameters
    ----------
    z
        Any number.
    scale
        The number s that the images were divided by.
    first
        The constant c of each contrast.

    Returns
    -------
    Tensor
        Natural logarithm of the scales.
    """
    bounded = MAX_LOG_SCALE * torch.tanh(z / MAX_LOG_SCALE)
    return bounded + scale.log() + first.reshape(-1, *(1,) * (z.ndim - 2))


def weighed(
    z: Float[Tensor, "batch channel *space"], hints: list[Float[Tensor, "batch task *space"]]
) -> tuple[Float[Tensor, "batch task *space"], Float[Tensor, "batch task *space"] | None]:
    """Part corrections from the weights of hints.

    Parameters
    ----------
    z
        What a network says: a correction for each task, then for each hint its weights, before a softmax.
    hints
        The hints; there may be none.

    Returns
    -------
    tuple
        The corrections, and what they correct, the mean of the hints; None where there is none.
    """
    if not hints:
        return z, None
    z, *weights = torch.split(z, hints[0].shape[1], dim=1)
    return z, (torch.softmax(torch.stack(weights), dim=0) * torch.stack(hints)).sum(0)
