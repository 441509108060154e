import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.text import Text

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
    assert colour_bars(figure) == ["T1rho (ms)", "|error| (ms)", "T2 (ms)", "|error| (ms)"]
    images = [axis.images[0].get_array() for axis in figure.axes if axis.images and axis.get_label() != "<colorbar>"]
    assert len(images) == 2 * (3 + 2)
    errors = [np.ma.median(image) for image in images[3:5]]
    assert errors == pytest.approx([1, 2])


def test_colours_of_a_chosen_range():
    truth = np.full((8, 9), 40.0)
    pair = {"t2": {"truth": truth, "fit": truth}}
    for figure in (
        rx.plots.map_figure(truth, name="t2", range_ms=(20, 70)),
        rx.plots.comparison_figure(pair, range_ms=(20, 70)),
    ):
        assert figure.axes[0].images[0].get_clim() == (20, 70)


def test_figures_are_in_their_style_whatever_that_of_the_user_is(tmp_path):
    truth = volume(8, 9)
    maps = {name: {"truth": truth, "a method with a long name": truth} for name in ("t1rho", "t2")}
    with rc_context({"font.size": 30, "xtick.labelsize": 30, "axes.titlesize": 30}):
        figures = [
            rx.plots.comparison_figure(maps),
            rx.plots.map_figure(truth, name="t2"),
            rx.plots.bland_altman_figure(truth, truth, name="t2"),
        ]
        for figure in figures:
            figure.savefig(tmp_path / "figure.png")
    assert [round(25.4 * figure.get_figwidth()) for figure in figures] == [180, 85, 85]
    for figure in figures:
        assert max(text.get_fontsize() for text in figure.findobj(Text)) <= rx.plots.STYLE["axes.titlesize"]
    titles = [axis.get_title().partition(" ")[0] for axis in figures[0].axes if axis.get_title()]
    assert titles == ["(a)", "(b)", "(c)", "(d)"]


def test_bad_arguments():
    with pytest.raises(ValueError, match="1 axes"):
        rx.plots.map_figure(np.ones(3), name="t2")
    with pytest.raises(ValueError, match="'truth' and another"):
        rx.plots.comparison_figure({"t2": {"fit": np.ones((3, 3))}})
    with pytest.raises(ValueError, match="'truth' and another"):
        rx.plots.comparison_figure({"t2": {"truth": np.ones((3, 3))}})


# --- decays, residuals and agreement ----------------------------------------------------------------------------------

TIMES_MS = (0, 10, 30, 50)


@pytest.fixture
def decays():
    noise = np.random.default_rng(0).normal(0, 2, (3, 4))
    images = 100 * np.exp(-np.array(TIMES_MS) / np.array([[40.0], [44.0], [50.0]])) + noise
    return images, rx.fit(images, TIMES_MS)


def test_a_decay_shows_its_samples_its_fit_and_a_band_around_it(decays):
    images, result = decays
    (axis,) = rx.plots.decay_figure(result, images, TIMES_MS, voxels=[(1,)]).axes
    fit, samples = (line.get_xydata() for line in axis.lines)
    np.testing.assert_allclose(samples, np.stack([TIMES_MS, images[1]], axis=1))
    np.testing.assert_allclose(fit[:, 1], result.maps["m0"][1] * np.exp(-fit[:, 0] / result.maps["t"][1]))
    (band,) = axis.collections
    at_zero = band.get_paths()[0].vertices
    height = np.ptp(at_zero[at_zero[:, 0] == 0, 1])
    np.testing.assert_allclose(height, 2 * 1.96 * result.std["m0"][1], rtol=1e-6)
    assert axis.get_xlabel() == "time (ms)"


def test_the_band_covers_the_truth_as_often_as_it_says():
    images = 100 * np.exp(-np.array(TIMES_MS) / 42.0) + np.random.default_rng(1).normal(0, 2, (400, 4))
    result = rx.fit(images, TIMES_MS, sigma=2.0)
    voxels = [(k,) for k in range(0, 400, 10)]
    inside = 0
    for axis in rx.plots.decay_figure(result, images, TIMES_MS, voxels=voxels).axes:
        vertices = axis.collections[0].get_paths()[0].vertices
        time = vertices[np.abs(vertices[:, 0] - 20).argmin(), 0]
        low, high = np.sort(vertices[vertices[:, 0] == time, 1])[[0, -1]]
        inside += low <= 100 * np.exp(-time / 42.0) <= high
    assert inside >= 34  # 38 of 40 are expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"voxels": []}, "voxels is empty"),
        ({"name": "t2"}, "name='t2' is none of the maps"),
        ({"images": np.ones((3, 5))}, "images has shape"),
    ],
)
def test_decays_that_cannot_be_drawn_are_refused(decays, change, message):
    images, result = decays
    options = {"images": images, "voxels": [(0,)], "name": "t"} | change
    with pytest.raises(ValueError, match=message):
        rx.plots.decay_figure(result, options.pop("images"), TIMES_MS, **options)


def test_residuals_are_shown_with_their_spread():
    values = np.random.default_rng(0).normal(0, 3, 20000)
    values[0] = np.nan
    legend = rx.plots.residual_figure(values, title="residuals").axes[0].get_legend_handles_labels()[1]
    assert legend == ["normal, sd 3"] or float(legend[0].split()[-1]) == pytest.approx(3, rel=0.03)
    rx.plots.residual_figure(np.array([np.nan]))


def test_statuses_that_occur_are_in_the_legend():
    status = np.zeros((2, 4, 5), np.uint8)
    status[0, 0, 0] = rx.FitStatus.NO_DECAY
    figure = rx.plots.status_figure(status)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["CONVERGED", "NO_DECAY"]


def test_bland_altman_draws_bias_and_limits():
    reference = np.linspace(30, 60, 200)
    values = reference + 2 + np.random.default_rng(0).normal(0, 1, 200)
    values[0] = np.nan
    axis = rx.plots.bland_altman_figure(values, reference, name="t2").axes[0]
    bias, low, high = (line.get_ydata()[0] for line in axis.lines[1:])
    both = np.isfinite(values)
    assert bias == pytest.approx(rx.metrics.bias(values, reference, both))
    assert (low, high) == pytest.approx(rx.metrics.limits_of_agreement(values, reference, both))
    with pytest.raises(ValueError, match="differ in shape"):
        rx.plots.bland_altman_figure(values, reference[1:])


def test_standard_deviations_that_are_right_lie_on_the_diagonal():
    std = np.random.default_rng(0).uniform(1, 5, 40000)
    errors = std * np.random.default_rng(1).normal(0, 1, std.size)
    points = rx.plots.calibration_figure({"t2": errors}, {"t2": std}).axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(points[:, 1], points[:, 0], rtol=0.1)
