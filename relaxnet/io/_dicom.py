"""Series of DICOM files, classic or enhanced: sorted by position and time, in the scale of the signal."""

import math
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._messages import brief
from relaxnet.errors import require
from relaxnet.io._dicom_vendors import read_vendor_fields
from relaxnet.io._image import Image

IN_MS = ("EchoTime", "InversionTime", "T2PreparationTime", "RepetitionTime")
"""Attributes of images in ms, whose names are those of the keys of sidecars, where they are seconds."""
DESCRIBED = ("EchoTime", "InversionTime", "FlipAngle", "DiffusionBValue", "T2PreparationTime", "RepetitionTime")
"""Attributes whose names are those of keys of sidecars."""
ORDER = (*DESCRIBED, "TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber")
"""What images of one position may differ in; the first that does sorts them."""

_SAME_PLACE = 0.01  # mm
_UNEVEN = 0.1  # share of the distance of slices


@dataclass(frozen=True, eq=False)
class _Frame:
    """One image, in a file of one or more."""

    file: Path
    number: int
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float]
    thickness: float
    size: tuple[int, int]
    scale: tuple[float, float]
    component: str
    order: dict[str, float]
    private: dict[str, str]
    """Where values stood that are from private elements."""


def read_dicom(path: Path, *, series: int | None = None) -> Image:
    """Read the images of one series from a folder, or from a file of many frames: (x, y, z, time).

    Raises
    ------
    ValueError
        If there is no series of images, or more than one and none is chosen; if files are broken, or positions and
        times do not form a grid.
    MissingExtraError
        If pydicom is not installed.
    """
    grid, doubts = _sorted(path, series)
    for doubt in doubts:
        warnings.warn(f"{path}: {doubt}.", stacklevel=4)
    return Image(_pixels(require("pydicom", extra="dicom"), grid), _affine(path, grid), 1, None, _described(grid))


def describe_dicom(path: Path, *, series: int | None = None) -> dict[str, Any]:
    """Read what the headers of one series say, in the keys and units of a sidecar; see :func:`read_dicom`."""
    return _described(_sorted(path, series)[0])


def read_headers(path: Path, series: int | None = None) -> list[Any]:
    """Read the data sets of one series, without their voxels; see :func:`read_dicom`."""
    return [header for _, header in _headers(require("pydicom", extra="dicom"), path, series)]


def _sorted(path: Path, series: int | None) -> tuple[list[list[_Frame]], list[str]]:
    """Return the images of each position of one series, sorted, and what is to be doubted."""
    pydicom = require("pydicom", extra="dicom")
    frames = [frame for file, header in _headers(pydicom, path, series) for frame in _frames(file, header)]
    components = {frame.component for frame in frames}
    doubts = []
    if "M" in components and len(components) > 1:
        frames = [frame for frame in frames if frame.component == "M"]
        doubts.append(f"it holds {', '.join(sorted(components))} images: magnitude alone is used")
    grid, key = _grid(path, frames)
    if key in (private := frames[0].private):
        doubts.append(f"{key} is that of {private[key]}")
    if key and key not in DESCRIBED:
        doubts.append(f"images of one position have no times that differ: they are sorted by {key}")
    return grid, doubts


def _headers(pydicom: Any, path: Path, series: int | None) -> list[tuple[Path, Any]]:
    """Read the headers of one series, with their files."""
    of_series: dict[str, list[Any]] = defaultdict(list)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in files:
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True)
        except (pydicom.errors.InvalidDicomError, OSError, EOFError):
            continue
        if "Rows" in header and "Columns" in header:
            of_series[str(header.get("SeriesInstanceUID", ""))].append((file, header))
    if not of_series:
        nifti = any(file.name.lower().endswith((".nii", ".nii.gz")) for file in files)
        how = "pass its NIfTI files instead, one after the other" if nifti else "pass a file, or a folder of such files"
        raise ValueError(f"{path}: there is no DICOM image: {how}.")
    return _pick(path, list(of_series.values()), series)


def _pick(path: Path, found: list[list[Any]], series: int | None) -> list[Any]:
    """Return the files of the series that was asked for."""
    numbers = [int(_number(files[0][1].get("SeriesNumber"))) for files in found]
    if len(set(numbers)) < len(found):
        numbers = list(range(1, len(found) + 1))
    if series is None and len(found) == 1:
        return found[0]
    if series not in numbers:
        told = (
            f"{number} ({brief(str(files[0][1].get('SeriesDescription', 'no description')), 60)}, {len(files)} files)"
            for number, files in sorted(zip(numbers, found, strict=True), key=lambda pair: pair[0])
        )
        hint = (
            "; if each is of one time, pass them as folders of their own" if len({len(f) for f in found}) == 1 else ""
        )
        problem = f"it holds {len(found)} series" if series is None else f"series={series} is not one of its"
        raise ValueError(
            f"{path}: {problem}: {brief('; '.join(told), 1000)}: choose one, as series={min(numbers)}{hint}."
        )
    return found[numbers.index(series)]


def _frames(file: Path, header: Any) -> Iterator[_Frame]:
    """Describe the images of a file."""
    if "MOSAIC" in [str(part).upper() for part in header.get("ImageType") or ()]:
        raise ValueError(f"{file}: this is a mosaic, all slices side by side in one image: convert it by dcm2niix.")
    shared = (header.get("SharedFunctionalGroupsSequence") or [None])[0]
    of_frames = header.get("PerFrameFunctionalGroupsSequence") or [None] * int(_number(header.get("NumberOfFrames"), 1))
    for number, own in enumerate(of_frames):
        groups = [group for group in (own, shared) if group is not None]

        def find(keyword: str, sequence: str = "", groups: list[Any] = groups) -> Any:
            inside = [(group.get(sequence) or [None])[0] for group in groups] if sequence else []
            return next(
                (s.get(keyword) for s in (*inside, header) if s is not None and s.get(keyword) is not None), None
            )

        try:
            position = np.array(find("ImagePositionPatient", "PlanePositionSequence"), np.float64).reshape(3)
            orientation = np.array(find("ImageOrientationPatient", "PlaneOrientationSequence"), np.float64).reshape(
                2, 3
            )
            rows, columns = (float(mm) for mm in find("PixelSpacing", "PixelMeasuresSequence"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{file}: the image has no position, orientation or size of pixels in space.") from error
        spacing = find("SpacingBetweenSlices", "PixelMeasuresSequence")
        thickness = spacing or find("SliceThickness", "PixelMeasuresSequence")
        slope = _number(find("RescaleSlope", "PixelValueTransformationSequence"), 1) or 1.0
        inter = _number(find("RescaleIntercept", "PixelValueTransformationSequence"), 0)
        philips = next(filter(None, (_philips_slope(s) for s in (*groups, header))), None)
        order = {key: _number(header.get(key), math.nan) for key in ORDER}
        order["EchoTime"] = _number(find("EffectiveEchoTime", "MREchoSequence"), order["EchoTime"])
        inversions = find("InversionTimes", "MRModifierSequence")
        order["InversionTime"] = _number(inversions, order["InversionTime"])
        order["FlipAngle"] = _number(find("FlipAngle", "MRTimingAndRelatedParametersSequence"), order["FlipAngle"])
        timing = "MRTimingAndRelatedParametersSequence"
        order["RepetitionTime"] = _number(find("RepetitionTime", timing), order["RepetitionTime"])
        order["DiffusionBValue"] = _number(find("DiffusionBValue", "MRDiffusionSequence"), order["DiffusionBValue"])
        temporal = find("TemporalPositionIndex", "FrameContentSequence")
        order["TemporalPositionIdentifier"] = _number(temporal, order["TemporalPositionIdentifier"])
        private = {}
        for source in (*groups, header):
            for key, (value, place) in read_vendor_fields(source).items():
                if not math.isfinite(order[key]):
                    order[key], private[key] = value, place
        order["InstanceNumber"] = number if own is not None else order["InstanceNumber"]
        kind = find("ComplexImageComponent", "MRImageFrameTypeSequence")
        yield _Frame(
            file,
            number,
            position,
            orientation,
            (rows, columns),
            _number(thickness, 1) or 1.0,
            (int(header.Rows), int(header.Columns)),
            (1 / philips, inter / (slope * philips)) if philips else (slope, inter),
            _component(str(kind or ""), header.get("ImageType") or ()),
            order,
            private,
        )


def _grid(path: Path, frames: Sequence[_Frame]) -> tuple[list[list[_Frame]], str | None]:
    """Sort images by position and time: the images of each position, position by position, and what they differ in."""
    first = frames[0]
    for frame in frames:
        if frame.size != first.size or not np.allclose(frame.spacing, first.spacing, rtol=1e-3):
            raise ValueError(f"{frame.file}: the image has another size than that of {first.file.name}.")
        if not np.allclose(frame.orientation, first.orientation, atol=1e-3):
            raise ValueError(f"{frame.file}: the image has another orientation than that of {first.file.name}.")
    normal = np.cross(*first.orientation)
    places: list[list[_Frame]] = []
    heights = np.array([frame.position @ normal for frame in frames])
    for k in np.argsort(heights, kind="stable"):
        if not places or heights[k] - places[-1][0].position @ normal > _SAME_PLACE:
            places.append([])
        places[-1].append(frames[k])
    counts = [len(place) for place in places]
    if len(set(counts)) > 1:
        raise ValueError(
            f"{path}: a file is missing or too many: its positions have {min(counts)} to {max(counts)} images."
        )
    gaps = np.diff([place[0].position @ normal for place in places])
    if gaps.size and np.ptp(gaps) > _UNEVEN * np.median(gaps):
        told = f"slices lie {gaps.min():.2f} to {gaps.max():.2f} mm apart"
        raise ValueError(f"{path}: {told}: a slice is missing, or there are several stacks.")
    if counts[0] == 1:
        return places, None
    key = next((key for key in ORDER if all(_rises(place, key) for place in places)), None)
    if key is None:
        raise ValueError(f"{path}: nothing tells the order of the {counts[0]} images of each position.")
    return [sorted(place, key=lambda frame: frame.order[key]) for place in places], key


def _rises(place: Sequence[_Frame], key: str) -> bool:
    """Return whether all images of a position differ in one attribute."""
    values = [frame.order[key] for frame in place]
    return len(set(values)) == len(values) and bool(np.isfinite(values).all())


def _described(grid: Sequence[Sequence[_Frame]]) -> dict[str, Any]:
    """Return what all positions agree on, in the keys and units of a sidecar, one number if all images agree, too."""
    told = {}
    for key in DESCRIBED:
        values = np.array([[frame.order[key] for frame in place] for place in grid])
        if np.isfinite(values).all() and np.allclose(values, values[0], rtol=1e-3):
            known = [float(f"{value / (1000 if key in IN_MS else 1):.9g}") for value in values[0]]
            told[key] = known[0] if len(set(known)) == 1 else known
    return told


def _pixels(pydicom: Any, grid: Sequence[Sequence[_Frame]]) -> NDArray[np.float32]:
    """Read the voxels, (x, y, z, time), each file once."""
    rows, columns = grid[0][0].size
    data = np.empty((columns, rows, len(grid), len(grid[0])), np.float32, order="F")
    wanted: dict[Path, list[tuple[_Frame, int, int]]] = defaultdict(list)
    for z, place in enumerate(grid):
        for t, frame in enumerate(place):
            wanted[frame.file].append((frame, z, t))
    for file, frames in wanted.items():
        try:
            header = pydicom.dcmread(file)
            pixels = header.pixel_array
        except Exception as error:  # decoders of broken files raise anything
            if isinstance(error, MemoryError):
                raise
            told = brief(" ".join(str(error).split()), longest=300)
            how = "if they are compressed, decompress the files, such as by gdcmconv --raw"
            raise ValueError(f"{file}: its voxels cannot be read: {told}: {how}.") from error
        pixels = pixels.reshape((-1, *pixels.shape[-2:]))
        if pixels.shape != (int(_number(header.get("NumberOfFrames"), 1)), rows, columns):
            raise ValueError(f"{file}: it holds voxels of shape {pixels.shape}, its header speaks of others.")
        for frame, z, t in frames:
            slope, inter = frame.scale
            data[:, :, z, t] = pixels[frame.number].T * slope + inter
    return data


def _affine(path: Path, grid: Sequence[Sequence[_Frame]]) -> NDArray[np.float64]:
    """Return the affine to mm, to the right, the front and the head, as NIfTI has it; DICOM's axes are the opposite."""
    first, last = grid[0][0], grid[-1][0]
    affine = np.eye(4)
    affine[:3, 0] = first.orientation[0] * first.spacing[1]
    affine[:3, 1] = first.orientation[1] * first.spacing[0]
    between = (last.position - first.position) / max(len(grid) - 1, 1)
    affine[:3, 2] = between if len(grid) > 1 else np.cross(*first.orientation) * first.thickness
    affine[:3, 3] = first.position
    affine[:2] *= -1
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-9:
        raise ValueError(f"{path}: its positions and orientations give voxels no volume.")
    return affine


def _philips_slope(dataset: Any) -> float | None:
    """Return the scale slope of Philips, by which all images of a patient get one scale; None if there is none."""
    nested = dataset.get((0x2005, 0x140F))
    inside = nested.value[0] if nested is not None and getattr(nested, "VR", "") == "SQ" and nested.value else dataset
    element = inside.get((0x2005, 0x100E))
    value = _number(None if element is None else element.value, 0)
    return value if math.isfinite(value) and value > 0 else None


def _component(kind: str, image_type: Sequence[str]) -> str:
    """Return M, P, R or I for magnitude, phase, real and imaginary images."""
    names = {"MAGNITUDE": "M", "PHASE": "P", "REAL": "R", "IMAGINARY": "I"}
    if kind in names:
        return names[kind]
    return next((str(part) for part in list(image_type)[2:] if part in ("M", "P", "R", "I")), "M")


def _number(value: Any, default: float = 0.0) -> float:
    """Return a number, the first of several, or a default for what is none."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0] if len(value) else None
    try:
        return float(value)
    except (TypeError, ValueError):
        return default
