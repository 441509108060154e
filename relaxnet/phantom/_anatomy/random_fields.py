"""Reproducible random numbers, the same on every machine, and smooth random fields made of them."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

_SINGLE_THREAD_SIZE = 2**17  # multiplications


class Stream(IntEnum):
    """Purposes of random numbers. Each has its own stream, so that a change of one does not shift the others."""

    BODY = 0
    ORGANS = 1
    VESSELS = 2
    LESIONS = 3
    DISEASE = 4
    TISSUES = 5
    TEXTURE = 6
    COILS = 7
    NOISE = 8
    KIDNEYS = 9
    DIGESTION = 10
    DIAPHRAGM = 11
    CORRUPTIONS = 12
    FINE_TEXTURE = 13
    SMALL_VESSELS = 14
    SMALL_LESIONS = 15
    PICTURES = 16


def generator(seed: int, subject: int, stream: Stream) -> np.random.Generator:
    """Make the source of random numbers of one purpose and one subject of a cohort."""
    # The algorithm is named, because NumPy's default may change.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(subject, int(stream)))))


@dataclass(frozen=True)
class RandomField:
    """A random field in space, of mean 0 and standard deviation 1.

    It is a sum of plane waves, so it has a value at every point and needs no pixels.
    """

    waves: Array
    """Wave vector of each plane wave in radians per mm, (wave, 3)."""
    phases: Array
    """Phase of each plane wave, (wave,)."""

    @classmethod
    def draw(cls, rng: np.random.Generator, *, band_mm: tuple[float, float], n_waves: int = 64) -> "RandomField":
        """Draw a field with wavelengths between the two ends of ``band_mm``."""
        direction = rng.standard_normal((n_waves, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        wavelength = np.exp(rng.uniform(np.log(band_mm[0]), np.log(band_mm[1]), (n_waves, 1)))
        return cls(2 * np.pi / wavelength * direction, rng.uniform(0, 2 * np.pi, n_waves))

    @classmethod
    def exponential(cls, rng: np.random.Generator, *, length_mm: float, n_waves: int = 512) -> "RandomField":
        """Draw a field whose autocorrelation is exp(-distance / length)."""
        # The Fourier transform of exp(-r) in space is the density of a normal vector over a normal number.
        waves = rng.standard_normal((n_waves, 3)) / np.abs(rng.standard_normal((n_waves, 1))) / length_mm
        return cls(waves, rng.uniform(0, 2 * np.pi, n_waves))

    def __call__(self, x: Array, y: Array, z: float) -> Array:
        """Evaluate the field at columns x, (1, width), and rows y, (height, 1), of a slice; all in mm."""
        # cos(a + b) is separable: rows and columns are evaluated apart, and a matrix product combines them.
        column = x.ravel()[None, :] * self.waves[:, :1]
        row = y.ravel()[:, None] * self.waves[:, 1] + (z * self.waves[:, 2] + self.phases)
        rows = np.concatenate((np.cos(row), np.sin(row)), axis=1) * np.sqrt(2 / len(self.phases))
        columns = np.concatenate((np.cos(column), -np.sin(column)))
        # A few rows at a time: a larger product would use threads, which cost more than they gain here, above all where
        # cores are shared.
        n = max(_SINGLE_THREAD_SIZE // columns.size, 1)
        return np.concatenate([rows[start : start + n] @ columns for start in range(0, len(rows), n)])


def band_correlation(distance: Array, *, band_mm: tuple[float, float], n_waves: int = 200) -> Array:
    """Return the correlation of points of :meth:`RandomField.draw` at a distance in mm."""
    middle = (np.arange(n_waves) + 0.5) / n_waves
    wavelengths = band_mm[0] * (band_mm[1] / band_mm[0]) ** middle
    found: Array = np.mean([np.sinc(2 * distance / wavelength) for wavelength in wavelengths], axis=0)
    return found


def exponential_correlation(distance: Array, *, length_mm: float) -> Array:
    """Return the correlation of points of :meth:`RandomField.exponential` at a distance in mm."""
    found: Array = np.exp(-np.asarray(distance) / length_mm)
    return found
