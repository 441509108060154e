"""The whole way through the library, at smoke size."""

import json

import nibabel
import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.cli import main
from relaxnet.workflows import _demo

FILES = ["maps.png", "table.md", "results.json", "network.safetensors"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Make a demo, with a brain of four times that decays everywhere alike."""
    folder = tmp_path_factory.mktemp("demo")
    data = folder / "data"
    data.mkdir()
    times_ms = np.array([10.0, 40.0, 80.0, 160.0])
    signal = (3000 * np.exp(-times_ms / np.full((16, 12, 1), 70.0))).round().astype(np.uint16)
    np.savez(data / "santini_brain_se.npz", signal=signal, times_ms=times_ms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RELAXNET_TEST_DATA", str(data))
        assert main(["demo", "--preset", "smoke", "--out", str(folder / "out")]) == 0
    return folder / "out"


def test_everything_is_there_and_whole(out):
    assert set(FILES) < {path.name for path in out.iterdir()}
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    assert (out / "maps.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_compares_all_methods_with_truth_and_reference(out):
    results = json.loads((out / "results.json").read_text())
    rows = {(row["method"], row["contrast"]): row for row in results["rows"]}
    assert set(rows) == {(m, c) for m in (_demo.TWO_POINT, _demo.NETWORK, _demo.REFERENCE) for c in ("t1rho", "t2")}
    for (method, _), row in rows.items():
        assert row["roi_voxels"] > 30
        assert all(0 < error < 60 for error in row["rmae_ms_against_truth"])
        assert ("rmae_ms_against_reference" in row) == (method != _demo.REFERENCE)
    for contrast in ("t1rho", "t2"):
        reference, two_point = (rows[m, contrast]["rmae_ms_against_truth"] for m in (_demo.REFERENCE, _demo.TWO_POINT))
        assert np.mean(reference) < np.mean(two_point)
    assert (out / "table.md").read_text() == _demo.render(results["rows"]) + "\n"
    assert results["versions"]["torch"] == torch.__version__


def test_numbers_are_those_of_the_saved_network(out):
    results = json.loads((out / "results.json").read_text())
    trained = rx.load(out / "network.safetensors")
    cohort = rx.phantom.liver_cohort(n_subjects=4, slices=1, shape=(32, 32), snr=20, seed=0)
    subject = cohort[3]
    assert results["subjects"] == [subject.name]
    error = rx.metrics.rmae(trained.predict(subject.images)["t2"], subject.truth["t2"], subject.roi)
    row = next(r for r in results["rows"] if r["method"] == _demo.NETWORK and r["contrast"] == "t2")
    assert row["rmae_ms_against_truth"] == pytest.approx([error], abs=1e-3)


def test_the_real_scan_was_fitted_from_its_files(out):
    t2 = nibabel.load(out / "brain_T2map.nii.gz")
    np.testing.assert_allclose(t2.get_fdata(), 0.070, rtol=1e-3)
    assert json.loads((out / "brain.json").read_text()) == {"EchoTime": [0.01, 0.04, 0.08, 0.16]}
    assert main(["fit", "t2", str(out / "brain.nii.gz"), "--out", str(out / "again"), "-q"]) == 0
    np.testing.assert_array_equal(nibabel.load(out / "again" / "brain_T2map.nii.gz").get_fdata(), t2.get_fdata())


def test_an_earlier_demo_is_not_overwritten_unasked(out, capsys):
    before = (out / "results.json").read_bytes()
    assert main(["demo", "--preset", "smoke", "--out", str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (out / "results.json").read_bytes() == before


def test_without_real_data_it_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RELAXNET_TEST_DATA", str(tmp_path / "nowhere"))
    assert main(["demo", "--preset", "smoke", "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("| ROI mean absolute error (ms) | T1rho against truth |")
    assert "set RELAXNET_TEST_DATA" in captured.err
    assert "training: epoch 2 of 2" in captured.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)


def test_failed_voxels_are_counted_and_left_out():
    subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), seed=0)[0]
    truth = subject.truth["t2"]
    invalid = truth + 1
    invalid[0][subject.roi[0].nonzero()[0].tolist()[0], subject.roi[0].nonzero()[0].tolist()[1]] = torch.nan
    methods = {_demo.TRUTH: truth, _demo.REFERENCE: truth, _demo.TWO_POINT: invalid, _demo.NETWORK: truth}
    row = next(row for row in _demo.compare([subject], [{"t2": methods}]) if row["method"] == _demo.TWO_POINT)
    assert row["failed_voxels"] == 1
    assert row["rmae_ms_against_truth"] == pytest.approx([1.0], abs=1e-4)


@pytest.mark.usefixtures("as_user")
def test_unknown_preset(tmp_path):
    with pytest.raises(ValueError, match="preset='paper'"):
        _demo.demo(tmp_path, preset="paper")
    assert main(["demo", "--preset", "huge"]) == 2
