"""Written maps are read unchanged; files are written completely or not at all."""

import dataclasses
import errno
import json
import os
import signal
import threading
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.io._volumes import Volume, write_volumes

TIMES_MS = (0, 10, 30, 50)
T1RHO = rx.Contrast("t1rho", TIMES_MS)
FILES = ("T1rho", "S0map", "desc-std_T1rho", "desc-r2_T1rho", "desc-rmse_T1rho", "desc-status_T1rho")


LAS = np.diag((-2.0, 2.0, 5.0, 1.0))
RAS = np.diag((2.0, 2.0, 5.0, 1.0))
OBLIQUE = np.array([[0.96, -0.35, 0.5, -80.5], [0.6, 0.75, -1.5, 12.25], [0, 0.64, 4.5, -33.125], [0, 0, 0, 1]])
OBLIQUE[:3, :3] = np.linalg.qr(OBLIQUE[:3, :3])[0] * (1.25, 1.25, 5.0)  # without shears
SHEARED = np.array([[2, 0.5, 0, 0], [0, 2, 0, 0], [0, 0, 5.0, 0], [0, 0, 0, 1]])


def scan_at(folder, affine=LAS, space_code=1):
    t = np.linspace(20, 90, 24).reshape(4, 3, 2, 1)
    images = (1000 * np.exp(-np.array(TIMES_MS) / t)).astype(np.float32)
    images[0, 0, 0] = np.nan
    images[1, 1, 1] = 0
    return rx.io.Scan(folder / "scan.nii.gz", images, affine, space_code)


@pytest.fixture
def scan(tmp_path):
    return scan_at(tmp_path)


@pytest.fixture
def result(scan):
    return rx.fit(scan.data, T1RHO, dim=-1)


def write(result, scan, folder, **options):
    return rx.io.write_maps(result, scan, folder, times_ms=TIMES_MS, algorithm="NLLS", **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("affine", [LAS, RAS, OBLIQUE], ids=["LAS", "RAS", "oblique"])
def test_written_maps_are_read_unchanged(result, affine, tmp_path):
    scan = scan_at(tmp_path, affine)
    paths = write(result, scan, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        f"scan_{name}{ending}" for name in FILES for ending in (".nii.gz", ".json")
    )
    images = {key: nibabel.load(path) for key, path in paths.items()}
    expected = {
        "t1rho": result.maps["t1rho"] / 1000,
        "m0": result.maps["m0"],
        "std": result.std["t1rho"] / 1000,
        "r2": result.r2,
        "rmse": result.rmse,
        "status": result.status,
    }
    for key, image in images.items():
        np.testing.assert_array_equal(np.asarray(image.dataobj), expected[key])
        for form, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
            np.testing.assert_allclose(form, affine, atol=1e-4)
            assert code == 1
        np.testing.assert_array_equal(image.affine, scan.affine.astype(np.float32))
        assert image.header.get_xyzt_units()[0] == "mm"
        assert image.get_data_dtype() == (np.uint8 if key == "status" else np.float32)
    assert np.isnan(images["t1rho"].get_fdata()[0, 0, 0])
    assert 0.02 <= np.nanmedian(images["t1rho"].get_fdata()) <= 0.09  # seconds


def test_the_header_of_the_scan_is_not_copied(tmp_path, scan):
    """It may hold a name, or a scale of integers, which turns seconds and NaN into zeros."""
    image = nibabel.Nifti1Image(np.nan_to_num(scan.data).astype(np.int16), LAS)
    image.header["descrip"] = b"patient name"
    image.set_qform(LAS, 1)
    image.to_filename(scan.path)
    scan = rx.io.read_nifti(scan.path)
    image = nibabel.load(write(rx.fit(scan.data, T1RHO, dim=-1), scan, tmp_path)["t1rho"])
    assert b"patient" not in image.header.binaryblock
    assert (image.dataobj.slope, image.dataobj.inter) == (1, 0)


def test_shears_are_kept_where_they_can_be(result, tmp_path):
    image = nibabel.load(write(result, scan_at(tmp_path, SHEARED), tmp_path)["t1rho"])
    np.testing.assert_allclose(image.affine, SHEARED)
    assert image.header["qform_code"] == 0


def test_an_image_without_position_keeps_its_affine(result, tmp_path):
    image = nibabel.load(write(result, scan_at(tmp_path, space_code=0), tmp_path)["t1rho"])
    np.testing.assert_allclose(image.affine, LAS)
    assert image.header["sform_code"] > 0


def test_tensors_are_written_like_arrays(scan, result, tmp_path):
    write(result, scan, tmp_path / "array")
    tensors = rx.fit(torch.from_numpy(scan.data), T1RHO, dim=-1)
    write(tensors, scan, tmp_path / "tensor")
    assert contents(tmp_path / "array") == contents(tmp_path / "tensor")


def test_a_sidecar_describes_the_map(scan, result, tmp_path):
    paths = write(result, scan, tmp_path, command="relaxnet fit t1rho scan.nii.gz")
    sidecars = {key: json.loads(rx.io.sidecar_path(path).read_text()) for key, path in paths.items()}
    for sidecar in sidecars.values():
        assert sidecar["SpinLockTime"] == [0, 0.01, 0.03, 0.05]
        assert sidecar["SkullStripped"] is False
        assert sidecar["GeneratedBy"] == [{"Name": "relaxnet", "Version": rx.__version__}]
        assert sidecar["CommandLine"] == "relaxnet fit t1rho scan.nii.gz"
        assert sidecar["EstimationAlgorithm"] == "NLLS"
        assert "T1rho" in sidecar["Description"]
    units = {key: sidecar["Units"] for key, sidecar in sidecars.items()}
    assert units == {"t1rho": "s", "m0": "arbitrary", "std": "s", "r2": "1", "rmse": "arbitrary", "status": "1"}
    levels = sidecars["status"]["Levels"]
    assert {int(value): meaning.split(":")[0] for value, meaning in levels.items()} == {
        status.value: status.name for status in rx.FitStatus
    }


@pytest.mark.parametrize(
    ("times_ms", "key"), [((10, 20, 30, 57.3), "EchoTime"), ((0, 18.2, 34.6, 51.0), "T2PreparationTime")]
)
def test_times_of_a_sidecar_are_read_exactly(scan, tmp_path, times_ms, key):
    """There is no echo at 0 ms, and BIDS forbids it: such times are preparation times."""
    result = rx.fit(scan.data, rx.Contrast("t2", times_ms), dim=-1)
    path = rx.io.write_maps(result, scan, tmp_path, times_ms=times_ms, algorithm="NLLS")["t2"]
    assert path.name == "scan_T2map.nii.gz"
    assert key in json.loads(rx.io.sidecar_path(path).read_text())
    assert rx.io.read_times(path, "t2") == times_ms


def test_a_result_of_another_scan_or_contrast(scan, result, tmp_path):
    with pytest.raises(ValueError, match="'t'"):
        write(rx.fit(scan.data, TIMES_MS, dim=-1), scan, tmp_path)
    smaller = rx.io.Scan(scan.path, scan.data[:2], scan.affine, scan.space_code)
    with pytest.raises(ValueError, match="shape"):
        write(result, smaller, tmp_path)
    assert not contents(tmp_path)


# --- complete files or none -------------------------------------------------------------------------------------------


def test_nothing_is_overwritten_by_default(scan, result, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scan_desc-r2_T1rho.json").write_text("mine")
    with pytest.raises(FileExistsError, match="scan_desc-r2_T1rho"):
        write(result, scan, tmp_path / "out")
    assert contents(tmp_path / "out") == {"scan_desc-r2_T1rho.json": b"mine"}
    write(result, scan, tmp_path / "out", overwrite=True)
    assert len(contents(tmp_path / "out")) == 12


@pytest.mark.parametrize("fail_at", [1, 3, 6])
def test_a_full_disk_leaves_the_old_files_and_nothing_else(scan, result, tmp_path, monkeypatch, fail_at):
    write(result, scan, tmp_path / "out")
    before = contents(tmp_path / "out")
    save, calls = nibabel.Nifti1Image.to_filename, []

    def full(image, path):
        calls.append(path)
        if len(calls) == fail_at:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(image, path)

    monkeypatch.setattr(nibabel.Nifti1Image, "to_filename", full)
    changed = dataclasses.replace(result, rmse=result.rmse + 1)
    with pytest.raises(OSError, match="No space"):
        write(changed, scan, tmp_path / "out", overwrite=True)
    assert contents(tmp_path / "out") == before


def test_two_writers_of_one_output_leave_one_complete_set(scan, result, tmp_path):
    write(result, scan, tmp_path / "alone")
    writers = [
        threading.Thread(target=write, args=(result, scan, tmp_path / "out"), kwargs={"overwrite": True})
        for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


def test_the_folder_is_a_file(scan, result, tmp_path):
    (tmp_path / "out").write_text("mine")
    for folder in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(OSError, match="out"):
            write(result, scan, folder)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_that_cannot_be_written_to(scan, result, tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(OSError, match=r"out: cannot write .*Read-only"):
        write(result, scan, tmp_path / "out")


def test_a_link_is_replaced_but_not_its_target(scan, result, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out" / "scan_T1rho.nii.gz").symlink_to(tmp_path / "precious")
    write(result, scan, tmp_path / "out", overwrite=True)
    assert (tmp_path / "precious").read_text() == "mine"
    assert nibabel.load(tmp_path / "out" / "scan_T1rho.nii.gz").shape == (4, 3, 2)


def test_files_that_are_being_written_at_a_second_interruption_are_gone(tmp_path, monkeypatch):
    begun, interrupted = threading.Event(), threading.Event()

    def write(_, path):
        begun.set()
        assert interrupted.wait(60)
        Path(path).write_bytes(b"late")

    def interrupt_again():
        time.sleep(0.1)  # by now, the first one waits for the threads that write
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)  # by now, the files would have been removed
        interrupted.set()

    def interrupt(_):
        assert begun.wait(60)
        threading.Thread(target=interrupt_again).start()
        raise KeyboardInterrupt

    monkeypatch.setattr(nibabel.Nifti1Image, "to_filename", write)
    volumes = {tmp_path / f"{k}.nii.gz": Volume(np.zeros((2, 2, 2), np.float32), {}) for k in range(3)}
    others = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        write_volumes(volumes, LAS, 1, more={tmp_path / "picture.png": interrupt})
    for thread in set(threading.enumerate()) - others:
        thread.join()
    assert not list(tmp_path.iterdir())
