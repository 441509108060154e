"""Row 81: what a file of a network says of itself is checked before anything is made of it."""

import copy
import json
import math
import warnings

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import relaxnet as rx
from relaxnet.training import Ensemble, Spread, Trained

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
SPREAD = Spread(0.05, *({name: {"any": 1.0} for name in PROTOCOL.names} for _ in range(2)))


@pytest.fixture(scope="module")
def trained():
    net = rx.nets.RelaxationNet(PROTOCOL, "middle", base=4, depth=2, initial_estimates=(0.0, 1.5, "low-rank"))
    return Trained(net.eval(), [{"epoch": 0, "val_residual": 0.5}], SPREAD)


@pytest.fixture
def path(trained, tmp_path):
    trained.save(tmp_path / "liver.safetensors")
    return tmp_path / "liver.safetensors"


def changed(path, change):
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["relaxnet"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    text = change(description)
    save_file(tensors, path, metadata={"relaxnet": text if isinstance(text, str) else json.dumps(description)})


def at(*keys, value):
    """Return a change that sets an entry of the description; None removes it."""

    def change(description):
        for key in keys[:-1]:
            description = description[key]
        if value is None:
            del description[keys[-1]]
        else:
            description[keys[-1]] = value

    return change


DAMAGE = {
    "deep": lambda _: "[" * 100_000,
    "broken": lambda _: '{"format": 5,',
    "list": lambda _: "[]",
    "null": lambda _: "null",
    **{f"no {key}": at(key, value=None) for key in ("format", "relaxnet", "net", "history", "calibration")},
    "format": at("format", value="5"),
    "net": at("net", value=[1]),
    "base text": at("net", "base", value="16"),
    "base huge": at("net", "base", value=8000),
    "base vast": at("net", "base", value=10**400),
    "base 0": at("net", "base", value=0),
    "base part": at("net", "base", value=4.5),
    "depth 12": at("net", "depth", value=12),
    "depth 40": at("net", "depth", value=40),
    "depth 10^9": at("net", "depth", value=10**9),
    "dims": at("net", "dims", value=3),
    "dims part": at("net", "dims", value=2.0),
    "unknown key": at("net", "bias", value=True),
    "no base": at("net", "base", value=None),
    "norm": at("net", "norm", value="layer"),
    "backbone": at("net", "backbone", value="Unknown"),
    "inputs": at("net", "inputs", value=[0, 99]),
    "inputs text": at("net", "inputs", value={"a": 1}),
    "bounds": at("net", "bounds_ms", "t2", value=[math.nan, 400.0]),
    "bounds text": at("net", "bounds_ms", "t2", value="ab"),
    "estimates": at("net", "initial_estimates", value=[0.0] * 1000),
    "estimates text": at("net", "initial_estimates", value=["a"]),
    "amplitude": at("net", "amplitude", value="yes"),
    "uncertainty": at("net", "uncertainty", value="heteroscedastic"),
    "times": at("net", "protocol", "contrasts", 0, "times_ms", value=[0, "a"]),
    "no contrasts": at("net", "protocol", "contrasts", value=[]),
    "history": at("history", value=[3]),
    "history text": at("history", value=[{"epoch": "x"}]),
    "calibration": at("calibration", value=[1]),
    "calibration key": at("calibration", "more", value=1),
    "factor text": at("calibration", "factors", "t1rho", value="x"),
    "factor NaN": at("calibration", "factors", "t1rho", "any", value=math.nan),
    "factor vast": at("calibration", "factors", "t1rho", "any", value=10**400),
    "factor negative": at("calibration", "factors", "t1rho", "any", value=-1.0),
    "factor of another": at("calibration", "factors", "t9", value={"any": 1.0}),
    "no growth": at("calibration", "growth", value={}),
    "usual noise": at("calibration", "usual_noise", value="loud"),
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.usefixtures("as_user")
def test_row_81_a_description_that_makes_no_sense_is_refused_in_one_line(path, change):
    changed(path, change)
    with pytest.raises(ValueError, match=r"liver\.safetensors") as error:
        rx.load(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.usefixtures("as_user")
def test_row_81_a_long_name_in_the_table_of_tensors_makes_no_long_message(path):
    head = json.dumps({"x" * 100_000: "x" * 100_000}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head)
    with pytest.raises(ValueError, match=r"liver\.safetensors is damaged") as error:
        rx.load(path)
    assert len(str(error.value)) < 1000


@pytest.mark.usefixtures("as_user")
def test_row_81_an_ensemble_too(trained, tmp_path):
    path = tmp_path / "liver.safetensors"
    for change in (
        at("members", value=3),
        at("members", value=[]),
        at("members", 1, "net", "base", value=8000),
        at("members", 1, value="x"),
        at("calibration", value=None),
        at("calibration", value={"t2": "x"}),
    ):
        Ensemble([trained, copy.deepcopy(trained)]).save(path)
        changed(path, change)
        with pytest.raises(ValueError, match=r"liver\.safetensors"):
            Ensemble.load(path)


def test_nothing_is_made_before_sizes_are_compared(path, monkeypatch):
    changed(path, at("net", "base", value=64))
    made = []
    monkeypatch.setattr(torch.nn.Conv2d, "reset_parameters", lambda self: made.append(self.weight.device.type))
    with pytest.raises(ValueError, match=r"is \(4, 9, 3, 3\) in the file and \(64, 9, 3, 3\) in the network"):
        rx.load(path)
    assert set(made) == {"meta"}


def test_weights_that_are_not_finite_are_told(trained, tmp_path):
    spoiled = copy.deepcopy(trained)
    for parameter in spoiled.net.parameters():
        parameter.data.fill_(math.nan)
    spoiled.save(tmp_path / "nan.safetensors")
    with pytest.warns(UserWarning, match=r"nan\.safetensors: \d+ of \d+ weights are not finite: its maps are NaN"):
        rx.load(tmp_path / "nan.safetensors")


def test_a_loaded_network_can_be_used_and_trained(trained, path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = rx.load(path)
    assert (loaded.history, loaded.calibration) == (trained.history, trained.calibration)
    images = torch.rand(1, 7, 32, 32)
    assert torch.equal(loaded.predict(images)["t2"], trained.predict(images)["t2"])
    assert all(parameter.requires_grad and parameter.device.type == "cpu" for parameter in loaded.net.parameters())
    loaded.net.train()(images[:, loaded.net.input_channels]).maps_ms.sum().backward()


def test_half_precision_halves_the_file_and_hardly_changes_the_maps(trained, tmp_path):
    trained.save(tmp_path / "single.safetensors")
    trained.save(tmp_path / "half.safetensors", half=True)
    single, half = (rx.load(tmp_path / f"{name}.safetensors") for name in ("single", "half"))
    assert next(half.net.parameters()).dtype == torch.float32
    weights = 2 * sum(values.numel() for values in single.net.state_dict().values() if values.is_floating_point())
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("single", "half")]
    assert sizes[0] - sizes[1] == pytest.approx(weights, abs=64)
    images = torch.rand(1, 7, 32, 32)
    for name, values in single.predict(images).items():
        torch.testing.assert_close(half.predict(images)[name], values, rtol=1e-2, atol=0)
    spoiled = copy.deepcopy(trained)
    with torch.no_grad():
        next(spoiled.net.parameters()).fill_(1e6)
    with pytest.raises(ValueError, match="half=True: a weight is larger than half precision can hold"):
        spoiled.save(tmp_path / "large.safetensors", half=True)
