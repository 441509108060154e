"""Tables of regions: what converged is summarised, what did not is counted."""

import numpy as np
import pytest
import torch

import relaxnet as rx

T2 = rx.Contrast("t2", (10, 20, 40, 80))


@pytest.fixture
def fitted():
    """Fit six voxels: three of label 3 (one NaN), two of label 8 (one at a bound, one masked), one of no label."""
    t = np.array([40.0, 44.0, 50.0, 1e6, 60.0, 70.0])
    signal = 100 * np.exp(-np.array(T2.times_ms) / t[:, None])
    signal[1] = np.nan
    mask = np.array([1, 1, 1, 1, 0, 1], bool)
    return rx.fit(signal, T2, mask=mask), np.array([3, 3, 3, 8, 8, 0])


def of(rows, **wanted):
    (row,) = (row for row in rows if all(row[key] == value for key, value in wanted.items()))
    return row


def test_only_converged_voxels_count(fitted):
    result, labels = fitted
    rows = result.regions(labels)
    assert [(row["label"], row["map"]) for row in rows] == [(3, "m0"), (3, "t2"), (8, "m0"), (8, "t2")]
    row = of(rows, label=3, map="t2")
    assert row["unit"] == "ms"
    np.testing.assert_allclose([row["mean"], row["median"], row["sd"]], [45, 45, np.std([40, 50], ddof=1)], rtol=1e-6)
    np.testing.assert_allclose([row["q25"], row["q75"], row["iqr"]], [42.5, 47.5, 5], rtol=1e-6)
    counts = ("n_voxels", "n_converged", "n_at_bound", "n_failed", "n_masked")
    assert [row[key] for key in counts] == [3, 2, 0, 1, 0]
    row = of(rows, label=8, map="t2")
    assert [row[key] for key in counts] == [2, 0, 1, 0, 1]
    assert np.isnan([row["mean"], row["sd"], row["median"], row["iqr"]]).all()


def test_without_labels_all_voxels_are_one_region(fitted):
    row = fitted[0].regions()[1]
    assert (row["label"], row["n_voxels"], row["n_converged"]) == ("all", 6, 3)


def test_binary_regions_tensors_and_whole_floats_are_labels(fitted):
    result, labels = fitted
    expected = result.regions((labels == 3).astype(int))
    assert expected[0]["label"] == 1
    assert result.regions(labels == 3) == result.regions(torch.from_numpy(labels == 3)) == expected
    assert [row["label"] for row in result.regions(labels.astype(np.float32))] == [3, 3, 8, 8]


def test_names_have_a_column_of_their_own(fitted):
    result, labels = fitted
    assert [row["name"] for row in result.regions(labels, names={3: "liver"})] == ["liver", "liver", "", ""]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.ones(5, int), r"labels has shape \(5,\), the maps \(6,\)"),
        (np.zeros(6, int), "nothing but 0"),
        (np.full(6, 0.5), "labels holds 0.5: whole numbers"),
        (np.array([1, 1, 1, 1, 1, np.nan]), "labels holds nan"),
        (np.array(["liver"] * 6), "whole numbers are needed"),
    ],
)
def test_bad_labels_are_told(fitted, labels, told):
    with pytest.raises(ValueError, match=told):
        fitted[0].regions(labels)


def test_a_data_frame_holds_the_rows(fitted):
    pandas = pytest.importorskip("pandas")
    result, labels = fitted
    expected = pandas.DataFrame(result.regions(labels))
    pandas.testing.assert_frame_equal(result.to_dataframe(labels), expected)


def test_statistics_of_a_region_leave_failed_voxels_out(fitted):
    result, labels = fitted
    found = rx.metrics.roi_statistics(result.maps["t2"], labels == 3)
    row = of(result.regions(labels), label=3, map="t2")
    assert (found.n, found.n_failed, found.mean, found.iqr) == (2, 1, row["mean"], row["iqr"])
    nothing = rx.metrics.roi_statistics([np.nan], [1])
    assert (nothing.n, nothing.n_failed) == (0, 1)
    assert np.isnan(nothing.mean)
