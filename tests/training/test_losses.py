"""What networks can be trained with."""

import dataclasses
import math

import pytest
import torch
from lightning.pytorch import Trainer

import relaxnet as rx
from relaxnet.experiments._harness.disturbance import DisturbedLoss
from relaxnet.losses import WEIGHTINGS
from relaxnet.nets import RelaxationOutput
from relaxnet.training import LOSSES, PRESETS, Loss
from relaxnet.training._module import WATCHED, RelaxationModule, validation_loss

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


@pytest.mark.parametrize("weighting", ["homoscedastic", "heteroscedastic", "profiled", "correlated"])
@pytest.mark.parametrize("gain", [1e-3, 1e4])
def test_learnt_weights_take_any_gain_of_a_contrast(cohort, weighting, gain):
    maps = [
        train(cohort, weighting=weighting, loss=disturbed(gains={"t2": g})).predict(cohort[0].images)
        for g in (1.0, gain)
    ]
    for name in ("t1rho", "t2"):
        torch.testing.assert_close(maps[0][name], maps[1][name], rtol=1e-2, atol=0)


@pytest.mark.parametrize("loss", ["held-out-orthogonal", "paper", "held-out-reconstruction"])
def test_one_network_for_every_input_set(cohort, loss):
    trained = train(cohort, loss=loss, inputs="any")
    short, long = (trained.predict(cohort[0].images, inputs=name)["t2"] for name in ("short", "long"))
    assert not torch.equal(short, long)


@pytest.mark.parametrize("name", LOSSES)
def test_residuals_are_small_where_the_maps_are_true_and_do_not_depend_on_the_gain(name):
    subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=math.inf)[0]
    truth = torch.stack([subject.truth[k] for k in PROTOCOL.names], dim=1).nan_to_num(100.0)
    net = rx.nets.RelaxationNet(PROTOCOL, "middle", base=4, depth=2)
    compare = LOSSES[name].comparison(net)
    body = torch.isfinite(subject.truth["t2"])
    decays = torch.zeros_like(subject.images)  # without mixtures of tissues, which have no single time
    for k, contrast in enumerate(PROTOCOL.contrasts):
        own = rx.signals.MonoExponential()(subject.truth["m0"], truth[:, k], contrast.times_ms)
        decays[:, PROTOCOL.images_of(contrast.name)] = own
    found = []
    for gain in (1.0, 1e4):
        images = gain * decays
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


def test_held_out_images_validate_where_they_can():
    def net(inputs):
        return rx.nets.RelaxationNet(PROTOCOL, inputs, base=4, depth=2)

    assert validation_loss(net("short")) == validation_loss(net("any")) == WATCHED
    assert not validation_loss(net((0, 1, 2, 4))).held_out


def test_correlated_and_signed_residuals_go_together(cohort):
    trained = train(cohort, weighting=rx.losses.CorrelatedLaplace(n_tasks=2, distribution="gaussian"))
    assert trained.history[0]["scale_t1rho"] > 0


@pytest.mark.filterwarnings("ignore:no standard deviations")
def test_labels_are_learnt_where_there_are_some(cohort):
    longer = dataclasses.replace(PRESETS["smoke"], epochs=30, patience=30, learning_rate=5e-3, schedule="cosine")
    trained = train(cohort, loss="supervised-truth", preset=longer, validation=0)
    subject = cohort[0]
    known = (subject.truth["t1rho"] < 400) & (subject.truth["t2"] < 400)
    found, truth = trained.predict(subject.images)["t2"][known], subject.truth["t2"][known]
    assert (found - truth).abs().mean() < 0.9 * (truth.median() - truth).abs().mean()


def disturbed(**options):
    return DisturbedLoss(**dataclasses.asdict(LOSSES["paper"]), **options)


def test_a_gain_multiplies_the_residual_of_its_contrast():
    net = rx.nets.RelaxationNet(PROTOCOL, "middle", base=4, depth=1)
    images = torch.rand(2, 7, 8, 8)
    output, scale = net(images[:, net.input_channels]), net.scale(images[:, net.input_channels])
    plain, gained = (
        loss.comparison(net)(output, images, scale, torch.zeros(2), generator=torch.Generator())
        for loss in (LOSSES["paper"], disturbed(gains={"t2": 100.0}))
    )
    torch.testing.assert_close(gained, plain * torch.tensor([1.0, 100.0]).reshape(1, 2, 1, 1))


def test_gains_do_not_touch_weights_at_their_optimum(cohort):
    """The gradient of the logarithm of a residual does not know its scale, so neither does what is learnt."""
    plain, gained = (train(cohort, loss=loss, weighting="profiled") for loss in ("paper", disturbed(gains={"t2": 1e4})))
    for one, other in zip(plain.net.parameters(), gained.net.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=1e-3)
    fixed = train(cohort, loss=disturbed(gains={"t2": 1e4}), weighting="fixed")
    assert fixed.history[0]["residual"] > 100 * plain.history[0]["residual"]


def test_what_is_moved_are_later_images_of_a_contrast():
    net = rx.nets.RelaxationNet(PROTOCOL, "middle", base=4, depth=1)
    compare = disturbed(moved=("t2",)).comparison(net)
    images = torch.rand(2, 7, 16, 16)
    moved = compare.move(images, torch.Generator().manual_seed(0))
    changed = [not torch.equal(moved[:, k], images[:, k]) for k in range(7)]
    assert changed == [False] * 4 + [True] * 3
    same = images.index_copy(1, torch.arange(4, 7), images[:, [4, 4, 4]])
    apart = compare.move(same, torch.Generator().manual_seed(0))
    assert not torch.equal(apart[:, 4], apart[:, 5])


def test_a_task_of_weight_zero_does_not_say_when_to_stop(cohort):
    history = train(cohort, weighting=rx.losses.FixedWeights((0.0, 1.0))).history
    assert history[0]["val_residual"] == pytest.approx(history[0]["val_residual_t2"])
    both = train(cohort, weighting="fixed").history[0]
    assert both["val_residual"] == pytest.approx((both["val_residual_t1rho"] + both["val_residual_t2"]) / 2)


def test_other_rates_need_a_shared_image_at_zero(cohort):
    late = rx.Protocol((rx.Contrast("t1rho", (5, 15, 40)), rx.Contrast("t2", (5, 20, 50))), shared_first=True)
    images = [subject.images[:, :5] for subject in cohort]
    preset = dataclasses.replace(ONE_EPOCH, rate_shift=0.24)
    with pytest.raises(ValueError, match=r"common first image at 0 ms.*'t1rho': 5.0"):
        train(images, protocol=late, inputs=(0, 1, 3), loss="paper", preset=preset)


class Silent(torch.nn.Module):
    """A network that leaves its initial estimate as it is."""

    def forward(self, features):
        return torch.zeros_like(features[:, :4])


@pytest.mark.parametrize("rate_shift", [0.0, 0.24])
def test_a_network_that_is_right_is_right_at_other_rates(rate_shift):
    times = torch.tensor([0.0, 10, 30, 50, 18.2, 34.6, 51])
    t = torch.tensor([[45.0] * 4 + [34.0] * 3, [70.0] * 4 + [25.0] * 3])
    images = torch.exp(-times / t)[:, :, None, None].expand(2, 7, 8, 8)
    backbone = rx.nets.as_backbone(Silent(), in_channels=9, out_channels=4)
    net = rx.nets.RelaxationNet(PROTOCOL, range(7), initial_estimates=(0.0,), backbone=backbone)
    preset = dataclasses.replace(ONE_EPOCH, rate_shift=rate_shift)
    module = RelaxationModule(net, LOSSES["paper"], rx.losses.FixedWeights((1.0, 1.0)), preset, 0)
    module.trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    module.log = lambda *_, **__: None
    received = []
    net.register_forward_pre_hook(lambda _, arguments: received.append(arguments[0]))
    loss = module.training_step({"images": images, "sigma": torch.zeros(2), "slice": torch.arange(2)}, 0)
    assert float(loss) < 1e-4
    assert torch.equal(received[0], images) == (rate_shift == 0)


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
        train(cohort, loss="held-out-orthogonal", inputs=(0, 3, 5, 6))
    images = [subject.images for subject in cohort]
    for options, message in (
        ({"loss": "supervised-truth"}, "needs subjects of a phantom"),
        ({"preset": dataclasses.replace(ONE_EPOCH, fresh_noise=True)}, "needs subjects of a phantom"),
    ):
        with pytest.raises(ValueError, match=message):
            train(images, protocol=PROTOCOL, **options)
    plain = rx.nets.RelaxationNet(PROTOCOL, "middle", base=4, depth=2)
    with pytest.raises(ValueError, match="net predicts no scales"):
        train(cohort, net=plain, weighting="heteroscedastic")
    other = rx.Protocol((rx.Contrast("t2", (0, 10, 20, 30, 40)),))
    with pytest.raises(ValueError, match="net is made for"):
        train(cohort, net=rx.nets.RelaxationNet(other, (0, 1), base=4, depth=2), protocol=PROTOCOL)
