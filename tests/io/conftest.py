"""Fixtures of the tests of files: scans in NIfTI files."""

import gzip
import shutil

import nibabel
import numpy as np
import pytest
from cohorts import SMALL

import relaxnet as rx

TIMES_MS = (0, 10, 30, 50)


def _orthogonal(*columns):
    return np.linalg.qr(np.array(columns, dtype=float).T)[0]


AFFINES = {
    "LAS": np.diag((-2.0, 2.0, 5.0, 1.0)),
    "RAS": np.diag((2.0, 2.0, 5.0, 1.0)),
    "LPS": np.diag((-2.0, -2.0, 5.0, 1.0)),
    "sagittal": np.array([[0, 0, 4.0, -60], [-1.5, 0, 0, 90], [0, 1.5, 0, -70], [0, 0, 0, 1]]),
    "oblique": np.eye(4),
}
AFFINES["oblique"][:3, :3] = _orthogonal((3, 1, 0), (-1, 3, 1), (0, -1, 3)) * (1.25, 1.25, 5.0)
AFFINES["oblique"][:3, 3] = (-80.5, 12.25, -33.125)


@pytest.fixture(params=AFFINES)
def affine(request):
    return AFFINES[request.param]


@pytest.fixture
def decay():
    """Images of T from 20 to 90 ms, (4, 3, 2, time)."""
    t = np.linspace(20, 90, 24).reshape(4, 3, 2, 1)
    return (1000 * np.exp(-np.array(TIMES_MS) / t)).astype(np.float32)


@pytest.fixture
def save(tmp_path):
    """Write an array as NIfTI, then set header fields to invalid values."""

    def save(data, name="scan.nii.gz", *, affine=AFFINES["LPS"], kind=nibabel.Nifti1Image, endianness="<", **fields):
        path = tmp_path / name
        header = kind.header_class(endianness=endianness)
        header.set_data_dtype(data.dtype)
        image = kind(data, affine, header)
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        image.to_filename(path)
        if fields:
            packed = path.suffix == ".gz"
            content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
            size = kind.header_class.sizeof_hdr
            broken = kind.header_class(content[:size], endianness=endianness, check=False)
            for field, value in fields.items():
                broken[field] = value
            content = broken.binaryblock + content[size:]
            path.write_bytes(gzip.compress(content) if packed else content)
        return path

    return save


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
