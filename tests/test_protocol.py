import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relaxnet as rx
from relaxnet.times import parse_times

T1RHO = rx.Contrast("t1rho", times_ms=(0, 10, 30, 50))
T2 = rx.Contrast("t2", times_ms=(0, 18.2, 34.6, 51.0))


def rising_times(min_size=2, max_size=6):
    steps = st.lists(st.floats(1.0, 200.0), min_size=min_size, max_size=max_size)
    return steps.map(lambda s: tuple(float(t) for t in np.cumsum(s)))


@st.composite
def protocols(draw):
    names = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True))
    shared = draw(st.booleans())
    contrasts = []
    for name in names:
        times = draw(rising_times())
        contrasts.append(rx.Contrast(name, (0.0, *times) if shared else times))
    return rx.Protocol(tuple(contrasts), shared_first=shared)


def test_paper_protocol():
    protocol = rx.Protocol((T1RHO, T2), shared_first=True)
    assert protocol == rx.protocols.LIVER_T1RHO_T2
    assert protocol.n_images == 7
    assert protocol.images_of("t1rho") == (0, 1, 2, 3)
    assert protocol.images_of("t2") == (0, 4, 5, 6)
    assert protocol.input_sets == {"short": (0, 1, 4), "middle": (0, 2, 5), "long": (0, 3, 6)}


@given(protocols())
def test_every_image_belongs_to_a_contrast(protocol):
    channels = [channel for name in protocol.names for channel in protocol.images_of(name)]
    assert sorted(set(channels)) == list(range(protocol.n_images))
    repeated = len(channels) - len(set(channels))
    assert repeated == (len(protocol.names) - 1 if protocol.shared_first else 0)


@given(protocols())
def test_every_input_set_sees_each_contrast_twice(protocol):
    assert protocol.input_sets
    for name, channels in protocol.input_sets.items():
        assert protocol.channels(name) == channels
        assert all(len(set(channels) & set(protocol.images_of(contrast))) == 2 for contrast in protocol.names)


def test_input_sets_without_a_shared_image():
    protocol = rx.Protocol((rx.Contrast("t1rho", (0, 10, 30)), rx.Contrast("t2", (5, 20, 40, 60))))
    assert protocol.n_images == 7
    assert protocol.input_sets == {"short": (0, 1, 3, 4), "long": (0, 2, 3, 6)}


@given(protocols())
def test_description_is_plain_and_complete(protocol):
    assert rx.Protocol.from_dict(json.loads(json.dumps(protocol.to_dict()))) == protocol


@given(rising_times())
def test_times_of_any_numeric_kind_mean_the_same(times):
    for kind in (list, np.array, torch.tensor):
        assert parse_times(kind(times)) == pytest.approx(times, rel=1e-6)
    assert parse_times([round(t) for t in (0, 10, 30)]) == (0.0, 10.0, 30.0)


def test_seconds_are_converted_on_request():
    assert rx.Contrast.from_seconds("t2", (0, 0.0182, 0.0346, 0.051)).times_ms == pytest.approx(T2.times_ms)
    assert parse_times((0, 0.01), unit="s") == (0, 10)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((0, 0.01, 0.03, 0.05), r"0.01, 0.03, 0.05\) look like seconds; .*Contrast.from_seconds"),
        ((0, 30, 10), "do not rise. Sort"),
        ((0, 10, 10), "repeat a time. Average"),
        ((0, -10), "negative"),
        ((0, float("nan")), "not finite"),
        ((0, float("inf")), "not finite"),
        ((10,), "2 times or more"),
        ((), "2 times or more"),
        ((5, 5), "all equal"),
        (((0, 10), (20, 30)), "2 axes"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_times_that_cannot_be_meant(times, message):
    with pytest.raises(ValueError, match=f"Contrast 't1rho': times_ms.*{message}"):
        rx.Contrast("t1rho", times)


@pytest.mark.parametrize("times", ["0,10", ("0", "10"), (0, None), (0, 10j), ((0,), (1, 2)), (True, False)])
@pytest.mark.usefixtures("as_user")
def test_times_that_are_no_numbers(times):
    with pytest.raises(TypeError, match="times_ms"):
        parse_times(times)


def test_microseconds_are_doubted():
    with pytest.warns(UserWarning, match="from 0 to 30000 ms.*microseconds"):
        parse_times((0, 30_000))


@pytest.mark.usefixtures("as_user")
def test_unit_must_be_known():
    with pytest.raises(ValueError, match="unit='us'"):
        parse_times((0, 10), unit="us")


@pytest.mark.parametrize(
    ("name", "error"), [("", ValueError), ("T1 rho", ValueError), ("m0", ValueError), (3, TypeError)]
)
@pytest.mark.usefixtures("as_user")
def test_bad_names(name, error):
    with pytest.raises(error, match="Contrast name="):
        rx.Contrast(name, (0, 10))


@pytest.mark.parametrize(
    ("contrasts", "options", "error", "message"),
    [
        ((), {}, ValueError, "empty"),
        ((T1RHO, T1RHO), {}, ValueError, "name of its own"),
        (
            (T1RHO, rx.Contrast("t2", (5, 20))),
            {"shared_first": True},
            ValueError,
            r"'t1rho': 0.0, 't2': 5.0.* two times",
        ),
        (T1RHO, {}, TypeError, "one contrast"),
        (("t1rho",), {}, TypeError, "a str"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_protocols_that_cannot_be_meant(contrasts, options, error, message):
    with pytest.raises(error, match=message):
        rx.Protocol(contrasts, **options)


def test_unknown_contrast_and_inputs():
    protocol = rx.protocols.LIVER_T1RHO_T2
    with pytest.raises(ValueError, match=r"'t1'.*'t1rho', 't2'"):
        protocol.images_of("t1")
    with pytest.raises(ValueError, match=r"'tall'.*short"):
        protocol.channels("tall")
    for channels in ((), (0, 7), (0, 0), (-1,)):
        with pytest.raises(ValueError, match="channel numbers from 0 to 6"):
            protocol.channels(channels)
