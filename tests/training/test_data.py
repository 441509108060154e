"""What networks can learn from."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

import relaxnet as rx
from relaxnet.training import LOSSES, PRESETS, _train
from relaxnet.training._augment import random_flip
from relaxnet.training._data import Slices, gather, labels_of, noise_level
from relaxnet.training._module import RelaxationModule

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
SMOKE = PRESETS["smoke"]


def train(data, **options):
    return rx.training.train(data, **{"preset": SMOKE, "progress": False, **options})


def weights(trained):
    return torch.cat([p.flatten() for p in trained.net.state_dict().values()])


class Folder(Dataset):
    """A data set that makes an item when it is asked for one."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, k):
        return self.images[k]


def test_subjects_arrays_tensors_and_data_sets_are_the_same(cohort):
    tensors = [subject.images for subject in cohort]
    expected = weights(train(cohort, loss="paper"))
    for data in (list(cohort), tensors, [t.numpy() for t in tensors], Folder(tensors)):
        assert torch.equal(weights(train(data, loss="paper", protocol=PROTOCOL)), expected)
    one_slice = train([t[0].numpy().astype(np.int16) for t in tensors], protocol=PROTOCOL, loss="paper")
    assert len(one_slice.history) == 2


def test_the_noise_of_arrays_is_estimated(cohort):
    protocol, scans = gather([subject.images for subject in cohort], PROTOCOL)
    estimates = [noise_level(scan, protocol) / subject.sigma for scan, subject in zip(scans, cohort, strict=True)]
    assert np.mean(estimates) == pytest.approx(1, abs=0.1)
    _, known = gather(cohort, None)
    assert [noise_level(scan, protocol) for scan in known] == [subject.sigma for subject in cohort]
    assert len(train([scan.images for scan in scans], protocol=PROTOCOL, loss="held-out-orthogonal").history) == 2


def test_a_single_scan_is_learnt_without_watching(cohort):
    with pytest.warns(UserWarning, match="no standard deviations: no subject was set aside to calibrate them with"):
        trained = train([cohort[0].images], protocol=PROTOCOL, validation=0)
    assert "val_residual" not in trained.history[0]
    assert len(trained.history) == SMOKE.epochs
    assert trained.calibration.factors == {}
    assert set(trained.predict(cohort[0].images)) == {"t1rho", "t2"}


@pytest.mark.parametrize(
    ("options", "calibrated_with"),
    [({}, 4), ({"loss": "supervised-truth"}, 1), ({"loss": "supervised-nlls", "validation": 0.5}, 2)],
)
def test_only_what_was_not_learnt_from_calibrates(cohort, monkeypatch, options, calibrated_with):
    used = []
    monkeypatch.setattr(_train, "calibrate", lambda _, scans: used.extend(scans) or rx.training.Spread())
    train(cohort, **options)
    assert len(used) == calibrated_with
    if not options:
        used.clear()
        train([subject.images for subject in cohort], protocol=PROTOCOL)
        assert len(used) == 1


def test_a_trained_network_is_tuned_further_and_left_as_it_was(cohort):
    first = train(cohort)
    before = weights(first).clone()
    tuned = train(cohort[:1], net=first, validation=0)
    assert torch.equal(weights(first), before)
    assert not torch.equal(weights(tuned), before)
    untouched = train(cohort, net=first, preset=dataclasses.replace(SMOKE, epochs=1, learning_rate=1e-12))
    parameters = [torch.cat([p.flatten() for p in t.net.parameters()]) for t in (untouched, first)]
    torch.testing.assert_close(*parameters, rtol=1e-4, atol=1e-6)


def test_a_network_made_elsewhere(cohort):
    class Pixelwise(torch.nn.Sequential):
        def __init__(self):
            super().__init__(torch.nn.Conv2d(3, 8, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 2, 1))

    backbone = rx.nets.as_backbone(Pixelwise(), 3, 2)
    trained = train(cohort, net=rx.nets.RelaxationNet(PROTOCOL, "middle", backbone=backbone))
    assert torch.isfinite(trained.predict(cohort[0].images)["t2"]).all()


def module(**options):
    preset = dataclasses.replace(SMOKE, **options)
    net = rx.nets.RelaxationNet(PROTOCOL, "middle", base=4, depth=2)
    return RelaxationModule(net, LOSSES["paper"], rx.losses.FixedWeights((1, 1)), preset, 0)


def test_fresh_noise_is_new_in_each_step_and_that_of_the_subject(cohort):
    _, scans = gather(cohort, None)
    slices = Slices(scans, PROTOCOL, labels=None, fresh_noise=True, needs_sigma=True)
    batch = torch.utils.data.default_collate([slices[k] for k in range(8)])
    torch.testing.assert_close(batch["images"][0], cohort[0].clean[0])
    made = [module(fresh_noise=True).augment(batch, torch.Generator().manual_seed(k))["images"] for k in (0, 0, 1)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    bright = batch["images"][:2, 0] > 10 * cohort[0].sigma
    noise = (made[0] - batch["images"])[:2, 0][bright]
    assert noise.std().item() == pytest.approx(cohort[0].sigma, rel=0.1)


def test_labels_move_with_their_images(cohort):
    _, scans = gather(cohort, None)
    slices = Slices(scans, PROTOCOL, labels="truth", fresh_noise=False, needs_sigma=False)
    batch = torch.utils.data.default_collate([slices[k] for k in range(4)])
    turned = module(flips=True)
    after = turned.augment(batch, torch.Generator().manual_seed(3))
    assert not torch.equal(after["images"], batch["images"])
    for name in ("images", "labels", "labelled"):
        torch.testing.assert_close(after[name].double().sum(), batch[name].double().sum())
    bright_before = batch["images"][:, 0][batch["labelled"][:, 0]].sort().values
    torch.testing.assert_close(after["images"][:, 0][after["labelled"][:, 0] > 0.99].sort().values, bright_before)


def test_half_of_the_slices_are_mirrored_each_way():
    images = torch.arange(6.0).reshape(1, 1, 2, 3).expand(400, 1, 2, 3)
    flipped = random_flip(images, generator=torch.Generator().manual_seed(0))
    kinds, counts = flipped.flatten(1).unique(dim=0, return_counts=True)
    assert len(kinds) == 4
    assert (counts > 70).all()


def test_labels_of_fits_and_of_the_truth(cohort):
    _, scans = gather(cohort, None)
    truth, known = labels_of(scans[0], PROTOCOL, "truth")
    assert torch.equal(known[:, 1], torch.isfinite(cohort[0].truth["t2"]))
    fitted, ok = labels_of(scans[0], PROTOCOL, "nlls")
    both = cohort[0].roi & (ok & known).all(1)
    assert both.sum() > 0.9 * cohort[0].roi.sum()
    assert (fitted - truth).abs().mean(1)[both].median() < 10
    assert torch.isfinite(fitted).all()


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_averaged_weights_are_what_is_used(cohort, averaging):
    preset = dataclasses.replace(SMOKE, epochs=3, averaging=averaging, learning_rate=0.02, clip=1.0)
    weight = "backbone.down.0.0.weight"
    seen = []
    trained = train(cohort, preset=preset, each_epoch=lambda *args: seen.append(args[1].state_dict()[weight].clone()))
    assert any(torch.equal(trained.net.state_dict()[weight], w) for w in seen)
    assert "averaged" not in " ".join(trained.net.state_dict())


@pytest.mark.usefixtures("as_user")
def test_data_that_makes_no_sense(cohort):
    images = [subject.images for subject in cohort]
    with pytest.raises(ValueError, match=r"subject 1 has images of shape \(2, 6, 32, 32\).*all 7 images"):
        train([images[0], images[1][:, :6]], protocol=PROTOCOL)
    with pytest.raises(ValueError, match="protocol is missing"):
        train(images)
    with pytest.raises(TypeError, match="subject 0 is a str"):
        train(["sub-001", "sub-002"], protocol=PROTOCOL)
    with pytest.raises(TypeError, match=r"data='cohort/' is a path: .*read_cohort"):
        train("cohort/", protocol=PROTOCOL)
    with pytest.raises(ValueError, match="protocol is"):
        train(cohort, protocol=rx.Protocol((rx.Contrast("t2", (0, 10, 20)),)))
    for change in ({"averaging": 1.0}, {"clip": 0.0}):
        with pytest.raises(ValueError, match=next(iter(change))):
            dataclasses.replace(SMOKE, **change)
