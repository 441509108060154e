"""Masks on the grid of a scan."""

import nibabel
import numpy as np
import pytest

import relaxnet as rx


@pytest.fixture
def scan(save, decay):
    return rx.io.read_nifti(save(decay))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 3, 2, 1)])
def test_a_mask_is_zeros_and_ones_of_any_kind(save, scan, dtype, shape):
    values = (np.arange(24) % 3 == 0).reshape(shape)
    mask = rx.io.read_mask(save(values.astype(dtype), "mask.nii.gz"), like=scan)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, values.reshape(4, 3, 2))


def test_a_mask_may_be_off_by_rounding(save, scan):
    affine = np.diag((-2.0, -2.0, 5.0, 1.0)) + 1e-4
    affine[3] = (0, 0, 0, 1)
    rx.io.read_mask(save(np.ones((4, 3, 2), np.uint8), "mask.nii.gz", affine=affine), like=scan)


@pytest.mark.parametrize(
    ("values", "affine", "problem"),
    [
        (np.ones((4, 3, 1)), None, r"\(4, 3, 1\).*\(4, 3, 2\)"),
        (np.ones((4, 3, 2, 4)), None, r"\(4, 3, 2, 4\).*\(4, 3, 2\)"),
        (np.ones((4, 3, 2)), np.diag((2.0, -2.0, 5.0, 1.0)), "affine"),
        (np.ones((4, 3, 2)), np.diag((-2.0, -2.0, 5.01, 1.0)), "affine"),
        (np.full((4, 3, 2), 5.0), None, "0 and 1"),
        (np.full((4, 3, 2), 0.5), None, "0 and 1"),
        (np.full((4, 3, 2), np.nan), None, "0 and 1"),
    ],
)
def test_an_invalid_mask(save, scan, values, affine, problem):
    options = {} if affine is None else {"affine": affine}
    path = save(values.astype(np.float32), "mask.nii.gz", **options)
    with pytest.raises(ValueError, match=problem) as caught:
        rx.io.read_mask(path, like=scan)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert "0 and 1" in message or str(scan.path) in message


@pytest.mark.parametrize("value", [2, 255])
def test_a_mask_of_zeros_and_one_other_number(save, scan, value):
    values = np.zeros((4, 3, 2))
    values[1] = value
    noise = np.random.default_rng(0).uniform(-5e-4, 5e-4, values.shape) * (value if value < 100 else 1)
    for stored in (values.astype(np.uint8), (values + noise).astype(np.float32)):
        np.testing.assert_array_equal(rx.io.read_mask(save(stored, "mask.nii.gz"), like=scan), values > 0)


def test_one_label_of_several(save, scan, tmp_path):
    values = np.arange(24).reshape(4, 3, 2) % 3
    path = save(values.astype(np.uint8), "organs.nii.gz")
    with pytest.raises(ValueError, match="labels 1, 2: pick one label, as label=1"):
        rx.io.read_mask(path, like=scan)
    np.testing.assert_array_equal(rx.io.read_mask(path, like=scan, label=2), values == 2)
    np.testing.assert_array_equal(rx.io.read_mask(path, like=scan, label="1"), values == 1)
    with pytest.raises(ValueError, match="label=5 is not there: it holds 1, 2"):
        rx.io.read_mask(path, like=scan, label=5)
    with pytest.raises(FileNotFoundError, match=r"organs.tsv.*label=liver"):
        rx.io.read_mask(path, like=scan, label="liver")
    (tmp_path / "organs.tsv").write_text("index\tname\n1\tspleen\n2\tLiver\n")
    np.testing.assert_array_equal(rx.io.read_mask(path, like=scan, label="liver"), values == 2)
    with pytest.raises(ValueError, match="label=heart is none of its names: spleen, liver"):
        rx.io.read_mask(path, like=scan, label="heart")
    (tmp_path / "names.csv").write_text("name,index\nheart,1\n")
    found = rx.io.read_mask(path, like=scan, label="heart", table=tmp_path / "names.csv")
    np.testing.assert_array_equal(found, values == 1)


def test_a_mask_in_another_orientation(save, decay, affine):
    """The same grid, stored in the closest orientation to right, front, head, as some programs do."""
    scan = rx.io.read_nifti(save(decay, affine=affine))
    values = (np.arange(24) % 5 == 0).reshape(4, 3, 2).astype(np.uint8)
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, affine))
    path = save(np.asarray(turned.dataobj), "mask.nii.gz", affine=turned.affine)
    np.testing.assert_array_equal(rx.io.read_mask(path, like=scan), values.astype(bool))
