"""Images in the formats of ITK: MetaImage and NRRD, read by SimpleITK."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._messages import brief
from relaxnet.errors import require
from relaxnet.io._image import Image
from relaxnet.io._read import BOMB_BYTES, BOMB_RATIO

ENDINGS = (".mha", ".mhd", ".nrrd", ".nhdr")
_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def read_by_itk(path: Path) -> Image:
    """Read a file (x, y, z, time), or (x, y, z) whose voxels are vectors over time, as 3D Slicer writes series.

    Raises
    ------
    ValueError
        If it cannot be read, its voxels are no real numbers, or it takes far more memory than its files.
    MissingExtraError
        If SimpleITK is not installed.
    """
    sitk = require("SimpleITK", extra="itk")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()  # the header alone
        shape = tuple(map(int, reader.GetSize()))
        kind, depth = sitk.GetPixelIDValueAsString(reader.GetPixelIDValue()), int(reader.GetNumberOfComponents())
        _check(path, shape, kind, depth)
        image = reader.Execute()
    except RuntimeError as error:
        last = (str(error).strip().splitlines() or ["it is damaged"])[-1]
        told = brief(last.removeprefix("sitk::ERROR: ").rstrip("."), longest=300)
        raise ValueError(f"{path}: it cannot be read as {path.suffix}: {told}.") from error
    stored = sitk.GetArrayViewFromImage(image)
    axes = tuple(reversed(range(len(shape))))  # ITK's array counts (time, z, y, x), and then the components
    values = stored.transpose(*axes, *([len(shape)] if depth > 1 else []))
    data = np.array(values, np.float64 if stored.dtype == np.float64 else np.float32, order="F")
    return Image(data, _affine(path, image), 1)


def _check(path: Path, shape: tuple[int, ...], kind: str, depth: int) -> None:
    if "complex" in kind or "label" in kind:
        raise ValueError(f"{path}: voxels are {kind}s: save their magnitude as real numbers.")
    memory = 4 * depth * math.prod(shape)
    sizes = [file.stat().st_size for file in path.parent.glob(f"{path.stem}.*")]  # a header may have its voxels beside
    if memory > max(BOMB_BYTES, sum(sizes) * BOMB_RATIO):
        raise ValueError(
            f"{path}: shape {shape} takes {memory} bytes of memory, more than {BOMB_RATIO} times its files."
        )


def _affine(path: Path, image: Any) -> NDArray[np.float64]:
    """Turn ITK's geometry, whose axes lead to left, posterior and superior, into an affine to right and anterior."""
    n = min(image.GetDimension(), 3)
    affine = np.eye(4)
    direction = np.reshape(image.GetDirection(), (image.GetDimension(), image.GetDimension()))[:n, :n]
    affine[:n, :n] = direction * np.asarray(image.GetSpacing())[:n]
    affine[:n, 3] = np.asarray(image.GetOrigin())[:n]
    affine[:3] *= _LPS_TO_RAS[:, None]
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-12:
        raise ValueError(f"{path}: its header gives voxels no volume.")
    return affine
