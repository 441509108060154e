"""Scans, masks and volumes from NIfTI files."""

import gzip
import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet.io._bids import stem
from relaxnet.io._header import Header, read_header

_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_LIMIT = 1032  # largest possible ratio of gzip
BOMB_RATIO = 100  # noisy images shrink 1.5 to 3 times, images with an empty background up to about 20 times
BOMB_BYTES = 2**30  # smaller images may have any ratio: an empty mask shrinks 1000 times
_BLOCK = 2**20  # voxels that are decoded at a time


@dataclass(frozen=True, eq=False)
class Scan:
    """A series of images from a file, and its position in space."""

    path: Path
    """File of the images; maps are named after it."""
    data: NDArray[Any]
    """Voxels (x, y, z, time), scaled as the header says: float64 if the file holds float64, else float32."""
    affine: NDArray[np.float64]
    """From voxel numbers to mm, (4, 4)."""
    space_code: int
    """NIfTI's number of the space that the affine leads to: 1 for the scanner, 0 if the file does not name it."""
    files: tuple[Path, ...] = ()
    """All files that were read, if :func:`read_scan` did."""
    times_ms: tuple[float, ...] | None = None
    """Time of each image in ms, if :func:`read_scan` was asked for them."""
    times_from: str = ""
    """Where the times are from."""
    volumes: tuple[int, ...] = ()
    """Number of each image among those of the files, if :func:`read_scan` read them."""
    described: tuple[dict[str, Any], ...] = ()
    """What the headers of each file say of its images, in the keys of a JSON sidecar, if :func:`read_scan` did."""

    def __repr__(self) -> str:
        return f"<Scan {self.path}, {' x '.join(map(str, self.data.shape))} {self.data.dtype}>"


def read_nifti(path: Path | str) -> Scan:
    """Read a series of images, with time along the last axis.

    Parameters
    ----------
    path
        A ``.nii`` or ``.nii.gz`` file of shape (x, y, z, time). Other axes of length 1 are dropped, as in
        (x, y, z, 1, time) or (x, y, z, time, 1).

    Returns
    -------
    Scan
        The voxels in the orientation of the file, with their affine.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    IsADirectoryError
        If it is a folder.
    ValueError
        If it is no NIfTI file, is broken or truncated, has no time axis, or holds complex numbers or colours. A header
        that describes more voxels than the file can hold is refused before memory is allocated; so is a ``.nii.gz``
        file whose voxels take more than 1 GiB of memory and more than 100 times the file (decompress it if that is
        intended).
    MissingExtraError
        If nibabel is not installed.

    Warns
    -----
    UserWarning
        If qform and sform disagree or are both missing, or if the scale factor is 0 or not finite.

    See Also
    --------
    read_mask : Reads a three-dimensional mask of a scan.
    """
    path = Path(path)
    with _opened(path) as (stream, header):
        later = [n for n in header.shape[3:] if n != 1]
        if len(later) != 1:
            problem = "two axes too many" if later else "no time axis"
            raise ValueError(f"{path}: shape {header.shape} has {problem}: a fit needs (x, y, z, time).")
        data = _read_voxels(stream, header, path)
    return Scan(path, data.reshape((*header.shape[:3], *later), order="F"), header.affine, header.space_code)


def read_nifti_image(path: Path) -> tuple[NDArray[Any], NDArray[np.float64], int]:
    """Read the voxels of a NIfTI file with all their axes, their affine and the number of its space."""
    with _opened(path) as (stream, header):
        return _read_voxels(stream, header, path), header.affine, header.space_code


def read_single(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a three-dimensional volume on its own grid, and the affine of that grid."""
    with _opened(path) as (stream, header):
        if len(header.shape) < 3 or any(n != 1 for n in header.shape[3:]):
            raise ValueError(f"{path}: shape {header.shape} is not (x, y, z).")
        return _read_voxels(stream, header, path).reshape(header.shape[:3], order="F"), header.affine


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BufferedIOBase, Header]]:
    """Open a NIfTI file and read its header; errors of decompression become ValueErrors."""
    if path.is_dir():
        raise IsADirectoryError(f"{path}: this is a folder, not a NIfTI file.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file.")
    stem(path)  # checks the ending of the name
    if not path.is_file():
        raise ValueError(f"{path}: this is not a regular file.")
    with ExitStack() as stack:
        stream: BufferedIOBase = stack.enter_context(path.open("rb"))
        start = stream.read(2)
        stream.seek(0)
        if not start:
            raise ValueError(f"{path}: the file is empty.")
        packed = start == _GZIP_MAGIC
        if packed != (path.suffix.lower() == ".gz"):
            state, ending = ("is", ".nii.gz") if packed else ("is not", ".nii")
            raise ValueError(f"{path}: the file {state} gzip-compressed: if it is NIfTI, let its name end in {ending}.")
        if packed:
            stream = stack.enter_context(gzip.GzipFile(fileobj=stream))
        try:
            yield stream, read_header(stream, path)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: the file is truncated or damaged: {error}.") from error


def _read_voxels(stream: BufferedIOBase, header: Header, path: Path) -> NDArray[Any]:
    """Decode and scale the voxels behind a header, in the order and shape of the file."""
    size, needed = path.stat().st_size, header.offset + header.n_bytes
    n, item = math.prod(header.shape), header.dtype.itemsize
    dtype = np.dtype(np.float64 if header.dtype.kind == "f" and item == 8 else np.float32)
    memory = n * dtype.itemsize
    packed = isinstance(stream, gzip.GzipFile)
    claim = f"shape {header.shape} of {header.dtype.name} takes"
    if needed > size * (_DEFLATE_LIMIT if packed else 1):
        claim += f" {needed} bytes, more than {size} can hold"
        raise ValueError(f"{path}: the file is truncated or its header is broken: {claim}.")
    if packed and max(header.offset, memory) > max(BOMB_BYTES, size * BOMB_RATIO):
        claim += f" {memory} bytes of memory, more than {BOMB_RATIO} times {size}"
        raise ValueError(f"{path}: {claim}: decompress it first, if intended.")
    stream.seek(header.offset)
    values = np.empty(n, dtype)
    for start in range(0, n, _BLOCK):
        block = values[start : start + _BLOCK]
        content = stream.read(block.size * item)
        if len(content) < block.size * item:
            there = start * item + len(content)
            raise ValueError(f"{path}: the file is truncated: {there} of {header.n_bytes} bytes of voxels are there.")
        block[:] = np.frombuffer(content, header.dtype)
    try:
        stream.read(1)  # at the end of a gzip file, its checksum is compared
    except gzip.BadGzipFile as error:
        if "Not a gzipped file" not in str(error):
            raise
        warnings.warn(f"{path}: what follows the compressed image is ignored.", stacklevel=4)
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large has no value, and its voxel no result
        if header.slope != 1:
            values *= header.slope
        if header.inter != 0:
            values += header.inter
    return values.reshape(header.shape, order="F")
