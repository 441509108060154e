"""Valid NIfTI files give their voxels, invalid ones an error of one line."""

import gzip
import os
import re
import sys
import tracemalloc
import warnings

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.io import _read

TIMES_MS = (0, 10, 30, 50)


def one_line(caught, path):
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "SCAN.NII.GZ"])
@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_voxels_and_affine_are_those_of_the_file(save, decay, affine, name, endianness, kind):
    scan = rx.io.read_nifti(save(decay, name, affine=affine, endianness=endianness, kind=kind))
    np.testing.assert_array_equal(scan.data, decay)
    assert scan.data.dtype == np.float32
    assert scan.data.dtype.isnative
    np.testing.assert_allclose(scan.affine, affine, rtol=1e-6, atol=1e-6)
    assert scan.space_code == 1


def test_a_fit_from_a_file_is_the_fit_of_its_array(save, decay):
    from_file = rx.fit(rx.io.read_nifti(save(decay)).data, TIMES_MS, dim=-1)
    from_array = rx.fit(decay, TIMES_MS, dim=-1)
    np.testing.assert_array_equal(from_file.maps["t"], from_array.maps["t"])
    np.testing.assert_array_equal(from_file.status, from_array.status)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.float32])
def test_numbers_become_float32(save, decay, dtype):
    stored = (decay / 8).astype(dtype)
    scan = rx.io.read_nifti(save(stored))
    assert scan.data.dtype == np.float32
    np.testing.assert_array_equal(scan.data, stored.astype(np.float32))


def test_float64_stays(save, decay):
    assert rx.io.read_nifti(save(decay.astype(np.float64))).data.dtype == np.float64


def test_scaled_integers_have_the_values_that_nibabel_gives(save, decay):
    path = save(decay.astype(np.int16), scl_slope=0.37, scl_inter=-12.5)
    scan = rx.io.read_nifti(path)
    np.testing.assert_allclose(scan.data, nibabel.load(path).get_fdata(), rtol=1e-6)
    assert scan.data.dtype == np.float32


@pytest.mark.parametrize("shape", [(4, 3, 2, 1, 4), (4, 3, 2, 4, 1), (4, 3, 2, 1, 4, 1)])
def test_axes_of_length_one_are_dropped(save, decay, shape):
    assert rx.io.read_nifti(save(decay.reshape(shape))).data.shape == decay.shape
    np.testing.assert_array_equal(rx.io.read_nifti(save(decay.reshape(shape))).data, decay)


def test_a_single_slice_keeps_its_axis(save, decay):
    assert rx.io.read_nifti(save(decay[:, :, :1])).data.shape == (4, 3, 1, 4)


@pytest.mark.parametrize("shape", [(4, 3, 8), (4, 24), (4, 3, 8, 1), (2, 2, 2, 3, 4)])
def test_no_time_axis_or_one_too_many(save, decay, shape):
    path = save(decay.ravel()[: np.prod(shape)].reshape(shape))
    with pytest.raises(ValueError, match="time") as caught:
        rx.io.read_nifti(path)
    assert str(shape) in one_line(caught, path)


# --- invalid files ----------------------------------------------------------------------------------------------------


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        rx.io.read_nifti(tmp_path / "scan.nii.gz")
    one_line(caught, tmp_path / "scan.nii.gz")


def test_folder(tmp_path):
    (tmp_path / "scan.nii").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        rx.io.read_nifti(tmp_path / "scan.nii")
    one_line(caught, tmp_path / "scan.nii")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "scan.nii")
    with pytest.raises(ValueError, match="regular"):
        rx.io.read_nifti(tmp_path / "scan.nii")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("scan.nii", b"", "empty"),
        ("scan.nii.gz", b"", "empty"),
        ("scan.nii.gz", b"patient, T2\n1, 45\n", "not gzip"),
        ("scan.nii", b"patient, T2\n1, 45\n" * 100, "no NIfTI"),
        ("scan.nii", b"\x5c", "no NIfTI"),
        ("scan.nii.gz", gzip.compress(b"", mtime=0), "no NIfTI"),
        ("scan.nii.gz", gzip.compress(b"patient, T2\n" * 100, mtime=0), "no NIfTI"),
        ("scan.nii.gz", b"\x1f\x8b" + bytes(100), "damaged"),
        ("scan.nii", gzip.compress(b"anything", mtime=0), "gzip"),
        ("scan.mgz", b"anything", "end in .nii"),
        (".nii", b"anything", "end in .nii"),
    ],
)
def test_not_an_image(tmp_path, name, content, problem):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=problem) as caught:
        rx.io.read_nifti(path)
    one_line(caught, path)


def test_half_of_a_pair(tmp_path, decay):
    nibabel.Nifti1Pair(decay, np.eye(4)).to_filename(tmp_path / "scan.hdr")
    (tmp_path / "scan.hdr").rename(tmp_path / "scan.nii")
    with pytest.raises(ValueError, match="pair"):
        rx.io.read_nifti(tmp_path / "scan.nii")


@pytest.mark.parametrize("keep", [200, 352, 500, -1])
def test_truncated(save, decay, keep):
    path = save(decay, "scan.nii")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"truncated|no NIfTI") as caught:
        rx.io.read_nifti(path)
    one_line(caught, path)


@pytest.mark.parametrize("keep", [5, 20, 0.5, -9, -1])
def test_truncated_gzip(save, decay, keep):
    path = save(decay)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep == 0.5 else keep])
    with pytest.raises(ValueError, match=r"truncated|no NIfTI") as caught:
        rx.io.read_nifti(path)
    one_line(caught, path)


def test_a_gzip_file_of_which_a_bit_has_flipped(save, decay):
    path = save(decay)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the checksum: all voxels can be read, but the file is damaged
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        rx.io.read_nifti(path)


def test_what_follows_a_gzip_file_is_ignored(save, decay):
    path = save(decay)
    content = path.read_bytes()
    path.write_bytes(content + bytes(512))  # of an archive on tape
    np.testing.assert_array_equal(rx.io.read_nifti(path).data, decay)
    path.write_bytes(content + b"\n")
    with pytest.warns(UserWarning, match="what follows the compressed image is ignored"):
        scan = rx.io.read_nifti(path)
    np.testing.assert_array_equal(scan.data, decay)
    damaged = bytearray(content + b"\n")
    damaged[len(content) - 6] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="damaged"):
        rx.io.read_nifti(path)


# --- headers that lie -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"datatype": 999}, "datatype"),
        ({"datatype": 0}, "datatype"),
        ({"datatype": 1536}, "datatype"),
        ({"dim": (4, -4, 3, 2, 4, 1, 1, 1)}, "dim="),
        ({"dim": (4, 4, 3, 0, 4, 1, 1, 1)}, "dim="),
        ({"dim": (9, 4, 3, 2, 4, 1, 1, 1)}, "dim="),
        ({"dim": (-1, 4, 3, 2, 4, 1, 1, 1)}, "dim="),
        ({"vox_offset": 0}, "vox_offset"),
        ({"vox_offset": np.nan}, "vox_offset"),
        ({"vox_offset": -1e9}, "vox_offset"),
        ({"vox_offset": 1e30}, "truncated"),
        ({"scl_inter": np.inf}, "scl_inter"),
    ],
)
def test_broken_field_is_named(save, decay, name, fields, named):
    path = save(decay, name, **fields)
    with pytest.raises(ValueError, match=named) as caught:
        rx.io.read_nifti(path)
    one_line(caught, path)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("dim", [(4, 30000, 30000, 30000, 4, 1, 1, 1), (4, 400, 300, 20, 40, 1, 1, 1)])
def test_a_header_that_describes_more_than_the_file_holds_allocates_no_memory(save, decay, name, dim):
    path = save(decay, name, dim=dim)
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than") as caught:
        rx.io.read_nifti(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one_line(caught, path)
    assert peak < 5e6


def test_a_bomb_is_refused_before_it_expands(save, decay, tmp_path):
    """Gigabytes of zeros in a file of a few megabytes. Decompressed on disk, it is read."""
    path = save(decay, "scan.nii", dim=(4, 1024, 1024, 256, 4, 1, 1, 1))
    bomb = tmp_path / "bomb.nii.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as stream:
        stream.write(path.read_bytes())
    with bomb.open("ab") as stream:
        stream.write(os.urandom(6_000_000))  # enough that the header's claim is possible
    with pytest.raises(ValueError, match="decompress") as caught:
        rx.io.read_nifti(bomb)
    one_line(caught, bomb)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
def test_a_compressed_file_never_takes_more_memory_than_the_limit(save, monkeypatch, dtype):
    """The limit is on the voxels in memory, which may have more bytes than those in the file."""
    limit, slices = 2**24, 16 // (8 if dtype == np.float64 else 4)
    monkeypatch.setattr(_read, "BOMB_BYTES", limit)
    monkeypatch.setattr(_read, "_BLOCK", 2**14)
    path = save(np.zeros((1024, 256, slices, 4), dtype))
    tracemalloc.start()
    assert rx.io.read_nifti(path).data.nbytes == limit
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * limit
    with pytest.raises(ValueError, match="decompress"):
        rx.io.read_nifti(save(np.zeros((1024, 256, slices + 1, 4), dtype)))


def test_an_empty_image_may_have_any_compression_ratio(save):
    assert not rx.io.read_nifti(save(np.zeros((100, 100, 10, 4), np.uint8))).data.any()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_voxels(save, decay, dtype):
    with pytest.raises(ValueError, match="magnitude"):
        rx.io.read_nifti(save(decay.astype(dtype)))


def test_colours(save):
    rgb = np.zeros((4, 3, 2, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(ValueError, match="RGB"):
        rx.io.read_nifti(save(rgb))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_any_header_is_read_or_refused(save, decay, kind):
    path = save(decay.astype(np.int16), "scan.nii", kind=kind)
    content, random = path.read_bytes(), np.random.default_rng(0)
    read = 0
    for _ in range(300):
        mutated = np.frombuffer(content, np.uint8).copy()
        places = random.integers(0, kind.header_class.sizeof_hdr, size=random.integers(1, 6))
        mutated[places] = random.choice([0, 127, 128, 255], size=len(places))
        path.write_bytes(mutated.tobytes())
        try:
            read += rx.io.read_nifti(path).data.size > 0
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017 (it need not be raised)
    assert 50 < read < 300


# --- headers that leave doubts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "warned", "space"),
    [
        ({"srow_x": (np.nan, 0, 0, 0)}, "sform is broken.*qform is used", 1),
        ({"srow_x": (0, 0, 0, 0)}, "no volume: qform is used", 1),
        ({"srow_x": (0, 0, 0, 0), "qform_code": 0}, "no volume: qform is used", 1),
        ({"srow_z": (0, 0, 0, -10)}, "no volume: qform is used", 1),
        ({"quatern_b": np.nan}, "qform is broken.*sform is used", 1),
        ({"qform_code": -1}, "qform_code=-1.*sform is used", 1),
        ({"sform_code": 0, "quatern_b": np.nan}, "position of the image is unknown", 0),
        ({"sform_code": 0, "quatern_b": 3}, "position of the image is unknown", 0),
        ({"sform_code": 0, "pixdim": (1, 2, 0, 5, 1, 1, 1, 1)}, "pixdim=2, 0, 5 is broken", 1),
        ({"sform_code": 0, "qform_code": 0, "pixdim": (1, 0, 2, 5, 1, 1, 1, 1)}, "pixdim=0, 2, 5 is broken", 0),
    ],
)
def test_one_unusable_field_does_not_refuse_a_file(save, decay, fields, warned, space):
    path = save(decay, **fields)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scan = rx.io.read_nifti(path)
    assert re.search(warned, "\n".join(str(warning.message) for warning in caught))
    np.testing.assert_array_equal(scan.data, decay)
    assert scan.space_code == space
    assert np.isfinite(scan.affine).all()
    assert abs(np.linalg.det(scan.affine)) > 0


def test_a_space_that_nifti_does_not_know_is_one_that_is_agreed_on(save, decay):
    scan = rx.io.read_nifti(save(decay, sform_code=77))
    np.testing.assert_allclose(scan.affine, np.diag((-2.0, -2.0, 5.0, 1.0)))
    assert scan.space_code == 2


def test_qform_and_sform_that_disagree(save, decay):
    path = save(decay, qoffset_x=30)
    with pytest.warns(UserWarning, match="disagree"):
        scan = rx.io.read_nifti(path)
    np.testing.assert_allclose(scan.affine, nibabel.load(path).affine)


def test_an_image_without_position(save, decay):
    with pytest.warns(UserWarning, match="both 0"):
        scan = rx.io.read_nifti(save(decay, qform_code=0, sform_code=0))
    assert scan.space_code == 0


@pytest.mark.parametrize("slope", [0, np.nan, np.inf])
def test_an_invalid_scale(save, decay, slope):
    path = save(decay.astype(np.int16), scl_slope=slope, scl_inter=7)
    with pytest.warns(UserWarning, match="as stored"):
        scan = rx.io.read_nifti(path)
    np.testing.assert_array_equal(scan.data, decay.astype(np.int16))


def test_a_voxel_size_without_end_beside_a_good_sform(save, decay):
    path = save(decay, pixdim=(1, 2, np.inf, 5, 1, 1, 1, 1))
    with pytest.warns(UserWarning, match="disagree"):
        scan = rx.io.read_nifti(path)
    assert np.isfinite(scan.affine).all()


def test_a_scale_beyond_single_precision_gives_no_values(save, decay):
    data = rx.io.read_nifti(save((1000 + decay).astype(np.int16), scl_slope=1e38)).data
    assert np.isposinf(data).all()


def test_qfac_zero_means_one(save, decay):
    path = save(decay, affine=np.diag((2.0, 2, 5, 1)), sform_code=0, pixdim=(0, 2, 2, 5, 1, 1, 1, 1))
    np.testing.assert_allclose(rx.io.read_nifti(path).affine, np.diag((2.0, 2, 5, 1)))
