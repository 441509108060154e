"""The mean of what a network predicts from each input set, with its standard deviation."""

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.nets._space import over_space
from relaxnet.protocol import Protocol
from relaxnet.signals import ExponentialDecay, SignalModel
from relaxnet.training._spread import Maps

Parts = Float[Tensor, "part slice *space"]
EACH = "each"
"""Instead of an input set: all of them, one after another."""
# Where standard deviations are a larger part of T, as in air, predictions say little of one another.
_SURE = 0.2
_SUREST = 1e-6  # of T: smallest standard deviation, as of images without noise
_MEDIAN = 0.4549  # of the square of a standard normal number


def average(parts: list[Maps], protocol: Protocol) -> Maps:
    r"""Average the rates of maps that were predicted from different images of the same subject.

    Maps of n input sets have the weights :math:`w_k`, which are equal, or, where there are standard deviations
    :math:`\sigma_k` of :math:`\log T_k`, in proportion to one over the square of their median over the slice. The
    variance of the mean is

    .. math:: \sum_k w_k^2 \sigma_k^2 + \sum_{k < l} w_k w_l \rho_{kl} (\sigma_k^2 + \sigma_l^2), \qquad
        \rho_{kl} = 1 - \operatorname{median} \frac{(\log T_k - \log T_l)^2}{0.4549 (\sigma_k^2 + \sigma_l^2)} .

    What the errors of two maps have in common does not show in their difference: where maps differ by less than their
    standard deviations say, their errors are correlated, and a mean has fewer of its own.

    Parameters
    ----------
    parts
        Predicted maps, (slice, ...), and their standard deviations.
    protocol
        What was acquired.

    Returns
    -------
    dict
        Maps, and standard deviations of those that have them. A voxel that some maps lack is the mean of the others.
    """
    found: Maps = {}
    for contrast in protocol.contrasts:
        name = contrast.name
        t = torch.stack([part[name] for part in parts])
        logs, weights = torch.log(t), torch.isfinite(t).to(t)
        stds = torch.stack([part[f"{name}_std"] for part in parts]) / t if f"{name}_std" in parts[0] else None
        if stds is not None:
            weights = weights * _over_slice(stds, t.ndim - 2).nan_to_num(1.0).clamp(min=_SUREST) ** -2
        weights = weights / weights.sum(0)
        found[name] = _from_rate(contrast.model, _mean(_rate(contrast.model, t), weights))
        if stds is not None:
            found[f"{name}_std"] = found[name] * _std_of_mean(logs, stds, weights)
    if "m0" in parts[0]:
        m0 = torch.stack([part["m0"] for part in parts])
        known = torch.isfinite(m0).to(m0)
        found["m0"] = _mean(m0, known / known.sum(0))
    return found


def _rate(model: SignalModel, t: Tensor) -> Tensor:
    return model.rate(t) if isinstance(model, ExponentialDecay) else 1 / t


def _from_rate(model: SignalModel, rate: Tensor) -> Tensor:
    return model.from_rate(rate) if isinstance(model, ExponentialDecay) else 1 / rate


def _mean(values: Parts, weights: Parts) -> Float[Tensor, "slice *space"]:
    return torch.where(weights != 0, weights * values, 0).sum(0)


def _over_slice(values: Float[Tensor, "*lead"], dims: int) -> Float[Tensor, "*ones"]:
    """Return the median over the last axes, which remain, of what is not NaN."""
    return over_space(values.flatten(-dims).nanmedian(-1).values, dims)


def _std_of_mean(logs: Parts, stds: Parts, weights: Parts) -> Float[Tensor, "slice *space"]:
    variance = _mean(stds**2, weights**2)
    for k, other in combinations(range(len(logs)), 2):
        both = stds[k] ** 2 + stds[other] ** 2
        squares = torch.where(both < 2 * _SURE**2, (logs[k] - logs[other]) ** 2 / both, torch.nan)
        median = _over_slice(squares, both.ndim - 1)
        common = (1 - median.nan_to_num(0.0) / _MEDIAN).clamp(0, 1)  # all, where nothing is known of it
        product = weights[k] * weights[other]
        variance = variance + torch.where(product != 0, product * common * both, 0)
    return variance.sqrt()
