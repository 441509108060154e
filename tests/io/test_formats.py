"""Formats other than NIfTI: what nibabel reads, arrays of NumPy, and the converter of what is not read."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main

TE = (10.0, 20.0, 40.0)
AFFINE = np.diag((2.0, 2.0, 3.0, 1.0))
PHILIPS = Path(nibabel.__file__).parent / "tests" / "data" / "phantom_EPI_asc_CLEAR_2_1.PAR"


@pytest.fixture
def decay():
    return (1000 * np.exp(-np.array(TE) / np.linspace(30, 80, 24).reshape(4, 3, 2, 1))).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("scan.mgz", nibabel.MGHImage), ("scan.mgh", nibabel.MGHImage), ("scan.img", nibabel.Nifti1Pair)],
)
def test_what_nibabel_reads(tmp_path, decay, name, kind):
    kind(decay, AFFINE).to_filename(tmp_path / name)
    scan = rx.io.read_scan(tmp_path / name, times_ms=TE)
    np.testing.assert_array_equal(scan.data, decay)
    np.testing.assert_allclose(scan.affine, AFFINE)
    assert main(["fit", "t2", str(tmp_path / name), "--te-ms", "10,20,40", "-q"]) == 0
    assert (tmp_path / "scan_T2map.nii.gz").exists()


@pytest.mark.skipif(not PHILIPS.exists(), reason="nibabel came without its test data")
def test_philips_files_have_the_scale_of_the_signal():
    scan = rx.io.read_scan(PHILIPS)
    expected = nibabel.load(PHILIPS, scaling="fp", strict_sort=True)
    np.testing.assert_allclose(scan.data, expected.get_fdata(), rtol=1e-5)
    np.testing.assert_allclose(scan.affine, expected.affine)
    expected.dataobj.file_like.close()


def test_arrays(tmp_path, decay):
    np.save(tmp_path / "scan.npy", decay.astype(">f4"))
    with pytest.warns(UserWarning, match="no affine"):
        scan = rx.io.read_scan(tmp_path / "scan.npy", times_ms=TE)
    np.testing.assert_array_equal(scan.data, decay)
    np.savez(tmp_path / "scan.npz", data=decay, affine=AFFINE, times_ms=TE)
    scan = rx.io.read_scan(tmp_path / "scan.npz")
    assert scan.times_ms == TE
    np.testing.assert_array_equal(scan.affine, AFFINE)
    with pytest.raises(ValueError, match="it says"):
        rx.io.read_scan(tmp_path / "scan.npz", times_ms=(10, 20, 30))


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"data": np.array([{}], dtype=object)}, "pickled"),
        ({"a": np.ones(3), "b": np.ones(3)}, "data .x, y, z, time. is needed"),
        ({"data": np.ones((2, 2, 2, 3), complex)}, "magnitude"),
        ({"data": np.ones((2, 2, 2, 3)), "affine": np.ones(3)}, "affine has shape"),
        ({"data": np.ones((2, 2, 2, 3)), "times_ms": np.ones((3, 1))}, "times_ms has shape"),
    ],
)
def test_arrays_that_are_refused(tmp_path, arrays, problem):
    np.savez(tmp_path / "scan.npz", **arrays)
    with pytest.raises(ValueError, match=problem) as caught:
        rx.io.read_scan(tmp_path / "scan.npz", times_ms=TE)
    assert "scan.npz" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("scan.mha", "cannot be read as .mha"),
        ("scan.nrrd", "cannot be read as .nrrd"),
        ("scan.REC", "PAR file"),
        ("scan.mat", "scipy.io.loadmat"),
        ("scan.jpg", "dcm2niix"),
        ("scan", "without ending"),
        ("scan.PAR", "cannot be read as .par"),
        ("scan.img", "cannot be read as .img"),
        ("scan.mgz", "cannot be read as .mgz"),
        ("scan.npy", "cannot be read as an array"),
        ("scan.npz", "cannot be read as an array"),
        ("scan.dcm", "no DICOM image"),
    ],
)
def test_what_is_not_read_is_told_how_to_go_on(tmp_path, capsys, name, named):
    (tmp_path / name).write_bytes(b"anything")
    assert main(["fit", "t2", str(tmp_path / name), "--te-ms", "10,20,40"]) == 1
    error = capsys.readouterr().err
    assert named in error
    assert len(error.splitlines()) == 1
