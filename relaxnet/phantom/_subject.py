"""One digital patient: images, and the truth behind them."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from relaxnet.phantom._anatomy import Anatomy
from relaxnet.phantom._appearance import Appearance
from relaxnet.phantom._geometry import Grid
from relaxnet.phantom._random import Stream, generator
from relaxnet.phantom._tissues import Disease
from relaxnet.protocol import Protocol
from relaxnet.signals import MonoExponential, add_noise

_SLICE_SPACING_MM = 7.0
_LONGEST_STACK_MM = 98.0  # slices beyond it would miss the liver


@dataclass(frozen=True, eq=False, repr=False)
class Subject:
    """One digital patient: what a scanner would give, and what no scanner can."""

    index: int
    """Number of the subject in the cohort, from 0."""
    protocol: Protocol
    """What was acquired."""
    images: Float[Tensor, "slice image height width"]
    """Magnitude images with Rician noise, their channels in the order of the protocol."""
    truth: dict[str, Float[Tensor, "slice height width"]]
    """The true maps: a relaxation time in ms for each contrast, NaN in air, where there is none; and ``"m0"``, the
    amplitude of the signal at time 0, receive sensitivity included, which is 0 in air."""
    roi: Bool[Tensor, "slice height width"]
    """Liver parenchyma, a few mm away from the liver's edge, vessels and lesions."""
    labels: UInt8[Tensor, "slice height width"]
    """Tissue of each voxel, a :class:`Tissue`."""
    sigma: float
    """Standard deviation of the noise in each part of the complex images, in their units."""
    disease: Disease
    """Diffuse disease of the liver."""
    voxel_mm: tuple[float, float, float]
    """Distance between slices, rows and columns in mm."""

    @property
    def name(self) -> str:
        """Name in the manner of BIDS, ``"sub-001"`` for the first subject."""
        return f"sub-{self.index + 1:03d}"

    @property
    def clean(self) -> Float[Tensor, "slice image height width"]:
        """The images without their noise."""
        return decays(self.truth, self.protocol)

    def __repr__(self) -> str:
        slices, images, height, width = self.images.shape
        return (
            f"<Subject {self.name}: liver {self.disease}, {slices} slices of {height} x {width}, {images} images each>"
        )


def simulate(seed: int, index: int, *, slices: int, shape: tuple[int, int], snr: float, protocol: Protocol) -> Subject:
    """Simulate one subject.

    Parameters
    ----------
    seed
        Seed of the cohort.
    index
        Number of the subject in the cohort.
    slices
        Number of slices.
    shape
        Height and width of a slice.
    snr
        Signal of the liver in the first image over the standard deviation of the noise; infinite for no noise.
    protocol
        What to acquire.

    Returns
    -------
    Subject
        The subject.
    """
    grid = Grid(shape)
    anatomy, appearance = Anatomy.draw(seed, index), Appearance.draw(seed, index)
    spacing = min(_SLICE_SPACING_MM, _LONGEST_STACK_MM / max(slices - 1, 1))
    labels, roi = np.empty((slices, *shape), np.uint8), np.empty((slices, *shape), np.bool_)
    maps = {name: np.empty((slices, *shape), np.float32) for name in (*protocol.names, "m0")}
    for k in range(slices):
        z = anatomy.body.middle_mm + (k - (slices - 1) / 2) * spacing
        labels[k], roi[k] = anatomy.slice(grid, z)
        painted = appearance.maps(labels[k], grid, z)
        for name, values in maps.items():
            values[k] = painted[name]
    truth = {name: torch.from_numpy(values) for name, values in maps.items()}

    images = decays(truth, protocol)
    sigma = float(images[:, 0][torch.from_numpy(roi)].mean()) / snr if math.isfinite(snr) else 0.0
    noise = torch.Generator().manual_seed(int(generator(seed, index, Stream.NOISE).integers(2**63)))
    return Subject(
        index=index,
        protocol=protocol,
        images=add_noise(images, sigma, kind="rician", generator=noise),
        truth=truth,
        roi=torch.from_numpy(roi),
        labels=torch.from_numpy(labels),
        sigma=sigma,
        disease=appearance.disease,
        voxel_mm=(spacing, grid.pixel_mm, grid.pixel_mm),
    )


def decays(
    truth: dict[str, Float[Tensor, "slice height width"]], protocol: Protocol
) -> Float[Tensor, "slice image height width"]:
    """Simulate the images of a protocol without noise.

    Parameters
    ----------
    truth
        Maps as :attr:`Subject.truth` holds them.
    protocol
        What to acquire.

    Returns
    -------
    Tensor
        Images in the order of the protocol.
    """
    m0 = truth["m0"]
    images = m0.new_empty(m0.shape[0], protocol.n_images, *m0.shape[1:])
    for contrast in protocol.contrasts:
        t = truth[contrast.name].nan_to_num(nan=1.0)  # any: the amplitude of air is 0
        images[:, protocol.images_of(contrast.name)] = MonoExponential()(m0, t, contrast.times_ms)
    return images
