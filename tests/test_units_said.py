"""A unit that was said is believed: times of an ultrashort TE, in ms below 1."""

import nibabel as nib
import numpy as np
import pytest

import relaxnet as rx

TE_S = (0.00003, 0.0002, 0.0005, 0.0009)
SIGNAL = 100 * np.exp(-np.array(TE_S) * 1e3 / 0.6)


@pytest.mark.parametrize(
    ("times", "options"),
    [
        (rx.Contrast.from_seconds("t", TE_S), {}),
        (TE_S, {"unit": "s"}),
        (rx.times.parse_times(TE_S, unit="s"), {}),
        (rx.Contrast.from_seconds("t", TE_S), {"bounds": (0.05, 0.9)}),
    ],
)
def test_echo_times_below_a_millisecond_are_fitted(times, options):
    result = rx.fit(SIGNAL[None], times, **options)
    assert result.ok.all()
    np.testing.assert_allclose(result.maps["t"], 0.6, rtol=1e-6)


def test_so_they_are_in_files(tmp_path):
    nib.save(nib.Nifti1Image(np.broadcast_to(SIGNAL, (2, 2, 1, 4)).astype(np.float32), np.eye(4)), tmp_path / "s.nii")
    (tmp_path / "s.json").write_text('{"EchoTime": [0.00003, 0.0002, 0.0005, 0.0009]}')
    outcome = rx.workflows.fit_scan(tmp_path / "s.nii", "t2star")
    np.testing.assert_allclose(outcome.result.maps["t2star"], 0.6, rtol=1e-4)


def test_plain_numbers_are_still_asked_for_their_unit():
    with pytest.raises(ValueError, match="look like seconds"):
        rx.fit(SIGNAL, np.array(TE_S) * 1e3)
    with pytest.raises(ValueError, match="look like seconds"):
        rx.fit(SIGNAL, (0, 10, 30, 50), bounds=(0.01, 0.5))
