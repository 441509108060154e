"""Files: images and their times in, maps out.

A scan is one NIfTI file, ``scan.nii.gz``, with four axes (x, y, z, time). Its times are in ``scan.json`` beside it, in
seconds and under the key of the contrast (``SpinLockTime`` for T1rho; ``EchoTime`` or ``T2PreparationTime`` for T2), or
you pass them. They are never guessed. :func:`read_scan` takes other layouts and formats, too.

>>> import nibabel, tempfile
>>> from pathlib import Path
>>> folder = Path(tempfile.mkdtemp())
>>> decay = 100 * np.exp(-np.array([0, 10, 30, 50]) / np.full((4, 3, 2, 1), 42.0))
>>> nibabel.save(nibabel.Nifti1Image(decay.astype("float32"), np.eye(4)), folder / "scan.nii.gz")

:func:`read_nifti` returns the voxels and the grid of the scan, :func:`read_mask` a mask of the voxels to fit, and
:func:`write_maps` writes the maps on the same grid:

>>> scan = rx.io.read_nifti(folder / "scan.nii.gz")
>>> scan.data.shape
(4, 3, 2, 4)
>>> t1rho = rx.Contrast("t1rho", times_ms=(0, 10, 30, 50))
>>> result = rx.fit(scan.data, t1rho, dim=-1)
>>> files = rx.io.write_maps(result, scan, folder / "out", times_ms=t1rho.times_ms, algorithm="NLLS")
>>> [path.name for path in files.values()][:3]
['scan_T1rho.nii.gz', 'scan_S0map.nii.gz', 'scan_desc-std_T1rho.nii.gz']

:func:`write_cohort` and :func:`read_cohort` do the same for cohorts, one subject at a time: digital subjects with their
ground truth, patients as images. :func:`read_labels` and :func:`write_regions` are for tables of the regions of a scan.
:func:`read_label_map` and :func:`read_tissue_table` read segmentations, from which
digital subjects can be made.

Times are milliseconds in memory and seconds in files, as in BIDS; only this package converts them. Invalid files are
reported before anything is computed, in one line that names the file.
"""

from typing import TYPE_CHECKING

from relaxnet._lazy import lazily

if TYPE_CHECKING:
    from relaxnet.io._acquisition import read_acquisition as read_acquisition
    from relaxnet.io._bids import joint_map_paths as joint_map_paths
    from relaxnet.io._bids import map_paths as map_paths
    from relaxnet.io._bids import picture_path as picture_path
    from relaxnet.io._bids import regions_path as regions_path
    from relaxnet.io._bids import sidecar_path as sidecar_path
    from relaxnet.io._check_protocol import check_protocol as check_protocol
    from relaxnet.io._data_set import describe_derivative as describe_derivative
    from relaxnet.io._find_series import JOINT as JOINT
    from relaxnet.io._find_series import RAW_SUFFIXES as RAW_SUFFIXES
    from relaxnet.io._find_series import FoundSeries as FoundSeries
    from relaxnet.io._find_series import find_series as find_series
    from relaxnet.io._join import join_scans as join_scans
    from relaxnet.io._pictures import as_pictures as as_pictures
    from relaxnet.io._pictures import as_slices as as_slices
    from relaxnet.io._protocol import describes_protocol as describes_protocol
    from relaxnet.io._protocol import read_protocol as read_protocol
    from relaxnet.io._read import Scan as Scan
    from relaxnet.io._read import read_nifti as read_nifti
    from relaxnet.io._read_cohort import FolderCohort as FolderCohort
    from relaxnet.io._read_cohort import read_cohort as read_cohort
    from relaxnet.io._read_label_map import read_label_map as read_label_map
    from relaxnet.io._read_label_map import read_tissue_table as read_tissue_table
    from relaxnet.io._read_map import read_map as read_map
    from relaxnet.io._read_mask import read_mask as read_mask
    from relaxnet.io._read_scan import Paths as Paths
    from relaxnet.io._read_scan import as_paths as as_paths
    from relaxnet.io._read_scan import read_scan as read_scan
    from relaxnet.io._read_scan import scan_path as scan_path
    from relaxnet.io._regions import read_labels as read_labels
    from relaxnet.io._regions import write_regions as write_regions
    from relaxnet.io._times import read_numbers as read_numbers
    from relaxnet.io._times import read_times as read_times
    from relaxnet.io._times import read_times_file as read_times_file
    from relaxnet.io._volumes import More as More
    from relaxnet.io._write import write_joint_maps as write_joint_maps
    from relaxnet.io._write import write_maps as write_maps
    from relaxnet.io._write_cohort import write_cohort as write_cohort
    from relaxnet.io._write_dicom import dicom_map as dicom_map
    from relaxnet.io._write_dicom import dicom_path as dicom_path
    from relaxnet.io._write_dicom import dicom_sources as dicom_sources
    from relaxnet.io._write_predicted import predicted_paths as predicted_paths
    from relaxnet.io._write_predicted import write_predicted as write_predicted

__getattr__, __dir__, __all__ = lazily(__name__)
