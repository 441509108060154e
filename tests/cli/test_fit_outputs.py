"""What `relaxnet fit` writes beside its maps: tables of regions, BIDS derivatives; and what it doubts."""

import csv
import hashlib
import json

import nibabel
import numpy as np
import pytest
from validator import issues

from relaxnet.cli import main

AFFINE = np.diag((-2.0, -2.0, 5.0, 1.0))
TE = "10,20,40,80"


def save(path, values, dtype=np.float32):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(np.asarray(values).astype(dtype), AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path)
    return path


def decay(t=45.0, times=(10, 20, 40, 80), shape=(6, 5, 2)):
    return np.broadcast_to(1000 * np.exp(-np.array(times) / t), (*shape, len(times))).copy()


def fit(*arguments):
    return main([str(argument) for argument in ("fit", *arguments, "-q")])


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_a_table_of_regions(tmp_path):
    images = decay()
    images[0, 0, 0] = np.nan
    labels = np.zeros((6, 5, 2))
    labels[:2], labels[4:] = 1, 7
    seg = save(tmp_path / "seg.nii.gz", labels, np.uint8)
    scan = save(tmp_path / "scan.nii.gz", images)
    assert fit("t2", scan, "--te-ms", TE, "--labels", seg, "--out", tmp_path / "out") == 0
    rows = rows_of(tmp_path / "out" / "scan_rois.tsv")
    assert [(row["label"], row["map"]) for row in rows] == [("1", "m0"), ("1", "t2"), ("7", "m0"), ("7", "t2")]
    row = rows[1]
    assert float(row["mean"]) == pytest.approx(45, rel=1e-3)
    assert (row["unit"], row["n_voxels"], row["n_converged"], row["n_failed"]) == ("ms", "20", "19", "1")
    assert fit("t2", scan, "--te-ms", TE, "--labels", seg, "--out", tmp_path / "out", "--overwrite") == 0
    assert fit("t1rho", scan, "--tsl-ms", TE, "--labels", seg, "--out", tmp_path / "out") == 0
    assert {row["map"] for row in rows_of(tmp_path / "out" / "scan_desc-T1rho_rois.tsv")} == {"m0", "t1rho"}


def test_labels_on_another_grid_leave_nothing(tmp_path, capsys):
    scan = save(tmp_path / "scan.nii.gz", decay())
    seg = save(tmp_path / "seg.nii.gz", np.ones((5, 5, 2)), np.uint8)
    assert fit("t2", scan, "--te-ms", TE, "--labels", seg, "--out", tmp_path / "out") == 1
    assert "seg.nii.gz: the label map has shape (5, 5, 2)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nan_is_filled_on_request(tmp_path):
    images = decay()
    images[0] = np.nan
    scan = save(tmp_path / "scan.nii.gz", images)
    assert fit("t2", scan, "--te-ms", TE, "--fill", "0", "--out", tmp_path / "out") == 0
    values = nibabel.load(tmp_path / "out" / "scan_T2map.nii.gz").get_fdata()
    assert (values[0] == 0).all()
    np.testing.assert_allclose(values[1:], 0.045, rtol=1e-3)
    assert json.loads((tmp_path / "out" / "scan_T2map.json").read_text())["FillValue"] == 0


def test_input_that_cannot_be_meant(tmp_path, capsys):
    scan = save(tmp_path / "phase.nii.gz", np.random.default_rng(0).uniform(-np.pi, np.pi, (8, 8, 2, 4)))
    assert fit("t2", scan, "--te-ms", TE, "--out", tmp_path / "strict", "--strict") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("relaxnet: error: ")
    assert "is this a phase image" in line
    assert not any((tmp_path / "strict").iterdir())
    assert fit("t2", scan, "--te-ms", TE, "--out", tmp_path / "out") == 0
    assert "warning" in (told := capsys.readouterr().err)
    assert "% of the samples are negative" in told


@pytest.fixture
def raw(tmp_path):
    """Make a folder of a patient with BIDS-named scans, one in its place and one that lies about."""
    folder = tmp_path / "Doe^John_19500101"
    save(folder / "sub-01" / "ses-a" / "anat" / "sub-01_ses-a_acq-t2prep_run-1_T2w.nii.gz", decay())
    save(folder / "sub-02_part-mag_echo-1_MESE.nii.gz", decay())
    return folder


def test_maps_of_bids_names_are_a_bids_derivative(tmp_path, raw):
    out = tmp_path / "out"
    seg = save(tmp_path / "seg.nii.gz", np.ones((6, 5, 2)), np.uint8)
    for k, scan in enumerate(sorted(raw.rglob("*.nii.gz"))):
        assert fit("t2", scan, "--te-ms", TE, "--labels", seg, "--out", out, "--report", "--rates") == 0, k
    place = out / "sub-01" / "ses-a" / "anat"
    assert (place / "sub-01_ses-a_acq-t2prep_run-1_T2map.nii.gz").exists()
    assert (place / "sub-01_ses-a_acq-t2prep_run-1_rois.tsv").exists()
    assert (out / "sub-01" / "ses-a" / "figures" / "sub-01_ses-a_acq-t2prep_run-1_T2map.png").exists()
    assert (out / "sub-02" / "anat" / "sub-02_desc-std_T2map.nii.gz").exists()
    description = json.loads((out / "dataset_description.json").read_text())
    assert (description["DatasetType"], description["GeneratedBy"][0]["Name"]) == ("derivative", "relaxnet")
    sidecar = json.loads((place / "sub-01_ses-a_acq-t2prep_run-1_T2map.json").read_text())
    assert sidecar["Sources"] == ["sub-01/ses-a/anat/sub-01_ses-a_acq-t2prep_run-1_T2w.nii.gz"]
    assert (sidecar["Units"], sidecar["SkullStripped"]) == ("s", False)
    assert "EstimationAlgorithm" in sidecar
    assert not any("Doe" in path.read_text() for path in out.rglob("*.json"))
    assert issues(out) == []


def test_joint_maps_are_a_bids_derivative(tmp_path):
    images = np.concatenate([decay(45, (0, 10, 30, 50)), decay(35, (18.2, 34.6, 51))], -1)
    scan = save(tmp_path / "raw" / "sub-01_space-T1w_images.nii.gz", images)
    out = tmp_path / "out"
    times = ("--tsl-ms", "0,10,30,50", "--te-ms", "0,18.2,34.6,51")
    assert fit("joint", scan, *times, "--out", out) == 0
    assert (out / "sub-01" / "anat" / "sub-01_space-T1w_T1rho.nii.gz").exists()
    assert issues(out) == []


@pytest.mark.parametrize("into", ["sub-01/anat", "sub-01", "."])
def test_folders_of_the_subject_are_not_made_twice(tmp_path, into):
    scan = save(tmp_path / "raw" / "sub-01_T2w.nii.gz", decay())
    out = tmp_path / "out"
    assert fit("t2", scan, "--te-ms", TE, "--out", out / into) == 0
    assert (out / "sub-01" / "anat" / "sub-01_T2map.nii.gz").exists()
    assert (out / "dataset_description.json").exists()


def test_files_of_a_data_set_stay(tmp_path):
    scan = save(tmp_path / "raw" / "sub-01_T2w.nii.gz", decay())
    out = tmp_path / "out"
    out.mkdir()
    (out / "dataset_description.json").write_text("{}")
    (out / ".bidsignore").write_text("mine/")
    assert fit("t2", scan, "--te-ms", TE, "--out", out) == 0
    assert (out / "dataset_description.json").read_text() == "{}"
    assert (out / ".bidsignore").read_text().splitlines()[:2] == ["mine/", "figures"]


def test_maps_beside_their_scan_have_no_folders(tmp_path):
    scan = save(tmp_path / "sub-01_T2w.nii.gz", decay())
    assert fit("t2", scan, "--te-ms", TE) == 0
    assert (tmp_path / "sub-01_T2map.nii.gz").exists()
    assert not (tmp_path / "dataset_description.json").exists()


def test_a_simulated_cohort_is_a_bids_data_set(tmp_path):
    assert main(["simulate", "--subjects", "1", "--slices", "1", "--shape", "32x32", "--out", str(tmp_path / "c")]) == 0
    assert issues(tmp_path / "c") == []
    assert issues(tmp_path / "c" / "derivatives" / "truth") == []


def test_maps_of_rates_are_written_if_asked(tmp_path, capsys):
    images = decay(40)
    images[0, 0, 0] = 0
    path = save(tmp_path / "sub-01_MESE.nii.gz", images)
    assert fit("t2", path, "--te-ms", TE, "--out", tmp_path / "out", "--rates", "--fill", 0) == 0
    rate = tmp_path / "out/sub-01/anat/sub-01_R2map.nii.gz"
    values = nibabel.load(rate).get_fdata()
    np.testing.assert_allclose(values[1:], 25, rtol=1e-4)
    assert values[0, 0, 0] == 0
    assert json.loads(rate.with_name("sub-01_R2map.json").read_text())["Units"] == "1/s"
    assert fit("adc", path, "--b", "0,100,200,500", "--rates") == 1
    assert "--rates, but adc is no relaxation time" in capsys.readouterr().err


def test_a_record_says_how_maps_came_about(tmp_path):
    patient = tmp_path / "Doe^John"
    path = save(patient / "scan.nii.gz", decay())
    mask = save(patient / "mask.nii.gz", np.ones((6, 5, 2)), np.uint8)
    assert fit("t2", path, "--te-ms", TE, "--mask", mask, "--sigma", 5, "--out", patient / "out") == 0
    text = (patient / "out" / "scan_T2map_run.json").read_text()
    made = json.loads(text)
    assert made["Outcome"] == "60 of 60 voxels converged (100.0 %)"
    assert made["Settings"] == {"times_ms": [10, 20, 40, 80], "method": "nlls", "sigma": 5, "pictures": True}
    assert made["Inputs"]["scan"] == [{"Name": "scan.nii.gz", "SHA256": hashlib.sha256(path.read_bytes()).hexdigest()}]
    assert made["Inputs"]["mask"][0]["Name"] == "mask.nii.gz"
    assert {"relaxnet", "torch", "numpy", "Python"} == set(made["Versions"])
    assert made["DurationSeconds"] > 0
    assert made["CommandLine"].startswith("relaxnet fit t2 scan.nii.gz --te-ms 10,20,40,80")
    assert "Doe" not in text


def test_pictures_are_drawn_unless_that_is_not_asked_for(tmp_path, capsys):
    path = save(tmp_path / "scan.nii.gz", decay())
    for options, drawn in (((), True), (("--no-pictures",), False)):
        assert fit("t2", path, "--te-ms", TE, "--out", tmp_path / f"{drawn}", *options) == 0
        assert (tmp_path / f"{drawn}" / "scan_T2map.png").exists() == drawn
        assert (tmp_path / f"{drawn}" / "scan_T2map_run.json").exists()
        assert ("picture in ms" in capsys.readouterr().out) == drawn


@pytest.mark.parametrize("out", [("--out", "{}/made"), ("--out={}/new",), ("--out", "DOE_ROE")])
def test_no_folder_is_named_in_what_is_written(tmp_path, monkeypatch, out):
    patient = tmp_path / "DOE_JANE_19700101"
    (patient / "made").mkdir(parents=True)
    scan = save(patient / "scan.nii.gz", decay())
    save(patient / "a=b.nii.gz", np.ones((6, 5, 2)), np.uint8)
    monkeypatch.chdir(tmp_path)
    out = [part.format(patient) for part in out]
    options = [f"--te-ms={TE}", "--mask=DOE_JANE_19700101/a=b.nii.gz", *out]
    assert main(["--debug", "fit", "t2", str(scan), *options]) == 0
    written = {path: path.read_bytes() for path in tmp_path.rglob("scan_*") if path.suffix in (".json", ".png")}
    assert len(written) == 8
    assert not any(b"DOE" in content or str(tmp_path).encode() in content for content in written.values())
    named = f"relaxnet fit t2 scan.nii.gz --te-ms={TE} --mask=a=b.nii.gz"
    line = next(json.loads(content)["CommandLine"] for path, content in written.items() if path.suffix == ".json")
    assert line == f"{named} --out{' ' if len(out) == 2 else '='}DIR"
