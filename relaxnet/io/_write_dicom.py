"""Maps as DICOM Parametric Maps, for the patient and the study of the images that were fitted."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._version import __version__
from relaxnet.errors import require
from relaxnet.io._bids import names_of, stem
from relaxnet.io._dicom import read_headers
from relaxnet.io._read import Scan

_LPS = np.array([-1.0, -1.0, 1.0])  # DICOM's axes lead to the left and the back
_QUANTITIES = {"t1": "T1", "t2": "T2", "t2star": "T2Star", "adc": "ApparentDiffusionCoefficient"}


def dicom_path(map_file: Path) -> Path:
    """Return the path of the DICOM file of a map.

    Examples
    --------
    >>> dicom_path(Path("out/scan_T2map.nii.gz")).as_posix()
    'out/scan_T2map.dcm'
    """
    return map_file.with_name(f"{stem(map_file)}.dcm")


def dicom_sources(scan: Scan, series: int | None = None) -> list[Any]:
    """Read the headers of the DICOM files that a scan was read from, of which maps get their patient and study.

    Parameters
    ----------
    scan
        The scan: a folder or files in DICOM.
    series
        Number of its series, as for :func:`read_scan`.

    Returns
    -------
    list
        Data sets of pydicom, of one series, each once.

    Raises
    ------
    ValueError
        If the scan is not of DICOM files.
    MissingExtraError
        If pydicom or highdicom is not installed.
    """
    require("highdicom", extra="dicom")
    headers = [header for file in scan.files for header in read_headers(file, series)]
    first = headers[0].get("SeriesInstanceUID")
    of_first = (header for header in headers if header.get("SeriesInstanceUID") == first)
    return [*{header.SOPInstanceUID: header for header in of_first}.values()]


def dicom_map(
    values: NDArray[Any], contrast: str, affine: NDArray[np.float64], sources: Sequence[Any]
) -> Callable[[Path], None]:
    """Return what writes a map to a file, as a Parametric Map (highdicom) with the values of memory: ms, or mm²/s.

    Parameters
    ----------
    values
        The map, (x, y, z).
    contrast
        Name of the contrast.
    affine
        From its voxels to mm.
    sources
        Headers of the images that were fitted (:func:`dicom_sources`).
    """
    highdicom = require("highdicom", extra="dicom")
    codes = require("pydicom.sr.codedict", extra="dicom").codes
    known = names_of(contrast)
    unit = codes.UCUM.Millisecond if known.unit == "ms" else codes.UCUM.SquareMillimeterPerSecond
    own = highdicom.sr.CodedConcept(f"{known.label}", "99RELAXNET", f"{known.label} relaxation time")
    quantity = getattr(codes.DCM, _QUANTITIES[contrast]) if contrast in _QUANTITIES else own
    size = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :3] / size * _LPS[:, None]
    starts = [(affine @ (0, 0, k, 1))[:3] * _LPS for k in range(values.shape[2])]
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)

    def write(path: Path) -> None:
        highdicom.pm.ParametricMap(
            source_images=sources,
            pixel_array=np.ascontiguousarray(values.transpose(2, 1, 0), np.float32),
            series_instance_uid=highdicom.UID(),
            series_number=_series_number(sources),
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="relaxnet",
            manufacturer_model_name="relaxnet",
            software_versions=__version__,
            device_serial_number="n/a",
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[
                highdicom.pm.RealWorldValueMapping(
                    lut_label=known.suffix,
                    lut_explanation=f"{known.label} in {known.unit}",
                    unit=unit,
                    value_range=(low, max(high, np.nextafter(low, np.inf))),
                    slope=1.0,
                    intercept=0.0,
                    quantity_definition=quantity,
                )
            ],
            voi_lut_transformations=[
                highdicom.VOILUTTransformation(window_center=(low + high) / 2, window_width=max(high - low, 1))
            ],
            plane_orientation=highdicom.PlaneOrientationSequence("PATIENT", [*axes[:, 0], *axes[:, 1]]),
            plane_positions=[highdicom.PlanePositionSequence("PATIENT", start.tolist()) for start in starts],
            pixel_measures=highdicom.PixelMeasuresSequence(
                pixel_spacing=(float(size[1]), float(size[0])),
                slice_thickness=float(size[2]),
                spacing_between_slices=float(size[2]),
            ),
            series_description=f"{known.label} map",
        ).save_as(path)

    return write


def _series_number(sources: Sequence[Any]) -> int:
    """Return a number for a series that is derived from others: theirs, with two more digits."""
    return 100 * int(sources[0].get("SeriesNumber") or 0) + 1
