"""Times from a JSON sidecar: read if they are unambiguous, refused otherwise."""

import json

import pytest

import relaxnet as rx


@pytest.fixture
def sidecar(tmp_path):
    """Write a sidecar; return the path of the scan that it belongs to."""

    def write(content):
        text = content if isinstance(content, (str, bytes)) else json.dumps(content)
        (tmp_path / "scan.json").write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path / "scan.nii.gz"

    return write


@pytest.mark.parametrize(
    ("contrast", "content"),
    [
        ("t1rho", {"SpinLockTime": [0, 0.01, 0.03, 0.05], "EchoTime": 0.002}),
        ("t2", {"EchoTime": [0, 0.01, 0.03, 0.05]}),
        ("t2", {"T2PreparationTime": [0, 0.01, 0.03, 0.05], "EchoTime": 0.002}),
    ],
)
def test_seconds_become_milliseconds(sidecar, contrast, content):
    assert rx.io.read_times(sidecar(content), contrast) == pytest.approx((0, 10, 30, 50))


def test_a_byte_order_mark_is_no_obstacle(sidecar):
    """Windows may add one to a file."""
    scan = sidecar(b"\xef\xbb\xbf" + json.dumps({"EchoTime": [0.01, 0.02]}).encode())
    assert rx.io.read_times(scan, "t2") == (10, 20)


@pytest.mark.parametrize(
    ("contrast", "content", "problem"),
    [
        ("t1rho", {}, "SpinLockTime is missing"),
        ("t1rho", {"EchoTime": [0.01, 0.02]}, "SpinLockTime is missing"),
        ("t2", {"SpinLockTime": [0.01, 0.02]}, "EchoTime or T2PreparationTime is missing"),
        ("t2", {"EchoTime": 0.012}, "one time for each volume"),
        ("t2", {"EchoTime": None}, "one time for each volume"),
        ("t2", {"EchoTime": [0.01, 0.02], "T2PreparationTime": [0.01, 0.03]}, "unclear"),
        ("t2", {"EchoTime": [10, 20, 30]}, "milliseconds"),
        ("t2", {"EchoTime": [0, 18.2, 34.6, 51000]}, "milliseconds"),
        ("t2", {"EchoTime": [0.01, -0.02]}, "negative"),
        ("t2", {"EchoTime": [0.01]}, "2 times"),
        ("t2", {"EchoTime": []}, "2 times"),
        ("t2", {"EchoTime": [0.01, None]}, "real numbers"),
        ("t2", {"EchoTime": ["0.01", "0.02"]}, "without quotation marks"),
        (
            "t1rho",
            {"TSL": [1, 10, 30], "SliceTiming": [0, 1]},
            "missing; TSL is an array of 3 and may hold them: ",
        ),
        ("t2", {"EchoTime": [[0.01], [0.02, 0.03]]}, "ragged"),
        ("t2", '{"EchoTime": [0.01, NaN]}', "not finite"),
        ("t2", '{"EchoTime": [0.01, 0.02]', "not JSON"),
        ("t2", "", "not JSON"),
        ("t2", "[" * 100_000, "not JSON"),
        ("t2", b"\xff\xfe{\x00}\x00", "not JSON"),
        ("t2", "[0.01, 0.02]", "not an object"),
        ("t2", '{"EchoTime": [0.01, 0.02], "EchoTime": [0.02, 0.04]}', "EchoTime is there twice"),
        ("t2", '{"EchoTime": [0.01, 0.02], "More": [{"a": 1, "a": 1}]}', "a is there twice"),
        ("t2", '{"EchoTime": [0.01, 0.02], "\\u001b": 1, "\\u001b": 1}', r"\\x1b is there twice"),
        ("t2", {"EchoTime": [5.0] * 100_000}, "milliseconds"),
        ("t2", {"EchoTime": [0.05] * 100_000}, "equal"),
        ("t2", {"EchoTime": "x" * 100_000}, "one time for each volume"),
        ("t2", {"EchoTime": ["x" * 100_000, 0.1]}, "holds text"),
        ("t2", {"EchoTime": [[0.01], [0.02, 0.03]] * 100_000}, "ragged"),
        ("t2", {"EchoTime": [0.01, -(10**400)]}, "real numbers"),
        ("t2", '{"EchoTime": [0.01, ' + "9" * 10_000 + "]}", "not JSON"),
    ],
)
def test_ambiguous_times_are_refused(sidecar, contrast, content, problem):
    scan = sidecar(content)
    with pytest.raises(ValueError, match=problem) as caught:
        rx.io.read_times(scan, contrast)
    assert str(scan.with_name("scan.json")) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_no_sidecar(tmp_path):
    with pytest.raises(FileNotFoundError, match="SpinLockTime"):
        rx.io.read_times(tmp_path / "scan.nii.gz", "t1rho")


def test_an_unknown_contrast(sidecar):
    with pytest.raises(ValueError, match="t1rho"):
        rx.io.read_times(sidecar({}), "T2")
