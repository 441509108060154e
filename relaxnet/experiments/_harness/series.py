"""Real series of images, and how each is split into what a method receives, what it may learn from, and its judges."""

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from relaxnet._files import naming
from relaxnet.experiments._harness.data import data_file
from relaxnet.fitting import estimate_sigma, nlls
from relaxnet.protocol import Contrast, Protocol
from relaxnet.signals import MonoExponential, add_noise

Images = Float[Tensor, "slice image row column"]
Map = Float[Tensor, "slice row column"]

_JUDGED = (1.6, 0.875)  # of the bounds: T of the voxels that are judged, (8, 350) ms between (5, 400)
_FEWEST = 6  # images: two inputs, two to learn from and two to be judged by


@dataclass(frozen=True)
class Series:
    """A real series of images of one decay."""

    label: str
    """What it shows."""
    file: str
    """File of the test data, with ``signal[row, column, (slice,) image]`` and ``times_ms``."""
    first: int = 0
    """First image to use. Of a train of echoes, the very first one lies below the decay of the others."""
    saturation: float | None = None
    """Samples at or above this value are clipped, and their voxels are not judged."""
    bounds_ms: tuple[float, float] = (5.0, 400.0)
    """Smallest and largest T of all methods."""
    tissue: float = 1 / 8
    """Tissue is brighter than this part of the brightest voxels, the 98th percentile of the first image."""

    @property
    def content(self) -> dict[str, Any]:
        """All that decides what the images are."""
        path = data_file(self.file)
        return asdict(self) | {"sha256": path and hashlib.sha256(path.read_bytes()).hexdigest()}

    def read(self) -> dict[str, NDArray[Any]]:
        """Read the file.

        Returns
        -------
        dict
            The ``signal`` (slice, image, row, column) and ``times_ms``, from the first image to use on; and whatever
            else there is, as it is.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        ValueError
            If it holds no series.
        """
        path = data_file(self.file)
        if path is None:
            raise FileNotFoundError(f"{self.file} is not in the folder that RELAXNET_TEST_DATA names.")
        with naming(path, "this is no series of images: "), np.load(path) as kept:
            found = dict(kept)
            signal, times = found["signal"][..., self.first :], found["times_ms"][self.first :]
            if signal.ndim not in (3, 4) or times.shape != signal.shape[-1:] or len(times) < _FEWEST:
                raise ValueError(
                    f"signal has shape {signal.shape} and times_ms {times.shape}: (row, column, image) or (row, "
                    f"column, slice, image) are needed, with {_FEWEST} images or more."
                )
            flat = signal if signal.ndim == 4 else signal[:, :, None]
            images = np.ascontiguousarray(rearrange(flat, "y x slice image -> slice image y x"), np.float32)
        return found | {"signal": images, "times_ms": times}


@dataclass(frozen=True)
class Case:
    """A way to judge methods by a series."""

    series: Series
    """The series."""
    snr: float | None = None
    """Noise is added to what methods receive and learn from, until the first image has this signal-to-noise ratio;
    ``None`` for no noise of ours. Test images stay as they are."""
    dealt: tuple[int, int] = (9, 3)
    """Of the first 9 images, every third is an input, and those that follow these are to learn from."""
    other_slice: bool = False
    """Whether methods learn from all slices but the last one, and are judged by that one; otherwise they learn from the
    slices that they are judged by."""

    @property
    def content(self) -> dict[str, Any]:
        """All that decides what it is."""
        own = {name: getattr(self, name) for name in ("snr", "dealt", "other_slice")}
        return own | {"series": self.series.content}

    @property
    def learn(self) -> slice:
        """Slices to learn from."""
        return slice(0, -1) if self.other_slice else slice(None)

    @property
    def test(self) -> slice:
        """Slices that judge."""
        return slice(-1, None) if self.other_slice else slice(None)

    @cached_property
    def file(self) -> dict[str, NDArray[Any]]:
        """What is in the file."""
        return self.series.read()

    @cached_property
    def native(self) -> Images:
        """All images as they were acquired."""
        return torch.from_numpy(self.file["signal"])

    @cached_property
    def times(self) -> Float[Tensor, " image"]:
        """Times of all images in ms."""
        return torch.tensor(self.file["times_ms"], dtype=torch.float32)

    @cached_property
    def tissue(self) -> Bool[Tensor, "slice row column"]:
        """Voxels that are bright enough to be tissue."""
        first = self.native[:, 0]
        bright: Tensor = first > self.series.tissue * float(np.quantile(first.numpy(), 0.98))
        return bright

    @cached_property
    def native_sigma(self) -> float:
        """Noise level of the images as they were acquired."""
        return model_free_sigma(self.native, self.times, self.tissue)

    @cached_property
    def sigma(self) -> float:
        """Noise level of what methods receive."""
        return self.native_sigma if self.snr is None else max(self.native_sigma, self._brightness / self.snr)

    @property
    def native_snr(self) -> float:
        """Signal-to-noise ratio of the first image as it was acquired."""
        return self._brightness / self.native_sigma

    @cached_property
    def images(self) -> Images:
        """All images as they are received and learnt from."""
        added = max(self.sigma**2 - self.native_sigma**2, 0) ** 0.5
        generator = torch.Generator().manual_seed(0)
        return add_noise(self.native, added, generator=generator) if added else self.native

    @property
    def inputs(self) -> list[int]:
        """Numbers of the images that a method receives: by default the first, the fourth and the seventh."""
        return list(range(len(self.times))[: self.dealt[0] : self.dealt[1]])

    @property
    def targets(self) -> list[int]:
        """Numbers of the images from which strengths are chosen and networks learn: each one that follows an input."""
        return list(range(len(self.times))[1 : self.dealt[0] : self.dealt[1]])

    @property
    def judges(self) -> list[int]:
        """Numbers of all other images, which no method has seen."""
        return self.others(self.inputs + self.targets)

    def others(self, than: list[int]) -> list[int]:
        """List the images that are not among some.

        Parameters
        ----------
        than
            Numbers of images.

        Returns
        -------
        list of int
            Numbers of the others.
        """
        return [k for k in range(len(self.times)) if k not in than]

    @cached_property
    def reference_ms(self) -> Map:
        """T of all images that are not inputs, as they were acquired: its noise is not that of the inputs."""
        return self._fit(self.others(self.inputs))

    @cached_property
    def everything_ms(self) -> Map:
        """T of all images as they were acquired."""
        return self._fit(list(range(len(self.times))))

    @cached_property
    def voxels(self) -> Bool[Tensor, "slice row column"]:
        """Voxels that are judged: tissue with a T that images can tell, and no clipped sample."""
        low, high = np.multiply(self.series.bounds_ms, _JUDGED)
        sound = [(low < t) & (t < high) for t in (self.reference_ms, self.everything_ms)]
        whole = (self.native < (self.series.saturation or torch.inf)).all(1)
        judged: Tensor = self.tissue & sound[0] & sound[1] & whole
        return judged

    def protocol(self, images: list[int]) -> Protocol:
        """Describe some of the images.

        Parameters
        ----------
        images
            Numbers of the images.

        Returns
        -------
        Protocol
            Of one contrast, T2.
        """
        return Protocol((Contrast("t2", tuple(self.times[images].tolist())),))

    @cached_property
    def _brightness(self) -> float:
        return float(self.native[:, 0][self.tissue].median())

    def _fit(self, some: list[int]) -> Map:
        found = nlls(self.native[:, some], self.times[some], mask=self.tissue, saturation=self.series.saturation)
        return found.maps["t"].nan_to_num(torch.inf)


def model_free_sigma(images: Images, times: Float[Tensor, " image"], tissue: Bool[Tensor, "slice row column"]) -> float:
    r"""Estimate the noise level of a series without the belief that it decays exponentially.

    Parameters
    ----------
    images
        The images.
    times
        Their times.
    tissue
        Voxels of tissue.

    Returns
    -------
    float
        The smallest of: :func:`relaxnet.fitting.estimate_sigma`; and, of each four successive images, the median
        magnitude of the combination to which no polynomial in time of degree 2 contributes, over bright voxels.
    """
    found = [estimate_sigma(images, times)]
    for k in range(len(times) - 3):
        gaps = times[k : k + 4, None] - times[None, k : k + 4] + torch.eye(4)
        weights = 1 / gaps.prod(1)
        left = torch.einsum("i,sirc->src", weights / weights.norm(), images[:, k : k + 4])
        last = images[:, k + 3]
        bright = tissue & (last > last[tissue].square().mean().sqrt())
        found.append(float(left[bright].abs().median()) / 0.6745)
    return min(level for level in found if level > 0)


def predict(case: Case, t_ms: Map, wanted: list[int], slices: slice) -> Images:
    """Predict images from a map, with the amplitude that fits the input images best.

    Parameters
    ----------
    case
        The case.
    t_ms
        The map.
    wanted
        Numbers of the images to predict.
    slices
        Slices of the map.

    Returns
    -------
    Tensor
        The images.
    """
    model = MonoExponential()
    inputs, decay = case.images[slices, case.inputs], model(torch.ones_like(t_ms), t_ms, case.times[case.inputs])
    m0 = (inputs * decay).sum(1) / decay.square().sum(1)
    return model(m0, t_ms, case.times[wanted])


SERIES = {
    "prostate": Series("Prostate", "open_prostate_mese.npz"),
    "leg": Series("Leg", "open_leg_mese.npz", first=1),
    "brain": Series("Brain", "qmrlab_brain_mese_small.npz", first=1, saturation=4095),
    "brain-se": Series("Brain, single echoes", "santini_brain_se.npz"),
}
"""The series by name. An entry is all that another one needs."""

PHOTOGRAPHS = Series("Photographs as maps", "open_tenecho_synthetic.npz", bounds_ms=(5.0, 1000.0), tissue=0.0)
"""A simulated series of ten echoes, whose true maps are photographs: ``ref_true_t2_ms`` and ``ref_true_s0``."""
