"""Maps as DICOM Parametric Maps, of a real header that pydicom ships."""

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from relaxnet.cli import main
from relaxnet.io._formats import read_image

pytest.importorskip("highdicom")

TE = (10.0, 20.0, 40.0)
ORIENTATION = [0.8, 0.6, 0, 0, 0, -1]
NORMAL = np.cross(ORIENTATION[:3], ORIENTATION[3:])


@pytest.fixture
def series(tmp_path):
    """Three echoes of two oblique slices of 64 x 64 pixels; T2 rises along the columns."""
    folder = tmp_path / "dicom"
    folder.mkdir()
    t2 = np.linspace(20, 80, 64)[None].repeat(64, 0)
    t2[:8] = 0  # air
    with np.errstate(divide="ignore"):
        images = [np.round(4000 * np.exp(-te / t2)).astype(np.int16) for te in TE]
    for z in range(2):
        for k, te in enumerate(TE):
            dataset = pydicom.dcmread(get_testdata_file("MR_small.dcm"))
            dataset.EchoTime, dataset.InstanceNumber = te, 10 * k + z
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            dataset.ImageOrientationPatient = ORIENTATION
            dataset.ImagePositionPatient = [float(f"{x:.6f}") for x in (-30, 20, 15) + 6 * z * NORMAL]
            dataset.PixelData = images[k].tobytes()
            dataset.save_as(folder / f"{k}{z}.dcm")
    return folder


def test_a_map_has_the_values_and_the_position_of_the_niftis(series, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["fit", "t2", str(series), "--out", str(out), "--dicom"]) == 0
    assert "dicom_T2map.dcm" in capsys.readouterr().out
    image, nifti = read_image(out / "dicom_T2map.dcm"), nib.load(out / "dicom_T2map.nii.gz")
    np.testing.assert_allclose(image.data[..., 0], nifti.get_fdata() * 1000, rtol=1e-6)
    np.testing.assert_allclose(image.affine, nifti.affine, atol=1e-4)
    assert np.isnan(image.data[:, :8]).all()
    dataset, source = pydicom.dcmread(out / "dicom_T2map.dcm"), pydicom.dcmread(series / "00.dcm")
    assert dataset.SOPClassUID.name == "Parametric Map Storage"
    for key in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert dataset[key].value == source[key].value
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    unit = mapping.MeasurementUnitsCodeSequence[0]
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("ms", "UCUM")
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)


def test_both_maps_of_a_joint_fit(series, tmp_path):
    options = ("--tsl-ms", "10,20,40", "--te-ms", "10,20,40", "--out", str(tmp_path / "out"), "--dicom")
    assert main(["fit", "joint", str(series), str(series), *options]) == 1  # the same series twice
    other = tmp_path / "other"
    other.mkdir()
    uid = generate_uid()
    for file in series.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uid, generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(other / file.name)
    assert main(["fit", "joint", str(series), str(other), *options]) == 0
    for suffix in ("T1rho", "T2map"):
        (path,) = (tmp_path / "out").glob(f"*_{suffix}.dcm")
        assert pydicom.dcmread(path).SeriesDescription == {"T1rho": "T1rho map", "T2map": "T2 map"}[suffix]


def test_a_scan_that_is_no_dicom_has_no_patient(tmp_path, capsys):
    data = np.broadcast_to(np.array([3.0, 2, 1], np.float32), (3, 2, 2, 3))
    nib.save(nib.Nifti1Image(data.copy(), np.eye(4)), tmp_path / "scan.nii.gz")
    assert main(["fit", "t2", str(tmp_path / "scan.nii.gz"), "--te-ms", "10,20,40", "--dicom"]) == 1
    assert "scan.nii.gz: there is no DICOM image" in capsys.readouterr().err
    assert not (tmp_path / "scan_T2map.nii.gz").exists()
