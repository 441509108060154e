"""The commands that follow from the table of contrasts, each on a scan of its own physics."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from relaxnet.cli import main

T1, E = 900.0, np.exp(-5 / 900)
ANGLES = np.deg2rad([2.0, 5, 10, 15])
TI = np.array([50.0, 150, 350, 700, 1200, 2500])
SCANS = {
    "t2star": (np.exp(-np.array([5, 10, 20, 30]) / 25), ("--te-ms", "5,10,20,30"), "T2starmap", 0.025, "s"),
    "adc": (np.exp(-np.array([0, 400, 800]) * 1.1e-3), ("--b", "0,400,800"), "ADC", 1.1e-3, "mm²/s"),
    "t1 inversion": (abs(1 - 1.6 * np.exp(-TI / T1)), ("--ti-ms", "50,150,350,700,1200,2500"), "T1map", 0.9, "s"),
    "t1 within TR": (
        abs(1 - 2 * np.exp(-TI / T1) + np.exp(-3000 / T1)),
        ("--ti-ms", "50,150,350,700,1200,2500", "--tr-ms", "3000"), "T1map", 0.9, "s",
    ),
    "t1 saturation": (1 - 0.9 * np.exp(-TI / T1), ("--ts-ms", "50,150,350,700,1200,2500"), "T1map", 0.9, "s"),
    "t1 angles": (
        np.sin(ANGLES) * (1 - E) / (1 - E * np.cos(ANGLES)), ("--flip-deg", "2,5,10,15", "--tr-ms", "5"), "T1map", 0.9,
        "s",
    ),
}  # fmt: skip


@pytest.fixture
def scan(tmp_path):
    def save(signal):
        data = np.broadcast_to(1000 * np.asarray(signal), (3, 2, 2, len(signal))).astype(np.float32)
        nib.save(nib.Nifti1Image(data, np.diag([2, 2, 3, 1.0])), tmp_path / "scan.nii.gz")
        return str(tmp_path / "scan.nii.gz")

    return save


@pytest.mark.parametrize("kind", SCANS)
def test_every_contrast_is_a_command(kind, scan, tmp_path, capsys):
    signal, options, suffix, truth, unit = SCANS[kind]
    assert main(["fit", kind.split()[0], scan(signal), *options]) == 0
    np.testing.assert_allclose(nib.load(tmp_path / f"scan_{suffix}.nii.gz").get_fdata(), truth, rtol=1e-3)
    assert f"maps in {unit}," in capsys.readouterr().out


def test_b_values_come_from_the_sidecar_in_their_unit(scan, tmp_path):
    signal, _, suffix, truth, _ = SCANS["adc"]
    path = scan(signal)
    (tmp_path / "scan.json").write_text('{"DiffusionBValue": [0, 400, 800]}')
    assert main(["fit", "adc", path, "--bounds", "1e-4,1e-2"]) == 0
    np.testing.assert_allclose(nib.load(tmp_path / f"scan_{suffix}.nii.gz").get_fdata(), truth, rtol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("t1", "--ti-ms", "1,2,3", "--ts-ms", "1,2,3"), "give one of them"),
        (("t1", "--flip-deg", "2,5,10"), "--tr-ms"),
        (("t1", "--flip-deg", "2,5,10", "--tr-ms", "-5"), "--tr-ms"),
        (("adc", "--b", "0,0.5,0.9"), "ms/µm²"),
        (("adc", "--b", "0,500,900", "--bounds", "5,1"), "LOW,HIGH in mm²/s"),
    ],
)
def test_what_is_missing_is_named(arguments, told, scan, capsys):
    contrast, *options = arguments
    assert main(["fit", contrast, scan([3, 2, 1]), *options]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1


BIDS = {
    "flip-{}_VFA": ("t1 angles", [{"FlipAngle": a, "RepetitionTimeExcitation": 0.005} for a in (2, 5, 10, 15)]),
    "inv-{}_IRT1": ("t1 inversion", [{"InversionTime": ti / 1000, "FlipAngle": 90} for ti in TI]),
    "acq-se_inv-{}_IRT1": (
        "t1 within TR", [{"InversionTime": ti / 1000, "RepetitionTimePreparation": 3.0} for ti in TI],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BIDS)
def test_how_t1_was_acquired_stands_in_bids_files(name, tmp_path):
    signal, sidecars = SCANS[BIDS[name][0]][0], BIDS[name][1]
    files = []
    for k, (value, sidecar) in enumerate(zip(signal, sidecars, strict=True), start=1):
        file = tmp_path / f"sub-01_{name.format(k)}.nii.gz"
        nib.save(nib.Nifti1Image(np.full((3, 2, 2), 1000 * value, np.float32), np.eye(4)), file)
        file.with_name(file.name.replace(".nii.gz", ".json")).write_text(json.dumps(sidecar))
        files.append(str(file))
    assert main(["fit", "t1", *files, "--out", str(tmp_path / "out")]) == 0
    (path,) = (p for p in tmp_path.glob("out/sub-01/anat/*_T1map.nii.gz") if "desc-" not in p.name)
    np.testing.assert_allclose(nib.load(path).get_fdata(), 0.9, rtol=1e-3)


@pytest.mark.parametrize(
    ("sidecar", "told"),
    [
        (None, "neither a JSON file nor its headers say so"),
        ({"EchoTime": 0.01}, "neither a JSON file nor its headers say so"),
        ({"InversionTime": [0.1, 0.2, 0.3], "FlipAngle": [2, 4, 6]}, "it holds InversionTime and FlipAngle"),
        ({"FlipAngle": [2, 4, 6]}, "RepetitionTimeExcitation or RepetitionTime is missing"),
        ({"FlipAngle": [2, 4, 6], "RepetitionTime": "5"}, "RepetitionTime='5' is no repetition time in seconds"),
    ],
)
def test_an_unknown_way_to_acquire_t1_is_named(sidecar, told, scan, tmp_path, capsys):
    path = scan([3, 2, 1])
    if sidecar:
        (tmp_path / "scan.json").write_text(json.dumps(sidecar))
    assert main(["fit", "t1", path]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "truth_ms", "options"),
    [
        ("0.01,0.02,0.03,0.05", 40, ("--unit", "s")),
        ("0.03,0.2,0.5,0.9", 0.4, ("--unit", "ms", "--bounds-ms", "0.05,50")),
        ("times.txt", 40, ("--unit", "s")),
    ],
)
def test_a_unit_that_is_said_is_believed(given, truth_ms, options, scan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "times.txt").write_text("0.01 0.02\n0.03 0.05\n".replace("\n", " "))
    values = np.array([0.01, 0.02, 0.03, 0.05] if given == "times.txt" else [float(t) for t in given.split(",")])
    times_ms = values * 1000 if options[1] == "s" else values
    path = scan(np.exp(-times_ms / truth_ms))
    assert main(["fit", "t2star", path, "--te-ms", given, *options]) == 0
    np.testing.assert_allclose(nib.load(tmp_path / "scan_T2starmap.nii.gz").get_fdata(), truth_ms / 1000, rtol=1e-3)


def test_times_below_one_are_doubted_without_a_unit(scan, capsys):
    path = scan([4, 3, 2, 1])
    assert main(["fit", "t2star", path, "--te-ms", "0.03,0.2,0.5,0.9"]) == 2
    assert "say --unit s or --unit ms" in capsys.readouterr().err
    file = Path(path).with_name("te.txt")
    file.write_text("0.03 0.2 0.5 0.9")
    assert main(["fit", "t2star", path, "--te-ms", str(file)]) == 1
    told = capsys.readouterr().err
    assert "te.txt: " in told
    assert "say --unit s or --unit ms" in told
    assert "unit='s'" not in told
    assert main(["fit", "t2star", path, "--te-ms", str(file), "--unit", "ms"]) == 0
    joint = ("fit", "joint", path, "--tsl-ms", "0,0.01", "--te-ms", "0,0.02,0.03", "--unit", "s")
    assert main(joint) == 0
