"""Headers of NIfTI files, with checks of every field that is used."""

import math
import warnings
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet.errors import require

AFFINE_TOLERANCE = 1e-3
"""Affines that differ by less, in mm, are taken as equal."""

QFORM = ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
"""Fields of the qform; where it is absent, all of them are 0."""

_FORMATS = {348: (b"n+1\0", 344), 540: (b"n+2\0\r\n\032\n", 4)}  # size of the header: magic bytes and their position


@dataclass(frozen=True, eq=False)
class Header:
    """The fields needed to decode the voxels of a file and to place them in space."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    """Position of the voxels, in bytes from the start of the file."""
    slope: float
    inter: float
    affine: NDArray[np.float64]
    space_code: int
    """NIfTI's number of the space that the affine leads to; 0 if the file does not name it."""

    @property
    def n_bytes(self) -> int:
        """Size of the voxels in the file."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: BufferedIOBase, path: Path) -> Header:
    """Read and check the header at the start of ``stream``; messages name ``path``."""
    nibabel = require("nibabel", extra="io")
    block = stream.read(348)
    # The header begins with its own size, 348 or 540: in the wrong byte order it would be huge.
    size, order = min((int.from_bytes(block[:4], order), order) for order in ("little", "big"))
    block += stream.read(max(0, min(size, 540) - 348))
    magic, place = _FORMATS.get(size, (b"", 0))
    if len(block) < size or not magic or block[place : place + len(magic)] != magic:
        raise ValueError(f"{path}: this is no NIfTI file: it does not begin with a header (convert a .hdr/.img pair).")
    kind = nibabel.Nifti1Header if size == 348 else nibabel.Nifti2Header
    raw = kind(block, endianness="<" if order == "little" else ">", check=False)  # nibabel would correct it and log
    dim = [int(n) for n in raw["dim"]]
    shape = tuple(dim[1 : dim[0] + 1])
    if not 1 <= dim[0] <= 7 or min(shape) < 1:
        raise _broken(path, f"dim={dim}", "1 to 7 axes of length 1 or more are possible")
    dtype = _dtype(raw, path)
    offset, first = float(raw["vox_offset"]), size + 4
    if not first <= offset < math.inf:
        raise _broken(path, f"vox_offset={offset:g}", f"voxels begin at {first} or later")
    affine, space_code = _affine(raw, path)
    slope, inter = _scaling(raw, path)
    return Header(shape, dtype, int(offset), slope, inter, affine, space_code)


def _broken(path: Path, field: str, why: object) -> ValueError:
    return ValueError(f"{path}: the header field {field} is broken: {why}.")


def _dtype(raw: Any, path: Path) -> np.dtype[Any]:
    codes = require("nibabel.nifti1", extra="io").data_type_codes
    code = int(raw["datatype"])
    dtype = np.dtype(codes.dtype[code]) if code in codes.dtype else np.dtype("V")
    if dtype.kind == "c":
        raise ValueError(f"{path}: the voxels are complex ({codes.label[code]}): save the magnitude and pass that.")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        name = codes.label[code] if code in codes.dtype else "which NIfTI does not know"
        raise ValueError(f"{path}: the header field datatype is {code}, {name}: voxels must be real numbers.")
    return dtype.newbyteorder(raw.endianness)


def _scaling(raw: Any, path: Path) -> tuple[float, float]:
    slope, inter = float(raw["scl_slope"]), float(raw["scl_inter"])
    if slope == 0 or not math.isfinite(slope):
        warnings.warn(f"{path}: scl_slope={slope:g} is no scale: voxels are taken as stored.", stacklevel=6)
        return 1.0, 0.0
    if not math.isfinite(inter):
        raise _broken(path, f"scl_inter={inter:g}", "no voxel would have a value")
    return slope, inter


def _affine(raw: Any, path: Path) -> tuple[NDArray[np.float64], int]:
    """Return the first affine that can be used: that of sform, qform, or pixdim alone."""
    _repair_pixdim(raw, path)
    known = require("nibabel.nifti1", extra="io").xform_codes.value_set()
    usable: dict[str, tuple[NDArray[np.float64], int]] = {}
    broken: list[str] = []
    for name, read in (("sform", raw.get_sform), ("qform", raw.get_qform)):
        code = int(raw[f"{name}_code"])
        if broken and code == 0 and any(raw[key] for key in QFORM):
            code = int(raw["sform_code"])  # many programs fill in a qform, but say that it is not to be used
        if code == 0:
            continue
        try:
            if code < 0:
                raise ValueError(f"{name}_code={code}: NIfTI knows no such space")  # noqa: TRY301
            with np.errstate(all="ignore"):  # of huge values
                usable[name] = _checked(read()), code if code in known else 2  # another space that is agreed on
        except (ValueError, require("nibabel.spatialimages", extra="io").HeaderDataError) as error:
            broken.append(f"{name} is broken: {error}")
    if broken:
        used = next(iter(usable), "pixdim alone")
        warnings.warn(f"{path}: the header field {'; '.join(broken)}: {used} is used.", stacklevel=7)
    if not usable:
        what = "cannot be used" if broken else "are both 0"
        warnings.warn(f"{path}: qform and sform {what}: the position of the image is unknown.", stacklevel=7)
        try:
            with np.errstate(all="ignore"):
                return _checked(raw.get_base_affine()), 0
        except ValueError as error:
            raise _broken(path, "pixdim", error) from error
    if len(usable) == 2 and not np.allclose(usable["sform"][0], usable["qform"][0], rtol=0, atol=AFFINE_TOLERANCE):
        warnings.warn(f"{path}: qform and sform disagree: sform is used.", stacklevel=7)
    return next(iter(usable.values()))


def _repair_pixdim(raw: Any, path: Path) -> None:
    """Let voxels have a size where the header gives them none."""
    if raw["pixdim"][0] not in (-1, 1):
        raw["pixdim"][0] = 1  # as NIfTI says
    sizes = raw["pixdim"][1:4].copy()
    wrong = ~(np.isfinite(sizes) & (sizes > 0))
    wrong &= np.arange(3) < int(raw["dim"][0])
    if wrong.any():
        negative = np.isfinite(sizes) & (sizes < 0)
        raw["pixdim"][1:4] = np.where(negative, -sizes, np.where(wrong, 1, sizes))
        if not int(raw["sform_code"]) > 0:  # sizes of voxels are taken from it, where it is there
            told = ", ".join(f"{size:g}" for size in sizes)
            warnings.warn(f"{path}: the header field pixdim={told} is broken: 1 mm is used for 0.", stacklevel=8)


def _checked(given: Any) -> NDArray[np.float64]:
    affine: NDArray[np.float64] = np.asarray(given, dtype=np.float64)
    if not np.isfinite(affine).all():
        raise ValueError("holds a value that is not finite")
    if not abs(np.linalg.det(affine)) > 1e-6 * np.prod(np.linalg.norm(affine[:3, :3], axis=0)):
        raise ValueError("gives voxels no volume")
    return affine
