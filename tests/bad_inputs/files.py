"""Rows 64 to 89: files, commands and processes."""

import io
import json
import threading

import nibabel
import numpy as np
import pydicom
import pytest

import relaxnet as rx
from bad_inputs import STATUS, raises, refused, row
from bad_inputs.networks import training
from relaxnet._files import replacing

# --- files ------------------------------------------------------------------------------------------------------------


@row(64, "a scan that is missing, empty, truncated, or something else", "raises")
def _(given):
    whole = given.scan.read_bytes()
    given.fails("nowhere.nii: there is no", *given.fit(scan=given.tmp_path / "nowhere.nii"))
    for content in (b"", whole[: len(whole) // 2], b"a letter", given.image.to_bytes()):
        given.scan.write_bytes(content)
        given.fails("scan.nii.gz", *given.fit())


@row(65, "a header that claims terabytes, a compressed file that expands to gigabytes", "raises before memory is taken")
def _(given):
    given.fails("changed.nii.*can hold", *given.fit(scan=given.header(dim=[4, 30000, 30000, 30000, 4, 1, 1, 1])))


@row(66, "a broken header", "raises, and names the field; another is used where there is one")
def _(given):
    for field, value in (("datatype", 3), ("dim", [4, -5, 2, 2, 4, 1, 1, 1]), ("vox_offset", np.nan)):
        given.fails(f"changed.nii.*{field}", *given.fit(scan=given.header(**{field: value})))
    status, lines = given.run(*given.fit(scan=given.header(srow_x=[np.nan] * 4)))
    assert status == 0
    assert any("warning" in line and "sform" in line for line in lines)


@row(67, "a position that is unknown or given twice", "a warning; maps lie where the scan does")
def _(given):
    status, lines = given.run(*given.fit(scan=given.header(qform_code=0, sform_code=0)))
    assert status == 0
    assert any("warning" in line and "position" in line for line in lines)


@row(68, "a mask of another grid", "raises")
def _(given):
    for shape, affine in (((5, 2, 1), np.eye(4)), ((5, 2, 2), np.diag((-1, 1, 1, 1)))):
        nibabel.Nifti1Image(np.ones(shape, np.uint8), affine).to_filename(given.tmp_path / "mask.nii")
        given.fails("mask.nii.*scan.nii.gz", *given.fit("--mask", given.tmp_path / "mask.nii"))


@row(69, "a mask in another orientation", "brought to that of the scan")
def _(given):
    mask = np.zeros((5, 2, 2), np.uint8)
    mask[:2] = 1
    flipped = np.diag((-1.0, 1, 1, 1))
    flipped[0, 3] = 4  # the same voxels, in the opposite order
    nibabel.Nifti1Image(mask[::-1], flipped).to_filename(given.tmp_path / "mask.nii")
    assert given.run(*given.fit("--mask", given.tmp_path / "mask.nii"))[0] == 0
    status = nibabel.load(given.out / "scan_desc-status_T2map.nii.gz").get_fdata()
    np.testing.assert_array_equal(status != STATUS.MASKED, mask)


@row(70, "five axes", "axes of length 1 are dropped; raises if two are longer")
def _(given):
    data = given.image.get_fdata(dtype=np.float32)
    nibabel.Nifti1Image(data[:, :, :, None], np.eye(4)).to_filename(given.tmp_path / "five.nii")
    assert rx.io.read_nifti(given.tmp_path / "five.nii").data.shape == data.shape
    nibabel.Nifti1Image(np.stack((data, data), axis=4), np.eye(4)).to_filename(given.tmp_path / "six.nii")
    given.fails("six.nii.*axes", *given.fit(scan=given.tmp_path / "six.nii"))


@row(71, "a scale that is none", "a warning, values as stored")
def _(given):
    for slope in (0, np.nan, np.inf):
        with pytest.warns(UserWarning, match="scl_slope"):
            np.testing.assert_array_equal(
                rx.io.read_nifti(given.header(scl_slope=slope)).data, given.image.get_fdata(dtype=np.float32)
            )


@row(72, "a sidecar that is missing, no JSON, ambiguous, or in ms", "raises, and names the key")
def _(given):
    sidecar, command = given.tmp_path / "scan.json", ("fit", "t2", given.scan, "--out", given.out)
    given.fails("scan.json.*EchoTime", *command)
    for text, problem in (
        ("{", "not JSON"),
        ("{}", "EchoTime"),
        ('{"EchoTime": [10, 20, 30, 40]}', "milliseconds"),
        ('{"EchoTime": [0.01, 0.02], "EchoTime": [0.01, 0.03]}', "EchoTime is there twice"),
        (json.dumps({"EchoTime": [0.01, -(10**400)]}), "EchoTime"),
    ):
        sidecar.write_text(text)
        given.fails(f"scan.json.*{problem}", *command)
        given.fails("scan.json", "fit", "joint", given.scan, "--out", given.out)
    sidecar.write_bytes(b"\xef\xbb\xbf" + b'{"EchoTime": [0.01, 0.02, 0.03, 0.04]}')
    assert given.run(*command)[0] == 0


@row(73, "no time for an image at 0 ms", "raises, and asks for the times")
def _(given):
    (given.tmp_path / "scan.json").write_text('{"EchoTime": 0.01}')
    given.fails("scan.json.*give", "fit", "t2", given.scan, "--out", given.out)


def dicom(folder):
    """Write four images of one position, one an echo."""
    folder.mkdir()
    for k, values in enumerate(np.linspace(1000, 400, 4).round()):
        image = pydicom.Dataset()
        image.file_meta = pydicom.dataset.FileMetaDataset()
        image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = pydicom.uid.MRImageStorage, f"1.2.3.{k + 1}"
        image.SeriesInstanceUID, image.EchoTime, image.SliceThickness = "1.2.3", 10 * (k + 1), 1
        image.ImagePositionPatient, image.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
        image.Rows, image.Columns, image.PixelSpacing = 2, 5, [1, 1]
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelData = np.full((2, 5), values, np.uint16).tobytes()
        image.save_as(folder / f"{k}.dcm", enforce_file_format=True)
    return folder


@row(74, "a broken DICOM series", "raises, and names the file or what is missing")
def _(given):
    folder = dicom(given.tmp_path / "series")
    command = ("fit", "t2", folder, "--out", given.out)
    whole = (folder / "2.dcm").read_bytes()
    (folder / "2.dcm").write_bytes(whole[:-3])
    given.fails("2.dcm.*voxels cannot be read", *command)
    image = pydicom.dcmread(io.BytesIO(whole))
    del image.ImagePositionPatient
    image.save_as(folder / "2.dcm")
    given.fails("2.dcm.*no position", *command)
    (folder / "2.dcm").write_bytes(whole)
    assert given.run(*command)[0] == 0


@row(75, "compressed DICOM", "read where pydicom can; else raises, and says how to decompress it")
def _(given):
    folder = dicom(given.tmp_path / "series")
    plain = rx.io.read_scan(folder, "t2").data
    for file in folder.iterdir():
        image = pydicom.dcmread(file)
        image.compress(pydicom.uid.RLELossless)
        image.save_as(file)
    np.testing.assert_array_equal(rx.io.read_scan(folder, "t2").data, plain)
    image.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    image.save_as(file)
    given.fails("decompress", "fit", "t2", folder, "--out", given.out)


@row(76, "the name of a patient in the scan or its folder", "nowhere in what is written")
def _(given):
    folder = given.tmp_path / "DOE_JANE"
    folder.mkdir()
    given.image.header["descrip"] = b"DOE"
    given.image.to_filename(folder / "scan.nii")
    (folder / "scan.json").write_text('{"EchoTime": [0, 0.01, 0.03, 0.05], "PatientName": "DOE"}')
    assert given.run("fit", "t2", folder / "scan.nii", "--out", given.out)[0] == 0
    written = [path.read_bytes() for path in given.out.iterdir() if path.suffix != ".gz"]
    written += [nibabel.load(path).header.binaryblock for path in given.out.glob("*.gz")]
    assert len(written) == 14
    assert not any(b"DOE" in content for content in written)


row(77, "a subject named as a path, or with other signs", "raises",
    "io/test_cohort_folder.py::test_names_with_paths_are_refused")  # fmt: skip


@row(78, "an output that is there, a link, a file, an input, or somebody else's", "raises before anything is computed")
def _(given):
    given.out.write_text("mine")
    given.fails("out", *given.fit())
    given.out.unlink()
    given.out.mkdir()
    (given.out / "scan_T2map.json").symlink_to(given.tmp_path / "nowhere")
    given.fails("scan_T2map.json.*--overwrite", *given.fit())
    mask = given.out / "scan_S0map.nii.gz"
    nibabel.Nifti1Image(np.ones((5, 2, 2), np.uint8), np.eye(4)).to_filename(mask)
    given.fails("input", *given.fit("--mask", mask, "--overwrite"))
    simulate = ("simulate", "--subjects", 1, "--shape", 32, "--slices", 1, "--out", given.tmp_path / "cohort")
    assert given.run(*simulate)[0] == 0
    (given.tmp_path / "cohort" / "sub-patient7").mkdir()
    given.fails("sub-patient7", *simulate, "--overwrite")


row(79, "a disk that is full", "the old files, and nothing else",
    "io/test_write_maps.py::test_a_full_disk_leaves_the_old_files_and_nothing_else")  # fmt: skip
row(80, "SIGINT, SIGTERM or SIGKILL at any time", "all files or the old ones; what was cut off is told",
    "test_files.py::test_a_kill_while_files_move_leaves_no_mark_and_the_next_run_clears_up")  # fmt: skip
row(81, "a file of a network that is damaged or of another kind", "raises",
    "training/test_train.py::test_files_that_are_no_networks")  # fmt: skip
row(82, "a network that was saved on a GPU", "loaded on the CPU: safetensors holds no device",
    "training/test_train.py::test_a_saved_network_is_the_same_network")  # fmt: skip
row(83, "an archive with paths out of its folder", "relaxnet unpacks no archive", "")


@row(84, "two writers of one file", "one whole file")
def _(given):
    def write(text):
        with replacing(given.tmp_path / "one") as temporary:
            temporary.write_text(text * 10_000)

    writers = [threading.Thread(target=write, args=(text,)) for text in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(set((given.tmp_path / "one").read_text())) == 1


row(85, "no terminal, an ASCII locale, a home that cannot be written to", "works, in plain text",
    "cli/test_process.py::test_a_bare_environment")  # fmt: skip


@row(86, "blocks of 0 voxels or of a fraction", "raises")
def _(_):
    for size in (0, -1, 1.5):
        refused("chunk_size", chunk_size=size)


@row(87, "a seed that is none", "raises")
def _(_):
    for seed in (-1, 1.5, "a"):
        raises("seed", rx.phantom.liver_cohort, 2, 1, (32, 32), seed=seed, error=(TypeError, ValueError))
        training(rx.phantom.liver_cohort(2, 1, (32, 32)), "seed", seed=seed)


row(88, "an extra that is not installed", "raises with the line that installs it",
    "cli/test_fit.py::test_a_missing_extra_names_its_pip_line")  # fmt: skip
row(89, "fits in threads", "the same results", "fitting/test_scale.py::test_fits_in_threads_of_the_caller_agree")
