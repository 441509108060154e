import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import relaxnet as rx
from relaxnet import metrics
from relaxnet.metrics import calibration

N = 100_000
KINDS = ("laplace", "gaussian")
SCORES = {"laplace": metrics.crps_laplace, "gaussian": metrics.crps_gaussian}

kinds = st.sampled_from(KINDS)
maps = hnp.arrays(np.float64, 12, elements=st.integers(10, 200).map(float))
stds = hnp.arrays(np.float64, 12, elements=st.integers(1, 80).map(lambda eighths: eighths / 8))
rois = hnp.arrays(np.bool_, 12).filter(np.any)
powers_of_two = st.integers(-8, 8).map(lambda exponent: 2.0**exponent)  # multiply without rounding
on_maps = {
    "coverage": metrics.coverage,
    "ence": metrics.ence,
    "ause": metrics.ause,
    "calibration_factor": partial(metrics.calibration_factor, level=0.5),
    "update": lambda *arguments: metrics.Calibration().update(*arguments, subject="a"),
}


def simulate(kind, *, seed=0, n=N):
    """Maps whose errors follow their law, with standard deviations over two decades."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(20, 80, n)
    std = np.exp(rng.uniform(math.log(0.1), math.log(10), n))
    unit = {"laplace": rng.laplace(0, 1 / math.sqrt(2), n), "gaussian": rng.normal(0, 1, n)}[kind]
    return truth + std * unit, std, truth


# --- intervals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_coverage_of_a_correct_uncertainty_is_its_level(kind):
    for level, fraction in metrics.coverage(*simulate(kind), kind=kind).items():
        assert abs(fraction - level) < 0.005


@given(maps, stds, maps, rois, kinds, powers_of_two)
def test_the_unit_of_time_does_not_matter(map_ms, std, truth, roi, kind, factor):
    before, after = (map_ms, std, truth, roi), (map_ms * factor, std * factor, truth * factor, roi)
    assert metrics.coverage(*after, kind=kind) == metrics.coverage(*before, kind=kind)
    assert metrics.ence(*after, n_bins=4) == pytest.approx(metrics.ence(*before, n_bins=4))
    assert metrics.ause(*after) == pytest.approx(metrics.ause(*before))
    assert metrics.ause(*after, normalise=False) == pytest.approx(metrics.ause(*before, normalise=False) * factor)
    assert metrics.sharpness(std * factor, roi) == pytest.approx(metrics.sharpness(std, roi) * factor)


@given(maps, stds, maps, rois, st.permutations(range(12)))
def test_neither_the_order_of_voxels_nor_those_outside_matter(map_ms, std, truth, roi, order):
    other = [np.where(roi, values, np.nan)[order] for values in (map_ms, std, truth)]
    for metric in (metrics.coverage, metrics.ause, metrics.ence, partial(metrics.ence, n_bins=3)):
        assert metric(*other, roi[order]) == pytest.approx(metric(map_ms, std, truth, roi))
    assert metrics.sharpness(other[1], roi[order]) == pytest.approx(metrics.sharpness(std, roi))
    assert metrics.coverage(map_ms[roi], std[roi], truth[roi]) == metrics.coverage(map_ms, std, truth, roi)


def test_tensors_lists_and_arrays_agree():
    arrays = simulate("laplace", n=50)
    for metric in (metrics.coverage, metrics.ence, metrics.ause, metrics.calibration_factor):
        assert (
            metric(*(torch.from_numpy(a) for a in arrays)) == metric(*arrays) == metric(*(a.tolist() for a in arrays))
        )


# --- ENCE -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("factor", "expected"), [(1, 0), (2, 0.5), (0.5, 1)])
def test_ence_is_the_relative_error_of_the_standard_deviation(kind, factor, expected):
    map_ms, std, truth = simulate(kind)
    assert metrics.ence(map_ms, std * factor, truth) == pytest.approx(expected, abs=0.03)


@given(maps, stds, maps, st.integers(1, 30))
def test_ence_of_one_standard_deviation_has_one_bin(map_ms, std, truth, n_bins):
    rmse = math.sqrt(((map_ms - truth) ** 2).mean())
    assert metrics.ence(map_ms, np.full(12, std[0]), truth, n_bins=n_bins) == pytest.approx(abs(rmse / std[0] - 1))


def test_ence_is_the_mean_over_bins_of_equal_counts():
    error, std = np.abs(np.random.default_rng(0).normal(size=(2, 60)))
    bins = np.array_split(np.argsort(std), 6)
    ratios = [math.sqrt((error[i] ** 2).mean() / (std[i] ** 2).mean()) for i in bins]
    assert metrics.ence(error, std, np.zeros(60), n_bins=6) == pytest.approx(np.abs(np.array(ratios) - 1).mean())


def test_ence_with_fewer_voxels_than_bins_has_a_bin_for_each():
    assert metrics.ence([1.0, 3.0], [1.0, 2.0], [0.0, 0.0], n_bins=20) == 0.25


def test_a_standard_deviation_of_0_is_right_only_without_error():
    assert metrics.ence([1.0, 2.0], [0.0, 1.0], [1.0, 1.0]) == 0
    assert metrics.ence([2.0, 2.0], [0.0, 1.0], [1.0, 1.0]) == math.inf


# --- AUSE -------------------------------------------------------------------------------------------------------------


@given(maps, maps)
def test_ause_is_0_where_uncertainty_ranks_the_errors(map_ms, truth):
    assert metrics.ause(map_ms, np.sqrt(np.abs(map_ms - truth)), truth) == pytest.approx(0, abs=1e-12)


@given(maps, stds, maps)
def test_ause_depends_on_the_order_alone_and_never_falls_below_the_best(map_ms, std, truth):
    area = metrics.ause(map_ms, std, truth)
    assert area >= 0
    assert metrics.ause(map_ms, std**3, truth) == area
    assert area <= metrics.ause(map_ms, -np.abs(map_ms - truth) + 200, truth) + 1e-12  # the worst order


def test_ause_of_an_uninformative_uncertainty():
    error = np.random.default_rng(0).laplace(size=N)
    expected = math.pi**2 / 6 - 1
    assert metrics.ause(error, np.ones(N), np.zeros(N)) == pytest.approx(expected, abs=0.01)
    assert metrics.ause(error, np.arange(N), np.zeros(N)) == pytest.approx(expected, abs=0.02)


def test_ause_by_hand():
    # Of the errors 1, 2, 3 the largest is kept longest: means of 2, 5/2 and 3, where 2, 3/2 and 1 could be.
    kept_last_is_worst = ((2 - 2) + (5 / 2 - 3 / 2) + (3 - 1)) / 3
    arguments = ([1.0, 2.0, 3.0], [9.0, 8.0, 7.0], [0.0, 0.0, 0.0])
    assert metrics.ause(*arguments, normalise=False) == pytest.approx(kept_last_is_worst)
    assert metrics.ause(*arguments) == pytest.approx(kept_last_is_worst / 2)


# --- a cohort ---------------------------------------------------------------------------------------------------------


def flat(report):
    return [
        [*s.coverage.values(), s.sharpness_ms, s.crps_ms, s.ence, s.rmse_ms]
        for s in (report.mean, *(report.subjects[name] for name in sorted(report.subjects)))
    ]


@given(kinds, st.lists(st.integers(0, 3), min_size=300, max_size=300), st.integers(0, 99))
def test_the_split_into_updates_does_not_matter(kind, part_of, seed):
    arrays, part_of = simulate(kind, seed=seed, n=300), np.array(part_of)
    whole, pieces, others = (metrics.Calibration(kind=kind, n_bins=5) for _ in range(3))
    for subject, half in (("a", slice(200)), ("b", slice(200, 300))):
        whole.update(*(a[half] for a in arrays), subject=subject)
        for part in np.unique(part_of[half]):
            roi = part_of[half] == part
            (pieces if part % 2 else others).update(*(a[half] for a in arrays), roi, subject=subject)
    pieces.merge(others)
    np.testing.assert_allclose(flat(pieces.compute()), flat(whole.compute()), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_a_subject_are_those_of_the_functions(kind):
    map_ms, std, truth = simulate(kind)
    gathered = metrics.Calibration(kind=kind)
    gathered.update(map_ms, std * 1.5, truth, subject="a")
    scores = gathered.compute().subjects["a"]
    assert scores.coverage == metrics.coverage(map_ms, std * 1.5, truth, kind=kind)
    assert scores.sharpness_ms == pytest.approx(metrics.sharpness(std * 1.5))
    assert scores.rmse_ms == pytest.approx(math.sqrt(((map_ms - truth) ** 2).mean()))
    spread = std * 1.5 / math.sqrt(2) if kind == "laplace" else std * 1.5
    assert scores.crps_ms == pytest.approx(SCORES[kind](truth, map_ms, spread).mean())
    assert scores.ence == pytest.approx(metrics.ence(map_ms, std * 1.5, truth), abs=0.005)


def test_subjects_weigh_the_same_whatever_their_size():
    gathered = metrics.Calibration(levels=(0.9,))
    gathered.update(np.full(999, 40.0), np.full(999, 1.0), np.full(999, 40.0), subject="large")
    gathered.update([50.0], [3.0], [40.0], subject="small")
    report = gathered.compute()
    assert list(report.subjects) == ["large", "small"]
    assert report.mean.coverage == {0.9: 0.5}
    assert report.mean.sharpness_ms == 2
    assert report.mean.rmse_ms == 5


def test_memory_does_not_grow_with_the_voxels():
    gathered = metrics.Calibration()
    for seed in range(3):
        gathered.update(*simulate("laplace", seed=seed), subject="a")
    assert sum(array.nbytes for array in gathered._sums["a"]) < 10_000


def test_uncertainties_beyond_the_bins_are_not_lost():
    gathered = metrics.Calibration(n_bins=3)
    gathered.update([1e-5, 6.0, 4e6], [1e-5, 3.0, 2e6], [0.0, 0.0, 0.0], subject="a")
    assert gathered.compute().mean.ence == pytest.approx((0 + 1 + 1) / 3)


def test_merging_does_not_change_the_other_and_works_with_itself():
    one, other = metrics.Calibration(), metrics.Calibration()
    other.update([40.0, 43.0], [1.0, 2.0], [41.0, 41.0], subject="a")
    one.merge(other)
    one.merge(one)
    one.update([90.0], [1.0], [41.0], subject="a")
    assert other.compute().mean.rmse_ms == pytest.approx(math.sqrt(2.5))
    assert one.compute().mean.rmse_ms == pytest.approx(math.sqrt((2 * 5 + 49**2) / 5))


def test_a_refused_update_adds_nothing():
    gathered = metrics.Calibration()
    with pytest.raises(ValueError, match="map_ms is not finite"):
        gathered.update([np.nan], [1.0], [40.0], subject="a")
    with pytest.raises(ValueError, match="none was added"):
        gathered.compute()


def test_accumulators_of_other_settings_are_not_merged():
    with pytest.raises(ValueError, match="are needed"):
        metrics.Calibration().merge(metrics.Calibration(kind="gaussian"))


# --- the factor -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_factor_brings_coverage_to_the_level_on_fresh_data(kind, level):
    wrong = 0.3
    map_ms, std, truth = simulate(kind, seed=1)
    factor = metrics.calibration_factor(map_ms, std * wrong, truth, level=level, kind=kind)
    assert factor == pytest.approx(1 / wrong, rel=0.03)
    map_ms, std, truth = simulate(kind, seed=2)
    (covered,) = metrics.coverage(map_ms, std * wrong * factor, truth, levels=(level,), kind=kind).values()
    assert abs(covered - level) < 0.005


@pytest.mark.parametrize("kind", KINDS)
def test_factor_works_for_errors_of_another_distribution(kind):
    map_ms, std, truth = simulate("gaussian" if kind == "laplace" else "laplace")
    factor = metrics.calibration_factor(map_ms, std, truth, level=0.8, kind=kind)
    (covered,) = metrics.coverage(map_ms, std * factor, truth, levels=(0.8,), kind=kind).values()
    assert covered == pytest.approx(0.8, abs=1e-4)


@given(maps, stds, maps, powers_of_two, kinds)
def test_factor_scales_with_errors_and_inversely_with_standard_deviations(map_ms, std, truth, scale, kind):
    factor = metrics.calibration_factor(map_ms, std, truth, level=0.7, kind=kind)
    rescaled = metrics.calibration_factor(map_ms, std * scale, truth, level=0.7, kind=kind)
    assert rescaled == pytest.approx(factor / scale)
    (covered,) = metrics.coverage(map_ms, std * factor * (1 + 1e-9), truth, levels=(0.7,), kind=kind).values()
    assert covered >= 0.7


@pytest.mark.parametrize("true_factor", [0.5, 1.0, 3.0])
def test_factor_accounts_for_the_noise_of_a_reference(true_factor):
    map_ms, std, truth = simulate("gaussian")
    noise = std * np.random.default_rng(7).uniform(0.3, 2, N)
    reference = truth + noise * np.random.default_rng(8).normal(size=N)
    arguments = (map_ms, std / true_factor, reference)
    factor = partial(metrics.calibration_factor, *arguments, kind="gaussian")
    assert factor(reference_std_ms=noise) == pytest.approx(true_factor, rel=0.03)
    assert factor() > 1.2 * true_factor
    assert factor(reference_std_ms=np.zeros(N)) == factor()


def test_factor_is_refused_if_the_reference_noise_explains_all_errors():
    map_ms, std, truth = simulate("gaussian", n=100)
    with pytest.raises(ValueError, match=r"alone covers 1\.000 of the voxels, more than level=0\.9"):
        metrics.calibration_factor(map_ms, std, truth, kind="gaussian", reference_std_ms=np.full(100, 1e3))


def test_factor_of_a_perfect_map_is_0():
    assert metrics.calibration_factor(np.ones(20), np.ones(20), np.ones(20)) == 0


@pytest.mark.parametrize(("n", "level", "enough"), [(9, 0.9, True), (8, 0.9, False), (19, 0.95, True), (3, 0.8, False)])
def test_factor_needs_voxels_for_its_level(n, level, enough):
    arguments = (np.arange(n, dtype=float), np.ones(n), np.zeros(n))
    if enough:
        largest = (n - 1) / metrics.interval_factor(level)
        assert metrics.calibration_factor(*arguments, level=level) == pytest.approx(largest)
    else:
        with pytest.raises(ValueError, match=rf"level={level} of {n} voxels: \d+ or more are needed"):
            metrics.calibration_factor(*arguments, level=level)


def test_how_many_voxels_are_needed_is_told():
    with pytest.raises(ValueError, match=r"level=0\.9 of 8 voxels: 9 or more are needed"):
        metrics.calibration_factor(np.arange(8.0), np.ones(8), np.zeros(8), level=0.9)
    metrics.calibration_factor(np.arange(9.0), np.ones(9), np.zeros(9), level=0.9)


def test_factor_cannot_widen_a_standard_deviation_of_0():
    with pytest.raises(ValueError, match="std_ms is 0 in 1 of 20 voxels"):
        metrics.calibration_factor(np.ones(20), np.arange(20), np.zeros(20))


@pytest.mark.parametrize(("bad", "message"), [(np.nan, "not finite in 1 of 20"), (-1, "negative in 1 of 20")])
def test_factor_checks_the_noise_of_the_reference(bad, message):
    noise = np.where(np.arange(20) == 3, bad, 1.0)
    with pytest.raises(ValueError, match=f"reference_std_ms is {message}"):
        metrics.calibration_factor(np.ones(20), np.ones(20), np.zeros(20), reference_std_ms=noise)


# --- bad arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", on_maps.values(), ids=on_maps)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1, 2, 3], [1, 1]), r"map_ms \(2,\), std_ms \(3,\) and truth_ms \(2,\) differ in shape"),
        (([1, 2], [1, 2], [1, 1], [1, 1, 1]), r"truth_ms \(2,\) and roi \(3,\) differ in shape"),
        (([1, 2], [1, 2], [1, 1], [0, 0]), "roi is empty"),
        (([], [], []), "roi is empty"),
        (([1, 2], [1, 2], [1, 1], [0, 5]), "other than 0 and 1"),
        (([1, np.nan], [1, 2], [1, 1]), "map_ms is not finite in 1 of 2 voxels: leave them out of roi"),
        (([1, 2, 3], [1, np.inf, np.nan], [1, 1, 1]), "std_ms is not finite in 2 of 3"),
        (([1, 2, 3], [1, 1, 1], [np.nan, 1, np.nan], [1, 1, 0]), "truth_ms is not finite in 1 of 2"),
        (([1, 2], [1, -2], [1, 1]), "std_ms is negative in 1 of 2"),
    ],
)
def test_bad_maps(metric, arguments, message):
    with pytest.raises(ValueError, match=message):
        metric(*arguments)


def test_sharpness_checks_its_map():
    for std, roi, message in (([np.nan], None, "not finite"), ([-1], None, "negative"), ([1], [1, 1], "differ")):
        with pytest.raises(ValueError, match=message):
            metrics.sharpness(std, roi)


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    "call",
    [
        partial(metrics.interval_factor, 0.9),
        partial(metrics.coverage, [1.0], [1.0], [1.0]),
        partial(metrics.calibration_factor, [1.0], [1.0], [1.0]),
        metrics.Calibration,
    ],
)
def test_an_unknown_distribution(call):
    with pytest.raises(
        ValueError, match=r"kind='cauchy' is no distribution of errors: use one of \('laplace', 'gaussian'\)"
    ):
        call(kind="cauchy")


@pytest.mark.parametrize("level", [0, 1, 90, -0.1, math.nan])
def test_a_level_is_a_probability(level):
    maps = ([1.0], [1.0], [1.0])
    for call in (
        lambda: metrics.interval_factor(level),
        lambda: metrics.coverage(*maps, levels=(0.5, level)),
        lambda: metrics.calibration_factor(*maps, level=level),
        lambda: metrics.Calibration(levels=(level,)),
    ):
        with pytest.raises(ValueError, match=f"level={level}: a probability between 0 and 1"):
            call()


def test_a_bin_is_needed():
    for call in (lambda: metrics.ence([1.0], [1.0], [1.0], n_bins=0), lambda: metrics.Calibration(n_bins=0)):
        with pytest.raises(ValueError, match="n_bins=0: one bin or more"):
            call()


def test_all_names_are_at_both_addresses():
    assert rx.metrics.calibration is calibration
    for name in calibration.__all__:
        assert getattr(metrics, name) is getattr(calibration, name)
    assert set(calibration.__all__) < set(metrics.__all__)


def test_standard_deviations_beyond_all_bins_share_the_last_one():
    apart, together = metrics.Calibration(), metrics.Calibration()
    map_ms, std, truth = np.array([40.0, 50.0]), np.array([1.0, 2e4]), np.array([41.0, 50.0])
    for k in (slice(1), slice(1, 2)):
        apart.update(map_ms[k], std[k], truth[k], subject="a")
    together.update(map_ms, std, truth, subject="a")
    assert apart.compute() == together.compute()
