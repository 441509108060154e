"""A scan is fitted from Python as the command does it."""

import nibabel
import numpy as np
import pytest

import relaxnet as rx

TIMES_MS = (50.0, 200.0, 600.0, 1500.0, 4000.0)


@pytest.fixture
def signed(tmp_path):
    """Save the images of an inversion recovery with their sign."""
    images = 1000 * (1 - 2 * np.exp(-np.array(TIMES_MS) / np.full((4, 3, 2, 1), 900.0)))
    image = nibabel.Nifti1Image(images.astype(np.float32), np.eye(4))
    image.set_qform(np.eye(4), 1)
    image.to_filename(tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def test_signed_images_are_not_doubted_where_the_model_has_a_sign(signed, tmp_path):
    model = rx.signals.InversionRecovery(magnitude=False)
    outcome = rx.workflows.fit_scan(signed, "t1", times_ms=TIMES_MS, model=model, out=tmp_path / "out", strict=True)
    np.testing.assert_allclose(outcome.result.maps["t1"], 900, rtol=1e-3)


def test_signed_images_are_doubted_where_the_model_has_none(signed, tmp_path):
    with pytest.raises(ValueError, match="negative, as of no magnitude image"):
        rx.workflows.fit_scan(
            signed,
            "t1",
            times_ms=TIMES_MS,
            model=rx.signals.SaturationRecovery.ideal(),
            out=tmp_path / "out",
            strict=True,
        )
    assert not (tmp_path / "out" / "scan_T1map.nii.gz").exists()
