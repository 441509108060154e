"""``relaxnet fit joint`` on two whole series, and on images whose first time is not 0."""

import json

import nibabel as nib
import numpy as np
import pytest

from relaxnet.cli import main
from relaxnet.plots import residual_figure
from relaxnet.workflows._report import fit as _report_fit
from relaxnet.workflows._viewer.maps import open_folder

T1RHO, T2 = 45.0, 35.0
TSL, TE = np.array([0.0, 10, 30, 50]), np.array([0, 18.2, 34.6, 51])


def decay(times, t, m0=1000):
    signal = m0 * np.exp(-(times - times[0]) / t)
    return np.broadcast_to(signal, (4, 3, 2, len(times))).astype(np.float32)


@pytest.fixture
def save(tmp_path):
    def save(name, data, **sidecar):
        path = tmp_path / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(data, np.diag([2, 2, 3, 1.0])), path)
        if sidecar:
            (tmp_path / f"{name}.json").write_text(json.dumps(sidecar))
        return str(path)

    return save


def assert_maps(folder, m0):
    for suffix, truth in (("S0map", m0), ("T1rho", T1RHO / 1000), ("T2map", T2 / 1000)):
        (path,) = (path for path in folder.glob(f"*_{suffix}.nii.gz") if "desc-" not in path.name)
        np.testing.assert_allclose(nib.load(path).get_fdata(), truth, rtol=1e-3)


@pytest.mark.parametrize("times", [(), ("--tsl-ms", "0,10,30,50", "--te-ms", "0,18.2,34.6,51")])
def test_two_series_are_one_scan(times, save, tmp_path, capsys):
    given = {} if times else {"SpinLockTime": [*(TSL / 1000)]}, {} if times else {"T2PreparationTime": [*(TE / 1000)]}
    files = save("liver_tsl", decay(TSL, T1RHO), **given[0]), save("liver_te", decay(TE, T2), **given[1])
    assert main(["fit", "joint", *files, *times, "--out", str(tmp_path / "out")]) == 0
    assert_maps(tmp_path / "out", 1000)
    assert "warning" not in capsys.readouterr().err
    sources = json.loads(next((tmp_path / "out").glob("*_S0map.json")).read_text())["Sources"]
    assert sources == ["liver_tsl.nii.gz", "liver_te.nii.gz"]


@pytest.mark.parametrize(("first", "m0"), [("t1rho", 1000), ("t2", 1010), ("mean", 1005)])
def test_the_common_first_image_is_chosen(first, m0, save, tmp_path):
    data = decay(TE, T2).copy()
    data[..., 0] *= 1.01
    files = save("a_tsl", decay(TSL, T1RHO)), save("a_te", data)
    options = ("--tsl-ms", "0,10,30,50", "--te-ms", "0,18.2,34.6,51", "--first", first)
    assert main(["fit", "joint", *files, *options, "--out", str(tmp_path / "out")]) == 0
    (path,) = (tmp_path / "out").glob("*_S0map.nii.gz")
    found = nib.load(path).get_fdata().mean()
    assert abs(found - m0) < 4  # the later images pull towards 1000


def test_series_of_other_scale_are_doubted(save, tmp_path, capsys):
    files = save("a_tsl", decay(TSL, T1RHO)), save("a_te", decay(TE, T2, m0=1300))
    options = ("--tsl-ms", "0,10,30,50", "--te-ms", "0,18.2,34.6,51", "--out", str(tmp_path / "out"))
    assert main(["fit", "joint", *files, *options]) == 0
    assert "the first image of t2 is 1.30 times that of t1rho" in capsys.readouterr().err
    assert main(["fit", "joint", *files, *options, "--strict", "--overwrite"]) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data": decay(TE, T2)[:3]}, "both series must be on one grid"),
        ({"tsl": "1,10,30,50"}, "must begin with the same time"),
        ({"options": ("--volumes", "0,1,2")}, "here are two series"),
        ({"options": ("--first", "last")}, "--first"),
        ({"tsl": "0,10,30"}, "it has 4 volumes, but times_ms gives 3 times"),
    ],
)
def test_series_that_do_not_go_together_are_refused(change, told, save, tmp_path, capsys):
    files = save("a_tsl", decay(TSL, T1RHO)), save("a_te", change.get("data", decay(TE, T2)))
    times = ("--tsl-ms", change.get("tsl", "0,10,30,50"), "--te-ms", "0,18.2,34.6,51")
    assert main(["fit", "joint", *files, *times, *change.get("options", ())]) in (1, 2)
    error = capsys.readouterr().err
    assert told.replace("times_ms", "--tsl-ms ... --te-ms") in error
    assert len(error.splitlines()) == 1
    assert not [*tmp_path.glob("*map*")]


def test_times_from_one_millisecond(save, tmp_path):
    tsl, te = np.array([1.0, 10, 30, 60]), np.array([1.0, 13, 26, 51])
    path = save("scan", np.concatenate([decay(tsl, T1RHO), decay(te, T2)[..., 1:]], -1))
    options = ("--tsl-ms", "1,10,30,60", "--te-ms", "1,13,26,51", "--out", str(tmp_path / "out"))
    assert main(["fit", "joint", path, *options]) == 0
    assert_maps(tmp_path / "out", 1000)
    described = json.loads((tmp_path / "out" / "scan_S0map.json").read_text())
    assert described["Description"].endswith("at 1 ms")
    assert described["SpinLockTime"] == [0.001, 0.01, 0.03, 0.06]


def test_a_report_counts_time_from_the_first_image(save, tmp_path, monkeypatch):
    """The amplitude is the signal at 1 ms: decays drawn from 0 would miss the samples."""
    residuals = []
    monkeypatch.setattr(_report_fit, "residual_figure", lambda found: residuals.append(found) or residual_figure(found))
    tsl, te = np.array([20.0, 40, 60]), np.array([20.0, 35, 50])
    path = save("scan", np.concatenate([decay(tsl, T1RHO), decay(te, T2)[..., 1:]], -1))
    options = ("--tsl-ms", "20,40,60", "--te-ms", "20,35,50", "--out", str(tmp_path / "out"), "--report")
    assert main(["fit", "joint", path, *options]) == 0
    assert len(residuals) == 2
    assert all(abs(found).max() < 1 for found in residuals)
    text = (tmp_path / "out" / "scan_joint.html").read_text()
    assert "Time counts from the first image, at 20 ms." in text
    assert "t1rho 20, 40, 60; t2 20, 35, 50" in text
    maps = open_folder(tmp_path / "out")
    (one, other) = maps.decays_at(0, (0, 0, 0))
    assert one.contrast.times_ms == (0, 20, 40)
    assert other.result.maps["m0"][0] == pytest.approx(1000, rel=1e-3)
