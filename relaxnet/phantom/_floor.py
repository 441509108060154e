"""The smallest error that a map of a digital liver can have, if all is known but the map."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray

from relaxnet._numbers import seed_of, whole
from relaxnet.information import fisher_joint
from relaxnet.phantom._anatomy.random_fields import Array, band_correlation, exponential_correlation
from relaxnet.phantom._appearance import BAND_MM
from relaxnet.phantom._more_values import value_of
from relaxnet.phantom._partial_volume import FINE
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._texture import Texture, as_texture
from relaxnet.phantom._tissues import LIVER, Tissue

_NEIGHBOURS = 400  # voxels that tell of one; 200 make the floor 0.5 to 1.5 % higher
_COIL_SD, _COIL_MM = 0.2, 80.0  # relative variation of the sensitivity, and its scale in mm


def bayes_floor(
    subject: Subject,
    texture: Texture | tuple[float, float] | None = None,
    *,
    inputs: str | Sequence[int] | None = None,
    n_voxels: int = 100,
    seed: int = 0,
) -> dict[str, float]:
    r"""Compute the mean absolute error in the liver that no estimate from the images of a slice is below.

    It is that of the posterior if the law of the texture, the tissue and the noise are known. With the covariance C of
    the relative maps, and the Fisher information F of the images, block by block for each voxel,

    .. math:: \mathrm{MAE} = \sqrt{2/\pi}\; T \sqrt{\mathrm{diag}\,(C^{-1} + F)^{-1}}.

    F is taken at the truth, which is right where the noise is not too strong. Each voxel has its 400 nearest neighbours
    in the region of its slice; borders of tissues, small vessels and small lesions are no part of this law.

    Parameters
    ----------
    subject
        Subject of :func:`liver_cohort` or :func:`label_map_cohort`, without corruptions.
    texture
        Texture of its cohort.
    inputs
        Images that are used: the name of an input set of the protocol, or channel numbers; by default all.
    n_voxels
        Voxels of parenchyma, drawn from the region of interest, over which the error is averaged.
    seed
        Seed of their choice.

    Returns
    -------
    dict
        The error in ms (mm²/s for diffusion) of each contrast.

    Raises
    ------
    ValueError
        If an argument is out of its range, the images have no noise, or the contrasts do not share a first image.

    Examples
    --------
    >>> subject = rx.phantom.liver_cohort(1, 1, (64, 64), seed=1)[0]
    >>> three, seven = (rx.phantom.bayes_floor(subject, inputs=inputs, n_voxels=20) for inputs in ("middle", None))
    >>> seven["t1rho"] < three["t1rho"] < 0.1 * subject.truth["t1rho"][subject.roi].mean()
    tensor(True)
    """
    if not subject.sigma > 0:
        raise ValueError(f"subject {subject.name} has no noise: the floor of its error is 0.")
    names, covariance = subject.protocol.names, _Covariance(subject, as_texture(texture))
    region = subject.roi & (subject.labels == Tissue.LIVER)
    scale = torch.stack([subject.truth[name][region].double() for name in ("m0", *names)])
    t_ms = dict(zip(names, scale[1:], strict=True))
    information = fisher_joint(subject.protocol, scale[0], t_ms, subject.sigma, inputs=inputs, noise="rician")
    roots = _roots(rearrange(information * scale * scale[:, None], "p q voxel -> voxel p q").numpy())
    voxels = np.argwhere(region.numpy())
    n = min(whole(n_voxels, "n_voxels", 1), len(voxels))
    errors = []
    for k in np.random.default_rng(seed_of(seed)).choice(len(voxels), n, replace=False):
        others = np.flatnonzero(voxels[:, 0] == voxels[k, 0])
        away = (voxels[others] - voxels[k]) * subject.voxel_mm
        near = others[np.argsort((away**2).sum(axis=1), kind="stable")[:_NEIGHBOURS]]  # itself is the first
        std = np.sqrt(_posterior(covariance(voxels[near, 1:]), roots[near]))
        errors.append(std[1:] * scale[1:, k].numpy())
    mean = np.sqrt(2 / np.pi) * np.mean(errors, axis=0)
    return dict(zip(names, map(float, mean), strict=True))


class _Covariance:
    """Covariance of the relative amplitude and relaxation times of voxels of a liver."""

    def __init__(self, subject: Subject, texture: Texture | None) -> None:
        tissue = LIVER[subject.disease]
        sd, correlation = tissue.texture, tissue.correlation
        of_distance: Callable[[Array], Array] = partial(band_correlation, band_mm=BAND_MM)
        if texture is not None:
            sd, correlation, length = texture.sd, texture.correlation, texture.length_mm
            of_distance = partial(exponential_correlation, length_mm=length)
        names = subject.protocol.names
        values = [value_of(name, Tissue.LIVER, tissue, subject.field_tesla) for name in names]
        # The mean of a subject is not known, but how subjects vary; the scale of the amplitude is not known at all.
        self.between = np.array([1.0, *(value.sd / value.mean for value in values)])
        self.mixing = np.full((len(names) + 1,) * 2, correlation)
        self.mixing[0] = self.mixing[:, 0] = 0
        np.fill_diagonal(self.mixing, 1)
        height, width = subject.roi.shape[1:]
        self.of_lag = sd**2 * _of_voxels(of_distance, (height, width), subject.voxel_mm[1:])
        self.coils = _COIL_SD**2 * _of_voxels(
            lambda mm: np.exp(-((mm / _COIL_MM) ** 2) / 2), (height, width), subject.voxel_mm[1:]
        )

    def __call__(self, voxels: NDArray[np.integer[Any]]) -> Array:
        """Compute the covariance (parameter, voxel, parameter, voxel) of voxels (voxel, 2) of a slice."""
        lag = tuple(np.abs(np.subtract.outer(part, part)) for part in voxels.T)
        between = self.mixing * np.outer(self.between, self.between)
        found: Array = self.mixing[:, None, :, None] * self.of_lag[lag][None, :, None, :] + between[:, None, :, None]
        found[0, :, 0] += self.coils[lag]
        return found


def _of_voxels(of_distance: Callable[[Array], Array], shape: tuple[int, int], pixel_mm: tuple[float, ...]) -> Array:
    """Return the covariance of voxels some rows and columns apart, each of which averages its points."""
    rows, columns = (np.arange(n) * mm for n, mm in zip(shape, pixel_mm, strict=True))
    within = np.subtract.outer(np.arange(FINE), np.arange(FINE)).ravel() / FINE
    shifts = [(a * pixel_mm[0], b * pixel_mm[1]) for a, b in product(within, within)]
    found: Array = np.mean([of_distance(np.hypot(rows[:, None] + a, columns + b)) for a, b in shifts], axis=0)
    return found


def _roots(information: Array) -> Array:
    """Return L of F = L Lᵀ for each voxel, also where the images do not determine all."""
    values, vectors = np.linalg.eigh(np.nan_to_num(information))
    roots: Array = vectors * np.sqrt(np.maximum(values, 0))[..., None, :]
    return roots


def _posterior(covariance: Array, roots: Array) -> Array:
    """Return the variances of the parameters of the first voxel, given the images of all of them."""
    # (1/C + L Lᵀ)⁻¹ = C - C L (1 + Lᵀ C L)⁻¹ Lᵀ C
    seen = np.einsum("npa,pnqm->anqm", roots, covariance)
    inner = rearrange(np.einsum("anqm,mqb->anbm", seen, roots), "a n b m -> (a n) (b m)")
    of_first = rearrange(seen[..., 0], "a n q -> (a n) q")
    gain = np.linalg.solve(inner + np.eye(len(inner)), of_first)
    prior = np.diagonal(covariance[:, 0, :, 0])
    variances: Array = prior - (of_first * gain).sum(axis=0)
    return variances
