"""Formats of images: which are read by what, and what converts the others."""

import math
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._messages import brief
from relaxnet.errors import require
from relaxnet.io._dicom import describe_dicom, read_dicom
from relaxnet.io._image import Image
from relaxnet.io._itk import ENDINGS as BY_ITK
from relaxnet.io._itk import read_by_itk
from relaxnet.io._read import BOMB_BYTES, BOMB_RATIO, read_nifti_image

NIFTI = (".nii", ".nii.gz")
DICOM = (".dcm", ".ima")
ARRAYS = (".npy", ".npz")
BY_NIBABEL = (".par", ".mgz", ".mgh", ".img", ".img.gz", ".hdr", ".head", ".brik", ".mnc")
CONVERTERS = {
    ".rec": "pass the .PAR file that belongs to it",
    ".mat": "scipy.io.loadmat, then numpy.save for an array (x, y, z, time)",
    ".xml": "dcm2niix, for XML/REC files of Philips",
    ".v": "dcm2niix, for ECAT files",
    ".2dseq": "dicomifier or Bru2Nii, for files of Bruker",
    ".fdf": "fdf2nii, for files of Agilent",
}


def ending_of(path: Path) -> str:
    """Return the ending of the name of a file, ``.gz`` with the one before it, in small letters."""
    match = re.search(r"(\.[^.]*)?\.gz$|\.[^.]+$", path.name.lower())
    return match[0] if match else ""


def name_of(path: Path) -> Path:
    """Return the name that a file, or a folder, would have as a NIfTI file beside it."""
    if path.is_dir() and ending_of(path) not in NIFTI:
        whole = path.absolute()
        return (path.parent if path.name else whole.parent) / f"{path.name or whole.name}.nii.gz"
    ending = ending_of(path)
    return path if ending in NIFTI else path.with_name(f"{path.name[: len(path.name) - len(ending)]}.nii.gz")


def read_image(path: Path, *, series: int | None = None) -> Image:
    """Read a file, or a folder of DICOM files, in a format that its name tells."""
    ending = ending_of(path)
    if _is_dicom(path):
        return read_dicom(path, series=series)
    if series is not None:
        raise ValueError(f"{path}: series={series} was asked for, but this is no folder of DICOM files.")
    if ending in NIFTI:
        return Image(*read_nifti_image(path))
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    if ending in ARRAYS:
        return _read_array(path)
    if ending in BY_NIBABEL:
        return _read_by_nibabel(path, ending)
    if ending in BY_ITK:
        return read_by_itk(path)
    converter = CONVERTERS.get(ending)
    how = f"convert it by {converter}" if converter else "convert it to NIfTI, such as by dcm2niix or SimpleITK"
    how = str(converter) if ending == ".rec" else how
    read = ", ".join((*NIFTI, *BY_NIBABEL, *BY_ITK, *DICOM, *ARRAYS))
    raise ValueError(f"{path}: {ending or 'a name without ending'} is no format that is read, as {read} are: {how}.")


def read_described(path: Path, *, series: int | None = None) -> dict[str, Any]:
    """Read what the headers of DICOM files say, in the keys and units of a sidecar; nothing of another format."""
    return describe_dicom(path, series=series) if _is_dicom(path) else {}


def _is_dicom(path: Path) -> bool:
    ending = ending_of(path)
    return (path.is_dir() and ending not in NIFTI) or (ending in DICOM and path.exists())


def _read_by_nibabel(path: Path, ending: str) -> Image:
    """Read what nibabel reads; Philips PAR/REC with the scale of the signal, which all images share."""
    nibabel = require("nibabel", extra="io")
    options: dict[str, Any] = {"scaling": "fp", "strict_sort": True} if ending == ".par" else {}
    try:
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always", UserWarning)
            warnings.simplefilter("ignore", ResourceWarning)  # nibabel leaves the closing of .mgh to Python
            data, affine = _load(nibabel, path, options)
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # readers of broken files raise anything
        told = brief(" ".join(str(error).split()), longest=300)
        told = "its header is broken" if isinstance(error, LookupError) or not told else told
        raise ValueError(f"{path}: it cannot be read as {ending}: {told}.") from error
    for doubt in doubts:
        if issubclass(doubt.category, UserWarning):
            warnings.warn(f"{path}: {' '.join(str(doubt.message).split())}", stacklevel=4)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-12:
        raise ValueError(f"{path}: its header gives voxels no volume: save it as NIfTI.")
    return Image(data, affine, 1 if ending in (".par", ".mgz", ".mgh") else 2)


def _load(nibabel: Any, path: Path, options: dict[str, Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return voxels and affine, if they are real numbers and take no more memory than such files may."""
    image = nibabel.load(path, **options)
    try:
        shape, dtype = tuple(map(int, image.shape)), np.dtype(image.get_data_dtype())
        files = [Path(held.filename) for held in image.file_map.values() if held.filename]
        size = sum(file.stat().st_size for file in files if file.exists())
        if (memory := math.prod(shape) * max(dtype.itemsize, 4)) > max(BOMB_BYTES, size * BOMB_RATIO):
            raise ValueError(f"shape {shape} takes {memory} bytes of memory, more than {BOMB_RATIO} times its files")
        if dtype.kind not in "iuf" or dtype.itemsize > 8:
            raise ValueError(f"voxels are {dtype}: save their magnitude as real numbers")
        exact = dtype.kind == "f" and dtype.itemsize == 8
        return image.get_fdata(dtype=np.float64 if exact else np.float32), np.asarray(image.affine, np.float64)
    finally:
        stream = getattr(image.dataobj, "file_like", None)
        if stream is not None and hasattr(stream, "close"):
            stream.close()  # nibabel leaves that of PAR/REC open


def _read_array(path: Path) -> Image:
    """Read an array of NumPy, or ``data`` of several with its ``affine`` and ``times_ms``; objects are refused."""
    try:
        if path.suffix.lower() == ".npy":
            arrays = {"data": np.array(np.load(path, mmap_mode="r", allow_pickle=False))}
        else:
            with zipfile.ZipFile(path) as archive:
                needed = sum(part.file_size for part in archive.infolist())
            if needed > max(BOMB_BYTES, path.stat().st_size * BOMB_RATIO):
                told = f"it takes {needed} bytes of memory, more than {BOMB_RATIO} times the file"
                raise ValueError(told)  # noqa: TRY301
            with np.load(path, allow_pickle=False) as held:
                arrays = {key: held[key] for key in held.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, SyntaxError) as error:
        told = brief(" ".join(str(error).split()), longest=300)
        raise ValueError(f"{path}: it cannot be read as an array without pickled objects: {told}.") from error
    if "data" not in arrays and len(arrays) == 1:
        arrays = {"data": next(iter(arrays.values()))}
    if "data" not in arrays:
        raise ValueError(f"{path}: it holds {brief(', '.join(arrays))}: data (x, y, z, time) is needed.")
    data = arrays["data"]
    if data.dtype.kind not in "iufb" or data.dtype.itemsize > 8:
        raise ValueError(f"{path}: data holds {data.dtype} values: save the magnitude as real numbers.")
    data = np.array(data, np.float64 if data.dtype == np.float64 else np.float32, order="F")  # in native byte order
    affine = np.asarray(arrays.get("affine", np.eye(4)))
    if affine.shape != (4, 4) or affine.dtype.kind not in "iuf" or not np.isfinite(affine).all():
        raise ValueError(f"{path}: affine has shape {affine.shape} of {affine.dtype}: 4 x 4 finite numbers are needed.")
    times = arrays.get("times_ms")
    if times is not None and (times.ndim != 1 or times.dtype.kind not in "iuf"):
        raise ValueError(f"{path}: times_ms has shape {times.shape} of {times.dtype}: one number an image is needed.")
    if "affine" not in arrays:
        warnings.warn(f"{path}: it holds no affine: the position of the image is unknown.", stacklevel=4)
    times_ms = None if times is None else tuple(float(t) for t in times)
    return Image(data, affine.astype(np.float64), 2 if "affine" in arrays else 0, times_ms)
