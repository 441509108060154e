"""The commands around a folder of subjects: simulate, train, predict."""

import json
import shutil
import signal

import nibabel
import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.cli import _train, main
from relaxnet.io import _write_cohort
from relaxnet.training import _callbacks

SMALL = ("--subjects", "2", "--slices", "1", "--shape", "32")


def simulate(*options):
    return main(["simulate", *map(str, options)])


def test_simulate_writes_the_cohort_of_its_options(tmp_path, capsys):
    options = ("--subjects", 3, "--slices", 2, "--shape", "32x48", "--snr", 30, "--seed", 4)
    assert simulate(*options, "--field", 1.5, "--out", tmp_path / "c") == 0
    captured = capsys.readouterr()
    assert captured.out == f"3 subjects\n  {tmp_path / 'c' / 'participants.tsv'}\n"
    assert captured.err.splitlines()[-1] == "relaxnet: simulating: 3 of 3"
    expected = rx.phantom.liver_cohort(3, 2, (32, 48), 30, 4, field_tesla=1.5)
    found = rx.io.read_cohort(tmp_path / "c")
    assert all(torch.equal(one.images, other.images) for one, other in zip(expected, found, strict=True))


def test_simulate_writes_texture(tmp_path, capsys):
    options = (*SMALL, "--texture", "0.08,6", "--pixel-mm", 4, "--out", tmp_path / "c")
    assert simulate(*options) == 0
    assert "seed 0, texture 0.08 of 6 mm" in capsys.readouterr().err
    expected = rx.phantom.liver_cohort(2, 1, (32, 32), texture=(0.08, 6), pixel_mm=4)
    found = rx.io.read_cohort(tmp_path / "c")
    assert all(torch.equal(one.images, other.images) for one, other in zip(expected, found, strict=True))
    assert simulate(*options[:-2], "--pixel-mm", 1, "--out", tmp_path / "d") == 1
    assert "--pixel-mm 1.0: give 4 to 12 mm" in capsys.readouterr().err


def test_simulate_goes_on_where_it_was_interrupted(tmp_path, capsys, monkeypatch):
    out = tmp_path / "cohort"
    write = _write_cohort._write_subject

    def interrupted(subject, files):
        if subject.name == "sub-002":
            signal.raise_signal(signal.SIGTERM)
        write(subject, files)

    with monkeypatch.context() as patched:
        patched.setattr(_write_cohort, "_write_subject", interrupted)
        assert simulate(*SMALL, "--out", out) == 143
    first = (out / "sub-001" / "anat" / "sub-001_images.nii.gz").stat().st_mtime_ns
    assert not (out / "sub-002").exists()
    assert simulate(*SMALL, "--out", out) == 0
    assert (out / "sub-001" / "anat" / "sub-001_images.nii.gz").stat().st_mtime_ns == first
    assert len(rx.io.read_cohort(out)) == 2
    capsys.readouterr()
    assert simulate(*SMALL, "--seed", "1", "--out", out) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("or overwrite (--overwrite).")
    assert simulate(*SMALL, "--seed", "1", "--out", out, "--overwrite") == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--shape", "32x"), "'32x'"),
        (("--shape", "32x32x3"), "'32x32x3'"),
        (("--shape", "16"), "32 or more"),
        (("--snr", "0"), "--snr"),
        (("--snr", "nan"), "--snr"),
        (("--subjects", "0"), "--subjects"),
        (("--field", "7"), "--field"),
        (("--slices", "0"), "--slices"),
        (("--seed", "-1"), "--seed"),
        (("--texture", "0.06"), "'0.06' is not SD,MM"),
        (("--texture", "fine"), "--texture"),
        (("--texture", ""), "--texture"),
        (("--texture", "0.9,5"), "sd=0.9"),
        (("--pixel-mm", "0"), "--pixel-mm"),
    ],
)
def test_a_wrong_command_line(tmp_path, capsys, options, problem):
    assert simulate(*options, "--out", tmp_path / "c") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line
    assert not (tmp_path / "c").exists()
    assert simulate() == 2


@pytest.fixture
def label_map(tmp_path):
    labels = np.zeros((50, 40, 2), np.uint8)  # to the left, the back and the head
    labels[4:46, 3:37], labels[8:26, 8:30] = 201, 5
    nibabel.Nifti1Image(labels, np.diag((-4.0, -3.0, 5.0, 1.0))).to_filename(tmp_path / "map.nii.gz")
    return tmp_path / "map.nii.gz"


def test_simulate_paints_a_label_map(tmp_path, label_map, capsys):
    (tmp_path / "table.tsv").write_text("label\ttissue\n0\tair\n5\tliver\n201\tmuscle\n")
    options = ("--subjects", 2, "--snr", 30, "--seed", 4, "--texture", "0.1,9", "--labels", label_map)
    assert simulate(*options, "--tissues", tmp_path / "table.tsv", "--out", tmp_path / "own") == 0
    captured = capsys.readouterr()
    assert captured.out == f"2 subjects\n  {tmp_path / 'own' / 'participants.tsv'}\n"
    assert f"2 slices of 40 x 50, SNR 30, 3 T, seed 4, texture 0.1 of 9 mm, the anatomy of {label_map}" in captured.err
    assert simulate(*options, "--tissues", "totalseg-mr", "--out", tmp_path / "named") == 0
    labels, voxel_mm = rx.io.read_label_map(label_map)
    table, settings = rx.phantom.TOTALSEGMENTATOR_MR, {"snr": 30, "seed": 4, "texture": (0.1, 9)}
    expected = rx.phantom.label_map_cohort(labels, voxel_mm, table, 2, **settings)
    for folder in ("own", "named"):
        found = rx.io.read_cohort(tmp_path / folder)
        assert all(torch.equal(one.images, other.images) for one, other in zip(expected, found, strict=True))
    assert not torch.equal(found[0].truth["t2"], found[1].truth["t2"])


def test_simulate_refuses_label_maps_that_make_no_sense(tmp_path, label_map, capsys):
    (tmp_path / "table.tsv").write_text("label\ttissue\n0\tair\n5\tlivre\n")
    (tmp_path / "short.tsv").write_text("label\ttissue\n0\tair\n5\tliver\n")
    for options, status, problem in (
        (("--labels", label_map), 2, "--tissues"),
        (("--tissues", "totalseg-mr"), 2, "--labels"),
        (("--labels", label_map, "--tissues", "totalseg-mr", "--slices", 1), 2, "--slices"),
        (("--labels", label_map, "--tissues", "totalseg-mr", "--shape", "64"), 2, "--shape"),
        (("--labels", label_map, "--tissues", "totalseg-mr", "--pixel-mm", "2"), 2, "--pixel-mm"),
        (("--labels", label_map, "--tissues", tmp_path / "table.tsv"), 1, "table.tsv, line 3: 'livre'"),
        (("--labels", label_map, "--tissues", tmp_path / "short.tsv"), 1, "map.nii.gz: labels hold [201]"),
        (("--labels", label_map, "--tissues", "totalseg"), 1, "totalseg: there is no such file"),
        (("--labels", tmp_path / "nowhere.nii", "--tissues", "totalseg-ct"), 1, "nowhere.nii"),
    ):
        assert simulate(*options, "--out", tmp_path / "c") == status
        (line,) = capsys.readouterr().err.splitlines()
        assert problem in line
        assert not (tmp_path / "c").exists()


# --- train ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return rx.io.write_cohort(rx.phantom.liver_cohort(3, 2, (32, 40)), tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    assert train(folder, out) == 0
    return out


def train(folder, out, *options):
    return main(["train", str(folder), "--preset", "smoke", "--out", str(out), *map(str, options)])


def test_train_learns_from_a_folder_what_it_learns_from_the_cohort(run):
    expected = rx.training.train(rx.phantom.liver_cohort(3, 2, (32, 40)), preset="smoke", progress=False)
    found = rx.load(run / "network.safetensors")
    for name, weight in expected.net.state_dict().items():
        torch.testing.assert_close(found.net.state_dict()[name], weight, rtol=0, atol=0)
    assert found.history == expected.history
    assert found.calibration.usual_noise == expected.calibration.usual_noise
    for kind in ("factors", "growth"):  # against the truth, rounded to seconds
        own, wanted = (getattr(trained.calibration, kind) for trained in (found, expected))
        assert set(own) == set(wanted) == {"t1rho", "t2"}
        for name in wanted:
            assert own[name] == pytest.approx(wanted[name], rel=1e-5, abs=1e-5)


def test_train_learns_from_patients_whose_truth_nobody_knows(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "patients", ignore=shutil.ignore_patterns("derivatives", "dataset_*", "part*"))
    for path in (tmp_path / "patients").rglob("*.json"):
        content = json.loads(path.read_text())
        del content["Simulation"]
        path.write_text(json.dumps(content))
    options = ("--loss", "paper", "--weighting", "fixed", "--inputs", "0,1,4", "--seed", "3")
    assert train(tmp_path / "patients", tmp_path / "run", *options) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("2 epochs, best validation residual 0.")
    assert captured.out.endswith(f"\n  {tmp_path / 'run' / 'network.safetensors'}\n")
    assert rx.load(tmp_path / "run" / "network.safetensors").net.input_channels == (0, 1, 4)
    assert train(tmp_path / "patients", tmp_path / "run2", "--loss", "supervised-truth") == 1
    assert "truth is known" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_train_goes_on_where_it_was_interrupted(folder, run, tmp_path, capsys, monkeypatch, number, status):
    out = tmp_path / "run"
    save = _callbacks.SaveRun.on_train_epoch_end

    def interrupted(*args):
        save(*args)
        signal.raise_signal(number)

    with monkeypatch.context() as patched:
        patched.setattr(_callbacks.SaveRun, "on_train_epoch_end", interrupted)
        assert train(folder, out) == status
    assert not (out / "network.safetensors").exists()
    assert capsys.readouterr().err.splitlines()[-1] == f"relaxnet: interrupted by {number.name}"
    for _ in range(2):  # a finished run is told again
        assert train(folder, out) == 0
        assert (out / "network.safetensors").read_bytes() == (run / "network.safetensors").read_bytes()
    capsys.readouterr()
    assert train(folder, out, "--seed", "1") == 1
    assert "other settings" in capsys.readouterr().err


def test_train_refuses_what_makes_no_sense(folder, tmp_path, capsys):
    for options, status, problem in (
        (("--weighting", "best"), 2, "homoscedastic"),
        (("--inputs", "0,x"), 2, "'0,x'"),
        (("--inputs", "shorter"), 1, "'shorter'"),
        (("--inputs", "0,9"), 1, "(0, 9)"),
    ):
        capsys.readouterr()
        assert train(folder, tmp_path / "run", *options) == status
        assert problem in capsys.readouterr().err
    assert train(tmp_path / "nowhere", tmp_path / "run") == 1
    before = sorted(folder.rglob("*"))
    (tmp_path / "link").symlink_to(folder)
    for same in (folder, folder / "sub-001" / "..", tmp_path / "link"):
        capsys.readouterr()
        assert train(folder, same) == 1
        assert "the folder of the subjects" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "network.safetensors").write_text("mine")
    assert train(folder, tmp_path / "mine") == 1
    assert (tmp_path / "mine" / "network.safetensors").read_text() == "mine"


def test_train_offers_all_that_there_is():
    assert list(_train.Loss) == list(rx.training.LOSSES)
    assert list(_train.Preset) == list(rx.training.PRESETS)
    assert list(_train.Weighting) == list(rx.losses.WEIGHTINGS)


# --- predict ----------------------------------------------------------------------------------------------------------

MAPS = ("T1rho", "T2map", "desc-std_T1rho", "desc-std_T2map")


@pytest.fixture
def scan(folder, tmp_path):
    source = folder / "sub-002" / "anat"
    shutil.copy(source / "sub-002_images.json", tmp_path / "scan.json")
    return shutil.copy(source / "sub-002_images.nii.gz", tmp_path / "scan.nii.gz")


def predict(*arguments):
    return main(["predict", *map(str, arguments)])


def test_predict_writes_maps_of_the_scan(run, folder, scan, tmp_path, capsys):
    assert predict(run, scan, "--out", tmp_path / "out") == 0
    captured = capsys.readouterr()
    files = {f"scan_{name}{ending}" for name in MAPS for ending in (".nii.gz", ".json")}
    files |= {"scan_T1rho.png", "scan_T2map.png", "scan_predicted_run.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == files
    assert all(str(tmp_path / "out" / name) in captured.out for name in files if not name.endswith(".json"))
    assert "scan.json" in captured.err
    expected = rx.load(run / "network.safetensors").predict(rx.io.read_cohort(folder)[1].images)
    for name, file in zip(("t1rho", "t2", "t1rho_std", "t2_std"), MAPS, strict=True):
        image = nibabel.load(tmp_path / "out" / f"scan_{file}.nii.gz")
        np.testing.assert_array_equal(image.affine, nibabel.load(scan).affine)
        found = rx.io.as_pictures(image.get_fdata(), image.affine) * 1000
        np.testing.assert_allclose(found, expected[name], rtol=1e-6)
        sidecar = json.loads((tmp_path / "out" / f"scan_{file}.json").read_text())
        assert (sidecar["Units"], sidecar["SkullStripped"]) == ("s", False)
        assert sidecar["CommandLine"] == "relaxnet predict DIR scan.nii.gz --out DIR"


def test_predict_takes_the_inputs_alone_in_any_orientation(run, scan, tmp_path):
    image = nibabel.load(scan)
    own = nibabel.Nifti1Image(image.get_fdata(dtype=np.float32)[..., (0, 2, 5)], image.affine)
    own = nibabel.as_closest_canonical(own)
    own.set_qform(own.affine, 1)
    own.to_filename(tmp_path / "own.nii.gz")
    assert predict(run / "network.safetensors", tmp_path / "own.nii.gz") == 0
    assert predict(run, scan) == 0
    one, other = (nibabel.load(tmp_path / f"{name}_T2map.nii.gz") for name in ("own", "scan"))
    np.testing.assert_array_equal(one.affine, own.affine)
    np.testing.assert_array_equal(one.get_fdata(), nibabel.as_closest_canonical(other).get_fdata())


def test_predict_refuses_what_it_has_not_learnt(run, scan, tmp_path, capsys):
    def refused(*arguments):
        capsys.readouterr()
        assert predict(*arguments) == 1
        return capsys.readouterr().err.splitlines()[-1]

    sidecar = json.loads((tmp_path / "scan.json").read_text())
    (tmp_path / "scan.json").write_text(json.dumps({**sidecar, "SpinLockTime": [0, 0.02, 0.04, 0.06]}))
    assert "the network was made for" in refused(run, scan)
    times = {"SpinLockTime": [0, 0.02, 0.04, 0.06], "T2PreparationTime": [0, 0.0182, 0.0346, 0.051]}
    (tmp_path / "scan.json").write_text(json.dumps(times))
    assert "SpinLockTime is (0, 20, 40, 60) in ms, and the network was trained for t1rho at" in refused(run, scan)
    image = nibabel.load(scan)
    nibabel.Nifti1Image(image.get_fdata(dtype=np.float32)[..., :4], image.affine).to_filename(tmp_path / "four.nii")
    line = refused(run, tmp_path / "four.nii")
    assert "it has 4 volumes, and this network takes all 7 images" in line
    assert "numbers 0, 2, 5" in line
    assert "network.safetensors" in refused(tmp_path, scan)
    (tmp_path / "scan.json").unlink()
    (tmp_path / "scan_T2map.png").write_text("mine")
    assert "--overwrite" in refused(run, scan)
    assert (tmp_path / "scan_T2map.png").read_text() == "mine"
    (tmp_path / "scan.json").write_text(json.dumps({**times, "SpinLockTime": [0, 0.01, 0.03, 0.05]}))
    assert predict(run, scan, "--overwrite") == 0
    assert "compared with" in capsys.readouterr().err
    (tmp_path / "scan.json").unlink()
    assert predict(run, scan, "--overwrite") == 0
    assert "taken on trust" in capsys.readouterr().err
