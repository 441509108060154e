"""Small networks that are trained with the images of one subject alone: peers from other papers.

- A network of single voxels, as IVIM-NET (Kaandorp et al., Magn Reson Med 86:2250, 2021): signals in, parameters out.
- An implicit neural representation (Sitzmann et al., NeurIPS 2020; Tancik et al., NeurIPS 2020): coordinates in,
  parameters out. How fast the maps may change from voxel to voxel is a matter of its Fourier features.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from relaxnet.experiments._harness.experiment import Fold
from relaxnet.experiments._harness.fits import channels_of, with_images
from relaxnet.experiments._harness.score import Maps, score
from relaxnet.experiments._harness.steps import Step
from relaxnet.phantom import Subject, Tissue
from relaxnet.protocol import Protocol

_WIDTH, _LAYERS = 64, 3
_VOXELS = 4096  # in each step
_RATE = 3e-3
_NFEATURES = 128  # of an implicit representation
_PERIOD = 32.0  # of a typical feature, in voxels; of 8, 16, 32 and 64 the best one for two subjects of another seed

Features = Callable[[Float[Tensor, "voxel image"], Float[Tensor, "voxel 3"]], Float[Tensor, "voxel feature"]]


def plan_small_network(name: str, fold: Fold) -> Step:
    """Plan to map the subjects of a fold by small networks, one for each subject and input set.

    Parameters
    ----------
    name
        ``"voxelwise-3"`` or ``"implicit-3"``.
    fold
        Whom to map.

    Returns
    -------
    Step
        Its outcome holds ``scores``, by input set.
    """
    return Step(
        f"{name}, {fold}", train_small_networks, {"name": name, "fold": fold, "steps": fold.setting.small_steps}
    )


def train_small_networks(*, name: str, fold: Fold, steps: int) -> dict[str, Any]:
    """Map the subjects of a fold by small networks, and score the maps.

    Parameters
    ----------
    name, fold
        As for :func:`plan_small_network`.
    steps
        Steps of each training.

    Returns
    -------
    dict
        ``scores`` by input set.
    """

    def method(subject: Subject, inputs: str) -> Maps:
        return map_by_small_network(with_images(subject, channels_of(subject, inputs)), FEATURES[name], steps)

    return {"scores": score(fold.test(), method)}


def _of_signals(signals: Float[Tensor, "voxel image"], _: Tensor) -> Float[Tensor, "voxel image"]:
    return signals


def _of_place(_: Tensor, places: Float[Tensor, "voxel 3"]) -> Float[Tensor, "voxel feature"]:
    directions = torch.randn(3, _NFEATURES // 2, generator=torch.Generator().manual_seed(0)) / _PERIOD
    phase = 2 * math.pi * places @ directions
    return torch.cat((phase.sin(), phase.cos()), 1) * math.sqrt(2)


FEATURES: dict[str, Features] = {"voxelwise-3": _of_signals, "implicit-3": _of_place}
"""What a network is given of each voxel, by its name."""


def map_by_small_network(subject: Subject, features: Features, steps: int) -> Maps:
    """Train a network that predicts amplitude and relaxation times so that they give the images, and map with it.

    Parameters
    ----------
    subject
        The subject, with the images to map from.
    features
        What the network is given of each voxel, made of its signals and its place.
    steps
        Steps of the training.

    Returns
    -------
    dict
        Maps in ms, NaN in air.
    """
    inside = subject.labels != Tissue.AIR
    images = rearrange(subject.images, "slice image row column -> slice row column image")[inside]
    signals = images / images[:, :1].mean()
    places = inside.nonzero().float()
    places[:, 0] *= 1000  # slices are far from each other
    given = features(signals, places)
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = _perceptron(given.shape[1], 1 + len(subject.protocol.names))
    optimiser = torch.optim.Adam(net.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        chosen = torch.randint(len(given), (min(_VOXELS, len(given)),), generator=generator)
        predicted = _signals(subject.protocol, _parameters(subject.protocol, net(given[chosen])))
        optimiser.zero_grad()
        (predicted - signals[chosen]).square().mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        found = _parameters(subject.protocol, net(given))[1:]
    maps = {name: torch.full(inside.shape, torch.nan) for name in subject.protocol.names}
    for map_, values in zip(maps.values(), found, strict=True):
        map_[inside] = values
    return maps


def _perceptron(n_in: int, n_out: int) -> nn.Sequential:
    widths = [n_in, *[_WIDTH] * _LAYERS]
    hidden = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(_WIDTH, n_out))


def _parameters(protocol: Protocol, out: Float[Tensor, "voxel parameter"]) -> list[Float[Tensor, " voxel"]]:
    """Convert outputs to the amplitude, and to the relaxation time of each contrast, typical ones at first."""
    typical = [contrast.model.parameter.typical for contrast in protocol.contrasts]
    bounds = [contrast.model.parameter.bounds for contrast in protocol.contrasts]
    amplitude, *logs = out.clamp(-10, 10).exp().unbind(1)
    return [amplitude, *((t * log).clamp(*b) for t, log, b in zip(typical, logs, bounds, strict=True))]


def _signals(protocol: Protocol, parameters: list[Tensor]) -> Float[Tensor, "voxel image"]:
    amplitude, *ts = parameters
    out = torch.empty(len(amplitude), protocol.n_images)
    for contrast, t in zip(protocol.contrasts, ts, strict=True):
        times = torch.tensor(contrast.times_ms, dtype=t.dtype)
        out[:, list(protocol.images_of(contrast.name))] = amplitude[:, None] * contrast.model.basis(t[:, None], times)
    return out
