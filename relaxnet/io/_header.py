"""The header of a NIfTI file, read with the distrust that a file from elsewhere deserves."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet.errors import require

AFFINE_TOLERANCE = 1e-3
"""Two affines that differ by less (mm) place voxels at the same points."""

_FORMATS = {348: (b"n+1\0", 344), 540: (b"n+2\0\r\n\032\n", 4)}  # size of header: magic, and where it stands


@dataclass(frozen=True, eq=False)
class Header:
    """What is needed to decode the voxels of a file and to place them in space."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    """Where the voxels begin, in bytes from the start of the file."""
    slope: float
    inter: float
    affine: NDArray[np.float64]
    space_code: int
    """The space that the affine leads to, as NIfTI numbers them; 0 if the file does not say."""

    @property
    def n_bytes(self) -> int:
        """Size of the voxels in the file."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: BufferedIOBase, path: Path) -> Header:
    """Read and check the header at the start of ``stream``; ``path`` is what messages call it."""
    nibabel = require("nibabel", extra="io")
    block = stream.read(348)
    # The header begins with its own size, 348 or 540: in the wrong byte order it would be huge.
    size, order = min((int.from_bytes(block[:4], order), order) for order in ("little", "big"))
    block += stream.read(max(0, min(size, 540) - 348))
    magic, place = _FORMATS.get(size, (b"", 0))
    if len(block) < size or not magic or block[place : place + len(magic)] != magic:
        raise ValueError(
            f"{path}: this is no NIfTI file: its first bytes are not a header (a .hdr/.img pair must be converted)."
        )
    kind = nibabel.Nifti1Header if size == 348 else nibabel.Nifti2Header
    raw = kind(block, endianness="<" if order == "little" else ">", check=False)  # nibabel's own check mends and logs
    shape, dtype, offset = _shape(raw, path), _dtype(raw, path), _offset(raw, path)
    affine, space_code = _affine(raw, path)
    slope, inter = _scaling(raw, path)
    return Header(shape, dtype, offset, slope, inter, affine, space_code)


def _shape(raw: Any, path: Path) -> tuple[int, ...]:
    dim = [int(n) for n in raw["dim"]]
    shape = tuple(dim[1 : dim[0] + 1])
    if not 1 <= dim[0] <= 7 or min(shape) < 1:
        raise ValueError(f"{path}: the header field dim={dim} is broken: 1 to 7 axes of length 1 or more are possible.")
    return shape


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


def _offset(raw: Any, path: Path) -> int:
    offset, smallest = float(raw["vox_offset"]), int(raw["sizeof_hdr"]) + 4
    if not smallest <= offset < math.inf:
        raise ValueError(
            f"{path}: the header field vox_offset={offset:g} is broken: voxels begin at {smallest} or after."
        )
    return int(offset)


def _scaling(raw: Any, path: Path) -> tuple[float, float]:
    slope, inter = float(raw["scl_slope"]), float(raw["scl_inter"])
    if slope == 0 or not math.isfinite(slope):
        warnings.warn(f"{path}: scl_slope={slope:g} scales nothing: voxels are taken as stored.", stacklevel=4)
        return 1.0, 0.0
    if not math.isfinite(inter):
        raise ValueError(f"{path}: the header field scl_inter={inter:g} is broken: no voxel would have a value.")
    return slope, inter


def _affine(raw: Any, path: Path) -> tuple[NDArray[np.float64], int]:
    if raw["pixdim"][0] not in (-1, 1):
        raw["pixdim"][0] = 1  # as NIfTI says
    qform_code, sform_code = _space_code(raw, "qform_code", path), _space_code(raw, "sform_code", path)
    source = "sform" if sform_code else "qform" if qform_code else "pixdim"
    with _broken_field(path, source):
        affine = np.asarray(raw.get_best_affine(), dtype=np.float64)
        if not np.isfinite(affine).all():
            raise ValueError("holds a value that is not finite")
        if abs(np.linalg.det(affine)) <= 1e-6 * np.prod(np.linalg.norm(affine[:3, :3], axis=0)):
            raise ValueError("gives voxels no volume")
    if source == "pixdim":
        warnings.warn(f"{path}: qform and sform are both 0: where the image lies in space is unknown.", stacklevel=4)
    if qform_code and sform_code:
        with _broken_field(path, "qform"):
            other = raw.get_qform()
        if not np.allclose(affine, other, rtol=0, atol=AFFINE_TOLERANCE):
            warnings.warn(f"{path}: qform and sform disagree: sform is used.", stacklevel=4)
    return affine, sform_code or qform_code


def _space_code(raw: Any, field: str, path: Path) -> int:
    code = int(raw[field])
    if code not in require("nibabel.nifti1", extra="io").xform_codes.value_set():
        raise ValueError(f"{path}: the header field {field}={code} is broken: NIfTI knows no such space.")
    return code


@contextmanager
def _broken_field(path: Path, field: str) -> Iterator[None]:
    """Say which field of which file a complaint is about."""
    errors = require("nibabel.spatialimages", extra="io")
    try:
        yield
    except (ValueError, errors.HeaderDataError) as error:
        raise ValueError(f"{path}: the header field {field} is broken: {error}.") from error
