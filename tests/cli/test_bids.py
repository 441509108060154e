"""``relaxnet bids``: every relaxometry series of a data set, and what becomes of those that fail."""

import json
import os
import shutil
import signal
import sys

import nibabel as nib
import numpy as np
import pytest
from validator import issues

from relaxnet.cli import main
from relaxnet.errors import MissingExtraError
from relaxnet.io import find_series
from relaxnet.workflows import _bids_app, fit_data_set

TIMES = np.array([10.0, 20, 30, 50])


def save(path, data, **sidecar):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(data, np.float32), np.diag([2, 2, 3, 1.0])), path)
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(sidecar))


def echoes(folder, name, t, times=TIMES, key="EchoTime", **more):
    for k, time in enumerate(times, start=1):
        data = np.full((3, 2, 2), 1000 * np.exp(-time / t))
        save(folder / "anat" / f"{name.format(k)}.nii.gz", data, **{key: time / 1000}, **more)


@pytest.fixture
def data_set(tmp_path):
    root = tmp_path / "raw"
    root.mkdir()
    (root / "dataset_description.json").write_text('{"Name": "t", "BIDSVersion": "1.10.0"}')
    echoes(root / "sub-01", "sub-01_echo-{}_MESE", 40)
    echoes(root / "sub-01", "sub-01_echo-{}_part-mag_MEGRE", 25)
    echoes(root / "sub-01", "sub-01_echo-{}_part-phase_MEGRE", -25)
    series = np.broadcast_to(1000 * np.exp(-TIMES / 45), (3, 2, 2, 4))
    save(root / "sub-02/ses-pre/anat/sub-02_ses-pre_tsl.nii.gz", series, SpinLockTime=[*(TIMES / 1000)])
    save(root / "sub-02/ses-post/anat/sub-02_ses-post_tsl.nii.gz", series, SpinLockTime=[*(TIMES / 1000)])
    save(root / "sub-02/ses-post/anat/sub-02_ses-post_T1w.nii.gz", series[..., 0], EchoTime=0.003)
    images = np.concatenate([np.full((3, 2, 2, 1), 1000), series, series], -1)
    times = [0, *(TIMES / 1000)]
    joint = {"Contrasts": ["t1rho", "t2"], "SharedFirst": True, "SpinLockTime": times, "T2PreparationTime": times}
    save(root / "sub-03/anat/sub-03_images.nii.gz", images, **joint)
    return root


def bids(root, *options):
    return main(["bids", str(root), str(root.parent / "out"), "participant", *map(str, options)])


def value(path):
    return float(np.median(nib.load(path).get_fdata()))


MAPS = {
    "sub-01/anat/sub-01_T2map": 0.040,
    "sub-01/anat/sub-01_T2starmap": 0.025,
    "sub-02/ses-pre/anat/sub-02_ses-pre_T1rho": 0.045,
    "sub-02/ses-post/anat/sub-02_ses-post_T1rho": 0.045,
    "sub-03/anat/sub-03_T1rho": 0.045,
    "sub-03/anat/sub-03_T2map": 0.045,
}


def test_every_series_is_found_and_fitted(data_set, capsys):
    assert bids(data_set, "--rates", "--report") == 0
    out = data_set.parent / "out"
    assert value(out / "sub-01/anat/sub-01_R2map.nii.gz") == pytest.approx(25, rel=1e-3)
    assert (out / "sub-03/figures/sub-03_joint.html").exists()
    for name, truth in MAPS.items():
        assert value(out / f"{name}.nii.gz") == pytest.approx(truth, rel=1e-3)
    assert "5 series: 5 fitted, 0 there already, 0 failed" in capsys.readouterr().out
    table = (out / "logs" / "sub-02_fits.tsv").read_text().splitlines()
    assert [line.split("\t")[:3] for line in table[1:]] == [
        ["sub-02_ses-post_tsl", "t1rho", "fitted"],
        ["sub-02_ses-pre_tsl", "t1rho", "fitted"],
    ]
    assert bids(data_set, "--rates", "--report") == 0
    assert "0 fitted, 5 there already" in capsys.readouterr().out


def test_pictures_are_drawn_if_asked_for(data_set, capsys):
    chosen = ("--participant-label", "03")
    assert bids(data_set, *chosen) == 0
    out = data_set.parent / "out"
    assert not [*out.rglob("*.png")]
    assert bids(data_set, *chosen, "--pictures") == 1
    assert "was made with pictures unset, not True: use --overwrite" in capsys.readouterr().err
    assert bids(data_set, *chosen, "--pictures", "--overwrite") == 0
    assert sorted(path.name for path in out.rglob("*.png")) == ["sub-03_T1rho.png", "sub-03_T2map.png"]


def sources(path):
    return json.loads(path.read_text())["Sources"]


def links(root):
    return json.loads((root / "dataset_description.json").read_text()).get("DatasetLinks")


def test_sources_are_uris_of_the_data_set(data_set):
    assert bids(data_set, "--participant-label", "01") == 0
    out = data_set.parent / "out"
    assert links(out) == {"raw": "../raw"}
    images = [f"bids:raw:sub-01/anat/sub-01_echo-{k}_MESE.nii.gz" for k in (1, 2, 3, 4)]
    assert sources(out / "sub-01/anat/sub-01_T2map.json") == images
    assert issues(out) == []


def test_sources_of_several_data_sets(data_set, tmp_path):
    scan = "sub-02/ses-pre/anat/sub-02_ses-pre_tsl.nii.gz"
    others = [tmp_path / "a study", tmp_path / "raw" / "derivatives" / "relaxnet"]
    (tmp_path / "raw").rename(others[0])
    shutil.copytree(others[0], data_set)
    out = tmp_path / "out"
    for k, root in enumerate((data_set, others[0])):
        assert main(["fit", "t1rho", str(root / scan), "--out", str(out), *(["--overwrite"] if k else [])]) == 0
    assert links(out) == {"raw": "../raw", "raw2": "../a%20study"}
    assert sources(out / scan.replace("_tsl.nii.gz", "_T1rho.json")) == [f"bids:raw2:{scan}"]
    # Within the data set there is a way that names no folder.
    assert main(["fit", "t1rho", str(data_set / scan), "--out", str(others[1])]) == 0
    assert links(others[1]) == {"raw": "../.."}
    # Beside the images, maps are in their data set.
    assert main(["fit", "t1rho", str(data_set / scan)]) == 0
    assert sources(data_set / scan.replace("_tsl.nii.gz", "_T1rho.json")) == [f"bids::{scan}"]
    assert links(data_set) is None


@pytest.mark.parametrize("content", ['{"Name": "mine", "DatasetLinks": {"study": "../raw"}}', '{"Name": "mine"}', "["])
def test_the_description_of_another_program_stays(data_set, content):
    scan = "sub-02/ses-pre/anat/sub-02_ses-pre_tsl.nii.gz"
    description = data_set.parent / "out" / "dataset_description.json"
    description.parent.mkdir()
    description.write_text(content)
    assert bids(data_set, "--participant-label", "02", "--session-label", "pre") == 0
    assert description.read_text() == content
    named = f"bids:study:{scan}" if "study" in content else scan
    assert sources(data_set.parent / "out" / scan.replace("_tsl.nii.gz", "_T1rho.json")) == [named]


def test_a_series_that_fails_does_not_stop_the_others(data_set, capsys):
    (data_set / "sub-01/anat/sub-01_echo-2_MESE.nii.gz").write_bytes(b"no image")
    assert bids(data_set, "--jobs", 2) == 3
    captured = capsys.readouterr()
    assert "4 fitted, 0 there already, 1 failed\n  sub-01_MESE: " in captured.out
    assert "sub-01_echo-2_MESE.nii.gz" in captured.out
    assert value(data_set.parent / "out/sub-03/anat/sub-03_T2map.nii.gz") == pytest.approx(0.045, rel=1e-3)
    echoes(data_set / "sub-01", "sub-01_echo-{}_MESE", 40)
    assert bids(data_set) == 0  # fits what is missing
    assert "1 fitted, 4 there already, 0 failed" in capsys.readouterr().out


def test_nothing_but_failures_is_a_failure(data_set):
    for path in data_set.rglob("*.nii.gz"):
        path.write_bytes(b"no image")
    assert bids(data_set) == 1


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--participant-label", "01"), ["sub-01_MESE", "sub-01_part-mag_MEGRE"]),
        (("--participant_label", "01", "03", "--jobs", "1"), ["sub-01_MESE", "sub-01_part-mag_MEGRE", "sub-03_images"]),
        (("--participant-label", "sub-02", "--session-label", "pre"), ["sub-02_ses-pre_tsl"]),
        (("--session-label", "post"), ["sub-02_ses-post_tsl"]),
    ],
)
def test_subjects_and_sessions_are_chosen(options, names, data_set, capsys):
    assert bids(data_set, *options, "--json") == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["series"]] == names


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--participant-label", "04"), "there is no sub-04 among its 3 subjects"),
        (("--participant-label", "01", "--session-label", "pre"), "no relaxometry series was found"),
        (("--jobs", "0"), "--jobs"),
        (("--sigma", "-1"), "--sigma"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(options, told, data_set, capsys):
    assert bids(data_set, *options) in (1, 2)
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1


def test_folders_that_cannot_be(data_set, tmp_path, capsys):
    assert main(["bids", str(data_set), str(data_set), "participant"]) == 1
    assert main(["bids", str(tmp_path / "none"), str(tmp_path / "out"), "participant"]) == 1
    assert main(["bids", str(data_set / "sub-01"), str(tmp_path / "out"), "participant"]) == 1
    assert main(["bids", str(data_set), str(tmp_path / "out"), "group"]) == 2
    errors = capsys.readouterr().err.splitlines()
    for error, told in zip(
        errors, ["into the data set itself", "no such folder", "no BIDS", "participant"], strict=True
    ):
        assert told in error
    assert not (tmp_path / "out").exists()


def test_maps_of_other_settings_are_not_mixed(data_set, capsys):
    assert bids(data_set, "--participant-label", "01") == 0
    assert bids(data_set, "--method", "log-linear") == 1
    assert "sub-01_T2map.nii.gz was made with method 'nlls', not 'log-linear'" in capsys.readouterr().err
    assert bids(data_set, "--rates") == 1
    assert "made with rates unset, not True" in capsys.readouterr().err
    assert not (data_set.parent / "out/sub-02").exists()  # nothing was begun
    others = ("--participant-label", "02", "--method", "log-linear")
    assert bids(data_set, *others, "--overwrite") == 0
    assert bids(data_set, "--participant-label", "01") == 0  # each series knows how it was made
    assert bids(data_set) == 1
    assert "sub-02_ses-post_T1rho.nii.gz was made with method 'log-linear', not 'nlls'" in capsys.readouterr().err
    assert bids(data_set, "--method", "log-linear", "--overwrite") == 0
    sidecar = json.loads((data_set.parent / "out/sub-01/anat/sub-01_T2map.json").read_text())
    assert "logarithms" in sidecar["EstimationAlgorithm"]


def test_a_killed_process_costs_its_subject_alone(data_set, monkeypatch):
    """As when the memory is used up: the pool breaks, the others are fitted, and the culprit is named."""
    monkeypatch.setattr(_bids_app, "_fit_each", _fit_or_die)
    outcome = fit_data_set(data_set, data_set.parent / "out", subjects=["01", "03"], jobs=2)
    status = {record.series.name: record.status for record in outcome.result}
    assert status == {"sub-01_MESE": "failed", "sub-01_part-mag_MEGRE": "failed", "sub-03_images": "fitted"}


FIT_EACH = _bids_app._fit_each


def _fit_or_die(series, **options):
    if series[0].subject == "01":
        os.kill(os.getpid(), signal.SIGKILL)
    return FIT_EACH(series, **options)


def test_a_cluster_fits(data_set):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        outcome = fit_data_set(data_set, data_set.parent / "out", dask_scheduler=cluster.scheduler_address)
    assert outcome.summary["fitted"] == 5
    for name, truth in MAPS.items():
        assert value(data_set.parent / f"out/{name}.nii.gz") == pytest.approx(truth, rel=1e-3)


def test_a_cluster_is_refused_before_anything_is_written_where_dask_is_missing(data_set, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"relaxnet\[dask\]"):
        fit_data_set(data_set, data_set.parent / "out", dask_scheduler="tcp://127.0.0.1:1")
    assert not (data_set.parent / "out").exists()


def test_maps_and_truth_are_no_series(tmp_path):
    assert main(["simulate", "--subjects", "1", "--slices", "1", "--shape", "32x32", "--out", str(tmp_path / "c")]) == 0
    (series,) = find_series(tmp_path / "c")
    assert series.contrast == "joint"
    assert bids(tmp_path / "c") == 0
    assert not find_series(tmp_path / "out")
