"""What networks can be taught by."""

import dataclasses
import math

import pytest
import torch

import relaxnet as rx
from relaxnet.nets import RelaxationOutput
from relaxnet.training import LOSSES, PRESETS, Loss
from relaxnet.training._module import WATCHED, watched
from relaxnet.training._objectives import Comparison
from relaxnet.training._train import WEIGHTINGS

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
ONE_EPOCH = dataclasses.replace(PRESETS["smoke"], epochs=1)


def train(cohort, **options):
    return rx.training.train(cohort, **{"preset": ONE_EPOCH, "progress": False, **options})


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains(cohort, loss):
    trained = train(cohort, loss=loss)
    maps = trained.predict(cohort[0].images)
    assert torch.isfinite(maps["t1rho"]).all()
    assert ("m0" in maps) == ("reconstruction" in loss)
    assert trained.history[0]["residual"] > 0


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_every_weighting_trains(cohort, weighting):
    trained = train(cohort, weighting=weighting)
    assert trained.net.uncertainty == (weighting if weighting in ("heteroscedastic", "faithful") else None)
    assert math.isfinite(trained.history[0]["scale_t2"])


@pytest.mark.parametrize("loss", ["unseen-orthogonal", "paper", "unseen-reconstruction"])
def test_one_network_for_every_input_set(cohort, loss):
    trained = train(cohort, loss=loss, inputs="any")
    short, long = (trained.predict(cohort[0].images, seen=name)["t2"] for name in ("short", "long"))
    assert not torch.equal(short, long)


@pytest.mark.parametrize("name", LOSSES)
def test_residuals_are_small_where_the_maps_are_true_and_do_not_depend_on_the_gain(name):
    subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=math.inf)[0]
    truth = torch.stack([subject.truth[k] for k in PROTOCOL.names], dim=1).nan_to_num(100.0)
    net = rx.nets.RelaxationNet(PROTOCOL, "middle", base=4, depth=2)
    compare = Comparison(LOSSES[name], net)
    body = torch.isfinite(subject.truth["t2"])
    found = []
    for gain in (1.0, 1e4):
        images = gain * subject.images
        scale = net.scale(images[:, net.input_channels])
        for maps, sigma in ((truth, 1e-6), (1.2 * truth, 0.02)):
            valid = torch.ones_like(body)
            output = RelaxationOutput(maps, valid, m0=gain * subject.truth["m0"].unsqueeze(1))
            residual = compare(output, images, scale, scale.flatten() * sigma, labels=truth)
            found.append(float(residual.transpose(0, 1)[:, body].mean()))
    right, wrong, right_again, wrong_again = found
    assert right < 1e-3 < 10 * wrong
    assert right_again == pytest.approx(right, abs=1e-4)
    assert wrong_again == pytest.approx(wrong, rel=1e-3)


def test_what_is_watched_uses_unseen_images_where_it_can():
    def net(inputs):
        return rx.nets.RelaxationNet(PROTOCOL, inputs, base=4, depth=2)

    assert watched(net("short")) == watched(net("any")) == WATCHED
    assert not watched(net((0, 1, 2, 4))).unseen


def test_correlated_and_signed_residuals_go_together(cohort):
    trained = train(cohort, weighting=rx.losses.CorrelatedLaplace(n_tasks=2, distribution="gaussian"))
    assert trained.history[0]["scale_t1rho"] > 0


def test_labels_are_learnt_where_there_are_some(cohort):
    longer = dataclasses.replace(PRESETS["smoke"], epochs=30, patience=30, learning_rate=5e-3, schedule="cosine")
    trained = train(cohort, loss="supervised-truth", preset=longer, validation=0)
    subject = cohort[0]
    known = (subject.truth["t1rho"] < 400) & (subject.truth["t2"] < 400)
    found, truth = trained.predict(subject.images)["t2"][known], subject.truth["t2"][known]
    assert (found - truth).abs().mean() < 0.9 * (truth.median() - truth).abs().mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "pairs"}, "kind='pairs' is unknown"),
        ({"kind": "pairwise", "pairs": "some"}, "pairs='some' is unknown"),
        ({"kind": "reconstruction", "distance": "l3"}, "distance='l3' is unknown"),
        ({"kind": "supervised", "labels": "guess"}, "labels='guess' is unknown"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_losses_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        Loss(**options)


@pytest.mark.usefixtures("as_user")
def test_what_does_not_go_together(cohort):
    with pytest.raises(ValueError, match="leaves 1 of 4 images of t2"):
        train(cohort, loss="unseen-orthogonal", inputs=(0, 3, 5, 6))
    images = [subject.images for subject in cohort]
    for options, message in (
        ({"loss": "supervised-truth"}, "needs subjects of a phantom"),
        ({"fresh_noise": True}, "needs subjects of a phantom"),
    ):
        with pytest.raises(ValueError, match=message):
            train(images, protocol=PROTOCOL, **options)
    plain = rx.nets.RelaxationNet(PROTOCOL, "middle", base=4, depth=2)
    with pytest.raises(ValueError, match="net predicts no scales"):
        train(cohort, net=plain, weighting="heteroscedastic")
    other = rx.Protocol((rx.Contrast("t2", (0, 10, 20, 30, 40)),))
    with pytest.raises(ValueError, match="net is made for"):
        train(cohort, net=rx.nets.RelaxationNet(other, (0, 1), base=4, depth=2), protocol=PROTOCOL)
