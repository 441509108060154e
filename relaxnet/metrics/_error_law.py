"""Laplace and Gaussian distribution of the errors: their central intervals and their scores (CRPS)."""

import math
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import erfinv
from torch import Tensor

Kind = Literal["laplace", "gaussian"]
Values = float | NDArray[Any] | Tensor
"""A number, or a map: an array or a tensor."""

_FAR = 40.0  # distances in scales beyond which exp(-z) and erfc(z) no longer count in double precision


def crps_laplace(x: Values, location: Values, scale: Values) -> Any:
    r"""Compute the continuous ranked probability score of a Laplace distribution.

    .. math:: \int \left(F(t) - [t \ge x]\right)^2 dt = b \left(|z| + e^{-|z|} - \tfrac34\right),
       \qquad z = (x - \mu) / b

    The score extends the absolute error to distributions: it has the unit of x, its mean is smallest for the
    distribution that x is drawn from, and it equals the absolute error where the scale is 0.

    Parameters
    ----------
    x
        Observed value: a number or a map.
    location
        Centre of the distribution: a number or a map.
    scale
        Its scale b, 0 or more: a number or a map. The standard deviation is :math:`\sqrt2\, b`.

    Returns
    -------
    float, numpy.ndarray or Tensor
        Score of each element: a number for numbers, an array for arrays, and for tensors a tensor that can be
        differentiated.

    Raises
    ------
    ValueError
        If a scale is negative.

    References
    ----------
    Jordan, Krüger and Lerch, *Evaluating probabilistic forecasts with scoringRules*, Journal of Statistical Software
    90:12 (2019), appendix A.

    Examples
    --------
    >>> round(rx.metrics.crps_laplace(-3, 0, 1), 8)
    2.29978707
    >>> rx.metrics.crps_laplace(torch.tensor([40.0, 46.0]), 40.0, torch.tensor([2.0, 0.0]))
    tensor([0.5000, 6.0000])
    """
    distance, b = _distance_and_spread(x, location, scale, "scale")
    score = distance.abs() + b * (torch.exp(-_ratio(distance, b).abs()) - 0.75)
    return _like(score, x, location, scale)


def crps_gaussian(x: Values, mean: Values, std: Values) -> Any:
    r"""Compute the continuous ranked probability score of a normal distribution.

    .. math:: \sigma \left(z\, (2 \Phi(z) - 1) + 2 \varphi(z) - \tfrac{1}{\sqrt\pi}\right),
       \qquad z = (x - \mu) / \sigma

    Parameters
    ----------
    x
        Observed value: a number or a map.
    mean
        Mean of the distribution: a number or a map.
    std
        Its standard deviation, 0 or more: a number or a map.

    Returns
    -------
    float, numpy.ndarray or Tensor
        Score of each element, in the unit of x: a number for numbers, an array for arrays, and for tensors a tensor
        that can be differentiated.

    Raises
    ------
    ValueError
        If a standard deviation is negative.

    See Also
    --------
    crps_laplace : Explains the score.

    References
    ----------
    Jordan, Krüger and Lerch, *Evaluating probabilistic forecasts with scoringRules*, Journal of Statistical Software
    90:12 (2019), appendix A.

    Examples
    --------
    >>> round(rx.metrics.crps_gaussian(46.0, 40.0, 2.0), 4)
    4.8731
    """
    distance, sigma = _distance_and_spread(x, mean, std, "std")
    z = _ratio(distance, sigma)
    density = math.sqrt(2 / math.pi) * torch.exp(-(z**2) / 2)
    score = distance * torch.erf(z / math.sqrt(2)) + sigma * (density - 1 / math.sqrt(math.pi))
    return _like(score, x, mean, std)


def interval_factor(level: float, kind: Kind = "laplace") -> float:
    r"""Compute the half-width of the central interval in standard deviations.

    .. math:: k_\mathrm{Laplace} = -\log(1 - p) / \sqrt2, \qquad k_\mathrm{Gauss} = \sqrt2\, \mathrm{erf}^{-1}(p)

    Parameters
    ----------
    level
        Probability p of the interval, between 0 and 1.
    kind
        Distribution of the errors, ``"laplace"`` or ``"gaussian"``.

    Returns
    -------
    float
        The half-width.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1, or the distribution is unknown.

    Examples
    --------
    >>> round(rx.metrics.interval_factor(0.95, "gaussian"), 3), round(rx.metrics.interval_factor(0.95, "laplace"), 3)
    (1.96, 2.118)
    """
    check_kind(kind)
    if not 0 < level < 1:
        raise ValueError(f"level={level}: a probability between 0 and 1 is needed, as 0.9.")
    return -math.log1p(-level) / math.sqrt(2) if kind == "laplace" else math.sqrt(2) * float(erfinv(level))


def crps(x: Values, centre: Values, std: Values, kind: Kind) -> Any:
    """Compute the CRPS of a Laplace or a Gaussian distribution of given mean and standard deviation."""
    return crps_laplace(x, centre, std / math.sqrt(2)) if kind == "laplace" else crps_gaussian(x, centre, std)


def check_kind(kind: Kind) -> None:
    """Raise a ValueError if the distribution is unknown."""
    if kind not in get_args(Kind):
        raise ValueError(f"kind={kind!r} is no distribution of errors: use one of {get_args(Kind)}.")


def _distance_and_spread(x: Values, centre: Values, spread: Values, name: str) -> tuple[Tensor, Tensor]:
    difference = x - centre
    like = _to_tensor(difference + spread)  # a bare number takes the dtype of the other argument
    if not like.is_floating_point():
        like = like.double()
    spread = _to_tensor(spread)
    if negative := int((spread < 0).sum()):
        raise ValueError(f"{name} is negative in {negative} of {spread.numel()} values: 0 or more is needed.")
    return _to_tensor(difference).to(like), spread.to(like)


def _ratio(distance: Tensor, spread: Tensor) -> Tensor:
    # With these clamps a spread of 0 gives no NaN, neither in the score nor in its gradient.
    return (distance / spread.clamp(min=torch.finfo(spread.dtype).tiny)).clamp(-_FAR, _FAR)


def _to_tensor(values: Values) -> Tensor:
    if isinstance(values, Tensor):
        return values
    array = np.asarray(values)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))  # a map from a NIfTI file may be big-endian


def _like(score: Tensor, *kinds: Values) -> Any:
    if any(isinstance(kind, Tensor) for kind in kinds):
        return score
    return score.numpy() if score.ndim else score.item()
