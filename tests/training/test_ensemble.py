"""Several networks as one."""

import dataclasses

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.training import PRESETS, Ensemble

PROTOCOL = rx.protocols.LIVER_T1RHO_T2


@pytest.fixture(scope="module")
def members(cohort):
    preset = dataclasses.replace(PRESETS["smoke"], epochs=8, learning_rate=5e-3)
    return [rx.training.train(cohort, preset=preset, inputs="any", seed=k, progress=False) for k in range(3)]


def test_it_answers_with_mean_and_spread(members, cohort):
    images = cohort[0].images
    answers = [member.predict(images, inputs="long") for member in members]
    maps = Ensemble(members, {"t1rho": 1.0, "t2": 2.0}).predict(images, inputs="long")
    for name, factor in (("t1rho", 1.0), ("t2", 2.0)):
        times = torch.stack([answer[name] for answer in answers]).double()
        torch.testing.assert_close(maps[name].double(), times.sum(0) / 3, rtol=1e-5, atol=0)
        between = ((times - times.mean(0)) ** 2).sum(0) / 2
        own = sum(answer[f"{name}_std"].double() ** 2 for answer in answers) / 3
        torch.testing.assert_close(maps[f"{name}_std"].double(), factor * (own + between).sqrt(), rtol=1e-4, atol=0)


def test_it_errs_no_more_than_its_members_do_on_average(members, cohort):
    subject = cohort[0]
    ours = Ensemble(members).predict(subject.images, inputs="middle")
    for name in PROTOCOL.names:
        errors = [
            rx.metrics.rmae(maps[name], subject.truth[name], subject.roi)
            for maps in (ours, *(member.predict(subject.images, inputs="middle") for member in members))
        ]
        assert errors[0] <= sum(errors[1:]) / 3 + 1e-5  # the triangle inequality


def test_once_calibrated_nine_of_ten_voxels_are_covered(members, cohort):
    ensemble = Ensemble(members).calibrated(cohort)
    for name in PROTOCOL.names:
        parts = [
            (maps[name][s.roi], maps[f"{name}_std"][s.roi], s.truth[name][s.roi])
            for s in cohort
            for maps in (ensemble.predict(s.images, inputs=seen) for seen in PROTOCOL.input_sets)
        ]
        columns = (torch.cat(column) for column in zip(*parts, strict=True))
        inside = rx.metrics.coverage(*columns, levels=(0.9,), kind="gaussian")
        assert inside[0.9] == pytest.approx(0.9, abs=0.005)


def test_it_is_saved_whole(members, cohort, tmp_path):
    ensemble = Ensemble(members).calibrated(cohort)
    ensemble.save(tmp_path / "three.safetensors")
    again = Ensemble.load(tmp_path / "three.safetensors")
    assert again.calibration == ensemble.calibration
    images = cohort[0].images
    for name, values in ensemble.predict(images, inputs="short").items():
        assert torch.equal(again.predict(images, inputs="short")[name], values)


@pytest.mark.usefixtures("as_user")
def test_what_is_not_an_ensemble_is_refused(members, cohort, tmp_path):
    with pytest.raises(ValueError, match=r"members has 1 network\(s\): two or more"):
        Ensemble(members[:1])
    other = rx.training.train(cohort, preset="smoke", progress=False)
    with pytest.raises(ValueError, match=r"members\[1\] has the inputs \(0, 2, 5\)"):
        Ensemble([members[0], other])
    bare = dataclasses.replace(members[1], calibration=rx.training.Spread())
    with pytest.raises(ValueError, match=r"members\[1\] has standard deviations of \(\) alone"):
        Ensemble([members[0], bare]).calibrated(cohort)
    assert set(Ensemble([members[0], bare]).predict(cohort[0].images, inputs="long")) == {"t1rho", "t2"}
    members[0].save(tmp_path / "one.safetensors")
    with pytest.raises(ValueError, match=r"holds a single network, not an ensemble: load it by relaxnet\.load"):
        Ensemble.load(tmp_path / "one.safetensors")
    Ensemble(members).save(tmp_path / "three.safetensors")
    with pytest.raises(ValueError, match=r"holds an ensemble: load it by relaxnet\.training\.Ensemble\.load"):
        rx.load(tmp_path / "three.safetensors")


def test_arrays_give_arrays(members, cohort):
    """So do single networks, with their standard deviations."""
    images = cohort[0].images
    for predictor in (members[0], Ensemble(members)):
        expected, found = predictor.predict(images), predictor.predict(images.numpy())
        assert set(found) == set(expected) > {"t2", "t2_std"}
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name].numpy())
