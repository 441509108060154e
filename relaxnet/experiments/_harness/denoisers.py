"""What denoises the images of a subject before a fit: the controls of methods that look around."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from scipy.ndimage import gaussian_filter
from torch import Tensor

from relaxnet.denoise import low_rank, non_local_means
from relaxnet.phantom import Subject


@dataclass(frozen=True)
class Denoiser:
    """A denoiser, and the strengths that are tried with it."""

    denoise: Callable[[Tensor, float, float], Tensor]
    """Takes images (slice, image, row, column), their noise level, and the strength."""
    strengths: tuple[float, ...]
    """From little to much, in its own unit; a single one where there is nothing to tune."""

    def __call__(self, subject: Subject, channels: list[int], strength: float) -> Subject:
        """Denoise some of the images of a subject, all of them together."""
        images = subject.images.clone()
        images[:, channels] = self.denoise(images[:, channels], subject.sigma, strength)
        return replace(subject, images=images)


def _gaussian(images: Tensor, _: float, width: float) -> Tensor:
    return torch.from_numpy(gaussian_filter(images.numpy(), (0, 0, width, width)))


def _low_rank(images: Tensor, sigma: float, threshold: float) -> Tensor:
    found: Tensor = low_rank(images, sigma, threshold=threshold)
    return found


def _non_local_means(images: Tensor, sigma: float, strength: float) -> Tensor:
    found: Tensor = non_local_means(images, sigma, strength=strength)
    return found


def _from_the_others(images: Tensor, _: float, __: float) -> Tensor:
    """Predict each image from the others by a linear regression over all voxels, as Patch2Self does.

    The noise of an image cannot be predicted, as that of the others is independent of it.
    """
    voxels = rearrange(images.double(), "slice image row column -> (slice row column) image")
    out = torch.empty_like(voxels)
    for k in range(images.shape[1]):
        others = voxels.clone()
        others[:, k] = 1  # the intercept
        out[:, [k]] = others @ torch.linalg.lstsq(others, voxels[:, [k]]).solution
    shape = {"slice": len(images), "row": images.shape[2]}
    return rearrange(out.to(images), "(slice row column) image -> slice image row column", **shape)


DENOISERS: Mapping[str, Denoiser] = {
    "gaussian": Denoiser(_gaussian, (0.5, 0.7, 0.9, 1.2, 1.6, 2.2, 3.0)),  # pixels
    "low-rank": Denoiser(_low_rank, (0.9, 1.1, 1.3, 1.5, 1.8, 2.2)),
    "regression": Denoiser(_from_the_others, (0.0,)),
    "denoise": Denoiser(_non_local_means, (0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0)),
}
"""Denoisers by name: ``"denoise"`` is non-local means, ``"regression"`` Patch2Self (Fadnavis et al., NeurIPS 2020)."""
