"""Writing a cohort into a folder that holds something."""

import errno
import json
import shutil

import nibabel
import pytest
import torch
from cohorts import SMALL, assert_same, contents

import relaxnet as rx
from relaxnet.io import _write_cohort


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
