"""What a spatial fit returns."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.fitting._result import ArrayT, FitResult, to_numpy
from relaxnet.fitting._spatial.grid import Grid
from relaxnet.fitting._spatial.posterior import Posterior
from relaxnet.fitting._status import FitStatus

_TOLERANCE = 1e-4  # of the systems that give the error of a mean
UNSURE = 1.1
"""Errors of means in units of their posterior, which takes prior and ties for known; measured on digital livers."""


@dataclass(frozen=True)
class SpatialPrior:
    """How alike neighbouring voxels are: the hyperparameters of a spatial fit.

    Examples
    --------
    >>> rx.fitting.SpatialPrior(precision=np.array([50.0, 400.0])).precision
    array([ 50., 400.])
    """

    precision: NDArray[Any]
    """Precision of the differences between neighbours for each map, in their order: of the logarithms of the amplitude
    and of each T, and of an offset in units of the median amplitude. Neighbours typically differ by one over its root:
    400 are 5 %."""


class Mean(NamedTuple):
    """The mean of a map over a region.

    Examples
    --------
    >>> rx.fitting.Mean(value=42.0, std=0.5).std
    0.5
    """

    value: float
    """The mean, in the unit of the map."""
    std: float
    """Its standard deviation: that of the posterior, and a tenth more for what the posterior takes for known."""


@dataclass(frozen=True, repr=False)
class SpatialFit(FitResult[ArrayT]):
    """Maps of a spatial fit: a :class:`FitResult` that knows its prior, and the error of the mean of any region.

    Standard errors are those of the posterior. ``rmse`` and ``r2`` are those of the images, as ever.
    """

    prior: SpatialPrior
    """The prior: pass it to another fit to use it there."""
    sigma: float | None
    """The noise level that was found; None where it was given."""
    posterior: Posterior = field(repr=False)
    """The posterior of the maps in the coordinates of the search."""
    slopes: Tensor = field(repr=False)
    """Derivative of each map with respect to its coordinate, (map, batch, ...)."""
    grid: Grid = field(repr=False)
    """Where the voxels of the posterior lie in the maps."""

    def roi_mean(self, region: Any) -> dict[str, Mean]:
        """Compute the mean of each map over a region, with its standard deviation.

        Neighbours err together, so that this cannot be had from the standard errors of the voxels.

        Parameters
        ----------
        region
            The voxels: binary, of the shape of the maps.

        Returns
        -------
        dict
            A :class:`Mean` for each map, over the converged voxels.

        Raises
        ------
        ValueError
            If the region has another shape, holds values other than 0 and 1, or no converged voxel.

        Examples
        --------
        >>> subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=20)[0]
        >>> spatial = rx.fit_spatial(subject.images, subject.protocol, mask=subject.labels > 0)
        >>> mean = spatial.roi_mean(subject.roi)["t1rho"]
        >>> bool(abs(mean.value - subject.truth["t1rho"][subject.roi].mean()) < 4 * mean.std)
        True
        """
        inside = to_numpy(region)
        shape = tuple(self.status.shape)
        if inside.shape != shape:
            raise ValueError(f"region has shape {inside.shape}, the maps {shape}.")
        if not ((inside == 0) | (inside == 1)).all():
            raise ValueError("region holds values other than 0 and 1: pass a comparison, as labels == 5.")
        chosen = (inside == 1) & (to_numpy(self.status) == FitStatus.CONVERGED)
        n = int(chosen.sum())
        if not n:
            raise ValueError("region holds no converged voxel: there is no mean.")
        weights = self.grid.enter(torch.from_numpy(chosen)).to(self.slopes) / n
        ask = self.slopes.new_zeros(len(self.maps), *self.slopes.shape)
        for k in range(len(self.maps)):
            ask[k, k] = weights * self.slopes[k]
        variances = (ask * self.posterior.solve(ask, _TOLERANCE)).flatten(1).sum(1)
        stds = UNSURE * variances.sqrt()
        return {
            name: Mean(float(np.mean(to_numpy(values)[chosen], dtype=np.float64)), float(std))
            for (name, values), std in zip(self.maps.items(), stds, strict=True)
        }
