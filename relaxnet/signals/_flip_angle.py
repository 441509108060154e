"""T1 from spoiled gradient echoes at several flip angles."""

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.signals._model import SignalModel
from relaxnet.signals._parameter import T1
from relaxnet.signals._precision import in_double
from relaxnet.times import FLIP_ANGLE


class VariableFlipAngle(SignalModel):
    r"""Spoiled gradient echo in the steady state, :math:`S(a) = m_0 \sin a\, \frac{1 - E}{1 - E \cos a}`.

    Here :math:`E = e^{-T_R/T_1}`, and the images differ in their flip angle a, in degrees. Angles are taken as they
    are: where the transmit field is not that of the nominal angle, correct the angles or the T1 by a map of it.

    Parameters
    ----------
    tr_ms
        Repetition time in ms.

    Raises
    ------
    ValueError
        If ``tr_ms`` is not positive.

    References
    ----------
    Fram et al., *Rapid calculation of T1 using variable flip angle gradient refocused imaging*, Magn Reson Imaging
    5:201 (1987); Deoni et al., *Rapid combined T1 and T2 mapping using gradient recalled acquisition in the steady
    state*, Magn Reson Med 49:515 (2003).

    Examples
    --------
    >>> t1 = rx.Contrast("t1", times_ms=(2, 5, 10, 15), model=rx.signals.VariableFlipAngle(tr_ms=5.0))
    >>> images = t1.model(torch.tensor([1000.0]), torch.tensor([900.0]), t1)
    >>> rx.fit(images, t1).maps["t1"].round()
    tensor([900.])
    """

    axis = FLIP_ANGLE
    parameter = T1

    def __init__(self, tr_ms: float) -> None:
        if not 0 < tr_ms < float("inf"):
            raise ValueError(f"tr_ms={tr_ms!r}: a repetition time in ms is positive.")
        self.tr_ms = float(tr_ms)

    def basis(self, t: Tensor, time: Tensor) -> Tensor:
        """Evaluate the steady state of unit amplitude.

        Parameters
        ----------
        t
            T1 in ms, positive.
        time
            Flip angle in degrees, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        Tensor
            Signal of unit amplitude.
        """
        return self.basis_with_derivatives(t, time)[0]

    def basis_with_derivatives(self, t: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""Evaluate the basis with its first two derivatives with respect to :math:`\log T_1`.

        With :math:`x = T_R/T_1`, :math:`q = 1 - E` and :math:`n = 1 - E \cos a`, the derivative of q by
        :math:`\log T_1` is :math:`-x E`, that of n is :math:`-x E \cos a`.

        Parameters
        ----------
        t
            T1 in ms, positive.
        time
            Flip angle in degrees, of a shape that broadcasts against that of ``t``.

        Returns
        -------
        tuple of Tensor
            Value, first and second derivative.
        """
        angle = torch.deg2rad(time)
        cos, sin = torch.cos(angle), torch.sin(angle)
        x = self.tr_ms / t
        rest, decay = -torch.expm1(-x), torch.exp(-x)
        # 1 - E cos a cancels where T1 is long and the angle small: 2 sin(a/2)^2 is 1 - cos a without cancelling.
        fall = 2 * torch.sin(angle / 2) ** 2
        below = fall + rest * cos
        value = sin * rest / below
        # d(q/n) = (1 - cos a) dq / n^2, and dq = -x E.
        first = -sin * fall * x * decay / below**2
        second = first * (x - 1 + 2 * cos * x * decay / below)
        return value, first, second

    def solve_pair(
        self,
        first: Float[Tensor, " voxel"],
        second: Float[Tensor, " voxel"],
        times: tuple[float, float],
    ) -> Float[Tensor, " voxel"]:
        r"""Compute T1 from two samples by the line :math:`S/\sin a = E\, S/\tan a + m_0 (1 - E)`.

        Parameters
        ----------
        first, second
            The samples.
        times
            Their flip angles.

        Returns
        -------
        Tensor
            T1 of each voxel; NaN or negative where none explains the samples.
        """
        one, other = in_double(first), in_double(second)
        start, end = torch.deg2rad(one.new_tensor(times))
        one, other = one / torch.sin(start), other / torch.sin(end)
        slope = (other - one) / (other * torch.cos(end) - one * torch.cos(start))
        return (-self.tr_ms / torch.log(slope)).to(first)
