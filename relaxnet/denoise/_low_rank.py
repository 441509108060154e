"""Local low rank: of each patch, what few patterns over the images explain."""

from functools import partial
from typing import Any

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from relaxnet._numbers import real, whole
from relaxnet.denoise._slices import Slices, by_slices

_TOGETHER = 16_000_000  # numbers in the matrices of the patches that are worked on at once


def low_rank(
    images: Any,
    sigma: float | None = None,
    *,
    patch: int = 5,
    threshold: float = 1.3,
    dim: int = 1,
    plane: tuple[int, int] | None = None,
) -> Any:
    r"""Denoise images by local low rank: what few patterns over the images explain is kept, the rest is noise.

    All images of a patch of p voxels make a matrix of p rows and c columns. Of its singular value decomposition, the
    directions with a singular value above :math:`f \sigma (\sqrt{p} + \sqrt{c})` are kept, and each voxel is the mean
    over the patches that hold it. Without signal, the largest singular value is :math:`\sigma (\sqrt{p} + \sqrt{c})`.

    Parameters
    ----------
    images
        Real images that were acquired one after another, (batch, image, ..., row, column) by default.
    sigma
        Their noise level; by default that of each slice is estimated from differences between neighbours.
    patch
        Width of the square patches in voxels, odd.
    threshold
        The factor f. The larger, the smoother.
    dim
        The axis of ``images`` along which they follow one another.
    plane
        The axes of a slice, in which patches lie: by default the last two axes, or the first two where ``dim`` is the
        last one, as in NIfTI files.

    Returns
    -------
    array or Tensor
        Images of the same kind and shape; integers become float32. A voxel of which an image is not finite is NaN in
        all of them, and takes no part in the patches of its neighbours.

    Raises
    ------
    ValueError
        If an argument is out of its range, or if the noise level is not given and cannot be estimated.
    DtypeError
        If the images are not made of real numbers.

    See Also
    --------
    relaxnet.fit_spatial : A fit that looks around, with errors.

    Notes
    -----
    Noise in air is not Gaussian; it is biased afterwards as before.

    References
    ----------
    Manjón et al., *Diffusion weighted image denoising using overcomplete local PCA*, PLoS One 8:e73021 (2013). Veraart
    et al., *Denoising of diffusion MRI using random matrix theory*, NeuroImage 142:394 (2016), estimate the threshold.

    Examples
    --------
    >>> subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=20)[0]
    >>> low = rx.denoise.low_rank(subject.images)
    >>> error, before = ((some - subject.clean)[:, :, subject.roi[0]].std() for some in (low, subject.images))
    >>> bool(error < 0.7 * before)
    True
    """
    width = whole(patch, "patch", 1)
    if width % 2 == 0:
        raise ValueError(f"patch={width}: give an odd number of voxels, such as 5.")
    factor = real(threshold, "threshold", lambda number: number >= 0, "give a factor of 0 or more, such as 1.3")
    return by_slices(images, sigma, dim, plane, partial(_denoise, width=width, factor=factor))


def _denoise(slices: Slices, sigma: Float[Tensor, " slice"], width: int, factor: float) -> Slices:
    """Denoise slices one after another, in strips of rows whose matrices fit into memory."""
    n, height, columns = slices.shape[1:]
    patch = (min(width, height), min(width, columns))
    rows = max(_TOGETHER // (n * n * columns), 1)
    out, count = torch.zeros_like(slices), torch.zeros_like(slices[:, 0])
    for own, sums, counts, level in zip(slices, out, count, sigma, strict=True):
        for first in range(0, height - patch[0] + 1, rows):
            strip = slice(first, min(first + rows + patch[0] - 1, height))
            kept, patches = _keep(own[:, strip], level, patch, factor)
            sums[:, strip] += kept
            counts[strip] += patches
    return out / count[:, None]


def _keep(
    images: Float[Tensor, "image row column"], sigma: Float[Tensor, ""], patch: tuple[int, int], factor: float
) -> tuple[Float[Tensor, "image row column"], Float[Tensor, "row column"]]:
    """Sum what is kept of each voxel over all patches that hold it, and count these."""
    usable = torch.isfinite(images[0])
    signal = torch.where(usable, images, 0)
    voxels = _gather(usable.to(images), patch)
    # The right singular vectors of the matrix of a patch are the eigenvectors of its Gram matrix.
    gram = _gather(einsum(signal, signal, "a row column, b row column -> a b row column"), patch)
    values, vectors = torch.linalg.eigh(rearrange(gram, "a b up left -> up left a b"))
    noise = factor * sigma * (voxels.sqrt() + len(images) ** 0.5)
    kept = vectors * (values > noise[..., None] ** 2).to(vectors)[..., None, :]
    projection = einsum(kept, vectors, "up left a k, up left b k -> a b up left")
    # A voxel is projected by the sum of the projections of its patches.
    out = einsum(_spread(projection, patch), signal, "a b row column, b row column -> a row column")
    return out, _spread(torch.ones_like(voxels), patch)


def _gather(x: Float[Tensor, "*lead row column"], patch: tuple[int, int]) -> Float[Tensor, "*lead up left"]:
    """Sum over each patch that lies within the image."""
    for axis, width in zip((-2, -1), patch, strict=True):
        x = x.unfold(axis, width, 1).sum(-1)
    return x


def _spread(x: Float[Tensor, "*lead up left"], patch: tuple[int, int]) -> Float[Tensor, "*lead row column"]:
    """Add what belongs to a patch to all of its voxels: the transpose of :func:`_gather`."""
    up, left = (width - 1 for width in patch)
    return _gather(torch.nn.functional.pad(x, (left, left, up, up)), patch)
