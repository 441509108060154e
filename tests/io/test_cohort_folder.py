"""A cohort that was written and read again is the same cohort."""

import dataclasses
import errno
import json
import math
import shutil

import nibabel
import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.io import _write_cohort

SMALL = {"slices": 2, "shape": (32, 40)}


@pytest.fixture(scope="module")
def cohort():
    return rx.phantom.liver_cohort(3, seed=5, field_tesla=1.5, **SMALL)


@pytest.fixture(scope="module")
def written(cohort, tmp_path_factory):
    """A folder that no test may change."""
    return rx.io.write_cohort(cohort, tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def pair(cohort, tmp_path_factory):
    return rx.io.write_cohort(cohort[:2], tmp_path_factory.mktemp("pair"))


@pytest.fixture
def folder(pair, tmp_path):
    """A folder that a test may change."""
    return shutil.copytree(pair, tmp_path / "cohort")


def assert_same(one, other):
    for field in dataclasses.fields(one):
        expected, found = getattr(one, field.name), getattr(other, field.name)
        if field.name == "truth":
            torch.testing.assert_close(found, expected, rtol=3e-7, atol=0, equal_nan=True)
        elif isinstance(expected, torch.Tensor):
            torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
        else:
            assert found == expected


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def changed(path, **keys):
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


# --- reading what was written -----------------------------------------------------------------------------------------


def test_written_cohorts_are_read_unchanged(cohort, written):
    read = rx.io.read_cohort(written)
    assert len(read) == len(cohort)
    assert read.protocol == cohort.protocol
    for one, other in zip(cohort, read, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize(
    "protocol",
    [
        rx.Protocol((rx.Contrast("t2", (7.3, 1000 / 3, 900.1)),)),
        rx.Protocol((rx.Contrast("t2", (0, 18.2)), rx.Contrast("t1rho", (0, 1.1, 34.6))), shared_first=True),
        rx.Protocol((rx.Contrast("t1rho", (1, 9)), rx.Contrast("t2", (1, 9)))),
    ],
)
def test_any_protocol_is_read_unchanged(protocol, tmp_path):
    cohort = rx.phantom.liver_cohort(1, slices=1, shape=(32, 32), snr=math.inf, protocol=protocol)
    read = rx.io.read_cohort(rx.io.write_cohort(cohort, tmp_path))
    assert read.protocol == protocol
    assert_same(cohort[0], read[0])


def test_index_and_slice(cohort, written):
    read = rx.io.read_cohort(str(written))
    assert_same(cohort[-1], read[-1])
    assert read[1:].names == ("sub-002", "sub-003")
    assert_same(cohort[2], read[1:][np.int64(1)])
    with pytest.raises(IndexError, match="subject 3 is not in this cohort of 3"):
        read[3]


def test_a_list_of_subjects_is_a_cohort(cohort, tmp_path):
    read = rx.io.read_cohort(rx.io.write_cohort([cohort[2], cohort[0]], tmp_path))
    assert read.names == ("sub-003", "sub-001")
    assert_same(cohort[2], read[0])


# --- content of the files ---------------------------------------------------------------------------------------------


def test_files(cohort, written):
    truth = written / "derivatives" / "truth"
    names = {str(path.relative_to(written)) for path in written.rglob("sub-002*.nii.gz")}
    volumes = ("T1rho", "T2map", "S0map", "desc-liver_mask", "desc-clean_images", "dseg")
    assert names == {"sub-002/anat/sub-002_images.nii.gz"} | {
        f"derivatives/truth/sub-002/anat/sub-002_{volume}.nii.gz" for volume in volumes
    }
    assert all(path.with_name(path.name.replace(".nii.gz", ".json")).exists() for path in written.rglob("*.nii.gz"))
    sidecar = json.loads((written / "sub-002" / "anat" / "sub-002_images.json").read_text())
    assert sidecar["SpinLockTime"] == [0, 0.01, 0.03, 0.05]
    assert sidecar["T2PreparationTime"] == [0, 0.0182, 0.0346, 0.051]
    assert (sidecar["Contrasts"], sidecar["SharedFirst"]) == (["t1rho", "t2"], True)
    assert {path.name for path in truth.iterdir()} > {"dataset_description.json", "dseg.tsv"}
    t2 = nibabel.load(truth / "sub-002" / "anat" / "sub-002_T2map.nii.gz")
    assert 0.02 < np.nanmedian(t2.get_fdata()) < 0.09  # seconds
    description = json.loads((written / "dataset_description.json").read_text())
    assert (description["DatasetType"], description["Simulation"]["seed"]) == ("raw", 5)
    rows = [line.split("\t") for line in (written / "participants.tsv").read_text().splitlines()]
    assert rows[0] == list(json.loads((written / "participants.json").read_text()))
    assert rows[2] == ["sub-002", "1", str(cohort[1].disease), "1.5", repr(cohort[1].sigma)]


def test_orientation_and_voxel_size(cohort, written):
    """The liver is at the patient's right, and voxels have their size."""
    mask = nibabel.load(written / "derivatives" / "truth" / "sub-001" / "anat" / "sub-001_desc-liver_mask.nii.gz")
    x, y, z = (mask.affine[:3, :3] @ np.argwhere(mask.get_fdata()).T + mask.affine[:3, 3:]).mean(axis=1)
    assert x > 30  # mm to the right of the middle
    assert abs(y) < 100
    assert abs(z) < 10
    np.testing.assert_allclose(mask.header.get_zooms(), cohort[0].voxel_mm[::-1], rtol=1e-6)
    assert mask.header.get_xyzt_units()[0] == "mm"


def test_the_same_cohort_gives_the_same_bytes(cohort, written, tmp_path):
    assert contents(rx.io.write_cohort(cohort, tmp_path)) == contents(written)


# --- writing again ----------------------------------------------------------------------------------------------------


def test_interrupted_writing_is_resumed(cohort, written, tmp_path, monkeypatch):
    write, simulated = _write_cohort._write_subject, []

    def interrupted(subject, files):
        simulated.append(subject.name)
        if subject.name == "sub-002":
            raise KeyboardInterrupt
        write(subject, files)

    monkeypatch.setattr(_write_cohort, "_write_subject", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rx.io.write_cohort(cohort, tmp_path)
    with pytest.raises(ValueError, match="interrupted"):
        rx.io.read_cohort(tmp_path)
    monkeypatch.setattr(_write_cohort, "_write_subject", lambda s, files: (simulated.append(s.name), write(s, files)))
    rx.io.write_cohort(cohort, tmp_path)
    assert simulated == ["sub-001", "sub-002", "sub-002", "sub-003"]
    assert contents(tmp_path) == contents(written)


def test_writing_that_was_killed_before_the_description_came_is_resumed(cohort, pair, tmp_path):
    shutil.copytree(pair, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("sub-*", "participants.tsv"))
    (tmp_path / "dataset_description.json").unlink()
    with pytest.raises(FileExistsError, match=r"description\.json: the file exists without dataset_description\.json"):
        rx.io.write_cohort(cohort, tmp_path)  # another cohort, as the description of its truth says
    rx.io.write_cohort(cohort[:2], tmp_path)
    assert contents(tmp_path) == contents(pair)


def test_corrupted_cohorts_are_read_unchanged_and_differ_in_settings(folder, cohort, tmp_path):
    wrong = rx.phantom.liver_cohort(
        2, seed=5, field_tesla=1.5, corruptions=[rx.phantom.Breathing(), rx.phantom.ResidualFat(0.1)], **SMALL
    )
    with pytest.raises(FileExistsError, match="other settings"):
        rx.io.write_cohort(wrong, folder)
    read = rx.io.read_cohort(rx.io.write_cohort(wrong, tmp_path / "wrong"))
    for one, other, whole in zip(wrong, read, cohort, strict=False):
        assert_same(one, other)
        assert not torch.equal(other.clean, whole.clean)
    shutil.rmtree(tmp_path / "wrong" / "sub-002")
    rx.io.write_cohort(wrong, tmp_path / "wrong")  # it is resumed
    assert_same(wrong[1], read[1])
    told = json.loads((tmp_path / "wrong" / "dataset_description.json").read_text())["Simulation"]["corruptions"]
    assert [text.partition("(")[0] for text in told] == ["Breathing", "ResidualFat"]
    assert "corruptions" not in (folder / "dataset_description.json").read_text()


def test_progress_is_reported(cohort, tmp_path):
    told = []
    rx.io.write_cohort(cohort, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_full_disk_leaves_no_incomplete_subject(cohort, tmp_path, monkeypatch):
    def full(_, path):
        path.write_bytes(b"half")
        if "dseg" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nibabel.Nifti1Image, "to_filename", full)
    with pytest.raises(OSError, match="No space left"):
        rx.io.write_cohort(cohort, tmp_path)
    assert not [path for path in tmp_path.rglob("*sub-*") if path.is_file()]


@pytest.mark.parametrize("other", [{"seed": 6}, {"field_tesla": 3.0}, {"n_subjects": 1}])
def test_a_cohort_of_other_settings_is_not_changed(folder, cohort, other):
    other_cohort = rx.phantom.liver_cohort(**{"n_subjects": 2, "seed": 5, "field_tesla": 1.5, **SMALL, **other})
    before = contents(folder)
    with pytest.raises(FileExistsError, match="other settings"):
        rx.io.write_cohort(other_cohort, folder)
    with pytest.raises(FileExistsError, match="holds a cohort"):
        rx.io.write_cohort(list(cohort[:2]), folder)
    assert contents(folder) == before
    (folder / "sub-002" / "mine.txt").write_text("mine")
    rx.io.write_cohort(other_cohort, folder, overwrite=True)
    assert (folder / "sub-002" / "mine.txt").read_text() == "mine"
    read = rx.io.read_cohort(folder)
    assert len(read) == len(other_cohort)
    assert_same(other_cohort[0], read[0])
    assert len(list(folder.rglob("sub-*_images.nii.gz"))) == 2 * len(other_cohort)


@pytest.mark.parametrize("place", ["", "derivatives/truth"])
@pytest.mark.parametrize("name", ["sub-patient7", "sub-bad_name", "sub-003"])
def test_a_foreign_subject_stops_the_replacement_before_anything_is_deleted(cohort, folder, place, name):
    (folder / place / name / "anat").mkdir(parents=True)
    (folder / place / name / "anat" / f"{name}_images.nii.gz").write_text("a patient")
    with (folder / "participants.tsv").open("a") as table:
        table.write(f"{name}\n")  # it is the user's to change, and lists nothing that was written
    before = contents(folder)
    with pytest.raises(FileExistsError, match=f"{name}: this was not written"):
        rx.io.write_cohort(cohort[1:2], folder, overwrite=True)
    assert contents(folder) == before


@pytest.mark.parametrize("link", ["sub-002", "sub-002/anat", "derivatives", "derivatives/truth/sub-002/anat"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_no_link_is_followed_out_of_the_folder(cohort, folder, tmp_path, link, overwrite):
    shutil.move(folder / link, tmp_path / "outside")
    (folder / link).symlink_to(tmp_path / "outside")
    (folder / "sub-001" / "anat" / "sub-001_images.json").unlink()  # it would be written again
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=f"{link}: this is a link"):
        rx.io.write_cohort(cohort[:2], folder, overwrite=overwrite)
    assert contents(tmp_path) == before


def test_the_folder_itself_may_be_a_link(cohort, folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    before = contents(folder)
    rx.io.write_cohort(cohort[:2], tmp_path / "link", overwrite=True)
    assert contents(folder) == before


def test_a_list_of_somebodys_subjects_is_kept(cohort, tmp_path):
    (tmp_path / "participants.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"participants.json: the file exists"):
        rx.io.write_cohort(cohort[:1], tmp_path)
    assert contents(tmp_path) == {(tmp_path / "participants.json").relative_to(tmp_path): b"mine"}


def test_a_cohort_whose_writing_was_cut_off_is_replaced(cohort, folder, tmp_path):
    (folder / "participants.tsv").unlink()
    (folder / "sub-002" / "anat" / "sub-002_images.json").unlink()
    rx.io.write_cohort(cohort[2:], folder, overwrite=True)
    assert contents(folder) == contents(rx.io.write_cohort(cohort[2:], tmp_path / "new"))
    assert {path.name for path in folder.glob("sub-*")} == {"sub-003"}


def test_foreign_files_are_never_replaced(cohort, folder, tmp_path):
    (folder / "dataset_description.json").write_text('{"Name": "patients"}')
    (tmp_path / "other" / "sub-01").mkdir(parents=True)
    before = contents(tmp_path)
    for place in (folder, tmp_path / "other"):
        with pytest.raises(FileExistsError, match="choose another folder"):
            rx.io.write_cohort(cohort, place, overwrite=True)
    assert contents(tmp_path) == before


def test_bad_cohorts(cohort, tmp_path):
    with pytest.raises(ValueError, match="no subject"):
        rx.io.write_cohort([], tmp_path)
    with pytest.raises(ValueError, match="sub-001 twice"):
        rx.io.write_cohort([cohort[0], cohort[0]], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="this is a file"):
        rx.io.write_cohort(cohort, tmp_path / "file")


# --- scans of patients ------------------------------------------------------------------------------------------------


@pytest.fixture
def patients(cohort, folder, tmp_path):
    """Images and their sidecars, and nothing else; the second in another orientation."""
    for k, name in enumerate(("sub-A1", "sub-b2")):
        (tmp_path / "patients" / name / "anat").mkdir(parents=True)
        source = folder / cohort[k].name / "anat" / f"{cohort[k].name}_images.nii.gz"
        image = nibabel.load(source)
        if k:
            image = nibabel.as_closest_canonical(image)
        stem = tmp_path / "patients" / name / "anat" / f"{name}_images"
        image.to_filename(stem.with_suffix(".nii.gz"))
        sidecar = json.loads(source.with_name(f"{cohort[k].name}_images.json").read_text())
        keys = ("Contrasts", "SpinLockTime", "T2PreparationTime", "SharedFirst")
        stem.with_suffix(".json").write_text(json.dumps({key: sidecar[key] for key in keys}))
    return tmp_path / "patients"


def test_patients_are_read_as_pictures(cohort, patients):
    read = rx.io.read_cohort(patients)
    assert read.names == ("sub-A1", "sub-b2")
    assert read.protocol == cohort.protocol
    for k in range(2):
        torch.testing.assert_close(read[k], cohort[k].images, rtol=0, atol=0)


def test_participants_choose_and_order(patients):
    (patients / "participants.tsv").write_text("\ufeffparticipant_id\tage\nsub-b2\t7\n", encoding="utf-8")
    assert rx.io.read_cohort(patients).names == ("sub-b2",)


# --- invalid files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "sub-002/anat/sub-002_images.nii.gz",
        "sub-002/anat/sub-002_images.json",
        "derivatives/truth/sub-002/anat/sub-002_T1rho.nii.gz",
        "derivatives/truth/sub-002/anat/sub-002_S0map.nii.gz",
        "derivatives/truth/sub-002/anat/sub-002_desc-clean_images.nii.gz",
        "derivatives/truth/sub-002/anat/sub-002_dseg.nii.gz",
        "derivatives/truth/sub-002/anat/sub-002_desc-liver_mask.nii.gz",
    ],
)
@pytest.mark.parametrize("how", ["missing", "truncated", "other"])
def test_a_bad_file_is_named(folder, path, how):
    if how == "missing":
        (folder / path).unlink()
    elif how == "truncated":
        (folder / path).write_bytes((folder / path).read_bytes()[:200])
    else:
        (folder / path).write_text("something else")
    read = rx.io.read_cohort(folder)
    with pytest.raises((FileNotFoundError, ValueError), match=path) as caught:
        read[1]
    assert len(str(caught.value).splitlines()) == 1
    assert read[0].name == "sub-001"


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"Contrasts": None}, "Contrasts"),
        ({"Contrasts": ["t1rho", "t2star"]}, "t2star"),
        ({"SharedFirst": None}, "SharedFirst"),
        ({"SpinLockTime": [0, 10, 30, 50]}, "milliseconds"),
        ({"SpinLockTime": [0, "0.01"]}, "numbers"),
        ({"SpinLockTime": 0.01}, "SpinLockTime"),
        ({"SpinLockTime": [0.03, 0.01]}, "do not rise"),
        ({"EchoTime": [0.01, 0.02]}, "EchoTime or T2PreparationTime"),
        ({"Contrasts": ["t2", "t1rho"]}, "protocol"),
        ({"Simulation": {"number": 1}}, "Simulation"),
        ({"Simulation": {"voxel_mm": [10**400, 1, 1]}}, "Simulation"),
        ({"Simulation": []}, "Simulation"),
        ({"Contrasts": ["x" * 10_000, "t2"]}, "no name in files"),
        ({"SignalModels": "x" * 10_000}, "SignalModels"),
        ({"SignalModels": "\x1b[2J\n" * 1000}, "SignalModels"),
        ({"SignalModels": {"t2": "\ud800"}}, "SignalModels"),
        ({"SignalModels": {"t2": ["x" * 10_000]}}, "SignalModels"),
        ({"SpinLockTime": [k / 10_000 for k in range(10_000)]}, "protocol"),
    ],
)
def test_a_bad_sidecar_is_named(folder, keys, problem):
    path = folder / "sub-002" / "anat" / "sub-002_images.json"
    changed(path, **keys)
    with pytest.raises(ValueError, match=f"(?s){path}.*{problem}") as caught:
        rx.io.read_cohort(folder)[1]
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


def test_a_missing_image_of_the_protocol(folder):
    path = folder / "sub-002" / "anat" / "sub-002_images.json"
    changed(path, SpinLockTime=[0, 0.01, 0.03])
    changed(folder / "sub-001" / "anat" / "sub-001_images.json", SpinLockTime=[0, 0.01, 0.03])
    with pytest.raises(ValueError, match="it has 7 images, the protocol has 6"):
        rx.io.read_cohort(folder)[1]


@pytest.mark.parametrize("name", ["sub-..", "../sub-001", "sub-a/b", "sub-ä", "001", "sub-" + "9" * 5000, ""])
def test_names_with_paths_are_refused(folder, name):
    (folder / "participants.tsv").write_text(f"participant_id\n{name}\tx\n", encoding="utf-8")
    with pytest.raises(ValueError, match="names no subject") as caught:
        rx.io.read_cohort(folder)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "participant_id"), ("name\nsub-001\n", "participant_id"), ("participant_id\nsub-1\nsub-1\n", "twice")],
)
def test_a_bad_table(folder, text, problem):
    (folder / "participants.tsv").write_text(text)
    with pytest.raises(ValueError, match=problem):
        rx.io.read_cohort(folder)


def test_a_folder_without_subjects(tmp_path):
    with pytest.raises(ValueError, match="no subject"):
        rx.io.read_cohort(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        rx.io.read_cohort(tmp_path / "nowhere")
