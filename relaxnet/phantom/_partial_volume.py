"""From a fine grid to voxels: a voxel at a border holds a mixture, and its signal is the sum of its parts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from relaxnet.phantom._anatomy.random_fields import Array
from relaxnet.phantom._tissues import Tissue
from relaxnet.protocol import Protocol
from relaxnet.signals import ExponentialDecay, MonoExponential

FINE = 2
"""Points of the fine grid along each side of a voxel."""


@dataclass(frozen=True)
class Voxels:
    """One slice as a scanner without noise would see it, and what it is made of."""

    clean: Float[Tensor, "image height width"]
    """Images without noise, in the order of the protocol."""
    truth: dict[str, Float[Tensor, "height width"]]
    """Maps as ``Subject.truth`` describes them."""
    labels: UInt8[Tensor, "height width"]
    """The tissue that fills most of each voxel; air where there is nothing else."""
    roi: Bool[Tensor, "height width"]
    """Voxels that lie in the region of interest as a whole."""


def mix(labels: NDArray[np.uint8], roi: NDArray[np.bool_], maps: dict[str, Array], protocol: Protocol) -> Voxels:
    r"""Simulate a slice on a fine grid, and average two by two points into voxels.

    The signals are averaged, not the maps. The relaxation time of a mixture is the one with which it starts to decay,

    .. math:: T = -\frac{S(0)}{S'(0)} = \frac{\sum_p m_p}{\sum_p m_p / T_p},

    the mean of the rates, weighted by amplitude; of a model that is no decay, too. In a voxel of one tissue this is
    what every fit finds. A mixture is not mono-exponential: what decays slowly is what is left in the end, so a fit
    finds T or more, never less.

    Parameters
    ----------
    labels
        Tissue of each point, (2 height, 2 width).
    roi
        Region of interest, (2 height, 2 width).
    maps
        Relaxation times of the contrasts of the protocol in ms, NaN in air, and ``"m0"``, 0 in air; each of the same
        shape.
    protocol
        What to acquire.

    Returns
    -------
    Voxels
        The slice, (height, width).

    Examples
    --------
    Half muscle, half fluid:

    >>> import numpy as np
    >>> labels = np.array([[2, 4], [2, 4]], dtype=np.uint8)
    >>> maps = {"t2": np.array([[30.0, 600.0]] * 2), "m0": np.full((2, 2), 100.0)}
    >>> protocol = rx.Protocol((rx.Contrast("t2", (0, 30)),))
    >>> voxels = mix(labels, np.zeros((2, 2), dtype=bool), maps, protocol)
    >>> voxels.truth["t2"].round(decimals=2)
    tensor([[57.1400]])
    >>> voxels.clean.flatten()
    tensor([100.0000,  65.9554])
    """
    fine = {name: torch.from_numpy(maps[name].astype(np.float32)) for name in (*protocol.names, "m0")}
    m0 = _mean(fine["m0"])
    truth = {}
    for contrast in protocol.contrasts:
        model = contrast.model if isinstance(contrast.model, ExponentialDecay) else MonoExponential()
        rate = torch.where(fine["m0"] > 0, fine["m0"] * model.rate(fine[contrast.name]), 0)
        truth[contrast.name] = model.from_rate(_mean(rate) / m0)  # 0 / 0, which is NaN, in air
    truth["m0"] = m0
    return Voxels(
        clean=_mean(clean_images(fine, protocol)),
        truth=truth,
        labels=torch.from_numpy(_majority(labels)),
        roi=torch.from_numpy(_points(roi).all(axis=0)),
    )


def clean_images(
    maps: dict[str, Float[Tensor, "height width"]], protocol: Protocol
) -> Float[Tensor, "image height width"]:
    """Simulate the images of a protocol without noise, point by point.

    Parameters
    ----------
    maps
        Relaxation times in ms, NaN in air, and ``"m0"``, 0 in air.
    protocol
        What to acquire.

    Returns
    -------
    Tensor
        Images in the order of the protocol.
    """
    m0 = maps["m0"]
    images = m0.new_empty(protocol.n_images, *m0.shape)
    for contrast in protocol.contrasts:
        t = maps[contrast.name].nan_to_num(nan=1.0)  # any: the amplitude of air is 0
        images[list(protocol.images_of(contrast.name))] = contrast.model(m0[None], t[None], contrast)[0]
    return images


def _mean(points: Float[Tensor, "*stack fine_height fine_width"]) -> Float[Tensor, "*stack height width"]:
    return avg_pool2d(points[None], FINE)[0]


def _majority(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Find the commonest label but air of each voxel; where two are as common, the one that comes first in reading."""
    points = _points(labels)
    votes = (points[:, None] == points).sum(axis=1) * (points != Tissue.AIR)
    commonest: NDArray[np.uint8] = np.take_along_axis(points, votes.argmax(axis=0)[None], axis=0)[0]
    return commonest


def _points(image: NDArray[Any]) -> NDArray[Any]:
    """Take the points of each voxel apart: (2 height, 2 width) becomes (4, height, width)."""
    height, width = (side // FINE for side in image.shape)
    return image.reshape(height, FINE, width, FINE).transpose(1, 3, 0, 2).reshape(FINE * FINE, height, width)
