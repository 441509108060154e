"""Rows 1 to 53: arrays that are fitted, and how."""

import dataclasses

import numpy as np
import pytest
import torch

import relaxnet as rx
from bad_inputs import ABSENT, CURVES, STATUS, TIMES, one, raises, refused, row, same

# --- samples ----------------------------------------------------------------------------------------------------------


@row(1, "a NaN in a voxel", "fitted without it")
@row(2, "an infinity in a voxel", "fitted without it")
def _(_):
    for bad in (np.nan, np.inf, -np.inf):
        t, status, n = one([1000, bad, 472.37, 286.5])
        assert (round(t), status, n) == (40, STATUS.CONVERGED, 3)


def without_number(voxel, *statuses, **options):
    t, status, _ = one(voxel, **options)
    assert np.isnan(t)
    assert status in statuses


row(3, "zeros", "NaN, `NO_SIGNAL`", lambda _: without_number([0, 0, 0, 0], STATUS.NO_SIGNAL))


@row(4, "negative samples", "used by least squares; left out by the log-linear fit")
def _(_):
    assert one([100, 40, 5, -3])[1:] == (STATUS.CONVERGED, 4)
    assert one([100, 40, 5, -3], method="log-linear")[2] == 3


@row(5, "a rising signal", "NaN, `NO_DECAY`")
def _(_):
    for method in ("nlls", "two-point", "log-linear"):
        without_number([10, 20, 30, 40], STATUS.NO_DECAY, method=method)


@row(6, "a flat signal", "the upper bound, `AT_BOUND`")
def _(_):
    assert one([100] * 4)[:2] == (5000, STATUS.AT_BOUND)


@row(7, "one spike", "a finite value with a low r², or NaN with a status")
def _(_):
    for k in range(4):
        t, status, _n = one([100.0 if j == k else 0 for j in range(4)])
        assert np.isfinite(t) == (status in (STATUS.CONVERGED, STATUS.AT_BOUND))


@row(8, "clipped samples", "left out with `saturation=`")
def _(_):
    assert one([4095, 4095, 472.37, 286.5], saturation=4095)[2] == 2


@row(9, "signals of 1e-12 or 1e12", "the same T")
def _(_):
    for scale in (1e-12, 1e12):
        same(rx.fit(CURVES * np.float32(scale), TIMES), rtol=1e-4)


@row(10, "subnormal signals", "a number or a status, neighbours unchanged", lambda _: one([4e-41, 3e-41, 2e-41, 1e-41]))
@row(11, "no voxel", "empty maps")
def _(_):
    result = rx.fit(CURVES[:0], TIMES)
    assert result.maps["t"].shape == result.status.shape == (0,)


row(12, "a scalar", "raises", lambda _: raises("axes|axis|dim", rx.fit, np.float32(3), TIMES))


@row(13, "one voxel, one axis", "fitted")
def _(_):
    for curve in (CURVES[2], np.array([100, 60, 70, 30.0])):
        assert np.shape(rx.fit(curve, TIMES).maps["t"]) == ()


row(14, "times along another axis", "raises, and proposes `dim=`", lambda _: raises("dim=", rx.fit, CURVES.T, TIMES))
row(
    15,
    "images and times of other numbers",
    "raises with both",
    lambda _: raises("4.*3|3.*4", rx.fit, CURVES, (0, 1, 2)),
)
row(16, "one time", "raises", lambda _: raises("2 times", rx.fit, CURVES[:, :1], (10,)))
row(17, "fewer samples than parameters", "NaN, `TOO_FEW_SAMPLES`",
    lambda _: without_number([1000, *[np.nan] * 3], STATUS.TOO_FEW_SAMPLES))  # fmt: skip


@row(18, "as many samples as parameters", "fitted, without standard error unless sigma is given")
def _(_):
    result = rx.fit(CURVES[:, :2], TIMES[:2])
    same(result, rtol=1e-4)
    assert not np.isfinite(result.std["t"]).any()


# --- times, masks, bounds ---------------------------------------------------------------------------------------------

row(19, "times in seconds", "raises, and proposes `unit=\"s\"`",
    lambda _: raises("unit='s'", rx.fit, CURVES, (0, 0.01, 0.03, 0.05)))  # fmt: skip


@row(20, "times above 10 s", "a warning")
def _(_):
    with pytest.warns(UserWarning, match="microseconds"):
        rx.fit(CURVES, (0, 10_000, 30_000, 50_000))


@row(21, "times in any order", "the same T")
def _(_):
    same(rx.fit(CURVES[:, ::-1].copy(), TIMES[::-1]))


@row(22, "repeated times", "each image counts; raises if all are equal")
def _(_):
    same(rx.fit(np.repeat(CURVES, 2, axis=1), np.repeat(TIMES, 2)))
    raises("equal", rx.fit, CURVES, (5, 5, 5, 5))


@row(23, "a negative time, NaN", "raises")
def _(_):
    raises("negative", rx.fit, CURVES, (-1, 10, 30, 50))
    raises("not finite", rx.fit, CURVES, (0, 10, 30, np.nan))


@row(24, "times as list, tuple, array, tensor", "the same T")
def _(_):
    for times in ([0, 10, 30, 50], np.array(TIMES), torch.tensor(TIMES), torch.tensor(TIMES, dtype=torch.float64)):
        same(rx.fit(CURVES, times))


row(25, "times as text", "raises", lambda _: raises("text", rx.fit, CURVES, "0,10,30,50", error=TypeError))
row(26, "no image at 0", "the same T", lambda _: same(rx.fit(CURVES[:, 1:], TIMES[1:]), rtol=1e-4))
row(27, "a mask of another shape", "raises with both shapes", lambda _: refused("mask.*4.*5", mask=np.ones(4, bool)))


@row(28, "an empty mask", "NaN, `MASKED`, and a warning")
def _(_):
    with pytest.warns(UserWarning, match="mask is empty"):
        assert (rx.fit(CURVES, TIMES, mask=np.zeros(5, bool)).status == STATUS.MASKED).all()


@row(29, "a mask of zeros and ones of any type", "taken as yes and no")
def _(_):
    for dtype in (np.int64, np.float32, np.uint8):
        result = rx.fit(CURVES, TIMES, mask=np.array([1, 0, 1, 1, 1], dtype))
        assert (result.status == STATUS.MASKED).tolist() == [False, True, False, False, False]


@row(30, "a mask of labels or fractions", "raises")
@row(31, "NaN in a mask", "raises")
def _(_):
    for value in (2, 0.5, np.nan):
        refused("mask", mask=np.array([1, 0, 1, value, 1]))


@row(32, "a mask on another device", "raises with both")
def _(_):
    raises("meta", rx.fit, torch.from_numpy(CURVES), TIMES, mask=torch.ones(5, dtype=torch.bool, device="meta"))


@row(33, "bounds in the wrong order", "raises")
def _(_):
    for bounds in ((500, 1), (5, 5)):
        refused("bounds", bounds=bounds)


@row(34, "bounds that are none", "raises")
def _(_):
    for bounds in ((-1, 5), (np.nan, 5), (0, 5), (1, np.inf), (1,), (1, 2, 3)):
        refused("bounds", bounds=bounds)


row(35, "bounds in seconds", "raises", lambda _: refused("bounds.*seconds", bounds=(0.001, 0.3)))


@row(36, "T beyond the bounds", "the bound, `AT_BOUND`")
def _(_):
    result = rx.fit(CURVES, TIMES, bounds=(1, 50))
    assert (result.status == STATUS.AT_BOUND).tolist() == [False, False, False, True, True]
    np.testing.assert_allclose(result.maps["t"][3:], 50)


@row(37, "a sigma that is none", "raises")
def _(_):
    for sigma in (0, -1, np.nan, np.ones(3), "a"):
        refused("sigma", sigma=sigma)


row(38, "weights of zero", ABSENT, "")

# --- arrays -----------------------------------------------------------------------------------------------------------


@row(39, "integers", "fitted as float32")
def _(_):
    for dtype in (np.uint16, np.int16):
        values = CURVES.astype(dtype)
        np.testing.assert_array_equal(
            rx.fit(values, TIMES).maps["t"], rx.fit(values.astype(np.float32), TIMES).maps["t"]
        )
        assert rx.fit(values, TIMES).maps["t"].dtype == np.float32


@row(40, "float64", "float64")
def _(_):
    assert rx.fit(CURVES.astype(np.float64), TIMES).maps["t"].dtype == np.float64


@row(41, "float16, bfloat16", "computed in float32, returned as it came")
def _(_):
    for dtype in (torch.float16, torch.bfloat16):
        result = rx.fit(torch.from_numpy(CURVES).to(dtype), TIMES)
        assert result.maps["t"].dtype == dtype
        same(dataclasses.replace(result, maps={"t": result.maps["t"].float()}), rtol=0.05)


row(42, "complex numbers", "raises, and proposes the magnitude",
    lambda _: raises("magnitude", rx.fit, CURVES.astype(np.complex64), TIMES))  # fmt: skip


@row(43, "objects, ragged lists", "raises")
def _(_):
    raises("signal", rx.fit, CURVES.astype(object), TIMES, error=TypeError)
    raises("signal", rx.fit, [[1, 2], [3]], (0, 10), error=TypeError)


@row(44, "any strides", "the same T, input unchanged")
@row(45, "negative strides, foreign byte order", "the same T")
@row(46, "a read-only or memory-mapped array", "the same T, no warning")
def _(given):
    frozen = CURVES.copy()
    frozen.flags.writeable = False
    np.save(given.tmp_path / "a.npy", CURVES)
    mapped = np.load(given.tmp_path / "a.npy", mmap_mode="r")
    turned = CURVES[::-1].copy()[::-1]
    for values in (np.asfortranarray(CURVES), turned, CURVES.astype(">f4"), frozen, mapped):
        same(rx.fit(values, TIMES))
    expanded = torch.from_numpy(CURVES[:1]).expand(5, 4)
    assert len(set(rx.fit(expanded, TIMES).maps["t"].tolist())) == 1


@row(47, "a masked array", "masked samples are left out")
def _(_):
    masked = np.ma.MaskedArray(CURVES, mask=np.zeros_like(CURVES, bool))
    masked.mask[2, 1] = True
    assert rx.fit(masked, TIMES).n_used.tolist() == [4, 4, 3, 4, 4]


@row(48, "times on another device", "taken: times may be anywhere")
def _(_):
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        same(rx.fit(torch.from_numpy(CURVES), torch.tensor(TIMES, device=device)))


row(49, "images that require a gradient", "the maps have one", "fitting/test_gradient.py::test_a_fit_can_be_a_layer")
row(50, "images of inference mode in a loss", "learnt from",
    "test_surface.py::test_images_made_in_inference_mode_can_be_learnt_from")  # fmt: skip
row(51, "float64 on a device without it", "needs such a device to be tried", "")
row(52, "the memory of a GPU runs out", "smaller blocks once, then raises, and proposes `chunk_size=`",
    "fitting/test_scale.py::test_where_the_memory_of_a_device_runs_out_blocks_are_cut_once")  # fmt: skip
row(53, "a volume larger than memory", "fitted in blocks",
    "fitting/test_scale.py::test_memory_stays_below_twice_the_input_and_a_little")  # fmt: skip
