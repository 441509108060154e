"""``relaxnet fit joint``: what it writes, what it refuses, and that it leaves other fits of the scan alone."""

import json
import math
import shlex
import signal

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
AFFINE = np.diag((-2.0, -2.0, 5.0, 1.0))
TIMES = ("--tsl-ms", "0,10,30,50", "--te-ms", "0,18.2,34.6,51")
KINDS = ("", "desc-std_", "desc-r2_", "desc-rmse_", "desc-status_")
MAPS = ("S0map", *(kind + suffix for suffix in ("T1rho", "T2map") for kind in KINDS))
FILES = {f"scan_{name}{ending}" for name in MAPS for ending in (".nii.gz", ".json")}
FILES |= {"scan_T1rho.png", "scan_T2map.png", "scan_joint_run.json"}


@pytest.fixture
def truth():
    return {"t1rho": np.linspace(20, 90, 120).reshape(6, 10, 2), "t2": np.linspace(60, 15, 120).reshape(6, 10, 2)}


@pytest.fixture
def images(truth):
    """Seven noisy volumes."""
    clean = np.full((6, 10, 2, 7), 1000.0)
    for contrast in PROTOCOL.contrasts:
        decay = np.exp(-np.array(contrast.times_ms) / truth[contrast.name][..., None])
        clean[..., list(PROTOCOL.images_of(contrast.name))] = 1000 * decay
    return (clean + np.random.default_rng(0).normal(0, 5, clean.shape)).astype(np.float32)


@pytest.fixture
def scan(tmp_path, images):
    path = tmp_path / "scan.nii.gz"
    image = nibabel.Nifti1Image(images, AFFINE)
    image.set_qform(AFFINE, 1)
    image.to_filename(path)
    return path


def joint(scan, *options):
    return main(["fit", "joint", str(scan), *map(str, options)])


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def refused(capsys):
    def run(scan, *options, status=1):
        capsys.readouterr()
        assert joint(scan, *options) == status
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        return line

    return run


def test_it_writes_both_maps_and_one_amplitude(scan, images, truth, tmp_path, capsys):
    out = tmp_path / "out"
    assert joint(scan, *TIMES, "--out", out) == 0
    assert names(out) == FILES
    captured = capsys.readouterr()
    assert all(str(out / name) in captured.out for name in FILES if not name.endswith(".json"))
    assert "maps in s, pictures in ms" in captured.out
    assert "t1rho 0, 10, 30, 50 ms; t2 0, 18.2, 34.6, 51 ms" in captured.err
    expected = rx.fit_joint(images, PROTOCOL, dim=-1)
    for name, suffix in (("t1rho", "T1rho"), ("t2", "T2map")):
        t = nibabel.load(out / f"scan_{suffix}.nii.gz")
        np.testing.assert_allclose(t.get_fdata(), expected.maps[name] / 1000, rtol=1e-4)
        np.testing.assert_array_equal(t.affine, AFFINE)
        assert np.median(abs(t.get_fdata() * 1000 - truth[name])) < 1
        std = nibabel.load(out / f"scan_desc-std_{suffix}.nii.gz").get_fdata()
        np.testing.assert_allclose(std, expected.std[name] / 1000, rtol=1e-4)
        status = nibabel.load(out / f"scan_desc-status_{suffix}.nii.gz").get_fdata()
        np.testing.assert_array_equal(status, expected.status)
        assert (out / f"scan_{suffix}.png").read_bytes().startswith(b"\x89PNG")
    amplitude = nibabel.load(out / "scan_S0map.nii.gz").get_fdata()
    np.testing.assert_allclose(amplitude, expected.maps["m0"], rtol=1e-4)
    sidecar = json.loads((out / "scan_desc-r2_T2map.json").read_text())
    assert "joint T1rho and T2 fit" in sidecar["Description"]
    assert "one amplitude" in sidecar["EstimationAlgorithm"]
    assert sidecar["SpinLockTime"] == [0, 0.01, 0.03, 0.05]
    assert sidecar["T2PreparationTime"] == [0, 0.0182, 0.0346, 0.051]
    assert sidecar["CommandLine"] == shlex.join(["relaxnet", "fit", "joint", "scan.nii.gz", *TIMES, "--out", "DIR"])


def test_the_protocol_of_the_sidecar_is_the_default(scan, tmp_path, capsys):
    sidecar = {
        "Contrasts": ["t2", "t1rho"],  # in another order than the options have
        "T2PreparationTime": [0, 0.01, 0.03, 0.05],
        "SpinLockTime": [0, 0.0182, 0.0346, 0.051],
        "SharedFirst": True,
    }
    (tmp_path / "scan.json").write_text(json.dumps(sidecar))
    assert joint(scan, "--json") == 0
    captured = capsys.readouterr()
    assert "scan.json" in captured.err
    assert json.loads(captured.out)["times_ms"] == {"t2": [0, 10, 30, 50], "t1rho": [0, 18.2, 34.6, 51]}
    first = nibabel.load(tmp_path / "scan_T2map.nii.gz").get_fdata()
    assert joint(scan, *TIMES, "--out", tmp_path / "out") == 0
    np.testing.assert_allclose(first, nibabel.load(tmp_path / "out" / "scan_T1rho.nii.gz").get_fdata(), rtol=1e-4)


def test_a_cohort_on_disk_can_be_fitted(tmp_path):
    cohort = rx.phantom.liver_cohort(1, slices=2, shape=(48, 48), snr=math.inf)
    anat = rx.io.write_cohort(cohort, tmp_path / "cohort") / "sub-001" / "anat"
    assert joint(anat / "sub-001_images.nii.gz", "--out", tmp_path / "out", "-q") == 0
    t2 = nibabel.load(tmp_path / "out" / "sub-001" / "anat" / "sub-001_T2map.nii.gz")
    found = rx.io.as_pictures(t2.get_fdata(), t2.affine)[cohort[0].roi]
    np.testing.assert_allclose(found * 1000, cohort[0].truth["t2"][cohort[0].roi], rtol=1e-3)


def test_options_reach_the_fit(scan, images, tmp_path, capsys):
    mask = np.zeros((6, 10, 2), np.uint8)
    mask[2:4] = 1
    nibabel.Nifti1Image(mask, AFFINE).to_filename(tmp_path / "mask.nii")
    options = ("--mask", tmp_path / "mask.nii", "--bounds-ms", "30,60", "--sigma", "5", "--saturation", "990")
    assert joint(scan, *TIMES, *options, "--json", "--quiet", "--out", tmp_path / "out") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    summary = json.loads(captured.out)
    expected = rx.fit_joint(images, PROTOCOL, mask=mask, bounds=(30, 60), sigma=5, saturation=990, dim=-1)
    assert summary["voxels"]["MASKED"] == 80
    assert summary["voxels"]["CONVERGED"] == int(expected.ok.sum())
    assert summary["contrast"] == "joint"
    assert summary["converged"]["t2"]["median"] == pytest.approx(np.median(expected.maps["t2"][expected.ok]))
    std = nibabel.load(tmp_path / "out" / "scan_desc-std_T2map.nii.gz").get_fdata()
    np.testing.assert_allclose(std, expected.std["t2"] / 1000, rtol=1e-4)
    assert set(summary["files"]) >= {"m0", "t1rho", "t2_std", "t1rho_picture", "t2_picture"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--tsl-ms", "0,10"), "--te-ms"),
        (("--te-ms", "0,10"), "--tsl-ms"),
        (("--tsl-ms", "0,ten", "--te-ms", "0,10"), "'0,ten'"),
        (("--tsl-ms", "0,0.01", "--te-ms", "0,10"), "seconds"),
        (("--tsl-ms", "10,30", "--te-ms", "0,10"), "'10,30' and '0,10' must begin with the same time"),
        (("--tsl-ms", "0,10", "--te-ms", "0,30,20"), "--te-ms"),
        ((*TIMES, "--sigma", "0"), "--sigma"),
        ((*TIMES, "--bounds-ms", "5"), "LOW"),
        ((*TIMES, "--method", "two-point"), "--method"),
    ],
)
def test_a_wrong_command_line(refused, options, problem):
    line = refused("scan.nii.gz", *options, status=2)
    assert problem in line
    assert "relaxnet fit joint --help" in line


def test_volumes_that_do_not_match(refused, scan, tmp_path):
    line = refused(scan, "--tsl-ms", "0,10,30,50", "--te-ms", "0,18.2,34.6")
    assert "it has 7 volumes, but the command line describes 6, a shared first one included" in line
    assert "scan.json" in refused(scan)
    (tmp_path / "scan.json").write_text('{"Contrasts": ["t2"], "EchoTime": [0.01, 0.02]}')
    assert "scan.json: it describes t2: a joint fit needs t1rho, t2" in refused(scan)
    unshared = {"SharedFirst": False, "SpinLockTime": [0, 0.01, 0.02], "T2PreparationTime": [0, 0.01, 0.02, 0.03]}
    (tmp_path / "scan.json").write_text(json.dumps({"Contrasts": ["t1rho", "t2"], **unshared}))
    assert "common first image" in refused(scan, "-q")
    assert names(tmp_path) == {"scan.nii.gz", "scan.json"}


@pytest.mark.parametrize(
    "existing", ["scan_T2map.nii.gz", "scan_desc-std_T1rho.json", "scan_T2map.png", "scan_S0map.json"]
)
def test_nothing_is_overwritten_unasked(refused, scan, tmp_path, monkeypatch, existing):
    (tmp_path / existing).write_text("mine")
    with monkeypatch.context() as patched:
        patched.setattr(rx.fitting, "fit_joint", None)  # nothing may have been computed by then
        line = refused(scan, *TIMES)
    assert existing in line
    assert "--overwrite" in line
    assert (tmp_path / existing).read_text() == "mine"
    assert joint(scan, *TIMES, "--overwrite") == 0
    assert joint(scan, *TIMES) == 1
    assert names(tmp_path) == FILES | {"scan.nii.gz"}


def test_fits_apart_and_joint_do_not_take_each_others_amplitude(scan, images, tmp_path):
    out = tmp_path / "out"
    nibabel.Nifti1Image(images[..., :4], AFFINE).to_filename(tmp_path / "scan.nii")
    apart = ["fit", "t1rho", str(tmp_path / "scan.nii"), "--tsl-ms", "0,10,30,50", "--out", str(out), "--overwrite"]
    for _ in range(2):
        assert main(apart) == 0
        assert joint(scan, *TIMES, "--out", out, "--overwrite") == 0
    assert {path.name for path in out.glob("*S0map.nii.gz")} == {"scan_S0map.nii.gz", "scan_desc-joint_S0map.nii.gz"}
    other = tmp_path / "other"
    for _ in range(2):
        assert joint(scan, *TIMES, "--out", other, "--overwrite") == 0
        assert main([*apart[:5], "--out", str(other), "--overwrite"]) == 0
    assert {path.name for path in other.glob("*S0map.nii.gz")} == {"scan_S0map.nii.gz", "scan_desc-T1rho_S0map.nii.gz"}


@pytest.mark.parametrize("where", ["computing", "writing"])
def test_an_interruption_leaves_nothing_half_done(scan, tmp_path, capsys, monkeypatch, where):
    def interrupt(*_, **__):
        signal.raise_signal(signal.SIGTERM)

    target = (rx.fitting, "fit_joint") if where == "computing" else (nibabel.Nifti1Image, "to_filename")
    monkeypatch.setattr(*target, interrupt)
    assert joint(scan, *TIMES, "-q", "--out", tmp_path / "out") == 143
    assert capsys.readouterr().err == "relaxnet: interrupted by SIGTERM\n"
    assert names(tmp_path / "out") == set()


def test_help_is_plain_text(capsys):
    assert main(["fit", "joint", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage: relaxnet fit joint")
    assert text.isascii()
