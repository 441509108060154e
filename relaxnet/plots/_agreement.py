"""Agreement of two maps, and calibration of standard deviations."""

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._contrasts import label
from relaxnet.plots._figure import COLOURS, COLUMN, MARKERS, empty_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = 5000  # of a scatter plot: more are a blot
_BINS = 20


@styled
def bland_altman_figure(
    map_ms: NDArray[Any], reference_ms: NDArray[Any], *, name: str = "t", unit: str = "ms", seed: int = 0
) -> "Figure":
    """Draw the differences of two maps over their means, with bias and limits of agreement.

    Parameters
    ----------
    map_ms
        Relaxation times in ms, of any shape.
    reference_ms
        Relaxation times in ms to compare with, of the same shape.
    name
        Name of the contrast, for the axes.
    unit
        Unit of the maps, for the axes.
    seed
        At most 5000 voxels are drawn, chosen by this seed; bias and limits are those of all voxels.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. Voxels that are not finite in both maps are left out.

    Raises
    ------
    ValueError
        If the shapes differ.
    MissingExtraError
        If matplotlib is not installed.

    References
    ----------
    Bland and Altman, *Statistical methods for assessing agreement between two methods of clinical measurement*, Lancet
    327:307 (1986).
    """
    one, other = (np.asarray(values, dtype=float) for values in (map_ms, reference_ms))
    if one.shape != other.shape:
        raise ValueError(f"map_ms {one.shape} and reference_ms {other.shape} differ in shape.")
    both = np.isfinite(one) & np.isfinite(other)
    mean, difference = (one[both] + other[both]) / 2, one[both] - other[both]
    figure = empty_figure((COLUMN, 2.4))
    axis = figure.subplots()
    if mean.size:
        chosen = np.random.default_rng(seed).permutation(mean.size)[:_POINTS]
        axis.plot(mean[chosen], difference[chosen], ".", markersize=2, alpha=0.5, rasterized=True)
        bias, half = difference.mean(), 1.96 * difference.std(ddof=1) if difference.size > 1 else 0.0
        axis.axhline(bias, color=COLOURS[1], label=f"bias {bias:.3g} {unit}")
        for height, told in (
            (bias - half, f"limits {bias - half:.3g} to {bias + half:.3g} {unit}"),
            (bias + half, "_"),
        ):
            axis.axhline(height, color=COLOURS[1], linestyle="--", label=told)
        axis.set_xlim(*_around(mean, float(np.median(mean)), 0))
        axis.set_ylim(*_around(difference, bias, half))
        axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    axis.set_xlabel(f"mean {label(name)} ({unit})")
    axis.set_ylabel(f"difference ({unit})")
    return figure


@styled
def calibration_figure(errors_ms: Mapping[str, NDArray[Any]], std_ms: Mapping[str, NDArray[Any]]) -> "Figure":
    """Draw how large the errors are where standard deviations are small and large.

    Parameters
    ----------
    errors_ms
        Map minus truth in ms of the voxels of each contrast, by its name.
    std_ms
        The standard deviations of these voxels.

    Returns
    -------
    matplotlib.figure.Figure
        The figure: in twenty bins of equal counts, the root mean square error over the root mean variance. Standard
        deviations are right where the points lie on the diagonal, and too small where they lie above it.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.

    See Also
    --------
    relaxnet.metrics.ence : Computes the mean relative distance from the diagonal.
    """
    figure = empty_figure((COLUMN, 3.0))
    axis = figure.subplots()
    largest = 0.0
    for (name, errors), marker in zip(errors_ms.items(), cycle(MARKERS), strict=False):
        order = np.argsort(std_ms[name])
        bins = [part for part in np.array_split(order, _BINS) if part.size]
        predicted, found = (
            [float(np.sqrt(np.mean(np.square(values[part])))) for part in bins] for values in (std_ms[name], errors)
        )
        axis.plot(predicted, found, f"{marker}-", label=label(name))
        largest = max(largest, *predicted, *found)
    axis.plot([0, largest], [0, largest], color="0.5", linewidth=0.8, linestyle="--", label="ideal")
    axis.set_xlabel("predicted standard deviation (ms)")
    axis.set_ylabel("root mean square error (ms)")
    axis.legend()
    return figure


def _around(difference: NDArray[Any], bias: float, half: float) -> tuple[float, float]:
    """Return a range that shows the limits and nearly all voxels, so that single ones do not compress the others."""
    low, high = np.percentile(difference, (0.5, 99.5))
    low, high = min(low, bias - 1.2 * half), max(high, bias + 1.2 * half)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin
