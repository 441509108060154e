"""The best times lie where they may, and are never worse than equidistant ones."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relaxnet as rx
from relaxnet.cli import main
from relaxnet.information import crlb, optimal_times, relative_precision
from relaxnet.times import CheckedTimes

DECAY = rx.signals.MonoExponential()
SATURATION, RECOVERY = rx.signals.SaturationRecovery(), rx.signals.InversionRecovery()
MODELS = (DECAY, RECOVERY, SATURATION, rx.signals.MonoExponentialWithOffset())


@settings(max_examples=12)
@given(
    st.sampled_from(MODELS),
    st.floats(20, 200),
    st.floats(1, 4),
    st.integers(3, 6),
    st.floats(50, 400),
    st.floats(0, 20),
    st.floats(0, 1),
)
def test_a_design_is_within_bounds_and_never_worse_than_equidistant(model, low, width, n, max_ms, min_ms, share):
    gap = share * (max_ms - min_ms) / (n - 1)
    span = (low, width * low)
    times = optimal_times(model, span, n, max_ms, min_ms=min_ms, min_gap_ms=gap)
    assert len(times) == n
    assert min_ms <= times[0] <= times[-1] <= max_ms
    assert np.diff(times).min() >= gap - 1e-9 * max_ms
    equidistant = CheckedTimes(np.linspace(min_ms, max_ms, n).tolist())
    best, other = (relative_precision(model, span, of) for of in (CheckedTimes(times), equidistant))
    assert best <= other * (1 + 1e-9)


def test_gaps_that_leave_no_choice_give_equidistant_times():
    times = optimal_times(DECAY, (30, 60), 4, 60, min_gap_ms=20)
    np.testing.assert_allclose(times, (0, 20, 40, 60), atol=1e-9)


def test_gaps_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"min_gap_ms=21: 4 times from 0 to 60 lie at most 20 apart"):
        optimal_times(DECAY, (30, 60), 4, 60, min_gap_ms=21)
    with pytest.raises(ValueError, match="min_gap_ms=-1"):
        optimal_times(DECAY, (30, 60), 4, 60, min_gap_ms=-1)


def test_the_precision_of_one_t_is_its_bound():
    bound = crlb(DECAY, 100.0, 45.0, (0, 10, 30, 50), sigma=5.0)["t"]
    assert relative_precision(DECAY, (45, 45), (0, 10, 30, 50), snr=20) == pytest.approx(float(bound) / 45)
    assert relative_precision(DECAY, (45, 45), (10, 10, 10)) == np.inf
    with pytest.raises(ValueError, match="snr=0"):
        relative_precision(DECAY, (45, 45), (0, 10), snr=0)


# --- the command ------------------------------------------------------------------------------------------------------

LINE = ["design", "t1rho", "--range-ms", "30,60", "--n", "4", "--max-ms", "60"]


def test_the_command_prints_best_and_equidistant_times(capsys):
    assert main(LINE) == 0
    _, best, equidistant = capsys.readouterr().out.splitlines()
    assert best.startswith("best         0, 51.61, 51.61, 51.61 ms: 9.3 %")
    assert equidistant.startswith("equidistant  0, 20, 40, 60 ms: 10.5 %")


def test_the_command_prints_json(capsys):
    assert main([*LINE, "--min-gap-ms", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert np.diff(found["best"]["times"]).min() >= 5 - 1e-6
    assert found["best"]["relative_std"] < found["equidistant"]["relative_std"]
    assert main(["design", "t1", "--range", "600,1400", "--n", "2", "--max", "30", "--min", "2", "--json"]) == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--min-gap-ms", "30"], "--min-gap-ms: "),
        (["--model", "Nothing"], "'Nothing' is no model of relaxnet.signals, such as MonoExponential"),
        (["--model", "StretchedExponential"], "argument: 'alpha'"),
        (["--range-ms", "60,30"], "0 < LOW <= HIGH"),
        (["--n", "1"], "--n"),
        (["--min-ms", "70"], "--min-ms, --max-ms"),
        (["--snr", "0"], "--snr"),
    ],
)
def test_what_cannot_be_designed_names_the_option(options, told, capsys):
    assert main([*LINE, *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err


def test_flip_angles_and_b_values_have_their_own_units(capsys):
    line = ["design", "t1", "--range", "600,1400", "--n", "3", "--max", "40", "--min", "1"]
    assert main([*line, "--model", "VariableFlipAngle", "--tr-ms", "15"]) == 0
    assert " degrees: " in capsys.readouterr().out
    assert main(["design", "adc", "--range", "0.0005,0.002", "--n", "3", "--max", "1000"]) == 0
    assert " s/mm²: " in capsys.readouterr().out


@pytest.mark.parametrize("span", [(60, 30), (0, 30), (30, float("inf")), (-1, 30)])
def test_a_range_that_is_none_is_refused(span):
    with pytest.raises(ValueError, match="give the shortest and the longest T"):
        optimal_times(DECAY, span, 4, 60)
