"""Inputs that go wrong, by number: what happens to each, and the documentation's table of it.

``raises`` stands for an error that names the argument or the file, what came, and what is needed.
"""

import dataclasses
import io
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pydicom
import pytest
import torch

import relaxnet as rx
from relaxnet._files import replacing
from relaxnet.cli import main

TABLE = Path(__file__).parents[1] / "docs" / "generated" / "bad_inputs.md"
TIMES = (0, 10, 30, 50)
STATUS = rx.FitStatus
CURVES = (1000 * np.exp(-np.array(TIMES) / np.array([[20.0], [30], [40], [60], [90]]))).astype(np.float32)


class Row(NamedTuple):
    given: str
    outcome: str
    check: Callable[..., None] | str
    """What is tried, or the test that tries it, ``"file::name"``; ``""`` where relaxnet has no such part."""


ROWS: dict[int, Row] = {}
ABSENT = "relaxnet has no such part"


def row(number: int, given: str, outcome: str, check: Any = None) -> Any:
    """Add a row; without a check, the function that follows is it."""

    def add(function: Any) -> Any:
        assert number not in ROWS
        ROWS[number] = Row(given, outcome, function)
        return function

    return add if check is None else add(check)


def one(voxel, **options):
    """Fit five voxels, the third of which is replaced; return its T, status and number of samples. Others stay."""
    curves = CURVES.copy()
    curves[2] = voxel
    found, before = (rx.fit(values, TIMES, **options) for values in (curves, CURVES))
    for name in ("t", "m0"):
        others, expected = (np.delete(result.maps[name], 2) for result in (found, before))
        np.testing.assert_array_equal(others, expected)
    return float(found.maps["t"][2]), STATUS(int(found.status[2])), int(found.n_used[2])


def raises(match, function, *args, error=ValueError, **options):
    with pytest.raises(error, match=match) as caught:
        function(*args, **options)
    assert len(str(caught.value)) < 1000


def refused(match, /, **options):
    raises(match, rx.fit, CURVES, TIMES, **options)


def same(found, expected=None, rtol=1e-5):
    expected = rx.fit(CURVES, TIMES) if expected is None else expected
    np.testing.assert_allclose(np.asarray(found.maps["t"]), expected.maps["t"], rtol=rtol)


class Given:
    """A folder with a scan, and the command line."""

    def __init__(self, tmp_path, capsys):
        self.tmp_path, self.capsys = tmp_path, capsys
        self.scan, self.out = tmp_path / "scan.nii.gz", tmp_path / "out"
        self.image = nibabel.Nifti1Image(np.broadcast_to(CURVES[:, None, None], (5, 2, 2, 4)).copy(), np.eye(4))
        self.image.set_qform(np.eye(4), 1)
        self.image.to_filename(self.scan)

    def run(self, *arguments):
        """Run a command; return its status and the lines on standard error."""
        self.capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return status, self.capsys.readouterr().err.splitlines()

    def fails(self, match, *arguments, status=1):
        """Run a command that must fail with one line that names what is wrong, and write nothing."""
        before = sorted(self.tmp_path.rglob("*"))
        found, lines = self.run(*arguments)
        assert found == status, lines
        (error,) = (line for line in lines if "error: " in line)
        assert re.search(match, error), error
        assert "mistake" not in error
        assert sorted(self.tmp_path.rglob("*")) == before

    def fit(self, *options, scan=None):
        return ("fit", "t2", scan or self.scan, "--te-ms", "0,10,30,50", "--out", self.out, *options)

    def header(self, **fields):
        """Write the scan with changed fields of its header."""
        content = bytearray(self.image.to_bytes())
        header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
        for name, value in fields.items():
            header[name] = value
        path = self.tmp_path / "changed.nii"
        path.write_bytes(header.binaryblock + content[348:])
        return path


# --- samples ----------------------------------------------------------------------------------------------------------


@row(1, "a NaN in a voxel", "fitted without it")
@row(2, "an infinity in a voxel", "fitted without it")
def _(_):
    for bad in (np.nan, np.inf, -np.inf):
        t, status, n = one([1000, bad, 472.37, 286.5])
        assert (round(t), status, n) == (40, STATUS.CONVERGED, 3)


def without_number(voxel, *statuses, **options):
    t, status, _ = one(voxel, **options)
    assert np.isnan(t)
    assert status in statuses


row(3, "zeros", "NaN, `NO_SIGNAL`", lambda _: without_number([0, 0, 0, 0], STATUS.NO_SIGNAL))


@row(4, "negative samples", "used by least squares; left out by the log-linear fit")
def _(_):
    assert one([100, 40, 5, -3])[1:] == (STATUS.CONVERGED, 4)
    assert one([100, 40, 5, -3], method="log-linear")[2] == 3


@row(5, "a rising signal", "NaN, `NO_DECAY`")
def _(_):
    for method in ("nlls", "two-point", "log-linear"):
        without_number([10, 20, 30, 40], STATUS.NO_DECAY, method=method)


@row(6, "a flat signal", "the upper bound, `AT_BOUND`")
def _(_):
    assert one([100] * 4)[:2] == (5000, STATUS.AT_BOUND)


@row(7, "one spike", "a finite value with a low r², or NaN with a status")
def _(_):
    for k in range(4):
        t, status, _n = one([100.0 if j == k else 0 for j in range(4)])
        assert np.isfinite(t) == (status in (STATUS.CONVERGED, STATUS.AT_BOUND))


@row(8, "clipped samples", "left out with `saturation=`")
def _(_):
    assert one([4095, 4095, 472.37, 286.5], saturation=4095)[2] == 2


@row(9, "signals of 1e-12 or 1e12", "the same T")
def _(_):
    for scale in (1e-12, 1e12):
        same(rx.fit(CURVES * np.float32(scale), TIMES), rtol=1e-4)


@row(10, "subnormal signals", "a number or a status, neighbours unchanged", lambda _: one([4e-41, 3e-41, 2e-41, 1e-41]))
@row(11, "no voxel", "empty maps")
def _(_):
    result = rx.fit(CURVES[:0], TIMES)
    assert result.maps["t"].shape == result.status.shape == (0,)


row(12, "a scalar", "raises", lambda _: raises("axes|axis|dim", rx.fit, np.float32(3), TIMES))


@row(13, "one voxel, one axis", "fitted")
def _(_):
    for curve in (CURVES[2], np.array([100, 60, 70, 30.0])):
        assert np.shape(rx.fit(curve, TIMES).maps["t"]) == ()


row(14, "times along another axis", "raises, and proposes `dim=`", lambda _: raises("dim=", rx.fit, CURVES.T, TIMES))
row(
    15,
    "images and times of other numbers",
    "raises with both",
    lambda _: raises("4.*3|3.*4", rx.fit, CURVES, (0, 1, 2)),
)
row(16, "one time", "raises", lambda _: raises("2 times", rx.fit, CURVES[:, :1], (10,)))
row(17, "fewer samples than parameters", "NaN, `TOO_FEW_SAMPLES`",
    lambda _: without_number([1000, *[np.nan] * 3], STATUS.TOO_FEW_SAMPLES))  # fmt: skip


@row(18, "as many samples as parameters", "fitted, without standard error unless sigma is given")
def _(_):
    result = rx.fit(CURVES[:, :2], TIMES[:2])
    same(result, rtol=1e-4)
    assert not np.isfinite(result.std["t"]).any()


# --- times, masks, bounds ---------------------------------------------------------------------------------------------

row(19, "times in seconds", "raises, and proposes `unit=\"s\"`",
    lambda _: raises("unit='s'", rx.fit, CURVES, (0, 0.01, 0.03, 0.05)))  # fmt: skip


@row(20, "times above 10 s", "a warning")
def _(_):
    with pytest.warns(UserWarning, match="microseconds"):
        rx.fit(CURVES, (0, 10_000, 30_000, 50_000))


@row(21, "times in any order", "the same T")
def _(_):
    same(rx.fit(CURVES[:, ::-1].copy(), TIMES[::-1]))


@row(22, "repeated times", "each image counts; raises if all are equal")
def _(_):
    same(rx.fit(np.repeat(CURVES, 2, axis=1), np.repeat(TIMES, 2)))
    raises("equal", rx.fit, CURVES, (5, 5, 5, 5))


@row(23, "a negative time, NaN", "raises")
def _(_):
    raises("negative", rx.fit, CURVES, (-1, 10, 30, 50))
    raises("not finite", rx.fit, CURVES, (0, 10, 30, np.nan))


@row(24, "times as list, tuple, array, tensor", "the same T")
def _(_):
    for times in ([0, 10, 30, 50], np.array(TIMES), torch.tensor(TIMES), torch.tensor(TIMES, dtype=torch.float64)):
        same(rx.fit(CURVES, times))


row(25, "times as text", "raises", lambda _: raises("text", rx.fit, CURVES, "0,10,30,50", error=TypeError))
row(26, "no image at 0", "the same T", lambda _: same(rx.fit(CURVES[:, 1:], TIMES[1:]), rtol=1e-4))
row(27, "a mask of another shape", "raises with both shapes", lambda _: refused("mask.*4.*5", mask=np.ones(4, bool)))


@row(28, "an empty mask", "NaN, `MASKED`, and a warning")
def _(_):
    with pytest.warns(UserWarning, match="mask is empty"):
        assert (rx.fit(CURVES, TIMES, mask=np.zeros(5, bool)).status == STATUS.MASKED).all()


@row(29, "a mask of zeros and ones of any type", "taken as yes and no")
def _(_):
    for dtype in (np.int64, np.float32, np.uint8):
        result = rx.fit(CURVES, TIMES, mask=np.array([1, 0, 1, 1, 1], dtype))
        assert (result.status == STATUS.MASKED).tolist() == [False, True, False, False, False]


@row(30, "a mask of labels or fractions", "raises")
@row(31, "NaN in a mask", "raises")
def _(_):
    for value in (2, 0.5, np.nan):
        refused("mask", mask=np.array([1, 0, 1, value, 1]))


@row(32, "a mask on another device", "raises with both")
def _(_):
    raises("meta", rx.fit, torch.from_numpy(CURVES), TIMES, mask=torch.ones(5, dtype=torch.bool, device="meta"))


@row(33, "bounds in the wrong order", "raises")
def _(_):
    for bounds in ((500, 1), (5, 5)):
        refused("bounds", bounds=bounds)


@row(34, "bounds that are none", "raises")
def _(_):
    for bounds in ((-1, 5), (np.nan, 5), (0, 5), (1, np.inf), (1,), (1, 2, 3)):
        refused("bounds", bounds=bounds)


row(35, "bounds in seconds", "raises", lambda _: refused("bounds.*seconds", bounds=(0.001, 0.3)))


@row(36, "T beyond the bounds", "the bound, `AT_BOUND`")
def _(_):
    result = rx.fit(CURVES, TIMES, bounds=(1, 50))
    assert (result.status == STATUS.AT_BOUND).tolist() == [False, False, False, True, True]
    np.testing.assert_allclose(result.maps["t"][3:], 50)


@row(37, "a sigma that is none", "raises")
def _(_):
    for sigma in (0, -1, np.nan, np.ones(3), "a"):
        refused("sigma", sigma=sigma)


row(38, "weights of zero", ABSENT, "")

# --- arrays -----------------------------------------------------------------------------------------------------------


@row(39, "integers", "fitted as float32")
def _(_):
    for dtype in (np.uint16, np.int16):
        values = CURVES.astype(dtype)
        np.testing.assert_array_equal(
            rx.fit(values, TIMES).maps["t"], rx.fit(values.astype(np.float32), TIMES).maps["t"]
        )
        assert rx.fit(values, TIMES).maps["t"].dtype == np.float32


@row(40, "float64", "float64")
def _(_):
    assert rx.fit(CURVES.astype(np.float64), TIMES).maps["t"].dtype == np.float64


@row(41, "float16, bfloat16", "computed in float32, returned as it came")
def _(_):
    for dtype in (torch.float16, torch.bfloat16):
        result = rx.fit(torch.from_numpy(CURVES).to(dtype), TIMES)
        assert result.maps["t"].dtype == dtype
        same(dataclasses.replace(result, maps={"t": result.maps["t"].float()}), rtol=0.05)


row(42, "complex numbers", "raises, and proposes the magnitude",
    lambda _: raises("magnitude", rx.fit, CURVES.astype(np.complex64), TIMES))  # fmt: skip


@row(43, "objects, ragged lists", "raises")
def _(_):
    raises("signal", rx.fit, CURVES.astype(object), TIMES, error=TypeError)
    raises("signal", rx.fit, [[1, 2], [3]], (0, 10), error=TypeError)


@row(44, "any strides", "the same T, input unchanged")
@row(45, "negative strides, foreign byte order", "the same T")
@row(46, "a read-only or memory-mapped array", "the same T, no warning")
def _(given):
    frozen = CURVES.copy()
    frozen.flags.writeable = False
    np.save(given.tmp_path / "a.npy", CURVES)
    mapped = np.load(given.tmp_path / "a.npy", mmap_mode="r")
    turned = CURVES[::-1].copy()[::-1]
    for values in (np.asfortranarray(CURVES), turned, CURVES.astype(">f4"), frozen, mapped):
        same(rx.fit(values, TIMES))
    expanded = torch.from_numpy(CURVES[:1]).expand(5, 4)
    assert len(set(rx.fit(expanded, TIMES).maps["t"].tolist())) == 1


@row(47, "a masked array", "masked samples are left out")
def _(_):
    masked = np.ma.MaskedArray(CURVES, mask=np.zeros_like(CURVES, bool))
    masked.mask[2, 1] = True
    assert rx.fit(masked, TIMES).n_used.tolist() == [4, 4, 3, 4, 4]


@row(48, "times on another device", "taken: times may be anywhere")
def _(_):
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        same(rx.fit(torch.from_numpy(CURVES), torch.tensor(TIMES, device=device)))


row(49, "images that require a gradient", "the maps have one", "fitting/test_gradient.py::test_a_fit_can_be_a_layer")
row(50, "images of inference mode in a loss", "learnt from",
    "test_surface.py::test_images_made_in_inference_mode_can_be_learnt_from")  # fmt: skip
row(51, "float64 on a device without it", "needs such a device to be tried", "")
row(52, "the memory of a GPU runs out", "smaller blocks once, then raises, and proposes `chunk_size=`",
    "fitting/test_scale.py::test_where_the_memory_of_a_device_runs_out_blocks_are_cut_once")  # fmt: skip
row(53, "a volume larger than memory", "fitted in blocks",
    "fitting/test_scale.py::test_memory_stays_below_twice_the_input_and_a_little")  # fmt: skip

# --- networks ---------------------------------------------------------------------------------------------------------

LIVER = rx.protocols.LIVER_T1RHO_T2


def network():
    return rx.nets.RelaxationNet(LIVER, inputs="short", base=2, depth=2)


@row(54, "images of any size", "maps of that size")
@row(56, "a constant image", "finite maps")
def _(_):
    assert torch.isfinite(network()(torch.full((1, 3, 37, 50), 7.0)).maps_ms).all()
    assert network()(torch.rand(1, 3, 37, 50)).maps_ms.shape == (1, 2, 37, 50)


row(55, "a scan of another protocol than the network's", "raises with both",
    "cli/test_cohort.py::test_predict_refuses_what_it_has_not_learnt")  # fmt: skip


@row(57, "a batch without a voxel in the mask", "a loss of 0")
def _(_):
    residual, nothing = torch.rand(1, 2, 4, 4, requires_grad=True), torch.zeros(1, 4, 4, dtype=torch.bool)
    loss = rx.losses.HomoscedasticLaplace(n_tasks=2)(residual, mask=nothing)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(residual.grad).all()


row(58, "a loss that is not finite", "the training stops and names the batch",
    "training/test_train.py::test_a_loss_that_is_not_finite_stops_the_training_and_names_the_batch")  # fmt: skip


@row(59, "no epoch, a rate of 0", "raises")
def _(_):
    for options in ({"epochs": 0}, {"learning_rate": 0.0}, {"learning_rate": -1.0}, {"learning_rate": np.inf}):
        raises(next(iter(options)), rx.training.Preset, **options)


@row(60, "a misspelt setting", "raises, and proposes the nearest")
def _(_):
    cohort = rx.phantom.liver_cohort(2, 1, (32, 32))
    raises("laptop", rx.training.train, cohort, preset="laptob")
    raises("cosine", rx.training.Preset, schedule="cosin")


row(61, "a broken YAML file", ABSENT, "")


def training(data, match, **options):
    raises(match, rx.training.train, data, preset="smoke", progress=False, **options)


@row(62, "one subject to learn from and to validate with", "raises")
def _(_):
    training([rx.phantom.liver_cohort(1, 1, (32, 32))[0]] * 4, "same|twice|times")


row(
    63,
    "fewer slices than a batch",
    "a smaller batch",
    "training/test_data.py::test_a_single_scan_is_learnt_without_watching",
)

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
@row(69, "a mask in another orientation", "raises")
def _(given):
    for shape, affine in (((5, 2, 1), np.eye(4)), ((5, 2, 2), np.diag((-1, 1, 1, 1)))):
        nibabel.Nifti1Image(np.ones(shape, np.uint8), affine).to_filename(given.tmp_path / "mask.nii")
        given.fails("mask.nii.*scan.nii.gz", *given.fit("--mask", given.tmp_path / "mask.nii"))


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
    assert len(written) == 13
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


@pytest.mark.parametrize(
    "number",
    [number for number, row in ROWS.items() if callable(row.check)],
)
@pytest.mark.usefixtures("as_user")
def test_a_row(number, tmp_path, capsys):
    ROWS[number].check(Given(tmp_path, capsys))


def test_every_row_is_tried_here_or_where_it_says():
    assert sorted(ROWS) == list(range(1, 90))
    for check in {row.check for row in ROWS.values() if isinstance(row.check, str) and row.check}:
        file, _, name = check.partition("::")
        assert f"def {name}(" in (Path(__file__).parent / file).read_text(encoding="utf-8"), check


def table():
    """Write down what the rows say."""
    lines = ["| | input | what happens |", "| ---: | :--- | :--- |"]
    lines += [f"| {number} | {ROWS[number].given} | {ROWS[number].outcome} |" for number in sorted(ROWS)]
    return "\n".join(lines) + "\n"


def test_the_table_of_the_documentation_is_this_one():
    assert TABLE.read_text(encoding="utf-8") == table(), "python -m tests.test_bad_inputs writes it anew"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
