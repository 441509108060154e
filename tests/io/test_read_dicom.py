"""Series of DICOM files, made here: any order of files, classic and enhanced, with the scale of the signal."""

import json

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

import relaxnet as rx
from relaxnet.cli import main
from relaxnet.training import Trained

TE = (10.0, 20.5, 40.0)
ORIENTATION = [0.8, 0.6, 0, 0, 0, -1]
NORMAL = np.cross(ORIENTATION[:3], ORIENTATION[3:])
ORIGIN = np.array([-30.0, 20.0, 15.0])


@pytest.fixture
def decay():
    """Whole numbers, (x, y, z, time)."""
    t = np.linspace(30, 80, 24).reshape(4, 3, 2, 1)
    return np.round(1000 * np.exp(-np.array(TE) / t))


def element(dataset, slice_number):
    """Place an image in space."""
    dataset.ImagePositionPatient = [float(f"{x:.6f}") for x in ORIGIN + 5 * slice_number * NORMAL]
    dataset.ImageOrientationPatient = ORIENTATION
    dataset.PixelSpacing = [1.5, 2.0]
    dataset.SliceThickness = 4


def begin(sop_class, series):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.SeriesNumber, dataset.SeriesDescription = "MR", series, f"series {series}"
    dataset.SeriesInstanceUID = f"1.2.3.{series}"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    return dataset


@pytest.fixture
def classic(tmp_path, decay):
    """Write one file an image, in an order of names and numbers that says nothing."""

    def write(name="dicom", *, series=3, te=TE, data=decay, slope=1.0, inter=0.0, philips=None, kind="M", more=None):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        random = np.random.default_rng(series)
        numbers = iter(random.permutation(data.shape[2] * data.shape[3]).tolist())
        for z in range(data.shape[2]):
            for t in range(data.shape[3]):
                dataset, number = begin(MRImageStorage, series), next(numbers)
                element(dataset, z)
                dataset.ImageType = ["ORIGINAL", "PRIMARY", kind]
                dataset.EchoTime, dataset.InstanceNumber = te[t], number
                dataset.Rows, dataset.Columns = data.shape[1], data.shape[0]
                dataset.RescaleSlope, dataset.RescaleIntercept = slope, inter
                if philips:
                    block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
                    block.add_new(0x0E, "FL", philips[t])
                if more:
                    more(dataset, t)
                dataset.PixelData = data[:, :, z, t].T.astype(np.uint16).tobytes()
                dataset.save_as(folder / f"IM{series}_{kind}_{number:03d}", enforce_file_format=True)
        return folder

    return write


def enhanced(path, data):
    dataset = begin(EnhancedMRImageStorage, 9)
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = data.shape[1], data.shape[0], data.shape[2] * data.shape[3]
    order = np.random.default_rng(0).permutation(dataset.NumberOfFrames)
    frames, pixels = [], []
    for k in order:
        z, t = divmod(int(k), data.shape[3])
        frame, plane, echo, scale = Dataset(), Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient = [float(x) for x in ORIGIN + 5 * z * NORMAL]
        echo.EffectiveEchoTime = TE[t]
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = t + 1.0, -1.0, "US"
        frame.PlanePositionSequence = Sequence([plane])
        frame.MREchoSequence = Sequence([echo])
        frame.PixelValueTransformationSequence = Sequence([scale])
        frames.append(frame)
        pixels.append(data[:, :, z, t].T.astype(np.uint16))
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1.5, 2.0], 4
    orientation.ImageOrientationPatient = ORIENTATION
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    dataset.PixelData = np.stack(pixels).tobytes()
    dataset.save_as(path, enforce_file_format=True)


def refused(folder, problem, **options):
    with pytest.raises(ValueError, match=problem) as caught:
        rx.io.read_scan(folder, "t2", **options)
    assert "\n" not in str(caught.value)


def test_a_classic_series_is_sorted_by_position_and_time(classic, decay):
    folder = classic()
    (folder / "notes.txt").write_text("no DICOM")
    scan = rx.io.read_scan(folder, "t2")
    np.testing.assert_array_equal(scan.data, decay)
    assert scan.times_ms == TE
    assert "headers" in scan.times_from
    assert scan.path == folder.with_name("dicom.nii.gz")
    for voxel in ((0, 0, 0), (3, 2, 1)):  # where DICOM says that a voxel is, with its axes to the left and the back
        column, row, z = voxel
        place = (
            ORIGIN + 2.0 * column * np.array(ORIENTATION[:3]) + 1.5 * row * np.array(ORIENTATION[3:]) + 5 * z * NORMAL
        )
        np.testing.assert_allclose((scan.affine @ (*voxel, 1))[:3], place * (-1, -1, 1), atol=1e-5)


def test_the_command_takes_a_folder(classic, tmp_path, capsys):
    folder = classic()
    assert main(["fit", "t2", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert "from the headers of" in capsys.readouterr().err
    assert (tmp_path / "out" / "dicom_T2map.nii.gz").exists()
    assert main(["fit", "t1rho", str(folder)]) == 1
    assert "EchoTime is an array of 3 and may hold them: give the times (--tsl-ms" in capsys.readouterr().err
    assert main(["fit", "t1rho", str(folder), "--tsl-ms", "10,20.5,40", "-q"]) == 0


def test_several_series_are_listed(classic, decay, capsys):
    classic(series=3)
    folder = classic(series=7, data=decay[..., ::-1].copy(), te=TE)
    refused(
        folder, r"2 series: 3 \(series 3, 6 files\); 7 \(series 7, 6 files\): choose one, as series=3; if each is of"
    )
    np.testing.assert_array_equal(rx.io.read_scan(folder, "t2", series=7).data, decay[..., ::-1])
    refused(folder, "series=4 is not one of its", series=4)
    assert main(["fit", "t2", str(folder)]) == 1
    assert "choose one, as --series 3" in capsys.readouterr().err


def test_scales_are_applied(classic, decay):
    scan = rx.io.read_scan(classic(slope=2.5, inter=-3), "t2")
    np.testing.assert_allclose(scan.data, decay * 2.5 - 3)
    # Philips: the signal is (stored * slope + intercept) / (slope * scale slope), and images of one series may differ
    scan = rx.io.read_scan(classic("philips", slope=2.5, inter=-3, philips=(0.5, 0.25, 2.0)), "t2")
    expected = (decay * 2.5 - 3) / (2.5 * np.array((0.5, 0.25, 2.0)))
    np.testing.assert_allclose(scan.data, expected, rtol=1e-5)


def test_an_enhanced_file_of_many_frames(tmp_path, decay):
    (tmp_path / "folder").mkdir()
    enhanced(tmp_path / "folder" / "one.dcm", decay)
    for path in (tmp_path / "folder", tmp_path / "folder" / "one.dcm"):
        scan = rx.io.read_scan(path, "t2")
        np.testing.assert_array_equal(scan.data, decay * (1, 2, 3) - 1)
        assert scan.times_ms == TE


def test_one_folder_for_each_time(classic, decay):
    folders = [classic(f"te{k}", te=(TE[k],), data=decay[..., k : k + 1], series=k + 1) for k in (2, 0, 1)]
    scan = rx.io.read_scan(folders, "t2")
    np.testing.assert_array_equal(scan.data, decay)
    assert scan.times_ms == TE


def test_phase_images_are_left_out(classic, decay):
    classic()
    with pytest.warns(UserWarning, match="magnitude"):
        scan = rx.io.read_scan(classic(kind="P", data=decay * 0 + 4), "t2")
    np.testing.assert_array_equal(scan.data, decay)


def test_an_order_that_no_time_tells_is_doubted(classic):
    with pytest.warns(UserWarning, match="sorted by InstanceNumber"):
        scan = rx.io.read_scan(classic(te=(5.0, 5.0, 5.0)), times_ms=TE)
    assert scan.data.shape == (4, 3, 2, 3)


def test_broken_series_are_refused(classic, tmp_path, decay):
    folder = classic(data=np.concatenate([decay, decay], 2))
    files = sorted(folder.iterdir())
    files[4].unlink()
    refused(folder, "positions have 2 to 3 images")
    gap = classic("gap", data=np.concatenate([decay, decay], 2), series=4)
    for file in gap.iterdir():
        if abs((np.array(pydicom.dcmread(file).ImagePositionPatient, float) - ORIGIN) @ NORMAL - 5) < 1:
            file.unlink()
    refused(gap, "a slice is missing")
    short = classic("short", series=5)
    first = next(short.iterdir())
    first.write_bytes(first.read_bytes()[:-10])
    refused(short, "voxels cannot be read")
    lost = classic("lost", series=6)
    first = next(lost.iterdir())
    dataset = pydicom.dcmread(first)
    del dataset.ImagePositionPatient
    dataset.save_as(first)
    refused(lost, "no position")
    (tmp_path / "none").mkdir()
    refused(tmp_path / "none", "there is no DICOM image: pass a file")
    (tmp_path / "none" / "a.nii.gz").touch()
    refused(tmp_path / "none", "NIfTI files instead")


@pytest.mark.parametrize(
    ("block", "creator", "offset", "vr", "write"),
    [
        (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", int),
        (0x0043, "GEMS_PARM_01", 0x39, "IS", lambda b: [1_000_000_000 + int(b), 8, 0, 0]),
        (0x2001, "Philips Imaging DD 001", 0x03, "FL", float),
        (None, "the public element", None, "FD", float),
    ],
)
def test_b_values_of_all_vendors(classic, tmp_path, capsys, block, creator, offset, vr, write):
    b_values = (0, 200, 800)
    data = np.round(4000 * np.exp(-np.array(b_values) * 1.1e-3)) * np.ones((4, 3, 2, 1))

    def more(dataset, t):
        if block is None:
            dataset.DiffusionBValue = write(b_values[t])
        else:
            dataset.private_block(block, creator, create=True).add_new(offset, vr, write(b_values[t]))

    folder = classic(te=(50.0,) * 3, data=data, more=more)
    assert main(["fit", "adc", str(folder), "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().err
    assert "at 0, 200, 800 s/mm" in told
    assert ("warning" in told) == (block is not None)  # what is not public is told
    assert block is None or "DiffusionBValue is that of the private element" in told


def test_a_t2_preparation_of_siemens(classic):
    def more(dataset, t):
        text = f"sWipMemBlock.alFree[0] = 3\nsPrepPulses.adT2PrepDuration[0] = \t{TE[t]}\n".encode()
        dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x20, "OB", b"\0\xff" + text)

    with pytest.warns(UserWarning, match=r"T2PreparationTime is that of the private element \(0029,1020\) of Siemens"):
        scan = rx.io.read_scan(classic(te=(1.2,) * 3, more=more), "t2")
    assert scan.times_ms == TE


@pytest.mark.parametrize("way", ["inversions", "flip angles"])
def test_headers_say_how_t1_was_acquired(classic, tmp_path, capsys, way):
    t1, times, angles = 900.0, (100.0, 700.0, 1500.0, 3000.0), (3.0, 8.0, 14.0, 20.0)
    if way == "inversions":
        values = np.abs(1 - 2 * np.exp(-np.array(times) / t1))
    else:
        e, r = np.exp(-15 / t1), np.deg2rad(angles)
        values = 15 * np.sin(r) * (1 - e) / (1 - e * np.cos(r))

    def more(dataset, t):
        dataset.RepetitionTime = 15 if way == "flip angles" else 12000
        dataset.FlipAngle = angles[t] if way == "flip angles" else 90
        if way == "inversions":
            dataset.InversionTime = times[t]

    folder = classic(te=(2.0,) * 4, data=np.round(5000 * values) * np.ones((4, 3, 2, 1)), more=more)
    assert main(["fit", "t1", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert ("3, 8, 14, 20 degrees" if way == "flip angles" else "100, 700, 1500, 3000 ms") in capsys.readouterr().err
    found = nibabel.load(tmp_path / "out" / "dicom_T1map.nii.gz").get_fdata()
    np.testing.assert_allclose(found, 0.9, rtol=0.01)


def test_a_json_file_beside_a_folder_counts(classic, tmp_path, capsys):
    folder = classic()
    (tmp_path / "dicom.json").write_text(json.dumps({"SpinLockTime": [time / 1000 for time in TE]}))
    assert rx.io.read_scan(folder, "t1rho").times_ms == TE
    assert main(["fit", "t1", str(folder)]) == 1
    assert "how was t1 acquired? neither a JSON file nor its headers say so" in capsys.readouterr().err


def test_a_mosaic_is_refused(classic):
    def more(dataset, _):
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]

    refused(classic(more=more), "this is a mosaic, .* dcm2niix")


@pytest.mark.parametrize(("times", "fits"), [(TE, True), ((10, 20, 50), False)])
def test_headers_are_compared_with_the_times_of_a_network(classic, tmp_path, capsys, times, fits):
    net = rx.nets.RelaxationNet(rx.Protocol((rx.Contrast("t2", times),)), (0, 1, 2), base=2, depth=1)
    Trained(net.eval()).save(tmp_path / "net.safetensors")
    data = np.random.default_rng(0).integers(50, 100, (12, 10, 2, 3))
    arguments = ["predict", tmp_path / "net.safetensors", classic(data=data), "--out", tmp_path / "out"]
    assert main([*map(str, arguments)]) == (0 if fits else 1)
    told = capsys.readouterr().err
    if fits:
        assert f"compared with {tmp_path / 'dicom'}" in told
    else:
        assert "dicom: EchoTime is (10, 20.5, 40) in ms, and the network was trained for t2 at (10, 20, 50) ms" in told
