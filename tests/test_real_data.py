"""Real acquisitions, against values that others obtained."""

import numpy as np
import scipy.ndimage

import relaxnet as rx


def test_probe_voxels_of_a_multi_echo_brain(real_data):
    data = real_data("qmrlab_brain_mese_small.npz")
    result = rx.fit(data["signal"].astype(np.float64), data["times_ms"], dim=-1)
    at = tuple(data["probe_xy"].T)
    np.testing.assert_allclose(result.maps["t"][at], data["probe_t2_ms"], rtol=1e-6)
    np.testing.assert_allclose(result.maps["m0"][at], data["probe_m0"], rtol=1e-6)


def test_vials_of_the_nist_phantom(real_data):
    data = real_data("nist_site3_ge_plate5.npz")
    t2 = rx.fit(data["signal"], data["times_ms"], dim=-1).maps["t"]
    rows, columns = np.indices(t2.shape)
    tested = 0
    for (row, column), nist in zip(data["sphere_rc"][:14], data["nist_t2_ms"], strict=False):
        if 20 <= nist <= 200:
            vial = np.hypot(rows - row, columns - column) * data["pixel_mm"] < 4
            assert -0.02 < np.median(t2[vial]) / nist - 1 < 0.08
            tested += 1
    assert tested == 7


def test_tissues_of_a_spin_echo_brain(real_data):
    data = real_data("santini_brain_se.npz")
    result = rx.fit(data["signal"], data["times_ms"], dim=-1)
    t2 = result.maps["t"]
    row, column = np.indices(t2.shape)
    skull = ((row - 138) / 80) ** 2 + ((column - 96) / 58) ** 2 < 1
    fluid = skull & (t2 > 200)
    tissue = skull & result.ok & (t2 > 40) & (t2 < 150)
    depth = scipy.ndimage.distance_transform_edt(~fluid)  # in pixels from the nearest fluid, in sulci and ventricles
    assert 60 < np.median(t2[tissue & (depth > 6)]) < 65, "white matter lies deep"
    assert 72 < np.median(t2[tissue & (depth > 1) & (depth <= 2)]) < 85, "grey matter lines the sulci"
    assert np.median(t2[fluid & result.ok]) > 300
