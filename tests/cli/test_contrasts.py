"""The commands that follow from the table of contrasts, each on a scan of its own physics."""

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
        (("t1",), "--ti-ms or --ts-ms or --flip-deg"),
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
