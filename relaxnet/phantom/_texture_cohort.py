"""Subjects without anatomy, whose maps are pictures: to train networks for any protocol without a cohort."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from relaxnet._numbers import real, seed_of, whole
from relaxnet.nets._checks import check_bounds
from relaxnet.phantom._anatomy.random_fields import Stream, generator
from relaxnet.phantom._pictures import dead_leaves, photographs
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._subjects import Subjects
from relaxnet.phantom._tissues import Disease
from relaxnet.protocol import Protocol

_AMPLITUDE = 1000.0
_SEEN = 3.0  # times the noise: smallest signal in the region of interest


@dataclass(frozen=True, eq=False, repr=False)
class TextureCohort(Subjects):
    """Subjects whose maps are pictures, simulated on access. Made by :func:`texture_cohort`."""

    protocol: Protocol
    """Protocol of the images."""
    slices: int
    """Number of slices of each subject."""
    shape: tuple[int, int]
    """Height and width of a slice."""
    snr: tuple[float, float]
    """Smallest and largest mean signal of the first image over the noise level."""
    seed: int
    """Seed of all random numbers."""
    bounds_ms: dict[str, tuple[float, float]]
    """Smallest and largest parameter of each contrast."""
    photographs: bool
    """Whether every other subject is made of photographs."""

    def simulate(self, index: int) -> Subject:
        """Simulate a subject.

        Parameters
        ----------
        index
            Number of the subject.

        Returns
        -------
        Subject
            The subject.
        """
        rng = generator(self.seed, index, Stream.PICTURES)
        names = self.protocol.names
        draw = photographs if self.photographs and index % 2 else dead_leaves
        drawn = [torch.from_numpy(draw(rng, self.shape, len(names) + 1)).float() for _ in range(self.slices)]
        m0, *parameters = torch.stack(drawn, dim=1)
        truth = {"m0": _AMPLITUDE * m0}
        clean = torch.empty(self.slices, self.protocol.n_images, *self.shape)
        for contrast, values in zip(self.protocol.contrasts, parameters, strict=True):
            low, high = self.bounds_ms[contrast.name]
            truth[contrast.name] = low + (high - low) * values
            own = list(self.protocol.images_of(contrast.name))
            clean[:, own] = contrast.model(truth["m0"], truth[contrast.name], contrast.times_ms)
        noise = generator(self.seed, index, Stream.NOISE)
        part, (low, high) = float(noise.uniform()), self.snr
        sigma = float(clean[:, 0].abs().mean()) / (low ** (1 - part) * high**part)
        source = torch.Generator().manual_seed(int(noise.integers(2**62)))
        return Subject(
            index=index,
            protocol=self.protocol,
            images=self.protocol.add_noise(clean, sigma, generator=source),
            clean=clean,
            truth={name: truth[name] for name in (*names, "m0")},
            roi=clean[:, 0].abs() > _SEEN * sigma,
            labels=torch.zeros_like(clean[:, 0], dtype=torch.uint8),
            sigma=sigma,
            disease=Disease.HEALTHY,
            field_tesla=3.0,
            voxel_mm=(1.0, 1.0, 1.0),
        )


def texture_cohort(
    protocol: Protocol,
    n_subjects: int = 100,
    slices: int = 1,
    shape: tuple[int, int] = (128, 128),
    snr: float | tuple[float, float] = (10.0, 40.0),
    seed: int = 0,
    *,
    bounds_ms: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    photographs: bool = False,
) -> TextureCohort:
    """Make subjects without anatomy for any protocol, to train a network where there is no cohort.

    Their maps are pictures of dead leaves, each with its own T, slope and texture: their edges and details are
    distributed as those of natural images. A network that is trained with them has learnt to denoise, and nothing
    about any organ.

    Parameters
    ----------
    protocol
        Protocol of the images, with contrasts and signal models of any kind.
    n_subjects
        Number of subjects, 1 or more.
    slices
        Number of slices of each subject, which have nothing in common.
    shape
        Height and width of a slice.
    snr
        Mean of the first image over the standard deviation of the noise; or the smallest and the largest of the cohort.
    seed
        Seed of all random numbers, 0 or more.
    bounds_ms
        Smallest and largest T, for all contrasts or by name, in the unit of the contrast; by default those that a
        network can predict, (5, 400) ms for decays. T is about uniformly distributed between them.
    photographs
        Whether every other subject is made of the photographs that scikit-image brings (extra ``experiments``).

    Returns
    -------
    TextureCohort
        The cohort. Its subjects are simulated on access. They have no labels, and their region of interest is where the
        first image is above the noise.

    Raises
    ------
    ValueError
        If an argument is out of its range, or contrasts share a first image that is not at time 0.
    TypeError
        If the protocol is not a :class:`relaxnet.Protocol`.

    Examples
    --------
    >>> protocol = rx.Protocol((rx.Contrast("t2", times_ms=(10, 20, 30, 40, 50, 60)),))
    >>> cohort = rx.phantom.texture_cohort(protocol, 3, shape=(64, 64), bounds_ms=(20, 200))
    >>> cohort[0].images.shape
    torch.Size([1, 6, 64, 64])
    >>> trained = rx.training.train(cohort, inputs=range(6), loss="supervised-truth", preset="smoke", progress=False)
    """
    if not isinstance(protocol, Protocol):
        raise TypeError(f"protocol={protocol!r} is a {type(protocol).__name__}: pass a relaxnet.Protocol.")
    if protocol.shared_first:
        protocol.require_common_amplitude()
    try:
        height, width = shape
    except (TypeError, ValueError):
        raise ValueError(f"shape={shape!r}: give height and width, such as (128, 128).") from None
    return TextureCohort(
        indices=range(whole(n_subjects, "n_subjects", 1)),
        protocol=protocol,
        slices=whole(slices, "slices", 1),
        shape=(whole(height, "shape: its height", 8), whole(width, "shape: its width", 8)),
        snr=_range_of(snr),
        seed=seed_of(seed),
        bounds_ms=check_bounds(bounds_ms, protocol),
        photographs=bool(photographs),
    )


def _range_of(snr: Any) -> tuple[float, float]:
    ends = snr if isinstance(snr, tuple | list) else (snr, snr)
    needed = "give a positive number, such as 20, or the smallest and the largest, such as (10, 40)"
    if len(ends) != 2:
        raise ValueError(f"snr={snr!r}: {needed}.")
    low, high = (real(end, "snr", lambda number: number > 0, needed) for end in ends)
    if low > high:
        raise ValueError(f"snr={snr!r}: {needed}.")
    return low, high
