"""Corruptions: imperfections of an acquisition, applied to the images before noise is added.

The ground truth stays as it was, so the errors that a corruption causes in the maps can be measured.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol as Interface
from typing import TypeVar, runtime_checkable

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from relaxnet._numbers import seed_of
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._tissues import Tissue
from relaxnet.protocol import Contrast, Protocol
from relaxnet.signals import MonoExponential

Images = Float[Tensor, "slice image height width"]
T = TypeVar("T", float, Tensor)


@runtime_checkable
class Corruption(Interface):
    """Interface of a corruption. To add one, write a frozen dataclass with this method."""

    def __call__(self, clean: Images, subject: Subject, rng: np.random.Generator) -> Images:
        """Corrupt images.

        Parameters
        ----------
        clean
            Images without noise, in the order of the protocol.
        subject
            Subject of the images: its protocol, ground truth, labels and voxel size.
        rng
            Source of random numbers.

        Returns
        -------
        Tensor
            New images; the given ones are not changed.
        """
        ...


@dataclass(frozen=True)
class Gain:
    """Receive gains that differ between the series of the contrasts.

    A first image that the contrasts share keeps its scale, because it was acquired once. The decay of a scaled contrast
    is then consistent only among its later images, and a fit that uses the first one is biased.

    Raises
    ------
    ValueError
        If a factor is not positive.

    Examples
    --------
    >>> subject = rx.phantom.liver_cohort(1, slices=1, shape=(32, 32))[0]
    >>> images = rx.phantom.Gain({"t2": 100.0})(subject.clean, subject, np.random.default_rng(0))
    >>> bool(torch.allclose(images[:, 4:], 100 * subject.clean[:, 4:]))
    True
    """

    factors: Mapping[str, float]
    """Factor of each contrast; 1 if it is left out."""

    def __post_init__(self) -> None:
        for name, factor in self.factors.items():
            if not 0 < factor < math.inf:
                raise ValueError(f"factors: {name}={factor} is not a positive number.")
        object.__setattr__(self, "factors", dict(self.factors))

    def __call__(self, clean: Images, subject: Subject, rng: np.random.Generator) -> Images:
        """Scale the images of the contrasts."""
        del rng
        images = clean.clone()
        for name, factor in self.factors.items():
            images[:, _series(subject.protocol, name)[0]] *= factor
        return images


@dataclass(frozen=True)
class Breathing:
    """Breath-holds that differ: each image except the first is shifted in its plane.

    The shifts are rigid, uniformly distributed, and different for each slice and image. Motion through the plane is not
    modelled.

    Raises
    ------
    ValueError
        If a shift is negative.

    Examples
    --------
    >>> subject = rx.phantom.liver_cohort(1, slices=1, shape=(32, 32))[0]
    >>> images = rx.phantom.Breathing((8.0, 2.0))(subject.clean, subject, np.random.default_rng(0))
    >>> bool(torch.equal(images[:, 0], subject.clean[:, 0])), bool(torch.equal(images[:, 1], subject.clean[:, 1]))
    (True, False)
    """

    shift_mm: tuple[float, float] = (4.0, 1.0)
    """Largest shift in either direction, anterior-posterior and left-right, in mm."""
    contrasts: tuple[str, ...] | None = None
    """Contrasts whose images are shifted; by default, all."""

    def __post_init__(self) -> None:
        if not all(0 <= shift < math.inf for shift in self.shift_mm):
            raise ValueError(f"shift_mm={self.shift_mm}: give the largest shift of rows and of columns in mm.")

    def __call__(self, clean: Images, subject: Subject, rng: np.random.Generator) -> Images:
        """Shift the images; air enters at the edges."""
        n_slices, n_images = clean.shape[:2]
        moving = [_series(subject.protocol, name)[0] for name in self.contrasts or subject.protocol.names]
        still = set(range(n_images)).difference(*moving) | {0}
        # Drawn for all images, so that the shifts of one do not depend on which others are shifted.
        drawn = rng.uniform(-1, 1, (n_slices, n_images, 2)) * self.shift_mm / np.array(subject.voxel_mm[1:])
        drawn[:, sorted(still)] = 0
        return shift(clean, torch.from_numpy(drawn).to(clean.dtype))


@dataclass(frozen=True)
class SpinLockError:
    r"""Field errors that tilt the spin lock.

    With an offset :math:`\Delta` of the static field and a lock of :math:`b f_1`, in Hz, the magnetisation is locked at
    the angle :math:`\theta` and decays with the rate

    .. math:: R_{1\rho}^{eff} = R_{1\rho} \sin^2\theta + R_1 \cos^2\theta, \quad \tan\theta = b f_1 / \Delta.

    On resonance nothing changes, whatever the lock: the dispersion of T1rho, and the banding of locks that do not
    compensate field errors, are not modelled. In a mixture the mean rate is changed, which is right to first order.

    Raises
    ------
    ValueError
        If a frequency, a factor or T1 is not positive, or the offset is not finite.

    References
    ----------
    Trott and Palmer, J Magn Reson 154:157 (2002); Palmer and Massi, Chem Rev 106:1700 (2006).
    T1 of the liver at 3 T: de Bazelaire et al., Radiology 230:652 (2004).

    Examples
    --------
    >>> error = rx.phantom.SpinLockError(b1=1.0, b0_hz=400, lock_hz=400)
    >>> round(error.effective_ms(40.0), 1)  # half way between R1rho and R1
    76.2
    """

    b1: float = 0.9
    """Amplitude of the lock relative to the nominal one."""
    b0_hz: float = 50.0
    """Offset of the static field in Hz."""
    lock_hz: float = 400.0
    """Nominal frequency of the lock in Hz; 300 to 500 is usual."""
    t1_ms: float = 800.0
    """T1 of all tissues in ms."""
    contrast: str = "t1rho"
    """Name of the spin-lock contrast."""

    def __post_init__(self) -> None:
        for name in ("b1", "lock_hz", "t1_ms"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)} is not a positive number.")
        if not math.isfinite(self.b0_hz):
            raise ValueError(f"b0_hz={self.b0_hz} is not finite.")

    @property
    def along(self) -> float:
        r"""Weight of R1 in the effective rate, :math:`\cos^2\theta`."""
        return self.b0_hz**2 / (self.b0_hz**2 + (self.b1 * self.lock_hz) ** 2)

    def effective_ms(self, t1rho_ms: T) -> T:
        """Compute the effective T1rho, which is measured instead of the true one.

        Parameters
        ----------
        t1rho_ms
            True T1rho in ms.

        Returns
        -------
        float
            Effective T1rho in ms.
        """
        return 1 / ((1 - self.along) / t1rho_ms + self.along / self.t1_ms)

    def __call__(self, clean: Images, subject: Subject, rng: np.random.Generator) -> Images:
        """Make the spin-lock images decay with the effective rate."""
        del rng
        channels, contrast = _series(subject.protocol, self.contrast, with_shared=True)
        if not isinstance(contrast.model, MonoExponential):
            raise ValueError(  # noqa: TRY004 (it is a model, but not of the right kind)
                f"SpinLockError: contrast {self.contrast!r} has the model {contrast.model!r}; it is known for "
                f"MonoExponential() alone."
            )
        true_rate = rearrange(1 / subject.truth[self.contrast], "slice height width -> slice 1 height width")
        change = ((1 / self.t1_ms - true_rate) * self.along).nan_to_num(nan=0.0)  # air does not decay
        images = clean.clone()
        images[:, channels] *= torch.exp(-change * rearrange(torch.tensor(contrast.times_ms), "image -> image 1 1"))
        return images


@dataclass(frozen=True)
class ResidualFat:
    """Incomplete fat suppression: a second, slower decay in the same voxels.

    A part of the amplitude decays as fat does. At time 0 nothing changes; later there is more signal than one
    relaxation time explains. By default the fat is in the liver.

    Raises
    ------
    ValueError
        If the fraction is not between 0 and 1, or a time is not positive.

    References
    ----------
    T2 of fat at 3 T: de Bazelaire et al., Radiology 230:652 (2004); its T1rho is taken as 1.3 times that, as in the
    tissue table.
    """

    fraction: float
    """Fat fraction of the amplitude at time 0."""
    tissues: tuple[Tissue, ...] = (Tissue.LIVER,)
    """Tissues that contain the fat."""
    t_ms: Mapping[str, float] = field(default_factory=lambda: {"t1rho": 88.4, "t2": 68.0})
    """Relaxation times of fat in ms."""

    def __post_init__(self) -> None:
        if not 0 <= self.fraction <= 1:
            raise ValueError(f"fraction={self.fraction} does not lie between 0 and 1.")
        if not self.t_ms or not all(0 < t < math.inf for t in self.t_ms.values()):
            raise ValueError(f"t_ms={self.t_ms}: give a positive time for each contrast.")
        object.__setattr__(self, "t_ms", dict(self.t_ms))

    def __call__(self, clean: Images, subject: Subject, rng: np.random.Generator) -> Images:
        """Replace a part of the signal by that of fat."""
        del rng
        inside = torch.isin(subject.labels, torch.tensor([int(t) for t in self.tissues], dtype=torch.uint8))
        part = self.fraction * rearrange(inside.to(clean.dtype), "slice height width -> slice 1 height width")
        m0 = subject.truth["m0"]
        images = clean.clone()
        for name in subject.protocol.names:
            if name not in self.t_ms:
                raise ValueError(f"t_ms={self.t_ms} lacks {name!r}, a contrast of the subject.")
            channels, contrast = _series(subject.protocol, name, with_shared=name == subject.protocol.names[0])
            fat = contrast.model(m0, torch.full_like(m0, self.t_ms[name]), contrast)[:, -len(channels) :]
            images[:, channels] += part * (fat - clean[:, channels])
        return images


def corrupt(clean: Images, corruptions: Iterable[Corruption], subject: Subject, rng: np.random.Generator) -> Images:
    """Apply corruptions to images without noise, one after the other.

    Parameters
    ----------
    clean
        Images without noise, in the order of the protocol.
    corruptions
        Corruptions in the order in which they are applied.
    subject
        Subject of the images. Its protocol, ground truth, labels and voxel size are used, not its images.
    rng
        Source of random numbers. Each corruption has its own stream, which depends on its position only.

    Returns
    -------
    Tensor
        New images.
    """
    chosen = list(corruptions)
    for corruption, own in zip(chosen, rng.spawn(len(chosen)), strict=True):
        clean = corruption(clean, subject, own)
    return clean


def corrupted(subject: Subject, corruptions: Sequence[Corruption], *, seed: int = 0) -> Subject:
    """Simulate a second acquisition of a subject, with corruptions.

    Parameters
    ----------
    subject
        The subject; it is not changed.
    corruptions
        Corruptions in the order in which they are applied: :class:`Gain`, :class:`Breathing`, :class:`SpinLockError`,
        :class:`ResidualFat`.
    seed
        Seed of the corruptions and of the new noise, which has the level of the old one.

    Returns
    -------
    Subject
        The same subject, with the same ground truth and new images.

    Examples
    --------
    >>> subject = rx.phantom.liver_cohort(1, slices=1, shape=(32, 32))[0]
    >>> moved = rx.phantom.corrupted(subject, [rx.phantom.Breathing()])
    >>> moved.truth is subject.truth, bool(torch.equal(moved.images, subject.images))
    (True, False)
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed_of(seed), spawn_key=(subject.index,))))
    return acquire(subject, corruptions, rng, rng)


def acquire(
    subject: Subject, corruptions: Iterable[Corruption], rng: np.random.Generator, noise: np.random.Generator
) -> Subject:
    """Corrupt the clean images of a subject and add noise at its level, from separate random numbers."""
    clean = corrupt(subject.clean, corruptions, subject, rng)
    generator = torch.Generator().manual_seed(int(noise.integers(2**63)))
    return replace(subject, clean=clean, images=subject.protocol.add_noise(clean, subject.sigma, generator=generator))


def shift(images: Images, pixels: Float[Tensor, "slice image 2"]) -> Images:
    """Shift each image within its plane by rows (down) and columns (to the right), with cubic interpolation.

    Air enters at the edges. Images with a shift of 0 are returned unchanged.
    """
    height, width = images.shape[2:]
    down, right = rearrange(pixels, "slice image direction -> direction slice image 1 1")
    y = (2 * (rearrange(torch.arange(height), "height -> height 1") - down) + 1) / height - 1
    x = (2 * (torch.arange(width) - right) + 1) / width - 1
    grid = rearrange(
        [x.expand(images.shape), y.expand(images.shape)], "xy slice image height width -> (slice image) height width xy"
    )
    flat = rearrange(images, "slice image height width -> (slice image) 1 height width")
    shifted = grid_sample(flat, grid, mode="bicubic", align_corners=False).reshape(images.shape)
    moved = (down != 0) | (right != 0)
    # A cubic undershoots at edges, where a magnitude cannot.
    return torch.where(moved, shifted.clamp(min=0), images)


def _series(protocol: Protocol, name: str, *, with_shared: bool = False) -> tuple[list[int], Contrast]:
    """Return the channels of a contrast, with or without an image that it shares with others, and the contrast."""
    channels = list(protocol.images_of(name))
    shared = protocol.shared_first and len(protocol.names) > 1 and not with_shared
    return channels[1:] if shared else channels, protocol.contrasts[protocol.names.index(name)]
