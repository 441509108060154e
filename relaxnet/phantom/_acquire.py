"""From tissues to what a scanner gives: images, what goes wrong, and noise."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from relaxnet.phantom._anatomy.abdomen import Anatomy
from relaxnet.phantom._anatomy.geometry import Grid
from relaxnet.phantom._anatomy.random_fields import Stream, generator
from relaxnet.phantom._appearance import Appearance
from relaxnet.phantom._corruptions import Corruption, corrupt
from relaxnet.phantom._partial_volume import FINE, Voxels, mix
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._tissues import Disease
from relaxnet.protocol import Protocol

_SLICE_SPACING_MM = 7.0
_LONGEST_STACK_MM = 98.0  # slices beyond it would miss the liver


def simulate(
    seed: int,
    index: int,
    *,
    slices: int,
    shape: tuple[int, int],
    snr: float,
    protocol: Protocol,
    field_tesla: float,
    corruptions: Sequence[Corruption] = (),
) -> Subject:
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
    field_tesla
        Field strength in T.
    corruptions
        What goes wrong, in the order in which it happens.

    Returns
    -------
    Subject
        The subject.
    """
    anatomy, appearance = Anatomy.draw(seed, index), Appearance.draw(seed, index, field_tesla=field_tesla)
    spacing = min(_SLICE_SPACING_MM, _LONGEST_STACK_MM / max(slices - 1, 1))
    fine = Grid((FINE * shape[0], FINE * shape[1]))
    stack = []
    for k in range(slices):
        z = anatomy.body.middle_mm + (k - (slices - 1) / 2) * spacing
        labels, roi = anatomy.slice(fine, z)
        stack.append(mix(labels, roi, appearance.paint(labels, fine.x, fine.y, z, protocol.names), protocol))
    pixel_mm = Grid(shape).pixel_mm
    return acquire(
        stack,
        seed=seed,
        index=index,
        snr=snr,
        protocol=protocol,
        disease=appearance.disease,
        field_tesla=field_tesla,
        voxel_mm=(spacing, pixel_mm, pixel_mm),
        corruptions=corruptions,
    )


def acquire(
    stack: Sequence[Voxels],
    *,
    seed: int,
    index: int,
    snr: float,
    protocol: Protocol,
    disease: Disease,
    field_tesla: float,
    voxel_mm: tuple[float, float, float],
    corruptions: Sequence[Corruption] = (),
) -> Subject:
    """Scan the slices of a subject, whatever anatomy they are from: first what goes wrong, then the noise.

    Nothing that goes wrong changes the truth or the noise: its level follows from the signal of the liver before.

    Parameters
    ----------
    stack
        The slices.
    seed
        Seed of the cohort, which the noise follows from together with the number of the subject.
    index
        Number of the subject in the cohort.
    snr
        Signal of the liver in the first image over the standard deviation of the noise; infinite for no noise.
    protocol
        What the slices were simulated for.
    disease
        Diffuse disease of the liver.
    field_tesla
        Field strength in T.
    voxel_mm
        Distance between slices, rows and columns in mm.
    corruptions
        What goes wrong, in the order in which it happens.

    Returns
    -------
    Subject
        The subject.
    """
    clean = torch.stack([voxels.clean for voxels in stack])
    roi = torch.stack([voxels.roi for voxels in stack])
    sigma = float(clean[:, 0][roi].abs().mean()) / snr if math.isfinite(snr) else 0.0
    subject = Subject(
        index=index,
        protocol=protocol,
        images=clean,
        clean=clean,
        truth={name: torch.stack([voxels.truth[name] for voxels in stack]) for name in (*protocol.names, "m0")},
        roi=roi,
        labels=torch.stack([voxels.labels for voxels in stack]),
        sigma=sigma,
        disease=disease,
        field_tesla=field_tesla,
        voxel_mm=voxel_mm,
    )
    clean = corrupt(clean, corruptions, subject, generator(seed, index, Stream.CORRUPTIONS))
    noise = torch.Generator().manual_seed(int(generator(seed, index, Stream.NOISE).integers(2**63)))
    return replace(subject, clean=clean, images=protocol.add_noise(clean, sigma, generator=noise))
