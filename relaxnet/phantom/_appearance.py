"""From labels to maps: the tissues of one subject, their texture, and the receive coils."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relaxnet.phantom._anatomy.random_fields import Array, RandomField, Stream, generator
from relaxnet.phantom._disease import draw_disease
from relaxnet.phantom._more_values import KNOWN, value_of
from relaxnet.phantom._tissues import CONTRASTS, LIVER, TISSUES, Disease, Properties, Tissue

_N_LABELS = 256  # all that fit into 8 bits: a tissue that is added later finds its random numbers already drawn
_SHORTEST_MS = 10.0  # of T1rho and T2, whatever the texture
_SMALLEST = 0.1  # of the mean of a tissue, for other contrasts
_LIVER_M0 = 1000.0
_LIVER_MM = (-75.0, 10.0, 0.0)
_COIL_REACH_MM = 150.0


@dataclass(frozen=True)
class Appearance:
    """Relaxation times and brightness of one subject."""

    disease: Disease
    """State of the liver."""
    t_ms: dict[str, Array]
    """Mean relaxation time of each label by contrast, NaN where a label is no tissue, (label,); for diffusion its
    coefficient in mm²/s."""
    m0: Array
    """Amplitude of each label relative to healthy liver, (label,)."""
    texture: Array
    """Relative standard deviation within each label, (label,)."""
    correlation: Array
    """Correlation of T1rho and T2 in each label, (label,)."""
    fields: dict[str, RandomField]
    """Textures: one that all maps share, one of each contrast, and one of m0."""
    coils: Array
    """Positions and weights of the receive coils, (coil, 4)."""

    @classmethod
    def draw(cls, seed: int, subject: int, *, field_tesla: float) -> "Appearance":
        """Draw disease, tissue values, textures and coils of a subject.

        Parameters
        ----------
        seed
            Seed of the cohort.
        subject
            Number of the subject in the cohort.
        field_tesla
            Field strength in T, one that the tissue table knows. It changes means and standard deviations alone: by how
            many of these a subject deviates stays.

        Returns
        -------
        Appearance
            The appearance.
        """
        disease = draw_disease(seed, subject)
        tissues: dict[Tissue, Properties] = {**TISSUES, Tissue.LIVER: LIVER[disease]}

        m0, texture, correlation = (np.zeros(_N_LABELS) for _ in range(3))
        for tissue, properties in tissues.items():
            m0[tissue], texture[tissue] = properties.m0, properties.texture
            correlation[tissue] = properties.correlation

        rng = generator(seed, subject, Stream.TISSUES)
        common = rng.standard_normal(_N_LABELS)
        t_ms = {}
        for contrast in KNOWN:
            # Beyond two standard deviations a subject would be a case report.
            deviation = np.clip(_correlated(common, rng.standard_normal(_N_LABELS), correlation), -2, 2)
            t_ms[contrast] = np.full(_N_LABELS, np.nan)
            for tissue, properties in tissues.items():
                value = value_of(contrast, tissue, properties, field_tesla)
                t_ms[contrast][tissue] = value.mean + value.sd * deviation[tissue]

        rng = generator(seed, subject, Stream.TEXTURE)
        fields = {name: RandomField.draw(rng, band_mm=(8, 40)) for name in ("common", "m0", *KNOWN)}
        coils = _draw_coils(generator(seed, subject, Stream.COILS))
        return cls(disease, t_ms, m0, texture, correlation, fields, coils)

    def paint(
        self, labels: NDArray[np.uint8], x: Array, y: Array, z: float, contrasts: Iterable[str]
    ) -> dict[str, Array]:
        """Paint a label map with relaxation times and amplitude, whatever anatomy it is from.

        Parameters
        ----------
        labels
            Tissue of each pixel, (height, width).
        x, y
            Positions of the columns, (1, width), and of the rows, (height, 1), in mm from the middle of the body.
        z
            Position of the slice in mm.
        contrasts
            Names of the contrasts to paint.

        Returns
        -------
        dict
            One map (height, width) a contrast in ms, or mm²/s, NaN in air, and ``"m0"``, 0 in air.
        """
        wanted = tuple(contrasts)
        painted = dict.fromkeys(("t1rho", *wanted) if "t2" in wanted else wanted)  # T2 depends on T1rho
        maps = {name: np.full(labels.shape, np.nan) for name in painted} | {"m0": np.zeros(labels.shape)}
        inside = labels != Tissue.AIR
        rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
        if rows.size == 0:
            return {name: maps[name] for name in (*wanted, "m0")}
        # Most of a picture is air: only the rectangle around the body is painted.
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        labels, x, y = labels[box], x[:, box[1]], y[box[0]]
        fields = {name: self.fields[name](x, y, z) for name in ("common", "m0", *painted)}
        texture, correlation = self.texture[labels], self.correlation[labels]
        for contrast in painted:
            variation = 1 + texture * _correlated(fields["common"], fields[contrast], correlation)
            mean = self.t_ms[contrast][labels]
            least = _SHORTEST_MS if contrast in CONTRASTS else _SMALLEST * mean
            maps[contrast][box] = np.maximum(mean * variation, least)
        if "t2" in wanted:
            np.minimum(maps["t2"], maps["t1rho"], out=maps["t2"])  # a spin lock can but slow the decay down
        sensitivity = self._sensitivity(x, y, z) / self._sensitivity(*_LIVER_MM)
        maps["m0"][box] = _LIVER_M0 * self.m0[labels] * (1 + texture * fields["m0"]) * sensitivity
        return {name: maps[name] for name in (*wanted, "m0")}

    def _sensitivity(self, x: Array | float, y: Array | float, z: float) -> Array:
        """Add up what the coils see of each position in mm: smooth, positive, and brighter near them."""
        total: Array = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)))
        for coil_x, coil_y, coil_z, weight in self.coils:
            distance2 = (x - coil_x) ** 2 + (y - coil_y) ** 2 + (z - coil_z) ** 2
            total += weight / (1 + distance2 / _COIL_REACH_MM**2)
        return total


def _correlated(common: Array, own: Array, correlation: Array) -> Array:
    """Mix two unit fields so that two mixtures with the same first one have this correlation."""
    mixture: Array = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    return mixture


def _draw_coils(rng: np.random.Generator, n_coils: int = 8) -> Array:
    angle = 2 * np.pi * (np.arange(n_coils) + rng.uniform(-0.3, 0.3, n_coils)) / n_coils
    return np.stack(
        (200 * np.cos(angle), 150 * np.sin(angle), rng.uniform(-40, 40, n_coils), rng.uniform(0.7, 1.3, n_coils)),
        axis=1,
    )
