"""A cohort that was written and read again is the same cohort."""

import json
import math

import nibabel
import numpy as np
import pytest
import torch
from cohorts import assert_same, contents

import relaxnet as rx


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


def only(folder, name, contrast, channels, key):
    """Leave one contrast of a patient."""
    stem = folder / name / "anat" / f"{name}_images"
    image = nibabel.load(stem.with_suffix(".nii.gz"))
    data = image.get_fdata(dtype=np.float32)[..., channels]
    nibabel.Nifti1Image(data, image.affine).to_filename(stem.with_suffix(".nii.gz"))
    content = json.loads(stem.with_suffix(".json").read_text())
    stem.with_suffix(".json").write_text(json.dumps({"Contrasts": [contrast], key: content[key]}))


@pytest.mark.parametrize(
    ("name", "contrast", "channels", "key"),
    [("sub-A1", "t1rho", (0, 1, 2, 3), "SpinLockTime"), ("sub-b2", "t2", (0, 4, 5, 6), "T2PreparationTime")],
)
def test_a_patient_may_lack_a_contrast(cohort, patients, name, contrast, channels, key):
    only(patients, name, contrast, channels, key)
    read = rx.io.read_cohort(patients)
    assert read.protocol == cohort.protocol
    k = read.names.index(name)
    torch.testing.assert_close(read[k][:, channels], cohort[k].images[:, channels], rtol=0, atol=0)
    others = [channel for channel in range(7) if channel not in channels]
    assert torch.isnan(read[k][:, others]).all()
    torch.testing.assert_close(read[1 - k], cohort[1 - k].images, rtol=0, atol=0)
    sidecar = patients / name / "anat" / f"{name}_images.json"
    sidecar.write_text(json.dumps({"Contrasts": [contrast], key: [0, 0.01, 0.02, 0.04]}))
    with pytest.raises(ValueError, match=rf"{name}_images\.json: the protocol is"):
        rx.io.read_cohort(patients)[k]


def test_masks_of_patients(patients):
    scan = nibabel.load(patients / "sub-b2" / "anat" / "sub-b2_images.nii.gz")
    mask = np.zeros(scan.shape[:3], dtype=np.uint8)
    mask[3:9, 4:20] = 255
    path = patients / "sub-b2" / "anat" / "sub-b2_mask.nii.gz"
    nibabel.Nifti1Image(mask, scan.affine).to_filename(path)
    read = rx.io.read_cohort(patients)
    none, own = read.masks()
    assert none is None
    assert own.dtype == torch.bool
    assert own.shape == read[1][:, 0].shape
    assert own.sum() == (mask > 0).sum()
    inside = np.sort(scan.get_fdata(dtype=np.float32)[..., 0][mask > 0])
    np.testing.assert_array_equal(np.sort(read[1][:, 0][own].numpy()), inside)
    nibabel.Nifti1Image(mask[:-1], scan.affine).to_filename(path)
    with pytest.raises(ValueError, match=r"sub-b2_mask\.nii\.gz"):
        read.masks()
