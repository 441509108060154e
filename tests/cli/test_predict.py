"""``relaxnet predict``: times that contradict the network, values for NaN, and networks of a single scan."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint

import nibabel
import numpy as np
import pytest
import torch
from validator import issues

import relaxnet as rx
from relaxnet.cli._main import main
from relaxnet.training import Trained

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
NETWORKS = {
    "middle": (PROTOCOL, "middle"),
    "any": (PROTOCOL, "any"),
    "t2": (rx.Protocol((rx.Contrast("t2", (10, 20, 40)),)), (0, 1, 2)),
    "adc": (rx.Protocol((rx.Contrast("adc", (0, 200, 800), model=rx.signals.Diffusion()),)), (0, 1, 2)),
}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Return files of untrained networks by name."""
    folder = tmp_path_factory.mktemp("networks")
    for name, (protocol, inputs) in NETWORKS.items():
        net = rx.nets.RelaxationNet(protocol, inputs, base=2, depth=1)
        Trained(net.eval()).save(folder / f"{name}.safetensors")
    return folder


def series(path, n, sidecar=None):
    data = np.random.default_rng(0).uniform(50, 100, (12, 10, 2, n)).astype(np.float32)
    nibabel.Nifti1Image(data[..., 0] if n == 1 else data, np.diag([2.0, 2, 5, 1])).to_filename(path)
    if sidecar is not None:
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(sidecar))
    return path


def predict(*arguments):
    return main(["predict", *map(str, arguments), "--overwrite"])


TSL, TE = [0, 0.01, 0.03, 0.05], [0, 0.0182, 0.0346, 0.051]
OTHER = [0, 0.01, 0.03, 0.06]
IN_ALL = [0, 0.01, 0.03, 0.05, 0, 0, 0]


@pytest.mark.parametrize(
    ("n", "sidecar", "fits"),
    [
        (7, {"SpinLockTime": TSL, "T2PreparationTime": TE}, True),
        (7, {"SpinLockTime": OTHER, "T2PreparationTime": TE}, False),
        (7, {"SpinLockTime": TSL, "EchoTime": [0.01, 0.02, 0.03, 0.04]}, False),
        (7, {"SpinLockTime": IN_ALL}, True),
        (7, {"SpinLockTime": IN_ALL[::-1]}, False),
        (7, {"SpinLockTime": TSL, "EchoTime": 0.0023}, True),
        (3, {"SpinLockTime": [0, 0.03], "T2PreparationTime": [0, 0.0346]}, True),
        (3, {"SpinLockTime": [0, 0.01], "T2PreparationTime": [0, 0.0346]}, False),  # inputs of another network
        (3, {"SpinLockTime": [0, 0.03, 0], "EchoTime": [0, 0, 0.0346]}, True),
        (3, {"SpinLockTime": [0, 0.05, 0]}, False),
        (3, {"SpinLockTime": TSL}, True),  # those of the whole series
        (3, {"SpinLockTime": OTHER}, False),
    ],
)
def test_times_of_a_series_are_compared(networks, tmp_path, capsys, n, sidecar, fits):
    scan = series(tmp_path / "scan.nii.gz", n, sidecar)
    assert predict(networks / "middle.safetensors", scan) == (0 if fits else 1)
    line = capsys.readouterr().err.splitlines()[-1]
    assert fits or ("scan.json: " in line and "the network was trained for" in line)
    assert fits == (tmp_path / "scan_T2map.nii.gz").exists()


@pytest.mark.parametrize(
    ("options", "times", "fits"),
    [
        (("--skip-first", "1"), [0.005, 0.01, 0.02, 0.04], True),
        ((), [0.01, 0.02, 0.04], True),
        ((), [0.01, 0.02, 0.08], False),
        (("--skip-first", "1"), [0.005, 0.01, 0.02, 0.08], False),
        (("--volumes", "0,2-3"), [0.01, 0.015, 0.02, 0.04], True),
        (("--volumes", "0-2"), [0.01, 0.015, 0.02, 0.04], False),
    ],
)
def test_times_of_chosen_volumes_are_compared(networks, tmp_path, capsys, options, times, fits):
    scan = series(tmp_path / "scan.nii.gz", len(times), {"EchoTime": times})
    assert predict(networks / "t2.safetensors", scan, *options) == (0 if fits else 1)
    assert fits or "EchoTime is" in capsys.readouterr().err


@pytest.mark.parametrize(("echoes", "fits"), [((0.01, 0.02, 0.04), True), ((0.01, 0.04, 0.02), False)])
def test_times_of_several_files_are_compared(networks, tmp_path, capsys, echoes, fits):
    files = [
        series(tmp_path / f"sub-01_echo-{k}_MESE.nii.gz", 1, {"EchoTime": time}) for k, time in enumerate(echoes, 1)
    ]
    assert predict(networks / "t2.safetensors", *files, "--out", tmp_path / "out") == (0 if fits else 1)
    assert fits or "EchoTime is (10, 40, 20) in ms" in capsys.readouterr().err


@pytest.mark.parametrize(("third", "fits"), [(0.0346, True), (0.051, False)])
def test_files_of_the_inputs_of_a_joint_network_are_compared(networks, tmp_path, capsys, third, fits):
    told = ({"SpinLockTime": 0}, {"SpinLockTime": 0.03}, {"T2PreparationTime": third})
    files = [series(tmp_path / f"scan_{k}.nii.gz", 1, {**own, "EchoTime": 0.002}) for k, own in enumerate(told)]
    (tmp_path / "scan_0.json").write_text(json.dumps({"SpinLockTime": 0, "T2PreparationTime": 0, "EchoTime": 0.002}))
    assert predict(networks / "middle.safetensors", *files, "--out", tmp_path / "out") == (0 if fits else 1)
    assert fits or "T2PreparationTime is (0, 51) in ms" in capsys.readouterr().err


def test_b_values_and_times_in_arrays_are_compared(networks, tmp_path, capsys):
    scan = series(tmp_path / "scan.nii.gz", 3, {"DiffusionBValue": [0, 200, 800]})
    assert predict(networks / "adc.safetensors", scan) == 0
    assert 1e-5 < np.nanmedian(nibabel.load(tmp_path / "scan_ADC.nii.gz").get_fdata()) < 5e-3
    series(tmp_path / "scan.nii.gz", 3, {"DiffusionBValue": [0, 200, 1000]})
    assert predict(networks / "adc.safetensors", scan) == 1
    assert "DiffusionBValue is (0, 200, 1000) in s/mm²" in capsys.readouterr().err
    data = nibabel.load(scan).get_fdata(dtype=np.float32)
    for times, status in (((10, 20, 40), 0), ((10, 20, 50), 1)):
        np.savez(tmp_path / "own.npz", data=data, affine=np.eye(4), times_ms=times)
        assert predict(networks / "t2.safetensors", tmp_path / "own.npz") == status
    assert "times_ms is (10, 20, 50) in ms" in capsys.readouterr().err


def test_networks_of_the_hub(networks, tmp_path, monkeypatch, capsys):
    network = rx.load(networks / "t2.safetensors")
    network.save_pretrained(tmp_path / "published")
    scan = series(tmp_path / "scan.nii.gz", 3)
    assert predict(tmp_path / "published", scan, "--out", tmp_path / "own") == 0
    fetched = []

    def fetch(where):  # what Trained.from_pretrained does, without a network of computers
        fetched.append(where)
        if where != "me/liver":
            raise OSError("404: no\nrepository")
        return tmp_path / "published" / "model.safetensors"

    monkeypatch.setattr("relaxnet.training._find.find_pretrained", fetch)
    monkeypatch.chdir(tmp_path)
    assert predict("me/liver", scan, "--out", tmp_path / "hub") == 0
    own, hub = (nibabel.load(tmp_path / name / "scan_T2map.nii.gz").get_fdata() for name in ("own", "hub"))
    np.testing.assert_array_equal(own, hub)
    capsys.readouterr()
    assert predict("me/lever", scan) == 1
    assert "me/lever: no network is there, or the Hugging Face Hub cannot be reached: 404" in capsys.readouterr().err
    assert fetched == ["me/liver", "me/lever"]
    for wrong in ("published/nothing", "lever"):  # a folder that is there, and no name/repository
        assert predict(wrong, scan) == 1
        assert f"{wrong}: there is no such file or folder" in capsys.readouterr().err
    assert len(fetched) == 2


def test_prediction_needs_no_lightning(networks, tmp_path):
    scan = series(tmp_path / "scan.nii.gz", 3)
    code = (
        "import sys\n"
        "for name in ('lightning', 'huggingface_hub'): sys.modules[name] = None\n"
        "import numpy as np, relaxnet as rx\n"
        "from relaxnet.cli._main import main\n"
        "network, scan, out = sys.argv[1:]\n"
        "assert rx.load(network).predict(np.ones((1, 3, 16, 16)))['t2'].shape == (1, 16, 16)\n"
        "sys.exit(main(['predict', network, scan, '--out', out]))\n"
    )
    network = networks / "t2.safetensors"
    subprocess.run([sys.executable, "-c", code, str(network), str(scan), str(tmp_path / "out")], check=True)
    assert (tmp_path / "out" / "scan_T2map.nii.gz").exists()


def test_networks_by_name(networks, tmp_path, monkeypatch):
    package = tmp_path / "own_networks"
    package.mkdir()
    (package / "__init__.py").write_text("")
    shutil.copy(networks / "t2.safetensors", package / "leg.safetensors")
    known = [EntryPoint("leg", "own_networks", "relaxnet.weights")]
    monkeypatch.setattr("relaxnet.training._find.entry_points", lambda group: {"relaxnet.weights": known}[group])
    monkeypatch.syspath_prepend(tmp_path)
    assert predict("leg", series(tmp_path / "scan.nii.gz", 3)) == 0
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(*(rx.load(which).predict(images)["t2"] for which in ("leg", networks / "t2.safetensors")))
    with pytest.raises(FileNotFoundError, match=r"arm: .* nor an installed one \(leg\)"):
        rx.load("arm")
    known.clear()
    with pytest.raises(FileNotFoundError, match=r"none; for liver-any, pip install relaxnet-weights, or"):
        rx.load("leg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="the folder holds neither network"):
        rx.load(tmp_path / "empty")


def test_input_images_alone_for_a_network_of_any(networks, tmp_path, capsys):
    whole = series(tmp_path / "whole.nii.gz", 7)
    image = nibabel.load(whole)
    few = nibabel.Nifti1Image(image.get_fdata(dtype=np.float32)[..., [0, 2, 5]], image.affine)
    few.to_filename(tmp_path / "few.nii.gz")
    for inputs in ("middle", "0,2,5"):
        for scan in (whole, tmp_path / "few.nii.gz"):
            assert predict(networks / "any.safetensors", scan, "--inputs", inputs) == 0
        maps = [nibabel.load(tmp_path / f"{name}_T2map.nii.gz").get_fdata() for name in ("whole", "few")]
        np.testing.assert_array_equal(*maps)
    assert predict(networks / "any.safetensors", tmp_path / "few.nii.gz") == 1
    assert "Say by inputs which images of the protocol they are" in capsys.readouterr().err
    integers = torch.randint(50, 100, (1, 3, 16, 16))
    trained = rx.load(networks / "any.safetensors")
    assert torch.isfinite(trained.predict(integers, inputs=[0, 2, 5])["t1rho"]).all()


def test_maps_without_nan(networks, tmp_path, capsys):
    scan = series(tmp_path / "scan.nii.gz", 3)
    image = nibabel.load(scan)
    data = image.get_fdata(dtype=np.float32)
    data[3, 4, 1, 0] = np.nan
    nibabel.Nifti1Image(data, image.affine).to_filename(scan)
    for options, value in (((), np.nan), (("--fill", "-1"), -1)):
        assert predict(networks / "t2.safetensors", scan, *options) == 0
        found = nibabel.load(tmp_path / "scan_T2map.nii.gz").get_fdata()
        np.testing.assert_equal(found[3, 4, 1], value)
        assert np.isfinite(np.delete(found.ravel(), np.ravel_multi_index((3, 4, 1), found.shape))).all()
    assert json.loads((tmp_path / "scan_T2map.json").read_text())["FillValue"] == -1
    assert "no standard deviations of t2" in capsys.readouterr().err


def test_a_network_of_a_single_scan_tells_why_it_has_no_standard_deviations(tmp_path, capsys):
    cohort = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=20)
    subject = cohort[0]
    stem = tmp_path / "own" / "sub-01" / "anat" / "sub-01_images"
    stem.parent.mkdir(parents=True)
    image = nibabel.Nifti1Image(subject.images.permute(3, 2, 0, 1).numpy(), np.diag([2.0, 2, 5, 1]))
    image.to_filename(stem.with_suffix(".nii.gz"))
    sidecar = {"Contrasts": ["t1rho", "t2"], "SpinLockTime": TSL, "T2PreparationTime": TE, "SharedFirst": True}
    stem.with_suffix(".json").write_text(json.dumps(sidecar))
    arguments = ["train", tmp_path / "own", "--out", tmp_path / "run", "--preset", "smoke"]
    assert main([*map(str, arguments)]) == 1
    assert "or --validation 0" in capsys.readouterr().err
    assert main([*map(str, arguments), "--validation", "0"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("2 epochs, without validation")
    assert "no standard deviations: no subject was set aside to calibrate them with" in captured.err
    assert predict(tmp_path / "run", stem.with_suffix(".nii.gz"), "--out", tmp_path / "maps") == 0
    assert "no standard deviations of t1rho, t2" in capsys.readouterr().err
    (found,) = (tmp_path / "maps").rglob("*T2map.nii.gz")
    assert np.isfinite(nibabel.load(found).get_fdata()).all()


def test_predicted_maps_are_a_bids_derivative(networks, tmp_path):
    (tmp_path / "raw").mkdir()
    scan = series(tmp_path / "raw" / "sub-01_ses-a_images.nii.gz", 7)
    assert predict(networks / "middle.safetensors", scan, "--out", tmp_path / "out", "--report") == 0
    assert (tmp_path / "out/sub-01/ses-a/anat/sub-01_ses-a_T1rho.nii.gz").exists()
    assert (tmp_path / "out/sub-01/ses-a/figures/sub-01_ses-a_predicted_run.json").exists()
    assert issues(tmp_path / "out") == []


def test_files_are_resampled_and_averaged_as_for_a_fit(networks, tmp_path, capsys):
    files = [series(tmp_path / f"e{k}.nii.gz", 1) for k in range(3)]
    nibabel.Nifti1Image(nibabel.load(files[1]).get_fdata(), np.diag([2.0, 2, 5.2, 1])).to_filename(files[1])
    assert predict(networks / "middle.safetensors", *files) == 1
    assert "use --resample" in capsys.readouterr().err
    assert predict(networks / "middle.safetensors", *files, "--resample") == 0
    data = np.random.default_rng(0).uniform(50, 100, (12, 10, 2, 7, 3)).astype(np.float32)
    nibabel.Nifti1Image(data, np.eye(4)).to_filename(tmp_path / "five.nii.gz")
    assert predict(networks / "middle.safetensors", tmp_path / "five.nii.gz", "--average") == 0
