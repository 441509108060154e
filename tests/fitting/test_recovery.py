"""T1 recovery as scanners do it: pulses that are not perfect, repetition times that are not long, magnitudes."""

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.signals import InversionRecovery, SaturationRecovery

TI_MS = np.array([50.0, 150, 350, 700, 1200, 2500])
T1_MS = np.array([300.0, 578, 900, 1300, 2200])


def recover(depth, tr_ms=None, times=TI_MS, t1=T1_MS):
    """The recovery after repeated pulses, by following the magnetisation from one to the next."""
    # The excitation at TI leaves nothing, and recovery goes on until the next pulse.
    wait = np.full_like(times, np.inf) if tr_ms is None else tr_ms - times
    after = (1 - depth) * (1 - np.exp(-wait / t1[:, None]))
    return 1000 * (1 - (1 - after) * np.exp(-times / t1[:, None]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("tr_ms", [None, 3000.0])
@pytest.mark.parametrize("efficiency", [0.6, 0.8, 0.95, 1.0])
def test_an_inversion_of_any_efficiency_gives_t1_and_efficiency(efficiency, tr_ms, dtype):
    signal = np.abs(recover(2 * efficiency, tr_ms)).astype(dtype)
    model = InversionRecovery(tr_ms=tr_ms)
    result = rx.fit(signal, TI_MS, model=model)
    assert result.ok.all()
    np.testing.assert_allclose(result.maps["t"], T1_MS, rtol=1e-6 if dtype == np.float64 else 1e-3)
    np.testing.assert_allclose(model.efficiency_of(**result.maps), efficiency, rtol=1e-3)
    unaware = rx.fit(signal, TI_MS, model=InversionRecovery())
    np.testing.assert_allclose(unaware.maps["t"], result.maps["t"], rtol=1e-3)  # TR is in the constant
    known = rx.fit(signal, TI_MS, model=InversionRecovery(efficiency=efficiency, tr_ms=tr_ms))
    np.testing.assert_allclose(known.maps["t"], T1_MS, rtol=1e-3)


@pytest.mark.parametrize("efficiency", [0.7, 1.0])
def test_a_saturation_of_any_efficiency_gives_t1_and_efficiency(efficiency):
    signal, model = recover(efficiency, 3000.0), SaturationRecovery(tr_ms=3000.0)
    result = rx.fit(signal, TI_MS, model=model)
    np.testing.assert_allclose(result.maps["t"], T1_MS, rtol=1e-6)
    np.testing.assert_allclose(model.efficiency_of(**result.maps), efficiency, rtol=1e-6)
    known = rx.fit(signal, TI_MS, model=SaturationRecovery(efficiency=efficiency, tr_ms=3000.0))
    np.testing.assert_allclose(known.maps["t"], T1_MS, rtol=1e-6)


@pytest.mark.parametrize("snr", [8, 30])
def test_no_signs_and_no_t1_explain_magnitudes_better(snr):
    """All T1 on a fine grid with all signs, solved by lstsq, for pulses that are not more than perfect."""
    g = np.random.default_rng(snr)
    signal = np.abs(np.abs(recover(1.7)) + g.normal(0, 1000 / snr, (40, *recover(1.7).shape))).reshape(-1, len(TI_MS))
    result = rx.fit(signal, TI_MS, model=InversionRecovery())
    assert result.ok.mean() > 0.9
    for k in np.flatnonzero(result.ok):
        found = (result.rmse[k] ** 2) * len(TI_MS)
        for t1 in np.geomspace(20, 5000, 60):
            columns = np.stack((1 - 2 * np.exp(-TI_MS / t1), np.ones_like(TI_MS)), 1)
            for start in range(len(TI_MS) + 1):
                signed = np.where(np.arange(len(TI_MS)) < start, -1, 1) * signal[k]
                (m0, offset), squares, *_ = np.linalg.lstsq(columns, signed)
                if m0 > 0 and offset >= 0:
                    assert found <= squares[0] * (1 + 1e-6)


def test_the_order_of_times_and_missing_or_repeated_ones_do_not_matter():
    signal = np.abs(recover(1.7))
    order = np.array([3, 0, 5, 1, 4, 2])
    shuffled = rx.fit(signal[:, order], TI_MS[order], model=InversionRecovery())
    np.testing.assert_allclose(shuffled.maps["t"], T1_MS, rtol=1e-6)
    twice = rx.fit(np.repeat(signal, 2, 1), np.repeat(TI_MS, 2), model=InversionRecovery())
    np.testing.assert_allclose(twice.maps["t"], T1_MS, rtol=1e-6)
    signal[:, 2] = np.nan
    np.testing.assert_allclose(rx.fit(signal, TI_MS, model=InversionRecovery()).maps["t"], T1_MS, rtol=1e-6)


def test_three_magnitudes_do_not_tell_their_signs():
    signal = np.abs(recover(1.7))[:, :3]
    result = rx.fit(signal, TI_MS[:3], model=InversionRecovery())
    assert (result.status == rx.FitStatus.TOO_FEW_SAMPLES).all()
    assert rx.fit(recover(1.7)[:, :3], TI_MS[:3], model=InversionRecovery(magnitude=False)).ok.all()


@pytest.mark.parametrize(("level", "status"), [(0.0, "NO_SIGNAL"), (5.0, "NO_DECAY")])
def test_a_constant_magnitude_has_no_t1(level, status):
    result = rx.fit(np.full((3, 6), level), TI_MS, model=InversionRecovery())
    assert {rx.FitStatus(s).name for s in result.status} == {status}


def test_gradients_pass_through_magnitudes():
    signal = torch.from_numpy(np.abs(recover(1.7))).requires_grad_()
    torch.autograd.gradcheck(lambda s: rx.fitting.nlls(s, TI_MS, model=InversionRecovery()).maps["t"], signal, eps=1e-3)


def test_nulls_within_tr_are_where_the_signal_turns():
    model, times = InversionRecovery(efficiency=0.9, tr_ms=1500.0), torch.tensor([0.0, 100.0, 400.0, 1200.0]).double()
    nulls = model.non_smooth_points(times)
    assert len(nulls) == 2  # after 1200 ms no T1 is nulled, since half of TR is gone
    np.testing.assert_allclose(model.basis(nulls, times[1:3]), 0, atol=1e-9)


@pytest.mark.parametrize("method", ["two-point", "rician"])
def test_what_cannot_find_the_efficiency_says_how_to_give_it(method):
    with pytest.raises(ValueError, match=r"InversionRecovery\.ideal\(\)|efficiency=") as caught:
        rx.fit(np.abs(recover(1.7)), TI_MS, model=InversionRecovery(), method=method, sigma=1.0)
    assert "ideal()" in str(caught.value)


@pytest.mark.parametrize("tr_ms", [0, -5, np.inf, np.nan])
def test_a_repetition_time_is_positive(tr_ms):
    with pytest.raises(ValueError, match="tr_ms="):
        InversionRecovery(tr_ms=tr_ms)


def test_files_keep_the_pulse():
    for model in (InversionRecovery(), InversionRecovery.ideal(), SaturationRecovery(tr_ms=3000.0)):
        assert rx.signals.restore_model("t1", rx.signals.describe_model(model)) == model
    old = {"name": "InversionRecovery", "settings": {"efficiency": 1.0, "magnitude": True}, "own": False}
    assert rx.signals.restore_model("t1", old) == InversionRecovery.ideal()
