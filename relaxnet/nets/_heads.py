"""Output heads: from the numbers of a U-Net to relaxation times, amplitudes and scales."""

import math
from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

MAX_LOG_SCALE = 10.0
_MARGIN = 0.05
_FAINTEST = 0.05


def bounded_time(
    z: Float[Tensor, "batch task *space"],
    start: Float[Tensor, "batch task *space"] | None,
    bounds: Sequence[tuple[float, float]],
    typical: Sequence[float],
) -> Float[Tensor, "batch task *space"]:
    r"""Bound a relaxation time.

    .. math:: \log T = \log a + \operatorname{sigmoid}(z + z_0) \log(b / a)

    Parameters
    ----------
    z
        Any number.
    start
        The relaxation time for z = 0, on a logarithmic scale, -1 for a and 1 for b; None for a typical one.
    bounds
        The bounds a and b of each task.
    typical
        The typical relaxation time of each task.

    Returns
    -------
    Tensor
        Relaxation times in ms; that of the start for z = 0, or near it where the start is close to a bound.
    """
    to_maps = f"task -> task{' 1' * (z.ndim - 2)}"
    low = rearrange(z.new_tensor([a for a, _ in bounds]), to_maps)
    width = rearrange(z.new_tensor([math.log(b / a) for a, b in bounds]), to_maps)
    if start is None:
        shares = [math.log(t / a) / math.log(b / a) for t, (a, b) in zip(typical, bounds, strict=True)]
        start = 2 * rearrange(z.new_tensor(shares), to_maps) - 1
    # At the bounds the sigmoid is flat: start away from them.
    return low * torch.exp(torch.sigmoid(z + torch.logit((start + 1) / 2, eps=_MARGIN)) * width)


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
    return bounded + scale.log() + rearrange(first, f"task -> task{' 1' * (z.ndim - 2)}")


def blend(
    z: Float[Tensor, "batch channel *space"], estimates: list[Float[Tensor, "batch task *space"]]
) -> tuple[Float[Tensor, "batch task *space"], Float[Tensor, "batch task *space"] | None]:
    """Split corrections from the weights of initial estimates, and blend these.

    Parameters
    ----------
    z
        Outputs: a correction for each task, then for each estimate its weights, before a softmax.
    estimates
        The initial estimates; there may be none.

    Returns
    -------
    tuple
        The corrections, and what they correct, the weighted mean of the estimates; None where there is none.
    """
    if not estimates:
        return z, None
    z, weights = z[:, : estimates[0].shape[1]], z[:, estimates[0].shape[1] :]
    weights = rearrange(weights, "batch (estimate task) ... -> estimate batch task ...", estimate=len(estimates))
    return z, (torch.softmax(weights, dim=0) * torch.stack(estimates)).sum(0)
