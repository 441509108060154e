"""What a fit returns."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.fitting._status import FitStatus

ArrayT = TypeVar("ArrayT", bound=NDArray[Any] | Tensor)


@dataclass(frozen=True, repr=False)
class FitResult(Generic[ArrayT]):
    """Maps of a voxel-wise fit, with their errors and an account of every voxel.

    All maps have the shape of the signal without its time axis, and its dtype and device; they are NumPy arrays if the
    signal was one. Voxels whose :attr:`status` is neither ``CONVERGED`` nor ``AT_BOUND`` are NaN in all of them.
    """

    maps: dict[str, ArrayT]
    """Fitted parameters: ``"m0"`` in signal units; the relaxation time in ms, under ``"t"`` or its contrast's name."""
    std: dict[str, ArrayT]
    """Standard error of each map. NaN at a bound, and where as many samples as parameters leave none to judge by."""
    m0_t_covariance: ArrayT
    """Covariance of amplitude and relaxation time."""
    rmse: ArrayT
    """Root mean squared residual of the used samples, in signal units."""
    r2: ArrayT
    """Coefficient of determination; NaN for a signal without any variation."""
    n_used: ArrayT
    """How many samples of the voxel were used."""
    status: ArrayT
    """How the fit of the voxel ended: a :class:`FitStatus`, as an unsigned 8-bit integer."""

    @property
    def ok(self) -> ArrayT:
        """Where the fit converged inside the bounds."""
        status: Any = self.status
        return cast("ArrayT", status == FitStatus.CONVERGED)

    @property
    def cov(self) -> ArrayT:
        """Covariance matrix of the parameters, (parameter, parameter, ...), in the order of :attr:`maps`."""
        first, second = (cast("Any", error) ** 2 for error in self.std.values())
        mixed: Any = self.m0_t_covariance
        if isinstance(mixed, Tensor):
            return cast("ArrayT", torch.stack((torch.stack((first, mixed)), torch.stack((mixed, second)))))
        return cast("ArrayT", np.array(((first, mixed), (mixed, second))))

    def summary(self) -> str:
        """Tell in a short table how many voxels ended how, and what the maps hold.

        Returns
        -------
        str
            Text: a line a status that occurs, a line a map with median and quartiles of its converged voxels.

        Examples
        --------
        >>> signal = 100 * np.exp(-np.array([0, 10, 30, 50]) / np.array([[40.0], [50.0]]))
        >>> print(rx.fit(signal, (0, 10, 30, 50)).summary())
        2 voxels
          CONVERGED                2  100.0 %
        converged voxels         25 %    median      75 %
          m0                      100       100       100
          t                      42.5        45      47.5
        """
        status = np.asarray(self.status.cpu() if isinstance(self.status, Tensor) else self.status)
        lines = [f"{status.size} voxels"]
        for member in FitStatus:
            count = int((status == member).sum())
            if count:
                lines.append(f"  {member.name:<16}{count:>10}{100 * count / status.size:>7.1f} %")
        lines.append(f"{'converged voxels':<20}{'25 %':>9}{'median':>10}{'75 %':>10}")
        for name, values in self.maps.items():
            array = np.asarray(values.float().cpu() if isinstance(values, Tensor) else values)
            good = array[status == FitStatus.CONVERGED]
            quartiles = np.percentile(good, (25, 50, 75)) if good.size else np.full(3, np.nan)
            lines.append(f"  {name:<18}" + "".join(f"{q:>10.4g}" for q in quartiles)[1:])
        return "\n".join(lines)

    def __repr__(self) -> str:
        shape = tuple(self.status.shape)
        return f"<FitResult of {shape} voxels, maps {', '.join(self.maps)}; print(result.summary()) tells more>"
