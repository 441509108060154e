"""Output heads: from the outputs of a backbone to relaxation times, amplitudes and scales."""

import math
from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from relaxnet.nets._space import over_space

MAX_LOG_SCALE = 10.0
_MARGIN = 0.05
_FAINTEST = 0.05


def bounded_time(
    z: Float[Tensor, "batch task *space"],
    start: Float[Tensor, "batch task *space"] | None,
    bounds: Sequence[tuple[float, float]],
    typical: Sequence[float],
) -> Float[Tensor, "batch task *space"]:
    r"""Map outputs to bounded relaxation times.

    .. math:: \log T = \log a + \operatorname{sigmoid}(z + z_0) \log(b / a)

    Parameters
    ----------
    z
        Outputs of the backbone, unbounded.
    start
        Relaxation time for z = 0, on a logarithmic scale from -1 for a to 1 for b; None for a typical one.
    bounds
        Bounds a and b of each task in ms.
    typical
        Typical relaxation time of each task in ms.

    Returns
    -------
    Tensor
        Relaxation times in ms. For z = 0 they equal the start, or are near it if it is close to a bound.
    """
    low = over_space(z.new_tensor([a for a, _ in bounds]), z.ndim - 2)
    width = over_space(z.new_tensor([math.log(b / a) for a, b in bounds]), z.ndim - 2)
    if start is None:
        shares = [math.log(t / a) / math.log(b / a) for t, (a, b) in zip(typical, bounds, strict=True)]
        start = 2 * over_space(z.new_tensor(shares), z.ndim - 2) - 1
    # The sigmoid is flat at the bounds, so the start keeps a margin. Channels of a U-Net lie beside one another: they
    # are copied, since those of two tasks would be computed two numbers at a time.
    return low * torch.exp(torch.sigmoid(z.contiguous() + torch.logit((start + 1) / 2, eps=_MARGIN)) * width)


def positive_amplitude(
    z: Float[Tensor, "batch 1 *space"],
    start: Float[Tensor, "batch 1 *space"] | None,
    scale: Float[Tensor, "batch 1 *_"],
) -> Float[Tensor, "batch 1 *space"]:
    r"""Map outputs to positive amplitudes, in the units of the images.

    .. math:: M_0 = s \operatorname{softplus}(z + \log(e^a - 1))

    Parameters
    ----------
    z
        Outputs of the backbone, unbounded.
    start
        Amplitude a for z = 0, in units of s; None for 1.
    scale
        The number s that the images were divided by.

    Returns
    -------
    Tensor
        Amplitudes.
    """
    # The softplus is flat near zero, so the start keeps a margin.
    start = z.new_tensor(1.0) if start is None else start.clamp(min=_FAINTEST)
    inverse = start + torch.log(-torch.expm1(-start))
    # In floating point, the softplus of a very negative number is zero: add the smallest step.
    return scale * (functional.softplus(z + inverse) + torch.finfo(z.dtype).eps)


def laplace_log_scale(
    z: Float[Tensor, "batch task *space"], scale: Float[Tensor, "batch 1 *_"], first: Float[Tensor, " task"]
) -> Float[Tensor, "batch task *space"]:
    r"""Map outputs to bounded logarithms of Laplace scales, in the units of the images.

    .. math:: \log \sigma = 10 \tanh(z / 10) + \log s + c

    The bounds are soft, because an output beyond a hard clamp has no gradient and cannot return.

    Parameters
    ----------
    z
        Outputs of the backbone, unbounded.
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
    return bounded + scale.log() + over_space(first, z.ndim - 2)


def blend(
    z: Float[Tensor, "batch channel *space"], estimates: Float[Tensor, "batch estimate task *space"] | None
) -> tuple[Float[Tensor, "batch task *space"], Float[Tensor, "batch task *space"] | None]:
    """Split outputs into corrections and weights, and compute the weighted mean of the initial estimates.

    Parameters
    ----------
    z
        Outputs of the backbone: a correction for each task, then the weights of each estimate, before a softmax.
    estimates
        Initial estimates; None without any.

    Returns
    -------
    tuple
        The corrections, and the weighted mean of the estimates, which they correct; None without estimates.
    """
    if estimates is None:
        return z, None
    n, tasks = estimates.shape[1:3]
    weights = rearrange(z[:, tasks:], "batch (estimate task) ... -> batch estimate task ...", estimate=n)
    return z[:, :tasks], (torch.softmax(weights, dim=1) * estimates).sum(1)
