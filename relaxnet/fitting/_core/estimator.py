"""The base of all estimators: what they are given, and what they give back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from relaxnet.fitting._core.bounds import Bounds
from relaxnet.fitting._core.design import Design
from relaxnet.fitting._core.quality import quality
from relaxnet.fitting._core.samples import Samples

LEFT = 255
"""Instead of a status: what becomes of the voxel is left to the estimator."""


class Estimate(NamedTuple):
    """What an estimator finds for some voxels.

    Examples
    --------
    >>> values = torch.tensor([[100.0], [42.0]])
    >>> rx.fitting.Estimate(values, torch.tensor([rx.FitStatus.CONVERGED])).status
    tensor([0])
    """

    values: Float[Tensor, "parameter voxel"]
    """The amplitude, the relaxation times, and the offset of a model that has one."""
    status: Int[Tensor, " voxel"]
    """A :class:`~relaxnet.FitStatus` for each voxel."""


def estimate_apart(
    samples: Samples, ways: Iterable[tuple[Bool[Tensor, " voxel"], Callable[[Samples], Estimate]]]
) -> Estimate:
    """Fit groups of voxels in ways of their own.

    Parameters
    ----------
    samples
        The samples of all voxels.
    ways
        Masks of the groups, in which each voxel is once, and how to fit the samples of each.

    Returns
    -------
    Estimate
        Parameters and status of all voxels.
    """
    parts = []
    for chosen, estimate in ways:
        voxels = chosen.nonzero()[:, 0]
        if len(voxels) == len(chosen):
            return estimate(samples)
        if len(voxels):
            parts.append((voxels, estimate(samples.pick(voxels))))
    order = torch.cat([voxels for voxels, _ in parts]).argsort()
    values, status = (torch.cat(rows, dim=-1)[..., order] for rows in zip(*(found for _, found in parts), strict=True))
    return Estimate(values, status)


@runtime_checkable
class Shortcut(Protocol):
    """Fits most voxels of a block at less cost than an estimator, and leaves the others to it."""

    def __call__(
        self,
        samples: Float[Tensor, "time voxel"],
        noise: Float[Tensor, " #voxel"] | None,
        *,
        maps_only: bool,
        refine: bool,
    ) -> tuple[Float[Tensor, "row voxel"], Bool[Tensor, " voxel"]]:
        """Fit voxels of any scale.

        Parameters
        ----------
        samples
            Samples in the units of the signal.
        noise
            Known standard deviation of a sample of weight 1, of all voxels or of each, or None.
        maps_only
            Whether the rows are those of the estimate alone, not those of :meth:`Estimator.judge`, too.
        refine
            Whether these are voxels that were not certain before, for which more may be done.

        Returns
        -------
        tuple of Tensor
            The rows, which hold until the next call, and which voxels are certain to have converged.
        """


@runtime_checkable
class Fused(Protocol):
    """Fits voxels of any kind, and says how each ended."""

    def __call__(
        self,
        samples: Float[Tensor, "time voxel"],
        weight: Float[Tensor, "#time #voxel"],
        noise: Float[Tensor, " #voxel"] | None,
        *,
        maps_only: bool,
    ) -> tuple[Float[Tensor, "row voxel"], Integer[Tensor, " voxel"], Integer[Tensor, " voxel"]]:
        """Fit voxels of any scale.

        Parameters
        ----------
        samples
            Samples in the units of the signal, whatever they are.
        weight
            Relative weight of each sample.
        noise
            Known standard deviation of a sample of weight 1, of all voxels or of each, or None.
        maps_only
            Whether the rows are those of the estimate alone, not those of :meth:`Estimator.judge`, too.

        Returns
        -------
        tuple of Tensor
            The rows, the status of each voxel, and how many of its samples were used. The status is :data:`LEFT` where
            the estimator has to decide.
        """


class Estimator(ABC):
    """A way to find the parameters of a signal model in each voxel.

    A subclass writes :meth:`estimate`. :func:`relaxnet.fitting.run` checks the arguments, walks over the voxels, brings
    each to a largest sample of 1, leaves out what cannot be used, calls :meth:`estimate`, and brings the answer back to
    the units of the signal with standard errors and status.

    Parameters
    ----------
    design
        The model at the times of the images. Read it in :meth:`estimate`, not in a constructor: where samples are
        missing, it is that of the others.
    bounds
        Smallest and largest value of each relaxation time.

    Examples
    --------
    The rate of a decay from the areas under two halves of it, for evenly spaced times:

    >>> class HalfAreas(rx.fitting.Estimator):
    ...     def estimate(self, samples):
    ...         half = len(samples.values) // 2
    ...         early, late = samples.values[:half].sum(0), samples.values[-half:].sum(0)
    ...         gap = self.design.time[-half] - self.design.time[0]
    ...         t = gap / torch.log(early / late)
    ...         m0 = samples.values[0] * torch.exp(self.design.time[0] / t)
    ...         inside = (t > self.bounds[0][0]) & (t < self.bounds[0][1])
    ...         status = torch.where(inside, rx.FitStatus.CONVERGED, rx.FitStatus.NOT_CONVERGED)
    ...         return rx.fitting.Estimate(torch.stack((m0, t)), status)
    >>> signal = 100 * np.exp(-np.array([10, 20, 30, 40]) / 42)
    >>> rx.fitting.run(HalfAreas, signal, (10, 20, 30, 40)).maps["t"].round(3)
    np.float64(42.0)
    """

    obeys_weights: ClassVar[bool] = False
    """Whether :meth:`estimate` obeys ``samples.weight``, so that a sample of weight 0, whose value is 0, has no
    influence. Where it does not, it is called with the used samples alone: once for each set of missing samples."""
    differentiable: ClassVar[bool] = False
    """Whether the answer is the optimum of least squares, so that its gradient is known."""

    def __init__(self, design: Design, bounds: tuple[Bounds, ...]) -> None:
        self.design = design
        self.bounds = bounds

    def usable(self, samples: Float[Tensor, "time voxel"]) -> Bool[Tensor, "time voxel"]:
        """Find the finite samples that can be used.

        Parameters
        ----------
        samples
            Samples in the units of the signal.

        Returns
        -------
        Tensor
            Mask of the samples; by default all.
        """
        return torch.ones_like(samples, dtype=torch.bool)

    @abstractmethod
    def estimate(self, samples: Samples) -> Estimate:
        """Fit voxels whose largest sample is 1, with at least as many samples as parameters each.

        Parameters
        ----------
        samples
            The samples of some voxels.

        Returns
        -------
        Estimate
            Parameters and status of each voxel. A voxel whose parameters are not finite counts as not converged.
        """

    def shortcut(self, weight: Float[Tensor, " time"]) -> Shortcut | None:
        """Prepare a cheaper way for voxels all of whose samples are used, where there is one.

        Parameters
        ----------
        weight
            Relative weight of each time, which all voxels share.

        Returns
        -------
        Shortcut or None
            By default None.
        """
        del weight
        return None

    def fused(self, saturation: float | None, n_voxels: int) -> Fused | None:
        """Prepare a compiled fit of whatever comes, where there is one.

        Parameters
        ----------
        saturation
            Samples at or above this value are not used.
        n_voxels
            How many voxels there are to fit.

        Returns
        -------
        Fused or None
            By default None.
        """
        del saturation, n_voxels
        return None

    def judge(self, samples: Samples, values: Float[Tensor, "parameter voxel"]) -> Float[Tensor, "row voxel"]:
        """Compute standard errors, covariances and goodness of fit: what ``quality_names`` lists.

        Parameters
        ----------
        samples
            The samples of some voxels.
        values
            Their parameters.

        Returns
        -------
        Tensor
            Rows; by default those of least squares.
        """
        return quality(self.design, samples, values)
