"""The package of networks to start with, as it lies in the repository."""

import importlib
import json
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import relaxnet as rx

WEIGHTS = Path(__file__).parents[2] / "weights"
NETWORK = WEIGHTS / "relaxnet_weights" / "liver-any.safetensors"
pytestmark = pytest.mark.skipif(not NETWORK.exists(), reason="the networks are in the repository alone")


@pytest.fixture(scope="module")
def network():
    return rx.load(NETWORK)


@pytest.fixture(scope="module")
def subjects():
    return list(rx.phantom.liver_cohort(3, 1, (96, 96), seed=1, texture=rx.phantom.Texture(), pixel_mm=2))


def test_each_file_has_an_entry_point():
    project = tomllib.loads((WEIGHTS / "pyproject.toml").read_text())["project"]
    files = {path.stem for path in NETWORK.parent.glob("*.safetensors")}
    assert project["entry-points"]["relaxnet.weights"] == dict.fromkeys(files, "relaxnet_weights")
    assert (WEIGHTS / "LICENSE").read_text() == (WEIGHTS.parent / "LICENSE").read_text()


def test_it_is_small_and_in_half_precision():
    assert NETWORK.stat().st_size < 10e6
    with safe_open(NETWORK, "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    assert kinds <= {torch.float16, torch.int64}


@pytest.mark.parametrize("inputs", ["short", "middle", "long", (1, 3, 4, 6), (0, 1, 3, 4, 6), None])
def test_it_maps_from_any_images_better_than_least_squares_of_all(network, subjects, inputs):
    assert network.net.protocol == rx.protocols.LIVER_T1RHO_T2
    for contrast in network.net.protocol.contrasts:
        ours, fits, held = [], [], []
        for subject in subjects:
            truth = subject.truth[contrast.name][subject.roi]
            maps = network.predict(subject.images, inputs=inputs)
            difference = (maps[contrast.name][subject.roi] - truth).abs()
            fitted = rx.fit(subject.images[:, subject.protocol.images_of(contrast.name)], contrast).maps[contrast.name]
            ours.append(difference.mean())
            fits.append((fitted[subject.roi] - truth).abs().nanmean())
            held.append((difference < 1.645 * maps[f"{contrast.name}_std"][subject.roi]).float().mean())
        assert sum(ours) < 0.7 * sum(fits)
        assert sum(held) / len(held) > 0.8


def test_the_card_shows_what_was_measured(monkeypatch):
    monkeypatch.syspath_prepend(str(WEIGHTS))
    evaluate = importlib.import_module("evaluate")
    results = json.loads(evaluate.RESULTS.read_text())
    assert evaluate.tables(results) in evaluate.CARD.read_text()
    ours, least_squares = (
        results["networks"]["liver-any, 3 images"],
        results["controls"]["least squares, 4 images each"],
    )
    assert results["largest change by half precision"] < 0.5
    for contrast in ("t1rho", "t2"):
        assert sum(ours[contrast]["error"]) < 0.6 * sum(least_squares[contrast]["error"])
