"""Settings, the folds that follow from them, and the keys of their steps."""

from dataclasses import replace

import pytest
import torch

from relaxnet.cli._experiment import Preset
from relaxnet.experiments import EXPERIMENTS, SETTINGS
from relaxnet.experiments._harness.experiment import Fold
from relaxnet.experiments._harness.rows import ROWS
from relaxnet.experiments._harness.settings import SMOKE


def test_settings_have_the_names_that_they_are_chosen_by():
    assert all(choice.load().name == name for name, choice in SETTINGS.items())
    assert [name.value for name in Preset] == list(SETTINGS)


def test_what_has_been_computed_is_that_of_any_setting_of_the_same_content():
    for choice in EXPERIMENTS.values():
        one, other = (choice.load().steps(setting) for setting in (SMOKE, replace(SMOKE, name="other")))
        assert [step.key for step in one] == [step.key for step in other]


def test_no_subject_tests_what_was_trained_with_it():
    setting = replace(SMOKE, texture=None)
    tested = []
    for fold in setting.folds():
        test, training = fold.test(), fold.training()
        assert {s.name for s in test}.isdisjoint(s.name for s in training)
        assert len(test) + len(training) == setting.n_subjects
        more = fold.training(n_subjects=3 * setting.n_subjects)
        assert {s.name for s in test}.isdisjoint(s.name for s in more)
        assert len(more) == 3 * len(training)
        tested += [s.name for s in test]
    assert len(set(tested)) == len(tested) == setting.n_subjects


def test_subjects_that_were_simulated_before_are_those_of_a_cohort():
    setting = replace(SMOKE, texture=None)
    fold, other = setting.folds()[0], setting.folds(snr=10.0)[0]
    kept = fold.training()
    assert all(one is same for one, same in zip(kept, fold.training(), strict=True))
    assert all(one is same for one, same in zip(kept, fold.training(n_subjects=12)[: len(kept)], strict=True))
    for subjects, cohort in ((kept, setting.cohort()), (other.training(), setting.cohort(snr=10.0))):
        for subject in subjects:
            assert torch.equal(subject.images, cohort[subject.index].images)


def test_a_fold_whose_subjects_do_not_differ_is_the_same_fold():
    setting = SMOKE
    assert setting.folds(snr=setting.snr) == setting.folds()
    assert setting.folds(snr=10.0)[1] == Fold(setting, 1, {"snr": 10.0})
    plain, noisy = (folds[0].test()[0] for folds in (setting.folds(), setting.folds(snr=10.0)))
    assert torch.equal(plain.clean, noisy.clean)
    assert plain.sigma < noisy.sigma


def test_rows_share_the_steps_that_they_have_in_common():
    setting = replace(SMOKE, seeds=3)
    keys = {name: {step.key for step in EXPERIMENTS[name].load().steps(setting)} for name in EXPERIMENTS}
    assert keys["table2"] & keys["table3"]
    assert keys["table2"] & keys["fig3"]
    assert keys["table2"] & keys["snr"]
    members = {step.key for (step,) in (folds[0] for folds in ROWS["homou"].plan("homou", setting.folds(), seeds=3))}
    assert len(members) == 3
    assert members < keys["table2"]


CHANGES = {
    "snr": {"snr": 19.0},
    "seed": {"seed": 7},
    "shape": {"preset": replace(SMOKE.preset, shape=(48, 48))},
    "subjects": {"n_subjects": 8},
    "slices": {"slices": 2},
    "folds": {"n_folds": 3},
    "texture": {"texture": None},
    "pixels": {"pixel_mm": 5.0},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_where_a_setting_of_a_name_has_changed_nothing_computed_before_is_taken(change):
    before, after = (
        {step.key for name in ("table2", "fig2", "fig3") for step in EXPERIMENTS[name].load().steps(setting)}
        for setting in (SMOKE, replace(SMOKE, **change))
    )
    assert before.isdisjoint(after)


def test_the_timed_step_follows_its_setting_too():
    plan, setting = EXPERIMENTS["table4"].load().steps, SMOKE
    wider = replace(setting, preset=replace(setting.preset, base=8))
    assert len({plan(one)[0].key for one in (setting, wider, replace(setting, seed=1))}) == 3
    assert plan(replace(setting, seeds=9))[0].key == plan(setting)[0].key
