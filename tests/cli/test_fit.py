"""The command line: what it prints, what it leaves on disk, and the status it ends with."""

import errno
import json
import signal
import sys
import threading
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main
from relaxnet.workflows import _fit_scan

TIMES_MS = (0.0, 10.0, 30.0, 50.0)
AFFINE = np.diag((-2.0, -2.0, 5.0, 1.0))
MAPS = ("T1rho", "S0map", "desc-std_T1rho", "desc-r2_T1rho", "desc-rmse_T1rho", "desc-status_T1rho")
FILES = {f"scan_{name}{ending}" for name in MAPS for ending in (".nii.gz", ".json")} | {
    "scan_T1rho.png",
    "scan_T1rho_run.json",
}


@pytest.fixture
def decay():
    t = np.linspace(20, 90, 120).reshape(6, 10, 2, 1)
    return (1000 * np.exp(-np.array(TIMES_MS) / t)).astype(np.float32)


@pytest.fixture
def scan(tmp_path, decay):
    path = tmp_path / "scan.nii.gz"
    image = nibabel.Nifti1Image(decay, AFFINE)
    image.set_qform(AFFINE, 1)
    image.to_filename(path)
    return path


@pytest.fixture
def mask(tmp_path):
    path = tmp_path / "mask.nii.gz"
    values = np.zeros((6, 10, 2), np.uint8)
    values[2:4] = 1
    nibabel.Nifti1Image(values, AFFINE).to_filename(path)
    return path


@pytest.fixture
def fails(capsys):
    """Run a command that must fail: nothing on standard output, one line on standard error. Returns the line."""

    def run(*arguments, status=1):
        assert main([str(argument) for argument in arguments]) == status
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert line.startswith("relaxnet: error: ")
        return line

    return run


@pytest.fixture
def fit(scan):
    """Fit T1rho to the scan, with further options. Returns the exit status."""

    def run(*options):
        return main(["fit", "t1rho", str(scan), "--tsl-ms", "0,10,30,50", *map(str, options)])

    return run


def names(folder):
    return {path.name for path in folder.iterdir()}


# --- what it does -----------------------------------------------------------------------------------------------------


def test_fit_writes_maps_sidecars_and_a_picture(fit, decay, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert fit("--out", out) == 0
    assert names(out) == FILES
    t = nibabel.load(out / "scan_T1rho.nii.gz")
    np.testing.assert_allclose(t.get_fdata(), rx.fit(decay, TIMES_MS, dim=-1).maps["t"] / 1000, rtol=1e-6)
    np.testing.assert_array_equal(t.affine, AFFINE)
    assert (out / "scan_T1rho.png").read_bytes().startswith(b"\x89PNG")
    sidecar = json.loads((out / "scan_T1rho.json").read_text())
    assert sidecar["CommandLine"] == "relaxnet fit t1rho scan.nii.gz --tsl-ms 0,10,30,50 --out DIR"
    captured = capsys.readouterr()
    assert "CONVERGED" in captured.out
    assert "t1rho" in captured.out
    assert all(str(out / name) in captured.out for name in FILES if not name.endswith(".json"))
    assert all(line.startswith("relaxnet: ") for line in captured.err.splitlines())
    assert "0, 10, 30, 50 ms (from the command line)" in captured.err


def test_t2_is_fitted_beside_the_scan_from_the_times_in_its_sidecar(scan, tmp_path, capsys):
    (tmp_path / "scan.json").write_text(json.dumps({"T2PreparationTime": [0, 0.01, 0.03, 0.05]}))
    assert main(["fit", "t2", str(scan)]) == 0
    assert {"scan_T2map.nii.gz", "scan_desc-std_T2map.json", "scan_T2map.png"} <= names(tmp_path)
    assert "scan.json" in capsys.readouterr().err
    assert json.loads((tmp_path / "scan.json").read_text()) == {"T2PreparationTime": [0, 0.01, 0.03, 0.05]}


def test_times_of_the_command_line_win(fit, tmp_path, capsys):
    (tmp_path / "scan.json").write_text("not even JSON")
    assert fit("--json") == 0
    assert json.loads(capsys.readouterr().out)["times_ms"] == [0, 10, 30, 50]


def test_times_in_another_order_are_those_of_the_volumes(fit, decay, tmp_path):
    nibabel.Nifti1Image(decay[..., ::-1], AFFINE).to_filename(tmp_path / "back.nii")
    assert fit() == 0
    assert main(["fit", "t1rho", str(tmp_path / "back.nii"), "--tsl-ms", "50, 30, 10, 0"]) == 0
    forth, back = (nibabel.load(tmp_path / f"{name}_T1rho.nii.gz").get_fdata() for name in ("scan", "back"))
    np.testing.assert_allclose(back, forth, rtol=1e-5)


def test_summary_as_json(fit, mask, tmp_path, capsys):
    assert fit("--mask", mask, "--json", "--quiet", "--out", tmp_path / "out") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    summary = json.loads(captured.out)
    assert summary["voxels"]["CONVERGED"] == 40
    assert summary["voxels"]["MASKED"] == 80
    assert set(summary["voxels"]) == set(rx.FitStatus.__members__)
    assert summary["converged"]["t1rho"]["q25"] < summary["converged"]["t1rho"]["median"]
    assert summary["files"]["t1rho"] == str(tmp_path / "out" / "scan_T1rho.nii.gz")
    assert all(Path(path).exists() for path in summary["files"].values())


def test_options_reach_the_fit(fit, decay, tmp_path, capsys):
    assert fit("--method", "two-point", "--bounds-ms", "30,60", "--sigma", "5", "--saturation", "2000") == 0
    expected = rx.fit(decay, TIMES_MS, method="two-point", bounds=(30, 60), sigma=5, saturation=2000, dim=-1)
    std = nibabel.load(tmp_path / "scan_desc-std_T1rho.nii.gz").get_fdata()
    np.testing.assert_allclose(std, expected.std["t"] / 1000, rtol=1e-5)
    assert "AT_BOUND" in capsys.readouterr().out
    assert "two images" in json.loads((tmp_path / "scan_T1rho.json").read_text())["EstimationAlgorithm"]


def test_quiet_still_tells_the_result(fit, capsys):
    assert fit("-q") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "CONVERGED" in captured.out


def test_an_empty_mask_is_a_warning_and_maps_of_nan(fit, tmp_path, capsys):
    nibabel.Nifti1Image(np.zeros((6, 10, 2), np.uint8), AFFINE).to_filename(tmp_path / "none.nii")
    assert fit("--mask", tmp_path / "none.nii", "-q", "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == "relaxnet: warning: mask is empty: no voxel will be fitted.\n"
    assert json.loads(captured.out)["converged"]["t1rho"]["median"] is None
    assert np.isnan(nibabel.load(tmp_path / "scan_T1rho.nii.gz").get_fdata()).all()


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--tsl-ms", "0,ten"), "'0,ten'"),
        (("--tsl-ms", "0,10,"), "'0,10,'"),
        (("--tsl-ms", ""), "numbers"),
        (("--tsl-ms", "10"), "2 times"),
        (("--tsl-ms", "0,0.01,0.03"), "seconds"),
        (("--tsl-ms", "0,-10"), "negative"),
        (("--tsl-ms", "0,nan"), "not finite"),
        (("--tsl-ms", "5,5"), "equal"),
        (("--bounds-ms", "500,1"), "LOW"),
        (("--bounds-ms", "0.001,0.3"), "ms"),
        (("--bounds-ms", "5"), "LOW"),
        (("--bounds-ms", "1,inf"), "LOW"),
        (("--sigma", "0"), "--sigma"),
        (("--sigma", "nan"), "--sigma"),
        (("--saturation", "-1"), "--saturation"),
        (("--saturation", "much"), "--saturation"),
        (("--method", "rician"), "--sigma"),
        (("--method", "guess"), "two-point"),
        (("--te-ms", "0,10"), "--te-ms"),
        (("--volumes", "4-"), "'4-'"),
    ],
)
def test_a_wrong_command_line(fails, options, problem):
    line = fails("fit", "t1rho", "scan.nii.gz", *options, status=2)
    assert problem in line
    assert "relaxnet fit t1rho --help" in line


@pytest.mark.parametrize("arguments", [("fit",), ("fit", "t3"), ("fti",), ("--no-such-option",), ("fit", "t2")])
def test_a_command_that_does_not_exist(fails, arguments):
    assert "--help" in fails(*arguments, status=2)


def test_a_missing_scan(fails, tmp_path):
    assert str(tmp_path / "scan.nii") in fails("fit", "t2", tmp_path / "scan.nii", "--te-ms", "10,20")


@pytest.mark.parametrize("content", [b"", b"patient, T2\n" * 50, b"\x1f\x8bbroken\n\x00"])
def test_a_file_that_is_not_an_image(fails, tmp_path, content):
    (tmp_path / "scan.nii.gz").write_bytes(content)
    assert "scan.nii.gz" in fails("fit", "t2", tmp_path / "scan.nii.gz", "--te-ms", "10,20", "--out", tmp_path / "out")
    assert names(tmp_path) == {"scan.nii.gz"}


def test_volumes_and_times_that_do_not_match(fails, scan, tmp_path):
    line = fails("fit", "t1rho", scan, "--tsl-ms", "0,10,30")
    assert "4 volumes" in line
    assert "3 times" in line
    (tmp_path / "scan.json").write_text('{"SpinLockTime": [0, 0.01]}')
    assert "scan.json gives 2 times" in fails("fit", "t1rho", scan)


def test_times_that_nobody_gives(fails, scan):
    assert "SpinLockTime" in fails("fit", "t1rho", scan)


def test_a_mask_on_another_grid(fails, scan, tmp_path):
    nibabel.Nifti1Image(np.ones((6, 10, 2), np.uint8), np.diag((2.0, -2.0, 5.0, 1.0))).to_filename(tmp_path / "m.nii")
    line = fails("fit", "t1rho", scan, "--tsl-ms", "0,10,30,50", "--mask", tmp_path / "m.nii")
    assert str(scan) in line
    assert str(tmp_path / "m.nii") in line


@pytest.mark.parametrize("existing", ["scan_T1rho.nii.gz", "scan_desc-std_T1rho.json", "scan_T1rho.png"])
def test_nothing_is_overwritten_unasked(fit, fails, scan, tmp_path, monkeypatch, existing):
    (tmp_path / existing).write_text("mine")
    with monkeypatch.context() as patched:
        patched.setattr(_fit_scan, "fit", None)  # nothing may have been computed by then
        line = fails("fit", "t1rho", scan, "--tsl-ms", "0,10,30,50")
    assert existing in line
    assert "--overwrite" in line
    assert (tmp_path / existing).read_text() == "mine"
    assert fit("--overwrite") == 0
    assert names(tmp_path) == FILES | {"scan.nii.gz"}


def test_a_mask_is_not_overwritten_even_when_asked(fails, scan, mask, tmp_path):
    mask = mask.rename(tmp_path / "scan_desc-status_T1rho.nii.gz")
    before = mask.read_bytes()
    assert "input" in fails("fit", "t1rho", scan, "--tsl-ms", "0,10,30,50", "--mask", mask, "--overwrite")
    assert mask.read_bytes() == before


def test_an_output_folder_that_is_a_file(fails, scan, tmp_path, monkeypatch):
    (tmp_path / "out").write_text("mine")
    monkeypatch.setattr(_fit_scan, "fit", None)
    assert "out" in fails("fit", "t1rho", scan, "--tsl-ms", "0,10,30,50", "--out", tmp_path / "out")


def test_a_name_that_gives_the_terminal_orders_is_printed_as_text(scan, tmp_path, capsys):
    wild = "\x1b[2J\x1b]0;title\x07\u202eM\u00fcller\nb\udcff"
    assert main(["--debug", "fit", "t2", str(tmp_path / f"{wild}.nii"), "--te-ms", "1,2"]) == 1
    assert main(["fit", "t2", "scan.nii", f"--{wild}"]) == 2
    scan.rename(tmp_path / f"{wild}.nii.gz")
    assert main(["fit", "t1rho", str(tmp_path / f"{wild}.nii.gz"), "--tsl-ms", "0,10,30,50"]) == 0
    captured = capsys.readouterr()
    assert all(line.isprintable() for line in (captured.out + captured.err).splitlines())
    assert "Müller" in captured.out
    assert len([line for line in captured.out.splitlines() if line.endswith(("_T1rho.nii.gz", ".png"))]) == 6


@pytest.mark.parametrize("name", ["a" * 240, "é" * 120, ".", ".."])
def test_a_name_that_maps_cannot_have_is_refused_before_computing(fails, scan, tmp_path, monkeypatch, name):
    monkeypatch.setattr(_fit_scan, "fit", None)
    scan = scan.rename(tmp_path / f"{name}.nii.gz")
    assert f"{name}" in fails("fit", "t1rho", scan, "--tsl-ms", "0,10,30,50")
    assert names(tmp_path) == {scan.name}


def test_a_message_has_an_end(fails, tmp_path):
    assert len(fails("fit", "t1rho", tmp_path / "scan.nii", "--tsl-ms", "0," * 100_000 + "x", status=2)) < 3000


def test_an_old_sidecar_is_never_a_mistake_of_ours(fit, tmp_path):
    (tmp_path / "scan_S0map.json").write_text("[" * 100_000)
    assert fit("--overwrite") == 0


@pytest.mark.parametrize(("package", "extra"), [("nibabel", "io"), ("matplotlib", "plot"), ("typer", "cli")])
def test_a_missing_extra_names_its_pip_line(fails, scan, monkeypatch, package, extra):
    for name in list(sys.modules):
        if name.startswith(f"{package}."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert f"pip install 'relaxnet[{extra}]'" in fails("fit", "t1rho", scan, "--tsl-ms", "0,10,30,50")
    assert names(scan.parent) == {"scan.nii.gz"}


def test_contrasts_of_one_scan_do_not_take_each_others_amplitude(scan, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        assert main(["fit", "t1rho", str(scan), "--tsl-ms", "0,10,30,50", "--out", str(out), "--overwrite"]) == 0
        assert main(["fit", "t2", str(scan), "--te-ms", "0,20,60,100", "--out", str(out), "--overwrite"]) == 0
    amplitudes = {path.name for path in out.glob("*S0map.nii.gz")}
    assert amplitudes == {"scan_S0map.nii.gz", "scan_desc-T2map_S0map.nii.gz"}
    assert "SpinLockTime" in json.loads((out / "scan_S0map.json").read_text())
    assert "T2PreparationTime" in json.loads((out / "scan_desc-T2map_S0map.json").read_text())
    assert main(["fit", "t2", str(scan), "--te-ms", "0,20,60,100", "--out", str(out)]) == 1


def test_doubts_are_told_as_warnings(fit, scan, capsys, monkeypatch):
    read_scan = rx.io.read_scan

    def doubtful(path, *arguments, **options):
        warnings.warn(f"{path[0]}: qform and sform\ndisagree", stacklevel=2)
        return read_scan(path, *arguments, **options)

    monkeypatch.setattr(_fit_scan, "read_scan", doubtful)
    assert fit("-q") == 0
    assert capsys.readouterr().err == f"relaxnet: warning: {scan}: qform and sform disagree\n"


# --- what may happen on the way ---------------------------------------------------------------------------------------


def test_a_full_disk(fit, tmp_path, capsys, monkeypatch):
    def full(_, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nibabel.Nifti1Image, "to_filename", full)
    assert fit("-q") == 1
    assert "No space left" in capsys.readouterr().err
    assert names(tmp_path) == {"scan.nii.gz"}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("where", ["computing", "writing"])
def test_an_interruption_leaves_nothing_half_done(fit, tmp_path, capsys, monkeypatch, number, status, where):
    came = iter([number])  # once, though maps are written in several threads

    def interrupt(*_, **__):
        for signal_number in came:
            signal.raise_signal(signal_number)
        if threading.current_thread() is threading.main_thread():  # Python tells signals to it alone
            raise AssertionError("the signal should have been noticed")

    if where == "computing":
        monkeypatch.setattr(_fit_scan, "fit", interrupt)
    else:
        monkeypatch.setattr(nibabel.Nifti1Image, "to_filename", interrupt)
    before = signal.getsignal(number)
    assert fit("-q", "--out", tmp_path / "out") == status
    assert signal.getsignal(number) == before
    assert capsys.readouterr().err == f"relaxnet: interrupted by {number.name}\n"
    assert names(tmp_path / "out") == set()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_never_mixes_old_and_new_maps(fit, tmp_path, monkeypatch, number, status):
    assert fit("-q", "--out", tmp_path / "expected", "--bounds-ms", "1,50") == 0
    assert fit("-q", "--out", tmp_path / "out") == 0
    move, moves = Path.replace, []

    def interrupted(temporary, path):
        moves.append(move(temporary, path))
        if len(moves) == 1:
            signal.raise_signal(number)

    monkeypatch.setattr(Path, "replace", interrupted)
    assert fit("-q", "--out", tmp_path / "out", "--bounds-ms", "1,50", "--overwrite") == status
    for name in FILES:
        if not name.endswith(".json"):  # these hold the command line
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()
    assert names(tmp_path / "out") == FILES


def test_a_mistake_of_ours_is_called_one(fails, scan, monkeypatch):
    monkeypatch.setattr(_fit_scan, "fit", lambda *_, **__: {}["key"])
    assert "unexpected KeyError" in fails("fit", "t1rho", scan, "--tsl-ms", "0,10,30,50", "-q")


@pytest.mark.parametrize("debug", ["--debug", "RELAXNET_DEBUG"])
def test_the_traceback_is_there_when_asked_for(tmp_path, capsys, monkeypatch, debug):
    if debug == "RELAXNET_DEBUG":
        monkeypatch.setenv(debug, "1")
    arguments = ["fit", "t2", str(tmp_path / "scan.nii"), "--te-ms", "1,2", *(["--debug"] if "-" in debug else [])]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.splitlines()[-1].startswith("relaxnet: error: ")
