"""MetaImage and NRRD, written by SimpleITK."""

import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main

sitk = pytest.importorskip("SimpleITK")

TE = (10.0, 20.0, 30.0, 50.0)
DATA = np.random.default_rng(0).uniform(1, 100, (5, 4, 3, 4)).astype(np.float32)
AFFINE = np.array([[-2.0, 0, 0, 10], [0, 0, 2.5, -20], [0, 3, 0, 30], [0, 0, 0, 1]])  # in RAS


def image_of(data):
    """Make an ITK image of (x, y, z), with a geometry in LPS."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    lps = np.diag([-1.0, -1, 1, 1]) @ AFFINE
    sizes = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(sizes.tolist())
    image.SetDirection((lps[:3, :3] / sizes).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def series(kind, data=DATA):
    volumes = [image_of(data[..., k]) for k in range(4)]
    return sitk.JoinSeries(volumes) if kind == "four axes" else sitk.Compose(volumes)


@pytest.mark.parametrize("ending", [".mha", ".mhd", ".nrrd", ".nhdr"])
@pytest.mark.parametrize("kind", ["four axes", "vectors"])
def test_voxels_and_position_are_those_that_were_written(ending, kind, tmp_path):
    sitk.WriteImage(series(kind), tmp_path / f"scan{ending}")
    scan = rx.io.read_scan(tmp_path / f"scan{ending}", times_ms=TE)
    np.testing.assert_array_equal(scan.data, DATA)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-6)


def test_one_file_an_echo_with_a_mask(tmp_path):
    decay = 100 * np.exp(-np.array(TE) / 40)
    files = []
    for k, value in enumerate(decay):
        files.append(str(tmp_path / f"echo{k}.mha"))
        sitk.WriteImage(image_of(np.full((5, 4, 3), value, np.float32)), files[-1])
    mask = np.zeros((5, 4, 3), np.uint8)
    mask[1:3] = 255
    sitk.WriteImage(image_of(mask), tmp_path / "mask.nrrd")
    options = ("--te-ms", "10,20,30,50", "--mask", str(tmp_path / "mask.nrrd"), "--out", str(tmp_path / "out"))
    assert main(["fit", "t2", *files, *options]) == 0
    t2 = rx.io.read_scan([tmp_path / "out/echo_T2map.nii.gz", tmp_path / "out/echo_S0map.nii.gz"]).data[..., 0]
    np.testing.assert_allclose(t2[mask > 0], 0.040, rtol=1e-4)
    assert np.isnan(t2[mask == 0]).all()


def test_double_precision_is_kept(tmp_path):
    sitk.WriteImage(series("four axes", DATA.astype(np.float64)), tmp_path / "scan.mha")
    assert rx.io.read_scan(tmp_path / "scan.mha", times_ms=TE).data.dtype == np.float64


@pytest.mark.parametrize("spoil", ["cut", "text", "complex", "bomb"])
def test_broken_files_are_told_in_one_line(spoil, tmp_path, capfd):
    path = tmp_path / "scan.mha"
    image = series("four axes")
    sitk.WriteImage(sitk.Cast(image_of(DATA[..., 0]), sitk.sitkComplexFloat32) if spoil == "complex" else image, path)
    content = path.read_bytes()
    if spoil == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif spoil == "text":
        path.write_bytes(b"no image")
    elif spoil == "bomb":
        path.write_bytes(content.replace(b"DimSize = 5 4 3 4", b"DimSize = 50000 40000 3 4"))
    assert main(["fit", "t2", str(path), "--te-ms", "10,20,30,50"]) == 1
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("relaxnet:")]
    assert len(lines) == 1
    assert "scan.mha" in lines[0]
