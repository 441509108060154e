"""Local low rank: of each patch, what few patterns over the images explain."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet._images import Dim, images_like, opens_images
from relaxnet._masks import complete, images_with_values
from relaxnet._numbers import real, whole
from relaxnet.denoise._eigen import pairs, project
from relaxnet.denoise._slices import Slices, by_slices

_TOGETHER = 16_000_000  # numbers in the matrices of the patches that are worked on at once
_IN_CACHE = 1_000_000  # the same of several slices on a processor, whose cache they should fit


@opens_images(images_like)
def low_rank(
    images: Any,
    sigma: float | None = None,
    *,
    patch: int = 5,
    threshold: float = 1.3,
    dim: Dim = 1,
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
    return by_slices(images, sigma, dim, plane, partial(keep_patterns, width=width, factor=factor))


def keep_patterns(slices: Slices, sigma: Float[Tensor, " slice"], width: int = 5, factor: float = 1.3) -> Slices:
    """Denoise slices whose noise level is known.

    Parameters
    ----------
    slices
        Images. One without any finite value was not acquired, and is left out; a voxel that lacks another one takes no
        part.
    sigma
        Noise level of each slice.
    width, factor
        Options ``patch`` and ``threshold`` of :func:`low_rank`.

    Returns
    -------
    Tensor
        Denoised images, zero where there is nothing to denoise.
    """
    n, height, columns = slices.shape[1:]
    patch = (min(width, height), min(width, columns))
    there = slices.abs() < torch.inf
    acquired = images_with_values(there)
    usable = complete(there, acquired).to(slices)
    signal = slices.nan_to_num(0, 0, 0) * usable[:, None]
    noise = torch.stack([factor * sigma, acquired.sum(1).sqrt().to(sigma)])[..., None, None]
    out = torch.zeros_like(slices)
    # Some slices at once, or some rows of one: as many as have matrices that fit into memory.
    rows = max(_TOGETHER // (n * n * columns), 1)
    cached = slices.device.type == "cpu" and not torch.compiler.is_compiling()  # a graph has no need of parts
    at_once = max((_IN_CACHE if cached else _TOGETHER) // (n * n * columns * height), 1)
    for start in range(0, len(slices), at_once):
        part = slice(start, start + at_once)
        for first in range(0, height - patch[0] + 1, rows):
            strip = slice(first, min(first + rows + patch[0] - 1, height))
            out[part, :, strip] += _keep(signal[part, :, strip], usable[part, strip], noise[:, part], patch)
    return out / _spread(out.new_ones(height - patch[0] + 1, columns - patch[1] + 1), patch)


def _keep(
    signal: Slices,
    usable: Float[Tensor, "slice row column"],
    noise: Float[Tensor, "2 slice 1 1"],
    patch: tuple[int, int],
) -> Slices:
    """Sum what is kept of each voxel over all patches that hold it."""
    level, root_of_images = noise
    with (
        torch.no_grad()
    ):  # the patterns are taken as given: derivatives of eigenvectors are infinite where two are alike
        voxels = _gather(usable, patch)
        smallest = level * (voxels.sqrt() + root_of_images)
        # The right singular vectors of the matrix of a patch are the eigenvectors of its Gram matrix.
        images = signal.unbind(1)
        products = torch.stack([images[a] * images[b] for a, b in pairs(len(images))])
        projection = project(_gather(products, patch), len(images), smallest**2)
        # A voxel is projected by the sum of the projections of its patches.
        of_voxels = dict(zip(pairs(len(images)), _spread(projection, patch), strict=True))
    sums = []
    for a in range(len(images)):
        total = of_voxels[0, a] * images[0]
        for b, x in enumerate(images[1:], start=1):
            total = torch.addcmul(total, of_voxels[min(a, b), max(a, b)], x)
        sums.append(total)
    return torch.stack(sums, dim=1)


def _gather(x: Float[Tensor, "*lead row column"], patch: tuple[int, int]) -> Float[Tensor, "*lead up left"]:
    """Sum over each patch that lies within the image."""
    for axis, width in zip((-2, -1), patch, strict=True):
        first, *others = (x.narrow(axis, start, x.shape[axis] - width + 1) for start in range(width))
        x = first.clone()
        for other in others:
            x += other
    return x


def _spread(x: Float[Tensor, "*lead up left"], patch: tuple[int, int]) -> Float[Tensor, "*lead row column"]:
    """Add what belongs to a patch to all of its voxels: the transpose of :func:`_gather`."""
    up, left = (width - 1 for width in patch)
    return _gather(torch.nn.functional.pad(x, (left, left, up, up)), patch)
