"""Real images as judges, on simulated ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from series import simulated_series

from relaxnet.experiments import EXPERIMENTS, render, run
from relaxnet.experiments._harness.judged import judge, judge_fit, judge_network, judge_photographs
from relaxnet.experiments._harness.render import read_result
from relaxnet.experiments._harness.series import PHOTOGRAPHS, SERIES, Case, Series, model_free_sigma
from relaxnet.experiments._harness.settings import SMOKE
from relaxnet.signals import add_noise


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RELAXNET_TEST_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("n", "inputs", "targets", "judges"),
    [(12, [0, 3, 6], [1, 4, 7], [2, 5, 8, 9, 10, 11]), (6, [0, 3], [1, 4], [2, 5])],
)
def test_images_are_dealt_out(folder, n, inputs, targets, judges):
    np.savez(folder / "some.npz", **simulated_series(9, 9, n=n))
    case = Case(Series("Some", "some.npz"))
    assert (case.inputs, case.targets, case.judges) == (inputs, targets, judges)


def test_the_truth_leaves_the_noise_alone(folder):
    series = simulated_series(40, 40, n=16)
    np.savez(folder / "some.npz", **series)
    truth = torch.from_numpy(series["truth"][None].astype(np.float32))
    case = Case(Series("Some", "some.npz"))
    assert case.native_sigma == pytest.approx(15, rel=0.1)
    best, off = judge(case, truth), judge(case, 1.2 * truth)
    assert 0.7 < best["mean"] < 1.1  # 0.8 of the image, and the noise of the amplitude
    assert best["mean"] < 0.8 * off["mean"]
    assert off["error_ms"] == pytest.approx(0.2 * 65, rel=0.2)
    assert sum(off["by_block"]) == pytest.approx(off["mean"] * int(case.voxels.sum()), rel=1e-3)
    assert len(off["by_block"]) == 9


def test_noise_is_added_to_what_is_received_alone(folder):
    np.savez(folder / "some.npz", **simulated_series(40, 40))
    plain, noisy = (Case(Series("Some", "some.npz"), snr) for snr in (None, 10.0))
    assert noisy.sigma == pytest.approx(float(noisy.native[:, 0].median()) / 10, rel=0.05)
    added = (noisy.images - noisy.native)[:, 0].std()
    assert float(added**2 + noisy.native_sigma**2) ** 0.5 == pytest.approx(noisy.sigma, rel=0.1)
    assert torch.equal(plain.images, plain.native)
    assert torch.equal(plain.reference_ms, noisy.reference_ms)
    assert torch.equal(Case(Series("Some", "some.npz"), 1e6).images, plain.native)


def test_a_decay_that_is_no_exponential_is_no_noise():
    times, rng = 8.0 * torch.arange(1, 16), torch.Generator().manual_seed(0)
    clean = 500 * (torch.exp(-times / 15) + torch.exp(-times / 120))
    images = add_noise(clean[None, :, None, None].expand(1, 15, 30, 30), 4.0, generator=rng)
    found = model_free_sigma(images, times, torch.ones(1, 30, 30, dtype=torch.bool))
    assert found == pytest.approx(4, rel=0.15)


def test_voxels_that_are_clipped_dark_or_beyond_the_bounds_are_not_judged(folder):
    series = simulated_series(20, 20)
    series["signal"][0, 0, 0] = 4095
    series["signal"][1] *= 0.01
    series["signal"][2] = 1000
    np.savez(folder / "some.npz", **series)
    voxels = Case(Series("Some", "some.npz", saturation=4095)).voxels[0]
    assert not voxels[0, 0]
    assert not voxels[1:3].any()
    assert voxels[0, 1:].all()
    assert voxels[3:].all()


def test_methods_tune_on_slices_that_do_not_judge(data):  # noqa: ARG001
    case = Case(SERIES["leg"], 20.0, other_slice=True)
    assert case.voxels[case.test].shape == (1, 20, 20)
    for method in ("gaussian", "non-local-means", "low-rank"):
        assert judge_fit(method=method, case=case)["strength"] > 0
    assert judge_fit(method="gaussian", case=case)["mean"] < judge_fit(method="nlls", case=case)["mean"]


def test_a_network_learns_from_the_series_alone():
    case, preset = Case(SERIES["prostate"]), replace(SMOKE.preset, epochs=60, initial_estimates=(0.0,))
    before, after = (judge_network(case=case, preset=preset, trained=trained) for trained in (False, True))
    assert after["mean"] < 1.2 * before["mean"]
    assert 40 < np.mean(after["map_ms"]) < 90


def test_photographs_are_judged_by_the_truth():
    case = Case(PHOTOGRAPHS, dealt=(10, 2))
    assert (case.inputs, case.targets, case.judges) == ([0, 2, 4, 6, 8], [1, 3, 5, 7, 9], [])
    found = {
        name: judge_photographs(method=name, case=case, preset=SMOKE.preset if name == "network" else None)
        for name in ("published-cnn", "published-nlls", "nlls", "gaussian", "network")
    }
    assert found["published-cnn"]["mean"] == pytest.approx(1)
    assert found["published-nlls"]["mean"] == pytest.approx(2)
    assert found["gaussian"]["mean"] < found["nlls"]["mean"] < 3


@pytest.mark.xdist_group("experiments")
def test_results(smoke):
    out, results, lines = smoke
    result = results["real"]
    assert set(result["subjects"]["series"]) == {"prostate", "leg"}
    assert result["subjects"]["absent"] == [SERIES["brain"].file, SERIES["brain-se"].file]
    absent = f"real: without {SERIES['brain'].file}, {SERIES['brain-se'].file}, not in the folder"
    assert any(line.startswith(absent) for line in lines)
    cases = [(e["series"], e["case"]) for e in result["rows"]["nlls"]["entries"]]
    assert [case for name, case in cases if name == "leg"] == ["native", "snr-20", "slice", "slice-snr-20"]
    assert [case for name, case in cases if name == "prostate"] == ["native", "snr-20"]
    for entry in result["rows"]["nlls"]["entries"]:
        assert entry["ratio"]["mean"] == 1
    assert "by_block" not in str(read_result(out / "smoke", "real"))
    files = render(out / "smoke", ["real"])
    assert {"real.png", "real-maps.png", "real.md"} < {path.name for path in files}
    text = (out / "smoke" / "real.md").read_text()
    assert f"2 real series, without {SERIES['brain'].file}" in text
    assert "| Spatial fit |" in text
    assert "Published: supervised network" in text


def test_another_series_is_one_entry(folder, monkeypatch):
    np.savez(folder / "mine.npz", **simulated_series(20, 20))
    monkeypatch.setitem(SERIES, "mine", Series("Mine", "mine.npz"))
    plan = EXPERIMENTS["real"].load().steps
    steps = plan(SMOKE)
    assert {step.title.partition(", ")[2] for step in steps} == {"mine, native", "mine, snr-20"}
    keys = {step.key for step in steps}
    np.savez(folder / "mine.npz", **simulated_series(20, 20, seed=1))
    assert keys.isdisjoint(step.key for step in plan(SMOKE))


@pytest.mark.usefixtures("as_user")
def test_no_series_is_an_error(folder):
    with pytest.raises(
        FileNotFoundError, match=r"real has no data: at least one of open_prostate_mese\.npz, "
    ) as error:
        run("real", preset="smoke", out=folder)
    assert str(error.value).isprintable()


def test_other_experiments_do_without_the_series(folder):
    said = []
    assert list(run(["real", "table4"], preset="smoke", out=folder, jobs=1, say=said.append)) == ["table4"]
    assert any(line.startswith("real: without open_prostate_mese.npz, ") for line in said)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"signal": np.ones((9, 9))}, "KeyError"),
        ({"signal": np.ones((9, 9)), "times_ms": np.ones(9)}, r"signal has shape \(9, 9\)"),
        ({"signal": np.ones((9, 9, 5)), "times_ms": np.arange(5)}, "with 6 images or more"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_a_file_that_is_no_series_is_named(folder, content, message):
    np.savez(folder / SERIES["prostate"].file, **content)
    with pytest.raises(ValueError, match=rf"open_prostate_mese\.npz: this is no series of images: .*{message}"):
        run("real", preset="smoke", out=folder)
