"""Whether maps show structure: what a map of one number for a whole liver would get wrong."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, label
from torch import Tensor

from relaxnet.experiments._harness.once import once_a_subject
from relaxnet.phantom import Subject, Tissue

Array = NDArray[np.float64]

_RADII_MM = (2.0, 6.0)
_AROUND_MM = 8.0
_WIDTHS_MM = np.arange(0, 8.1, 0.5)
_RISE = 2.563  # from 10 to 90 % of an edge, in standard deviations of the Gaussian that has smoothed it


def within_liver(own: Tensor, truth: Tensor) -> dict[str, float]:
    """Compare the voxels of a liver after the mean of each map is taken off.

    Parameters
    ----------
    own, truth
        Values of the voxels.

    Returns
    -------
    dict
        ``r2``, the part of the variance of the truth that the map explains: 0 for a constant, negative if it adds more
        error than it explains; and the ``correlation``, which is 0 for a constant.
    """
    x, y = own - own.mean(), truth - truth.mean()
    scale = x.norm() * y.norm()
    r2 = 1 - float((x - y).square().sum() / y.square().sum())
    return {"r2": r2, "correlation": float((x * y).sum() / scale) if scale > 0 else 0.0}


def lesion_bias(own: Tensor, truth: Tensor, subject: Subject) -> float:
    """Compute the bias of the mean over small lesions: tumours of 2 to 6 mm in radius, that of a disc of their area.

    Parameters
    ----------
    own, truth
        Maps of the subject.
    subject
        The subject.

    Returns
    -------
    float
        Mean over the lesions, as a part of the truth; NaN where there is none.
    """
    found = []
    for k, lesions in _tumours(subject):
        parts, n = label(lesions)
        for part in range(1, n + 1):
            here = torch.from_numpy(parts == part) & torch.isfinite(own[k])
            radius = math.sqrt((parts == part).sum() * subject.voxel_mm[1] * subject.voxel_mm[2] / math.pi)
            if _RADII_MM[0] <= radius <= _RADII_MM[1] and here.any():
                found.append(float(own[k][here].double().mean() / truth[k][here].double().mean() - 1))
    return float(np.mean(found)) if found else math.nan


def edge_residuals(own: Tensor, contrast: str, subject: Subject) -> list[float]:
    """Compute how far the map near tumours is from the truth smoothed by Gaussians; the nearest one tells its blur.

    Parameters
    ----------
    own
        Map of the subject.
    contrast
        Name of its contrast.
    subject
        The subject.

    Returns
    -------
    list of float
        Sum of the squared residuals for each width, of the line through the voxels, as contrast may be lost without
        any blur; 0 where there is no lesion.
    """
    total = np.zeros(len(_WIDTHS_MM))
    for k, near, smooth in _edges(subject):
        values = own[k].double().numpy()[near]
        known = np.isfinite(values)
        total += _unexplained(values[known], smooth[contrast][:, known])
    return [float(part) for part in total]


class _Edges(NamedTuple):
    """The truth around the tumours of a slice."""

    k: int
    """Number of the slice."""
    near: NDArray[np.bool_]
    """Where it is."""
    smooth: dict[str, Array]
    """Its values, smoothed by each Gaussian, (width, voxel), by contrast."""


@once_a_subject
def _edges(subject: Subject) -> list[_Edges]:
    found = []
    sigmas = [[width / mm for mm in subject.voxel_mm[1:]] for width in _WIDTHS_MM]
    for k, lesions in _tumours(subject):
        inside = lesions | (subject.labels[k].numpy() == Tissue.LIVER)
        near = inside & binary_dilation(lesions, iterations=round(_AROUND_MM / min(subject.voxel_mm[1:])))
        weights = [gaussian_filter(inside.astype(float), sigma)[near] for sigma in sigmas]
        smooth = {}
        for name in subject.protocol.names:
            true = np.where(inside, subject.truth[name][k].double().numpy(), 0)
            blurred = [gaussian_filter(true, sigma)[near] for sigma in sigmas]
            smooth[name] = np.divide(blurred, weights)
        found.append(_Edges(k, near, smooth))
    return found


def _unexplained(values: Array, others: Array) -> Array:
    """Return the sums of squares of values that a linear function of the others in each row does not explain."""
    if len(values) < 2:
        return np.zeros(len(others))
    own, others = values - values.mean(), others - others.mean(1, keepdims=True)
    variance = (others**2).sum(1)
    explained = np.divide((others @ own) ** 2, variance, out=np.zeros(len(others)), where=variance > 0)
    unexplained: Array = own @ own - explained
    return unexplained


def edge_width(residuals: Array) -> float:
    """Compute the width over which an edge rises from 10 to 90 % in a map, beyond that of a voxel.

    It is 2.56 times the standard deviation of the Gaussian by which the true map around tumours has to be smoothed to
    be nearest to the map, whatever its contrast.

    Parameters
    ----------
    residuals
        Those of :func:`edge_residuals`, summed over subjects.

    Returns
    -------
    float
        The width in mm; NaN where no subject has a lesion, or the maps are constant.
    """
    if not residuals.any():
        return math.nan
    k = int(residuals.argmin())
    if 0 < k < len(residuals) - 1:  # the lowest point of the parabola through it and its neighbours
        before, at, after = residuals[k - 1 : k + 2]
        k += 0.5 * (before - after) / max(before - 2 * at + after, 1e-12)
    return float(_RISE * k * (_WIDTHS_MM[1] - _WIDTHS_MM[0]))


def _tumours(subject: Subject) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Give each slice that holds tumour, and where."""
    for k, labels in enumerate(subject.labels.numpy()):
        if (labels == Tissue.TUMOUR).any():
            yield k, labels == Tissue.TUMOUR
