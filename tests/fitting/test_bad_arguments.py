"""A bad argument is refused with its name, what came and what is needed."""

import numpy as np
import pytest
import torch

import relaxnet as rx

TIMES = (0.0, 10.0, 30.0, 50.0)
SIGNAL = np.tile(100 * np.exp(-np.array(TIMES) / 40), (5, 1))

pytestmark = pytest.mark.usefixtures("as_user")


@pytest.mark.parametrize(
    ("signal", "times", "options", "message"),
    [
        (SIGNAL.reshape(1, 5, 4), TIMES, {}, r"axis dim=1 has 5 images, times_ms has 4 times; did you mean dim=-1\?"),
        (np.zeros((4, 5, 4)), TIMES, {}, r"did you mean dim=0 or dim=-1\?"),
        (SIGNAL, (0, 10, 30), {}, r"4 images, times_ms has 3 times; the shape is \(5, 4\)"),
        (SIGNAL, TIMES, {"dim": 2}, r"dim=2, but signal has 2 axes"),
        (np.array(3.0), TIMES, {}, "single number"),
        (SIGNAL, (10,), {}, "holds 1 time"),
        (SIGNAL, (0, 0.01, 0.03, 0.05), {}, "look like seconds.*unit='s'"),
        (SIGNAL, (0, 10, 30, np.nan), {}, "not finite"),
        (SIGNAL, (-1, 10, 30, 50), {}, "negative"),
        (SIGNAL, (5, 5, 5, 5), {}, "all equal"),
        (SIGNAL, TIMES, {"mask": np.ones((4,), bool)}, r"mask has shape \(4,\), .* \(5,\)"),
        (SIGNAL, TIMES, {"mask": [0, 1, 2, 0, 1]}, "other than 0 and 1"),
        (SIGNAL, TIMES, {"mask": [0, 1, 0.5, 0, 1]}, "other than 0 and 1"),
        (SIGNAL, TIMES, {"mask": [0, 1, np.nan, 0, 1]}, "other than 0 and 1"),
        (SIGNAL, TIMES, {"bounds": (300, 10)}, "smallest < largest"),
        (SIGNAL, TIMES, {"bounds": (10, 10)}, "smallest < largest"),
        (SIGNAL, TIMES, {"bounds": (0, 10)}, "0 < smallest"),
        (SIGNAL, TIMES, {"bounds": (-1, 10)}, "0 < smallest"),
        (SIGNAL, TIMES, {"bounds": (np.nan, 10)}, "0 < smallest"),
        (SIGNAL, TIMES, {"bounds": (0.001, 0.3)}, "look like seconds"),
        (SIGNAL, TIMES, {"bounds": (1,)}, r"bounds=\(1,\): give two numbers"),
        (SIGNAL, TIMES, {"bounds": (1, 2, 3)}, "bounds=.*give two numbers"),
        (SIGNAL, TIMES, {"bounds": ("a", 2)}, "bounds=.*give two numbers"),
        (SIGNAL, TIMES, {"sigma": "a"}, "sigma holds .* real numbers"),
        (SIGNAL, TIMES, {"sigma": ["1"] * 4}, "sigma holds .* real numbers"),
        (SIGNAL, TIMES, {"sigma": [[1, 2], [1]]}, "sigma is a ragged list"),
        (SIGNAL, TIMES, {"sigma": torch.tensor(1j)}, "sigma is complex"),
        (SIGNAL, TIMES, {"sigma": np.ma.array([1, 1, 1, 1], mask=[0, 0, 0, 1])}, "sigma has masked entries"),
        (SIGNAL, TIMES, {"mask": ["a"] * 5}, "mask holds .* real numbers"),
        (SIGNAL, TIMES, {"mask": np.ma.array([1, 1, 1, 1, 1], mask=[0, 0, 0, 0, 1])}, "mask has masked entries"),
        (SIGNAL, TIMES, {"sigma": 0}, "positive and finite"),
        (SIGNAL, TIMES, {"sigma": -1.0}, "positive and finite"),
        (SIGNAL, TIMES, {"sigma": np.nan}, "positive and finite"),
        (SIGNAL, TIMES, {"sigma": (1, 2)}, r"sigma has shape \(2,\).*4 times"),
        (SIGNAL, TIMES, {"saturation": -5}, "saturation=-5"),
        (SIGNAL, TIMES, {"saturation": "a"}, "saturation='a'"),
        (SIGNAL, TIMES, {"chunk_size": 0}, "chunk_size=0"),
        (SIGNAL, TIMES, {"chunk_size": 1.5}, "chunk_size=1.5"),
        (SIGNAL, TIMES, {"chunk_size": "a"}, "chunk_size='a'"),
        (SIGNAL, TIMES, {"chunk_size": float("nan")}, "chunk_size=nan"),
        (SIGNAL, TIMES, {"dim": 1.5}, "dim=1.5"),
        (SIGNAL, TIMES, {"dim": "a"}, "dim='a'"),
        (SIGNAL, TIMES, {"unit": "us"}, "unit='us'"),
        (SIGNAL, TIMES, {"method": "nnls"}, "method='nnls'.*Did you mean 'nlls'"),
        (SIGNAL, TIMES, {"method": "two-point", "pair": (0, 4)}, r"pair=\(0, 4\): the signal has 4 images"),
        (SIGNAL, TIMES, {"method": "two-point", "pair": (0,)}, r"pair=\(0,\)"),
        (SIGNAL, TIMES, {"method": "two-point", "pair": (0, 1.5)}, r"pair=\(0, 1.5\)"),
        (SIGNAL, TIMES, {"method": "two-point", "pair": 3}, "pair=3"),
        (SIGNAL, (0, 0, 30, 50), {"method": "two-point", "pair": (0, 1)}, "different times"),
        (torch.zeros(5, 4), torch.zeros(4, device="meta"), {}, "times_ms"),
    ],
)
def test_values(signal, times, options, message):
    with pytest.raises(ValueError, match=message):
        rx.fit(signal, times, **options)


@pytest.mark.parametrize(
    ("signal", "times", "message"),
    [
        (SIGNAL + 1j, TIMES, r"complex.*numpy.abs"),
        (torch.zeros(5, 4, dtype=torch.complex64), TIMES, r"complex.*signal.abs"),
        (SIGNAL.astype(object), TIMES, "object"),
        ([["a", "b", "c", "d"]], TIMES, "real numbers"),
        ([[1, 2, 3, 4], [1, 2]], TIMES, "ragged"),
        (SIGNAL, "0,10,30,50", "is text"),
        (SIGNAL, ("0", "10", "30", "50"), "real numbers"),
    ],
)
def test_kinds_of_numbers(signal, times, message):
    for error in (TypeError, ValueError):  # whoever catches either meets it
        with pytest.raises(error, match=message):
            rx.fit(signal, times)


def test_devices_must_agree():
    signal = torch.zeros(5, 4)
    with pytest.raises(ValueError, match="signal is on cpu, mask on meta"):
        rx.fit(signal, TIMES, mask=torch.zeros(5, device="meta"))
    with pytest.raises(ValueError, match="signal is on meta, times_ms on cpu"):
        rx.fit(signal.to("meta"), torch.tensor(TIMES))


def test_unknown_options_are_named():
    with pytest.raises(TypeError, match="bound"):
        rx.fit(SIGNAL, TIMES, bound=(1, 2))


def test_an_empty_mask_warns_and_returns():
    with pytest.warns(UserWarning, match="mask is empty"):
        result = rx.fit(SIGNAL, TIMES, mask=np.zeros(5))
    assert np.isnan(result.maps["t"]).all()
    assert (result.status == rx.FitStatus.MASKED).all()
    assert (result.n_used == 0).all()


@pytest.mark.parametrize("kind", [bool, np.uint8, int, np.float32])
def test_masks_of_any_kind_select_and_never_index(kind):
    mask = np.array([0, 1, 1, 0, 1]).astype(kind)
    for given in (mask, torch.from_numpy(mask), mask[::-1][::-1], mask.tolist()):
        result = rx.fit(SIGNAL, TIMES, mask=given)
        np.testing.assert_array_equal(np.isfinite(result.maps["t"]), mask.astype(bool))


def test_lists_are_accepted():
    result = rx.fit(SIGNAL.tolist(), [0, 10, 30, 50])
    np.testing.assert_allclose(result.maps["t"], 40)
