"""Decays of voxels with their fits, and how far the samples lie from the fits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from relaxnet.fitting import FitResult
from relaxnet.plots._figure import COLOURS, COLUMN, PAGE, empty_figure, styled
from relaxnet.protocol import Contrast
from relaxnet.signals import MonoExponential, SignalModel
from relaxnet.times import CheckedTimes, parse_times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FINE = 200  # points of a curve
_BAND = 1.96
_SHOWN = (0.5, 99.5)  # percentiles of the residuals, beyond which are single voxels


@styled
def decay_figure(
    result: FitResult[Any],
    images: NDArray[Any],
    times_ms: Contrast | Sequence[float],
    *,
    voxels: Sequence[tuple[int, ...]],
    name: str = "t",
    model: SignalModel | None = None,
    titles: Sequence[str] | None = None,
) -> "Figure":
    """Draw the samples of voxels over time, with the fit and its confidence band.

    Parameters
    ----------
    result
        Result of a fit, as NumPy arrays.
    images
        The fitted images of one contrast, (..., time).
    times_ms
        Their times in ms, or a :class:`~relaxnet.Contrast`.
    voxels
        Positions of the voxels in the maps, one panel each.
    name
        Name of the map of the contrast in the result.
    model
        The fitted signal model; a mono-exponential decay by default.
    titles
        Title of each panel; by default the voxel and its value.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. The band is that of the fitted curve, at 95 %, from the covariance of the parameters; it is left out
        where that is not known.

    Raises
    ------
    ValueError
        If no voxel is given, the result has no map of that name, or images and times do not match.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> images = 100 * np.exp(-np.array([0, 10, 30, 50]) / np.array([[40.0], [50.0]]))
    >>> figure = rx.plots.decay_figure(rx.fit(images, (0, 10, 30, 50)), images, (0, 10, 30, 50), voxels=[(0,), (1,)])
    >>> [axis.get_title() for axis in figure.axes]
    ['voxel 0: 40 ms', 'voxel 1: 50 ms']
    """
    model = model or MonoExponential()
    times = parse_times(times_ms, to_fit=False, axis=model.axis)
    if not voxels:
        raise ValueError("voxels is empty: give the position of one or more.")
    if name not in result.maps:
        raise ValueError(f"name={name!r} is none of the maps {tuple(result.maps)}.")
    if images.shape != (*result.status.shape, len(times)):
        needed = (*result.status.shape, len(times))
        raise ValueError(f"images has shape {images.shape}: {needed} follows from the maps and the times.")
    fine = CheckedTimes(np.linspace(min(0.0, *times), max(times) * 1.05, _FINE).tolist())
    fitted, std = _curves(result, voxels, fine, name, model)
    figure = empty_figure((max(COLUMN, len(voxels) * PAGE / 3), 2.2))
    unit = result.units[name]
    for k, (axis, voxel) in enumerate(zip(figure.subplots(1, len(voxels), squeeze=False).flat, voxels, strict=True)):
        if np.isfinite(std[k]).all():
            low, high = fitted[k] - _BAND * std[k], fitted[k] + _BAND * std[k]
            axis.fill_between(fine, low, high, alpha=0.25, linewidth=0, label="95 % band")
        axis.plot(fine, fitted[k], label="fit")
        axis.plot(times, images[voxel], "o", color=COLOURS[1], label="samples")
        axis.set_xlabel(f"{model.axis.name} ({model.axis.unit})")
        usual = f"voxel {', '.join(map(str, voxel))}: {result.maps[name][voxel]:.3g} {unit}"
        axis.set_title(titles[k] if titles else usual)
    figure.axes[0].set_ylabel("signal")
    figure.axes[0].legend()
    return figure


@styled
def residual_figure(residuals: NDArray[Any], *, title: str | None = None) -> "Figure":
    """Draw a histogram of residuals, with the normal distribution of the same spread.

    Parameters
    ----------
    residuals
        Samples minus fit, in signal units, of any shape. What is not finite is left out.
    title
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. The spread is robust: 1.4826 times the median absolute deviation.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    values = np.asarray(residuals, dtype=float).ravel()
    values = values[np.isfinite(values)]
    figure = empty_figure((COLUMN, 2.4))
    axis = figure.subplots()
    if values.size:
        low, high = np.percentile(values, _SHOWN)
        inside = values[(values >= low) & (values <= high)]
        middle = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - middle)))
        axis.hist(inside, bins=60, weights=np.full(inside.size, 1 / values.size), alpha=0.7)
        axis.axvline(0, color="0.5", linewidth=0.8)
        if spread > 0 and high > low:
            x = np.linspace(low, high, _FINE)
            width = (inside.max() - inside.min()) / 60
            density = np.exp(-(((x - middle) / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
            axis.plot(x, density * width, label=f"normal, sd {spread:.3g}")
            axis.legend()
    axis.set_xlabel("sample minus fit (signal)")
    axis.set_ylabel("share of the samples")
    if title:
        axis.set_title(title)
    return figure


def _curves(
    result: FitResult[Any],
    voxels: Sequence[tuple[int, ...]],
    times: tuple[float, ...],
    name: str,
    model: SignalModel,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the fitted curve of each voxel, and its standard error: the covariance carried through the derivative."""
    names = ["m0", name, *(("offset",) if "offset" in result.maps else ())]
    at = tuple(np.array(voxels).T)
    parameters = {key: np.asarray(result.maps[key][at], dtype=float) for key in names}
    constant = {"offset": parameters["offset"]} if model.has_offset else {}
    fitted = model(parameters["m0"], parameters[name], times, **constant)
    t, time = (torch.from_numpy(values) for values in (parameters[name][:, None], np.array(times)[None]))
    basis, slope, _ = (part.numpy() for part in model.unfolded.basis_with_derivatives(t, time))
    by = [basis, (parameters["m0"] / parameters[name])[:, None] * slope, np.ones_like(basis)][: len(names)]
    variance = np.zeros_like(basis)
    for a, b in ((a, b) for a in range(len(names)) for b in range(len(names))):
        pair = (names[a], names[b])
        known = result.covariances.get(pair, result.covariances.get(pair[::-1]))
        entry = result.std[names[a]][at] ** 2 if a == b else known[at] if known is not None else np.nan
        variance += np.asarray(entry)[..., None] * by[a] * by[b]
    return np.asarray(fitted), np.sqrt(np.where(variance >= 0, variance, np.nan))
