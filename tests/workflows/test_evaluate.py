"""Maps are compared by label, in the unit of memory, and networks with what is known of a cohort."""

import json

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main

AFFINE = np.diag((-2.0, 2.0, 5.0, 1.0))


def save(path, values, units=None, affine=AFFINE):
    nibabel.Nifti1Image(values, affine).to_filename(path)
    if units:
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps({"Units": units}))
    return path


@pytest.fixture
def maps(tmp_path):
    """Save a map in seconds with failed voxels, a reference in ms, and labels."""
    draw = np.random.default_rng(0)
    reference = draw.uniform(30, 60, (6, 5, 2)).astype(np.float32)
    values = (reference + 2 + draw.normal(0, 1, reference.shape)).astype(np.float32)
    values[0, 0] = np.nan
    labels = np.zeros(values.shape, np.uint8)
    labels[:3], labels[3:, 1:] = 1, 4
    return {
        "map": save(tmp_path / "map.nii.gz", values / 1000, "s"),
        "reference": save(tmp_path / "reference.nii.gz", reference, "ms"),
        "labels": save(tmp_path / "seg.nii.gz", labels),
        "arrays": (values, reference, labels),
    }


def test_rows_are_those_of_the_metrics(maps, tmp_path):
    values, reference, labels = maps["arrays"]
    outcome = rx.workflows.evaluate_maps(maps["map"], maps["reference"], labels=maps["labels"], out=tmp_path / "out")
    first, second, whole = outcome.result
    assert [row["label"] for row in outcome.result] == [1, 4, "all"]
    assert (first["n"], first["n_missing"], second["n_missing"]) == (28, 2, 0)
    both = (labels == 1) & np.isfinite(values)
    assert first["bias"] == pytest.approx(rx.metrics.bias(values, reference, both), rel=1e-5)
    assert first["rmae"] == pytest.approx(rx.metrics.rmae(values, reference, both), rel=1e-5)
    low, high = rx.metrics.limits_of_agreement(values, reference, both)
    assert (first["loa_low"], first["loa_high"]) == pytest.approx((low, high), rel=1e-4)
    assert whole["n"] == first["n"] + second["n"]
    assert outcome.summary["unit"] == "ms"
    table = outcome.files["table"].read_text().splitlines()
    assert table[0].split("\t")[:3] == ["label", "n", "n_missing"]
    assert len(table) == 4


def test_a_report_has_a_bland_altman_plot_and_no_folder(maps, tmp_path):
    outcome = rx.workflows.evaluate_maps(maps["map"], maps["reference"], out=tmp_path / "out")
    html = outcome.files["report"].read_text(encoding="utf-8")
    assert "Bland-Altman" in html
    assert str(tmp_path) not in html


def test_a_map_against_itself_agrees(maps):
    (row,) = rx.workflows.evaluate_maps(maps["map"], maps["map"]).result
    assert (row["bias"], row["sd"], row["rmae"]) == (0, 0, 0)
    assert row["icc"] == row["correlation"] == pytest.approx(1)


def test_a_reference_in_another_orientation_is_turned(maps, tmp_path):
    _, reference, _ = maps["arrays"]
    flipped = AFFINE @ np.array([[-1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    turned = save(tmp_path / "turned.nii.gz", reference[::-1], "ms", flipped)
    same = rx.workflows.evaluate_maps(maps["map"], maps["reference"]).result
    assert rx.workflows.evaluate_maps(maps["map"], turned).result == same


def test_units_that_differ_or_are_unlikely_are_refused(maps, tmp_path):
    values, reference, _ = maps["arrays"]
    with pytest.raises(ValueError, match=r"this map is in arbitrary, .* in ms"):
        rx.workflows.evaluate_maps(maps["map"], save(tmp_path / "other.nii.gz", reference, "arbitrary"))
    with pytest.raises(ValueError, match=r"no unit is known, .* by a factor of 1"):
        rx.workflows.evaluate_maps(maps["map"], save(tmp_path / "bare.nii.gz", reference / 1000))
    told = []
    save(tmp_path / "plain.nii.gz", reference)
    rx.workflows.evaluate_maps(maps["map"], tmp_path / "plain.nii.gz", log=told.append)
    assert "no unit is known: taken as ms" in told[0]
    with pytest.raises(ValueError, match="no voxel in common"):
        rx.workflows.evaluate_maps(maps["map"], save(tmp_path / "empty.nii.gz", np.full_like(values, np.nan), "ms"))
    with pytest.raises(ValueError, match=r"is not \(x, y, z\)"):
        rx.workflows.evaluate_maps(save(tmp_path / "four.nii.gz", np.ones((6, 5, 2, 3), np.float32)), maps["reference"])


def test_the_command_prints_a_table_or_json_and_writes_when_asked(maps, capsys):
    line = ["evaluate", str(maps["map"]), str(maps["reference"]), "--labels", str(maps["labels"])]
    assert main(line) == 0
    header, *rows = [text.split("\t") for text in capsys.readouterr().out.splitlines()]
    assert header[0] == "label"
    assert [row[0] for row in rows] == ["1", "4", "all"]
    assert not [*maps["map"].parent.glob("*.html")]
    assert main([*line, "--json", "--report"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in found["rows"]] == [1, 4, "all"]
    assert (maps["map"].parent / "map_agreement.html").is_file()
    assert main([*line, "--report"]) == 1
    assert "the file exists" in capsys.readouterr().err
    assert main([*line, "--inputs", "short"]) == 2


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    cohort = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(48, 48), snr=20, seed=0)
    folder = tmp_path_factory.mktemp("network")
    rx.io.write_cohort(cohort, folder / "cohort")
    trained = rx.training.train(cohort, preset="smoke")
    trained.save(folder / "net.safetensors")
    return folder, cohort, trained


def test_a_network_is_compared_with_the_truth_of_a_phantom(network):
    folder, cohort, trained = network
    outcome = rx.workflows.evaluate_network(folder / "net.safetensors", folder / "cohort", out=folder / "out")
    assert {row["against"] for row in outcome.result} == {"truth"}
    assert [(row["subject"], row["map"]) for row in outcome.result[-2:]] == [("all", "t1rho"), ("all", "t2")]
    maps = trained.predict(cohort[0].images)
    expected = rx.metrics.rmae(maps["t2"], cohort[0].truth["t2"], cohort[0].roi)
    assert outcome.result[1]["rmae"] == pytest.approx(expected, rel=1e-4)
    html = outcome.files["report"].read_text(encoding="utf-8")
    assert "Errors over predicted standard deviations" in html
    assert str(folder) not in html


def test_a_network_is_compared_with_a_fit_where_there_is_no_truth(network, tmp_path, capsys):
    folder, cohort, _ = network
    for k in (0, 1):
        images = cohort[k].images.numpy().transpose(3, 2, 0, 1)
        anat = tmp_path / "patients" / f"sub-{k}" / "anat"
        anat.mkdir(parents=True)
        nibabel.Nifti1Image(np.ascontiguousarray(images), np.eye(4)).to_filename(anat / f"sub-{k}_images.nii.gz")
        times = {"SpinLockTime": [0, 0.01, 0.03, 0.05], "T2PreparationTime": [0, 0.0182, 0.0346, 0.051]}
        about = {"Contrasts": ["t1rho", "t2"], "SharedFirst": True, **times}
        (anat / f"sub-{k}_images.json").write_text(json.dumps(about))
    line = ["evaluate", folder / "net.safetensors", tmp_path / "patients", "--json", "--out", tmp_path / "out"]
    assert main([*map(str, line)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["against"] == "fit"
    assert len(found["rows"]) == 6
    assert "a fit of all their images" in (tmp_path / "out" / "network_agreement.html").read_text(encoding="utf-8")
    assert main([*map(str, line[:3]), "--labels", "seg.nii.gz"]) == 2


def test_a_cohort_of_another_protocol_is_refused(network, tmp_path):
    folder, _, _ = network
    other = rx.Protocol((rx.Contrast("t1rho", (0, 20, 40)), rx.Contrast("t2", (0, 20, 40))), shared_first=True)
    rx.training.Trained(rx.nets.RelaxationNet(other, inputs="short", base=4, depth=2)).save(tmp_path / "n.safetensors")
    with pytest.raises(ValueError, match="this network was trained for"):
        rx.workflows.evaluate_network(tmp_path / "n.safetensors", folder / "cohort")
