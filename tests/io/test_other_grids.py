"""Files on other grids are refused, or resampled where that was asked for; repetitions are averaged."""

import nibabel as nib
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main

TE = np.array([10.0, 20, 30, 50])
DECAY = 1000 * np.exp(-TE / 40)
AFFINE = np.diag([2, 2, 3, 1.0])
FINER = np.diag([1, 1, 3, 1.0]) @ np.array([[1, 0, 0, -0.5], [0, 1, 0, -0.5], [0, 0, 1, 0], [0, 0, 0, 1.0]])
SHIFTED = AFFINE + np.eye(4)[:, 3:] * 0 + np.array([[0, 0, 0, 0.5]] * 3 + [[0] * 4])


@pytest.fixture
def save(tmp_path):
    def write(name, data, affine=AFFINE):
        nib.save(nib.Nifti1Image(np.asarray(data, np.float32), affine), tmp_path / f"{name}.nii.gz")
        return str(tmp_path / f"{name}.nii.gz")

    return write


def ramp(value, affine, shape=(8, 8, 3)):
    """A volume that rises along x in mm, which linear interpolation keeps."""
    x = affine[0, 0] * np.arange(shape[0]) + affine[0, 3]
    return np.broadcast_to((value * (1 + x / 100))[:, None, None], shape)


def test_files_on_other_grids_are_resampled_if_asked(save):
    files = [
        save(f"e{k}", ramp(value, a), a) for k, (value, a) in enumerate(zip(DECAY, [AFFINE, SHIFTED] * 2, strict=True))
    ]
    with pytest.raises(ValueError, match=r"another affine than .*e0\.nii\.gz: use resample=True"):
        rx.io.read_scan(files, times_ms=TE)
    scan = rx.io.read_scan(files, times_ms=TE, resample=True)
    np.testing.assert_array_equal(scan.affine, AFFINE)
    inner = scan.data[1:, 1:, 1:]
    np.testing.assert_allclose(inner[..., 1] / inner[..., 0], DECAY[1] / DECAY[0], rtol=1e-5)
    assert np.isnan(scan.data[0, :, :, 1]).all()  # outside of what was acquired
    result = rx.fit(scan.data, scan.times_ms, dim=-1)
    np.testing.assert_allclose(result.maps["t"][1:, 1:, 1:], 40, rtol=1e-4)


def test_masks_and_labels_on_other_grids(save, tmp_path, capsys):
    scan = save("scan", np.broadcast_to(DECAY, (8, 8, 3, 4)))
    labels = np.zeros((16, 16, 3))
    labels[4:8, 4:8] = 5
    mask = save("mask", labels, FINER)
    options = ("fit", "t2", scan, "--te-ms", "10,20,30,50", "--mask", mask, "--labels", mask, "--label", "5")
    assert main([*options, "--out", str(tmp_path / "a")]) == 1
    assert "has shape (16, 16, 3)" in capsys.readouterr().err
    assert main([*options, "--out", str(tmp_path / "b"), "--resample"]) == 0
    fitted = np.isfinite(nib.load(tmp_path / "b/scan_T2map.nii.gz").get_fdata())
    expected = np.zeros((8, 8, 3), bool)
    expected[2:4, 2:4] = True
    np.testing.assert_array_equal(fitted, expected)
    assert "5\t" in (tmp_path / "b/scan_rois.tsv").read_text()


def test_the_command_line_speaks_of_its_options(save, capsys):
    one, other = (
        save("t1rho", np.broadcast_to(DECAY, (8, 8, 3, 4))),
        save("t2", np.broadcast_to(DECAY, (8, 8, 3, 4)), SHIFTED),
    )
    assert main(["fit", "joint", one, other, "--tsl-ms", "10,20,30,50", "--te-ms", "10,20,30,50"]) == 1
    assert "use --resample to bring it" in capsys.readouterr().err
    assert main(["fit", "joint", one, other, "--tsl-ms", "10,20,30,50", "--te-ms", "10,20,30,50", "--resample"]) == 0


def test_repetitions_are_averaged_if_asked(save, capsys):
    repeated = np.stack([np.broadcast_to(DECAY + d, (4, 3, 2, 4)) for d in (-5, 0, 5)], axis=4)
    path = save("scan", repeated)
    assert main(["fit", "t2", path, "--te-ms", "10,20,30,50"]) == 1
    assert "two axes too many" in (error := capsys.readouterr().err)
    assert "--average" in error
    for data, options in (
        (repeated, {}),
        (np.moveaxis(repeated, 4, 3), {}),
        (np.moveaxis(repeated, 4, 3), {"time_axis": 4}),
    ):
        scan = rx.io.read_scan(save("other", data), times_ms=TE, average=True, **options)
        np.testing.assert_allclose(scan.data, np.broadcast_to(DECAY, (4, 3, 2, 4)), rtol=1e-6)
    files = [save(f"f{k}", repeated[..., k, :]) for k in range(4)]
    np.testing.assert_allclose(rx.io.read_scan(files, times_ms=TE, average=True).data[0, 0, 0], DECAY, rtol=1e-6)


def test_what_cannot_be_averaged_is_told(save):
    with pytest.raises(ValueError, match=r"average=True needs \(x, y, z, time, repetition\)"):
        rx.io.read_scan(save("scan", np.ones((4, 3, 2, 4))), times_ms=TE, average=True)
