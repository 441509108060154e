"""The patient's right or front is at the left of a picture, the front or the head at the top."""

import nibabel
import numpy as np
import pytest

import relaxnet as rx


@pytest.mark.parametrize("slice_axis", ["S", "A", "R"])
@pytest.mark.parametrize("flips", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("swapped", [False, True])
def test_pictures_do_not_depend_on_how_the_file_stores_them(slice_axis, flips, swapped):
    opposite = {"R": "L", "A": "P", "S": "I"}
    in_plane = [axis for axis in "RAS" if axis != slice_axis]
    codes = [opposite[code] if flip else code for code, flip in zip(in_plane, flips, strict=True)]
    codes = (*(codes[::-1] if swapped else codes), slice_axis)
    canonical = np.arange(2 * 3 * 4).reshape(2, 3, 4)  # along R, A, S
    orientation = nibabel.orientations.axcodes2ornt(codes)
    stored = nibabel.orientations.apply_orientation(
        canonical, nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), orientation)
    )
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for k, (axis, sign) in enumerate(orientation.astype(int)):
        affine[axis, k] = sign
    expected = {
        "S": canonical[::-1, ::-1, :].transpose(2, 1, 0),
        "A": canonical[::-1, :, ::-1].transpose(1, 2, 0),
        "R": canonical[:, ::-1, ::-1].transpose(0, 2, 1),
    }
    np.testing.assert_array_equal(rx.io.as_pictures(stored, affine), expected[slice_axis])
