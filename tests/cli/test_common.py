"""Options that all commands share: -q, -v, --json and --device."""

import json
import os

import nibabel as nib
import numpy as np
import pytest
import torch
import typer.main

from relaxnet.cli import _common, main
from relaxnet.cli._app import app


@pytest.fixture
def scan(tmp_path):
    data = np.broadcast_to(1000 * np.exp(-np.array([10, 20, 40, 80]) / 40), (3, 2, 2, 4))
    nib.save(nib.Nifti1Image(data.astype(np.float32), np.eye(4)), tmp_path / "scan.nii.gz")
    return str(tmp_path / "scan.nii.gz")


def commands():
    group = typer.main.get_command(app)
    fits = group.commands.pop("fit")
    return [*group.commands.items(), *fits.commands.items()]


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_command_has_them(name, command):
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--quiet", "-q", "--verbose", "-v", "--json", "--device"} <= options, name


def test_quiet_and_verbose(scan, tmp_path, capsys):
    options = ("fit", "t2", scan, "--te-ms", "10,20,40,80", "--out", str(tmp_path / "out"), "--overwrite")
    assert main([*options, "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*options, "-v"]) == 0
    error = capsys.readouterr().err
    assert "relaxnet: relaxnet 0." in error
    assert "done in " in error
    assert main([*options[:-1], "-q"]) == 1  # errors are told
    assert "the file exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [("info",), ("design", "t2", "--range-ms", "30,60", "--n", "3", "--max-ms", "60")], ids=str
)
def test_results_as_json(arguments, capsys):
    assert main([*arguments, "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_the_processor_is_chosen_and_nothing_stays_changed(scan, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    options = ("fit", "t2", scan, "--te-ms", "10,20,40,80", "--out", str(tmp_path / "out"), "-q", "--device", "cpu")
    assert main(options) == 0
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"


@pytest.mark.parametrize("device", ["tpu", "cuda", "cuda:7", "mps"])
def test_a_device_that_is_not_there(device, scan, capsys):
    if device != "tpu" and (torch.cuda.is_available() or torch.backends.mps.is_available()):
        pytest.skip("this machine has one")
    assert main(["fit", "t2", scan, "--te-ms", "10,20,40,80", "--device", device]) == 2
    error = capsys.readouterr().err
    assert "--device" in error
    assert len(error.splitlines()) == 1


def test_a_result_comes_back_from_its_device():
    """On the meta device there is nothing to bring back, so this is tried with tensors of the processor."""
    import relaxnet as rx  # noqa: PLC0415

    signal = torch.tensor([[100.0, 78.0, 47.0, 29.0]])
    result = rx.fit(signal, (0, 10, 30, 50))
    arrays = result.numpy()
    assert all(isinstance(array, np.ndarray) for array in (*arrays.maps.values(), *arrays.std.values(), arrays.status))
    np.testing.assert_array_equal(arrays.maps["t"], result.maps["t"].numpy())
    assert arrays.summary() == result.summary()


@pytest.mark.parametrize(
    ("asked", "before", "seen", "name"),
    [
        ("auto", None, None, "auto"),
        ("cpu", None, "", "cpu"),
        ("cuda", None, None, "cuda"),
        ("cuda:1", None, "1", "cuda"),
        ("cuda:1", "3,5", "5", "cuda"),
        ("cuda:2", "3,5", "", "cuda"),
    ],
)
def test_the_gpu_that_was_asked_for_is_the_only_one(monkeypatch, asked, before, seen, name):
    """A machine with GPUs is not at hand: what torch would see is what the environment lets it see."""
    monkeypatch.setattr(_common, "_is_there", lambda _: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if before is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
    with _common._visible(asked) as device:
        assert (device, os.environ.get("CUDA_VISIBLE_DEVICES")) == (name, seen if seen is not None else before)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before
