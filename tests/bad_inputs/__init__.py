"""Inputs that go wrong, by number, and what happens to each.

``raises`` stands for an error that names the argument or the file, what came, and what is needed.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main

TIMES = (0, 10, 30, 50)
STATUS = rx.FitStatus
CURVES = (1000 * np.exp(-np.array(TIMES) / np.array([[20.0], [30], [40], [60], [90]]))).astype(np.float32)


class Row(NamedTuple):
    given: str
    outcome: str
    check: Callable[..., None] | str
    """What is tried, or the test that tries it, ``"file::name"``; ``""`` where relaxnet has no such part."""


ROWS: dict[int, Row] = {}
ABSENT = "relaxnet has no such part"


def row(number: int, given: str, outcome: str, check: Any = None) -> Any:
    """Add a row; without a check, the function that follows is it."""

    def add(function: Any) -> Any:
        assert number not in ROWS
        ROWS[number] = Row(given, outcome, function)
        return function

    return add if check is None else add(check)


def one(voxel, **options):
    """Fit five voxels, the third of which is replaced; return its T, status and number of samples. Others stay."""
    curves = CURVES.copy()
    curves[2] = voxel
    found, before = (rx.fit(values, TIMES, **options) for values in (curves, CURVES))
    for name in ("t", "m0"):
        others, expected = (np.delete(result.maps[name], 2) for result in (found, before))
        np.testing.assert_array_equal(others, expected)
    return float(found.maps["t"][2]), STATUS(int(found.status[2])), int(found.n_used[2])


def raises(match, function, *args, error=ValueError, **options):
    with pytest.raises(error, match=match) as caught:
        function(*args, **options)
    assert len(str(caught.value)) < 1000


def refused(match, /, **options):
    raises(match, rx.fit, CURVES, TIMES, **options)


def same(found, expected=None, rtol=1e-5):
    expected = rx.fit(CURVES, TIMES) if expected is None else expected
    np.testing.assert_allclose(np.asarray(found.maps["t"]), expected.maps["t"], rtol=rtol)


class Given:
    """A folder with a scan, and the command line."""

    def __init__(self, tmp_path, capsys):
        self.tmp_path, self.capsys = tmp_path, capsys
        self.scan, self.out = tmp_path / "scan.nii.gz", tmp_path / "out"
        self.image = nibabel.Nifti1Image(np.broadcast_to(CURVES[:, None, None], (5, 2, 2, 4)).copy(), np.eye(4))
        self.image.set_qform(np.eye(4), 1)
        self.image.to_filename(self.scan)

    def run(self, *arguments):
        """Run a command; return its status and the lines on standard error."""
        self.capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return status, self.capsys.readouterr().err.splitlines()

    def fails(self, match, *arguments, status=1):
        """Run a command that must fail with one line that names what is wrong, and write nothing."""
        before = sorted(self.tmp_path.rglob("*"))
        found, lines = self.run(*arguments)
        assert found == status, lines
        (error,) = (line for line in lines if "error: " in line)
        assert re.search(match, error), error
        assert "mistake" not in error
        assert sorted(self.tmp_path.rglob("*")) == before

    def fit(self, *options, scan=None):
        return ("fit", "t2", scan or self.scan, "--te-ms", "0,10,30,50", "--out", self.out, *options)

    def header(self, **fields):
        """Write the scan with changed fields of its header."""
        content = bytearray(self.image.to_bytes())
        header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
        for name, value in fields.items():
            header[name] = value
        path = self.tmp_path / "changed.nii"
        path.write_bytes(header.binaryblock + content[348:])
        return path
