"""Exact zeros at the end of a decay are not data: some processing sets late echoes to zero."""

import numpy as np
import pytest

import relaxnet as rx

TE_MS = np.array([14.0, 29, 44, 59, 74])
DECAY = 100 * np.exp(-TE_MS / 40)


@pytest.mark.parametrize("options", [{}, {"method": "rician", "sigma": 1e-3}, {"method": "log-linear"}])
@pytest.mark.parametrize("order", [slice(None), [3, 0, 4, 2, 1]])
def test_late_echoes_set_to_zero_are_left_out(options, order):
    signal = np.where(np.arange(5) < np.array([2, 3, 4, 5])[:, None], DECAY, 0)
    result = rx.fit(signal[:, order], TE_MS[order], **options)
    assert result.ok.all()
    np.testing.assert_allclose(result.maps["t"], 40, rtol=1e-3)
    np.testing.assert_array_equal(result.n_used, [2, 3, 4, 5])


def test_zeros_between_samples_and_voxels_of_zeros_stay_what_they_are():
    signal = np.array([DECAY * [1, 0, 1, 1, 1], DECAY * 0, DECAY * [1, 0, 0, 0, 0]])
    result = rx.fit(signal, TE_MS)
    assert [rx.FitStatus(s).name for s in result.status[1:]] == ["NO_SIGNAL", "AT_BOUND"]
    np.testing.assert_array_equal(result.n_used[:2], [5, 5])


def test_a_null_at_the_end_of_a_recovery_is_data():
    signal = 100 * np.exp(-TE_MS / 40) * [1, 1, 1, 1, 0]
    assert rx.fit(signal[None], TE_MS, model=rx.signals.InversionRecovery.ideal()).n_used[0] == 5
