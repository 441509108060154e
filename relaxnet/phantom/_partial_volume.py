"""Partial volume: voxels at a border hold a mixture of tissues, and their signal is the sum of the parts."""

from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, reduce
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
    """One slice without noise, and its ground truth."""

    clean: Float[Tensor, "image height width"]
    """Images without noise, in the order of the protocol."""
    truth: dict[str, Float[Tensor, "height width"]]
    """Parameter maps, as described at ``Subject.truth``."""
    labels: UInt8[Tensor, "height width"]
    """Tissue that fills most of each voxel; air only where there is nothing else."""
    roi: Bool[Tensor, "height width"]
    """Voxels that lie in the region of interest with all of their points."""


def mix(labels: NDArray[np.uint8], roi: NDArray[np.bool_], maps: dict[str, Array], protocol: Protocol) -> Voxels:
    r"""Simulate a slice on a fine grid, and average each two by two points into a voxel.

    The signals are averaged, not the maps. The relaxation time of a mixture is defined by its initial decay,

    .. math:: T = -\frac{S(0)}{S'(0)} = \frac{\sum_p m_p}{\sum_p m_p / T_p},

    that is, by the mean of the rates, weighted by amplitude; this definition is also used for models that are no
    decays. In a voxel of one tissue this is what every fit finds. A mixture is not mono-exponential: the slowest
    component dominates at late times, so a fit finds T or more, never less.

    The arguments have the shape (2 height, 2 width); maps are in ms and NaN in air, ``"m0"`` is 0 in air.

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
    return Voxels(
        clean=_mean(clean_images(fine, protocol)),
        truth={**truth, "m0": m0},
        labels=torch.from_numpy(_majority(labels)),
        roi=torch.from_numpy(whole_voxels(roi)),
    )


def clean_images(
    maps: dict[str, Float[Tensor, "height width"]], protocol: Protocol
) -> Float[Tensor, "image height width"]:
    """Simulate the images of a protocol without noise, in its order, from maps in ms and ``"m0"``, 0 in air."""
    m0 = maps["m0"]
    images = m0.new_empty(protocol.n_images, *m0.shape)
    for contrast in protocol.contrasts:
        t = maps[contrast.name].nan_to_num(nan=1.0)  # any value: the amplitude of air is 0
        images[list(protocol.images_of(contrast.name))] = contrast.model(m0[None], t[None], contrast)[0]
    return images


def whole_voxels(points: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels that lie in a region with all of their points; leading axes stay."""
    return reduce(points, "... (height a) (width b) -> ... height width", "all", a=FINE, b=FINE)


def _mean(points: Float[Tensor, "*stack fine_height fine_width"]) -> Float[Tensor, "*stack height width"]:
    return avg_pool2d(points[None], FINE)[0]


def _majority(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Find the most frequent label except air of each voxel; of equally frequent ones, the first in reading order."""
    points = rearrange(labels, "(height a) (width b) -> (a b) height width", a=FINE, b=FINE)
    votes = (points[:, None] == points).sum(axis=1) * (points != Tissue.AIR)
    most_frequent: NDArray[np.uint8] = np.take_along_axis(points, votes.argmax(axis=0)[None], axis=0)[0]
    return most_frequent
