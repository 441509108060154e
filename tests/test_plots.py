import numpy as np
import pytest

import relaxnet as rx


def volume(*shape):
    values = np.random.default_rng(0).uniform(20, 60, shape)
    values[..., 0, 0] = np.nan
    return values


def colour_bars(figure):
    return [axis.get_ylabel() for axis in figure.axes if axis.get_label() == "<colorbar>"]


@pytest.mark.parametrize(("shape", "tiles"), [((8, 9), 1), ((1, 8, 9), 1), ((5, 8, 9), 5), ((40, 8, 9), 12)])
def test_a_map_is_shown_slice_by_slice_with_its_unit(shape, tiles, tmp_path):
    figure = rx.plots.map_figure(volume(*shape), name="t1rho")
    assert sum(len(axis.images) for axis in figure.axes if axis.get_label() != "<colorbar>") == tiles
    assert colour_bars(figure) == ["T1rho (ms)"]
    figure.savefig(tmp_path / "map.png")


def test_colours_follow_the_median_and_not_the_outliers():
    values = np.full((8, 9), 40.0)
    values[0] = 5000
    values[1] = np.nan
    image = rx.plots.map_figure(values, name="t2").axes[0].images[0]
    assert image.get_clim() == (0, 80)


def test_voxels_that_are_not_ok_are_not_shown():
    ok = np.zeros((8, 9), dtype=bool)
    ok[2, 3] = True
    shown = rx.plots.map_figure(volume(8, 9), name="t2", ok=ok).axes[0].images[0].get_array()
    np.testing.assert_array_equal(np.isfinite(shown.filled(np.nan)), ok)


def test_a_map_without_any_number_is_still_a_figure(tmp_path):
    rx.plots.map_figure(np.full((8, 9), np.nan), name="t2").savefig(tmp_path / "empty.png")


def test_maps_are_drawn_above_their_errors():
    truth = volume(8, 9)
    maps = {name: {"truth": truth, "fit": truth + 1, "net": truth - 2} for name in ("t1rho", "t2")}
    figure = rx.plots.comparison_figure(maps, roi=truth > 30, title="a title")
    assert colour_bars(figure) == ["T1rho (ms)", "absolute error (ms)", "T2 (ms)", "absolute error (ms)"]
    images = [axis.images[0].get_array() for axis in figure.axes if axis.images and axis.get_label() != "<colorbar>"]
    assert len(images) == 2 * (3 + 2)
    errors = [np.ma.median(image) for image in images[3:5]]
    assert errors == pytest.approx([1, 2])


def test_bad_arguments():
    with pytest.raises(ValueError, match="1 axes"):
        rx.plots.map_figure(np.ones(3), name="t2")
    with pytest.raises(ValueError, match="'truth' and another"):
        rx.plots.comparison_figure({"t2": {"fit": np.ones((3, 3))}})
    with pytest.raises(ValueError, match="'truth' and another"):
        rx.plots.comparison_figure({"t2": {"truth": np.ones((3, 3))}})
