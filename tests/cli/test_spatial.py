"""``--method spatial`` of fits and data sets: what it writes, and that the size of voxels reaches it."""

import json

import nibabel
import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.cli import main

TE = (10.0, 20.0, 40.0, 80.0)
SIGMA = 15.0


@pytest.fixture
def truth():
    return np.full((14, 12, 3), 45.0, dtype=np.float32)


def save(path, clean, zooms=(2.0, 2.0, 2.0)):
    noise = SIGMA * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1)).numpy()
    nibabel.save(nibabel.Nifti1Image((clean + noise).astype(np.float32), np.diag([*zooms, 1.0])), path)


def decays(truth, times):
    return 1000 * np.exp(-np.asarray(times) / truth[..., None])


def read(folder, name):
    return nibabel.load(folder / name).get_fdata()


def test_one_contrast_in_any_order_of_times(truth, tmp_path):
    order = (2, 0, 3, 1)
    times = [TE[k] for k in order]
    save(tmp_path / "scan.nii.gz", decays(truth, times))
    errors = {}
    for method in ("nlls", "spatial"):
        options = ["--te-ms", ",".join(map(str, times)), "--method", method, "--out", str(tmp_path / method)]
        assert main(["fit", "t2", str(tmp_path / "scan.nii.gz"), *options]) == 0
        errors[method] = np.abs(1000 * read(tmp_path / method, "scan_T2map.nii.gz") - truth).mean()
    assert errors["spatial"] < 0.6 * errors["nlls"]
    about = json.loads((tmp_path / "spatial" / "scan_T2map.json").read_text())
    assert about["EstimationAlgorithm"].startswith("Most probable maps")
    record = json.loads((tmp_path / "spatial" / "scan_T2map_run.json").read_text())
    assert record["Settings"]["method"] == "spatial"


def test_neighbours_far_away_tell_less(truth, tmp_path):
    half = truth.copy()
    half[..., 1] = 60.0
    found = {}
    for name, zooms in (("cubes", (2.0, 2.0, 2.0)), ("thick", (2.0, 2.0, 50.0))):
        save(tmp_path / f"{name}.nii.gz", decays(half, TE), zooms)
        options = ["--te-ms", "10,20,40,80", "--method", "spatial", "--sigma", str(SIGMA)]
        assert main(["fit", "t2", str(tmp_path / f"{name}.nii.gz"), *options]) == 0
        found[name] = 1000 * read(tmp_path, f"{name}_T2map.nii.gz")[..., 1].mean()
    assert abs(found["thick"] - 60) < abs(found["cubes"] - 60) + 0.05
    assert abs(found["thick"] - 60) < 1


def test_joint(tmp_path):
    subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=20, seed=3)[0]
    images = subject.images.permute(2, 3, 0, 1).numpy()
    nibabel.save(nibabel.Nifti1Image(images, np.eye(4)), tmp_path / "scan.nii.gz")
    mask = (subject.labels > 0).permute(1, 2, 0).numpy().astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), tmp_path / "mask.nii.gz")
    t1rho, t2 = (",".join(map(str, contrast.times_ms)) for contrast in subject.protocol.contrasts)
    options = ["--tsl-ms", t1rho, "--te-ms", t2, "--mask", str(tmp_path / "mask.nii.gz")]
    errors = {}
    for method in ("nlls", "spatial"):
        out = tmp_path / method
        assert (
            main(["fit", "joint", str(tmp_path / "scan.nii.gz"), *options, "--method", method, "--out", str(out)]) == 0
        )
        map_ms = 1000 * torch.from_numpy(read(out, "scan_T2map.nii.gz")).permute(2, 0, 1)
        errors[method] = float((map_ms - subject.truth["t2"])[subject.roi].abs().mean())
    assert errors["spatial"] < 0.7 * errors["nlls"]


def test_a_method_that_joint_fits_do_not_have(tmp_path, capsys):
    assert main(["fit", "joint", str(tmp_path / "scan.nii.gz"), "--method", "rician"]) == 2
    assert "'rician' is not one of 'nlls', 'spatial'" in capsys.readouterr().err
