"""Modified Bessel functions of the first kind, scaled by e^-z so that they neither overflow nor underflow.

In single precision they are polynomials, which a processor evaluates several times faster than the general functions:
Abramowitz and Stegun, *Handbook of Mathematical Functions*, 9.8.1 to 9.8.4.
"""

import torch
from torch import Tensor

_JOINT = 3.75  # where the polynomial in z^2 ends, and that in 1/z begins
I0_SMALL = (1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813)
I1_SMALL = (0.5, 0.87890594, 0.51498869, 0.15084934, 0.02658733, 0.00301532, 0.00032411)  # of I1(z)/z
I0_LARGE = (
    *(0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281),
    *(-0.02057706, 0.02635537, -0.01647633, 0.00392377),
)
I1_LARGE = (
    *(0.39894228, -0.03988024, -0.00362018, 0.00163801, -0.01031555),
    *(0.02282967, -0.02895312, 0.01787654, -0.00420059),
)


def log_i0e(z: Tensor) -> Tensor:
    """Compute the logarithm of e^-z I0(z) for z of 0 or more."""
    if z.dtype != torch.float32:
        return torch.log(torch.special.i0e(z))
    small, inverse = (z.clamp(max=_JOINT) / _JOINT).square_(), _JOINT / z.clamp(min=_JOINT)
    near = _polynomial(small, I0_SMALL).log_().sub_(z)
    far = _polynomial(inverse, I0_LARGE).mul_(torch.sqrt(inverse / _JOINT)).log_()
    return torch.where(z < _JOINT, near, far)


def ratio(z: Tensor) -> Tensor:
    """Compute I1(z) / I0(z) for z of 0 or more."""
    if z.dtype != torch.float32:
        quotient: Tensor = torch.special.i1e(z) / torch.special.i0e(z)
        return quotient
    small, inverse = (z.clamp(max=_JOINT) / _JOINT).square_(), _JOINT / z.clamp(min=_JOINT)
    near = _polynomial(small, I1_SMALL).div_(_polynomial(small, I0_SMALL)).mul_(z)
    far = _polynomial(inverse, I1_LARGE).div_(_polynomial(inverse, I0_LARGE))
    return torch.where(z < _JOINT, near, far)


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value.mul_(x).add_(coefficient)
    return value
