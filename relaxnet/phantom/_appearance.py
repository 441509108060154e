"""From tissue labels to parameter maps: the tissue values of one subject, their texture, and the receive coils."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.random_fields import Array, RandomField, Stream, generator
from relaxnet.phantom._disease import draw_disease
from relaxnet.phantom._more_values import KNOWN, value_of
from relaxnet.phantom._texture import LARGEST_SD, Texture
from relaxnet.phantom._tissues import CONTRASTS, LIVER, TISSUES, Disease, Properties, Tissue

BAND_MM = (8.0, 40.0)
"""Shortest and longest wavelength of the smooth texture."""

_N_LABELS = 256  # as many as 8 bits hold: adding a tissue shifts no random number of the others
_SHORTEST_MS = 10.0  # lower bound of T1rho and T2, whatever the texture
_SMALLEST = 0.1  # lower bound of other contrasts, relative to the mean of the tissue
_LIVER_M0 = 1000.0
_LIVER_MM = (-75.0, 10.0, 0.0)
_N_COILS = 8
_COIL_REACH_MM = 150.0


@dataclass(frozen=True)
class Appearance:
    """Tissue values, textures and coil sensitivities of one subject."""

    disease: Disease
    """State of the liver."""
    t_ms: dict[str, Array]
    """Mean value of each label by contrast, (label,), in ms (mm²/s for diffusion); NaN for unknown labels."""
    m0: Array
    """Amplitude of each label relative to healthy liver, (label,)."""
    texture: Array
    """Relative standard deviation within each label, (label,)."""
    correlation: Array
    """Correlation of the textures of T1rho and T2 in each label, (label,)."""
    fields: dict[str, RandomField]
    """Textures: one common to all maps, one for each contrast, and one for m0."""
    coils: Array
    """Positions and weights of the receive coils, (coil, 4)."""

    @classmethod
    def draw(cls, seed: int, subject: int, *, field_tesla: float, texture: Texture | None = None) -> "Appearance":
        """Draw disease, tissue values, textures, smooth unless told otherwise, and coils of a subject.

        The field strength changes means and standard deviations only: a subject deviates from the mean by the same
        number of standard deviations at every field strength.
        """
        disease = draw_disease(seed, subject)
        tissues: dict[Tissue, Properties] = {**TISSUES, Tissue.LIVER: LIVER[disease]}
        m0, variation, correlation = np.zeros((3, _N_LABELS))
        for tissue, p in tissues.items():
            m0[tissue], variation[tissue], correlation[tissue] = p.m0, p.texture, p.correlation

        rng = generator(seed, subject, Stream.TISSUES)
        common = rng.standard_normal(_N_LABELS)
        t_ms = {}
        for contrast in KNOWN:
            # A subject beyond two standard deviations would be a case report.
            deviation = np.clip(_correlated(common, rng.standard_normal(_N_LABELS), correlation), -2, 2)
            t_ms[contrast] = np.full(_N_LABELS, np.nan)
            for tissue, properties in tissues.items():
                value = value_of(contrast, tissue, properties, field_tesla)
                t_ms[contrast][tissue] = value.mean + value.sd * deviation[tissue]

        names = ("common", "m0", *KNOWN)
        if texture is None:
            rng = generator(seed, subject, Stream.TEXTURE)
            fields = {name: RandomField.draw(rng, band_mm=BAND_MM) for name in names}
        else:
            rng = generator(seed, subject, Stream.FINE_TEXTURE)
            fields = {name: RandomField.exponential(rng, length_mm=texture.length_mm) for name in names}
            variation = np.minimum(variation * (texture.sd / LIVER[Disease.HEALTHY].texture), LARGEST_SD)
            variation[Tissue.LIVER] = texture.sd
            correlation = np.full(_N_LABELS, texture.correlation)
        coils = _draw_coils(generator(seed, subject, Stream.COILS))
        return cls(disease, t_ms, m0, variation, correlation, fields, coils)

    def paint(
        self, labels: NDArray[np.uint8], x: Array, y: Array, z: float, contrasts: Iterable[str]
    ) -> dict[str, Array]:
        """Turn a slice of tissue labels, (height, width), into parameter maps in ms, or mm²/s, NaN in air.

        Columns ``x``, (1, width), rows ``y``, (height, 1), and ``z`` are in mm from the middle of the body. The map
        ``"m0"``, 0 in air, is added to those of the contrasts.
        """
        wanted = tuple(contrasts)
        painted = dict.fromkeys(("t1rho", *wanted) if "t2" in wanted else wanted)  # T2 depends on T1rho
        maps = {name: np.full(labels.shape, np.nan) for name in painted} | {"m0": np.zeros(labels.shape)}
        inside = labels != Tissue.AIR
        if inside.any():
            # Most of a picture is air: only the rectangle around the body is painted.
            rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
            box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            for name, values in self._values(labels[box], x[:, box[1]], y[box[0]], z, painted).items():
                maps[name][box] = values
        return {name: maps[name] for name in (*wanted, "m0")}

    def _values(
        self, labels: NDArray[np.uint8], x: Array, y: Array, z: float, contrasts: Iterable[str]
    ) -> dict[str, Array]:
        """Compute the parameter maps of a rectangle of a slice."""
        fields = {name: self.fields[name](x, y, z) for name in ("common", "m0", *contrasts)}
        texture, correlation = self.texture[labels], self.correlation[labels]
        maps = {}
        for contrast in contrasts:
            variation = 1 + texture * _correlated(fields["common"], fields[contrast], correlation)
            mean = self.t_ms[contrast][labels]
            maps[contrast] = np.maximum(mean * variation, _SHORTEST_MS if contrast in CONTRASTS else _SMALLEST * mean)
        if "t2" in maps:
            maps["t2"] = np.minimum(maps["t2"], maps["t1rho"])  # a spin lock can only slow down the decay
        sensitivity = self._sensitivity(x, y, z) / self._sensitivity(*_LIVER_MM)
        maps["m0"] = _LIVER_M0 * self.m0[labels] * (1 + texture * fields["m0"]) * sensitivity
        return maps

    def _sensitivity(self, x: Array | float, y: Array | float, z: float) -> Array:
        """Add up the sensitivities of all coils at positions in mm: smooth, positive, and higher near the coils."""
        total: Array = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)))
        for coil_x, coil_y, coil_z, weight in self.coils:
            distance2 = (x - coil_x) ** 2 + (y - coil_y) ** 2 + (z - coil_z) ** 2
            total += weight / (1 + distance2 / _COIL_REACH_MM**2)
        return total


def _correlated(common: Array, own: Array, correlation: Array) -> Array:
    """Mix two unit fields so that mixtures with the same common field have this correlation."""
    mixture: Array = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    return mixture


def _draw_coils(rng: np.random.Generator) -> Array:
    """Draw positions and weights of receive coils around the body."""
    angle = 2 * np.pi * (np.arange(_N_COILS) + rng.uniform(-0.3, 0.3, _N_COILS)) / _N_COILS
    z, weight = rng.uniform(-40, 40, _N_COILS), rng.uniform(0.7, 1.3, _N_COILS)
    return np.stack((200 * np.cos(angle), 150 * np.sin(angle), z, weight), axis=1)
