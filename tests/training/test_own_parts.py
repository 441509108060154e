"""A signal model, a loss and a weighting of a user's own, in a training."""

import dataclasses

import pytest
import torch

import relaxnet as rx
from relaxnet.losses import FixedWeights, TaskWeighting, Weighting
from relaxnet.training import PRESETS


def train(cohort, **options):
    return rx.training.train(cohort, **{"preset": "smoke", "progress": False, **options})


class Stepped(TaskWeighting):
    """It counts its epochs, and halves the weight of the first task in each."""

    def __init__(self, n_tasks=2):
        super().__init__(n_tasks)
        self.register_buffer("first", torch.ones(()))
        self.epochs = 0

    @property
    def weights(self):
        return torch.stack((self.first, torch.ones(())))

    def combine(self, means):
        return means * self.weights

    def step(self):
        self.epochs += 1
        self.first /= 2

    def reset(self):
        self.first.fill_(1)


def test_a_weighting_is_stepped_at_the_end_of_each_epoch(cohort):
    weighting = Stepped()
    preset = dataclasses.replace(PRESETS["smoke"], epochs=3)
    history = train(cohort, weighting=weighting, preset=preset).history
    assert weighting.epochs == len(history) == 3
    assert weighting.weights.tolist() == [0.125, 1.0]


class Signed(FixedWeights):
    """It needs signed residuals of each pair, and remembers what it got."""

    needs = "signed"

    def __init__(self):
        super().__init__((1.0, 1.0))
        self.seen = []

    def forward(self, residual, *, mask=None):
        self.seen.append(tuple(residual.detach().aminmax()))
        return super().forward(residual.abs().mean(2), mask=mask)


@pytest.mark.parametrize("loss", ["paper", "held-out-orthogonal"])
def test_a_weighting_that_needs_signed_residuals_gets_them(cohort, loss):
    weighting = Signed()
    train(cohort, weighting=weighting, loss=loss)
    assert min(low for low, _ in weighting.seen) < 0 < max(high for _, high in weighting.seen)


def test_a_loss_without_signed_residuals_refuses_such_a_weighting(cohort):
    with pytest.raises(ValueError, match="weighting=Signed needs the signed residuals of pairs"):
        train(cohort, weighting=Signed(), loss="reconstruction")


class Scaled(Weighting):
    """It needs the scales that the network predicts."""

    needs = "scales"
    uncertainty = "heteroscedastic"
    shapes = ()

    @property
    def weights(self):
        return torch.ones(self.n_tasks)

    def reset(self):
        pass

    def forward(self, residual, log_scale, *, mask=None):
        self.shapes = (tuple(residual.shape), tuple(log_scale.shape))
        loss = residual * torch.exp(-log_scale) + log_scale
        return loss.mean() if mask is None else loss.movedim(1, -1)[mask].mean()


def test_a_weighting_that_needs_scales_gets_a_network_that_predicts_them(cohort):
    weighting = Scaled(2)
    trained = train(cohort, weighting=weighting)
    assert trained.net.uncertainty == "heteroscedastic"
    assert weighting.shapes[0] == weighting.shapes[1]


class Stretched(rx.signals.SignalModel):
    """One method, and a setting."""

    def __init__(self, alpha):
        self.alpha = alpha

    def basis(self, t, time):
        return torch.exp(-((time / t) ** self.alpha))


def test_a_network_of_a_model_of_ones_own_is_saved_and_loaded(tmp_path):
    protocol = rx.Protocol((rx.Contrast("t2", (0, 10, 20, 30, 50, 80), model=Stretched(0.8)),))
    cohort = rx.phantom.liver_cohort(3, 1, (32, 32), snr=50, protocol=protocol)
    trained = train(cohort, loss="orthogonal", inputs=(0, 1, 3))
    trained.save(tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"signal model of its own, Stretched with \{'alpha': 0.8\}: pass it, models="):
        rx.load(tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"contrast 't2' has Stretched with \{'alpha': 0.8\}"):
        rx.load(tmp_path / "own.safetensors", models={"t2": Stretched(0.6)})
    loaded = rx.load(tmp_path / "own.safetensors", models={"t2": Stretched(0.8)})
    assert loaded.net.protocol == protocol
    images = cohort[0].images
    assert torch.equal(loaded.predict(images)["t2"], trained.predict(images)["t2"])


def test_a_network_of_another_model_of_ours_needs_no_model_to_load(tmp_path):
    model = rx.signals.InversionRecovery(efficiency=0.95)
    protocol = rx.Protocol((rx.Contrast("t1", (50, 200, 600, 1500, 4000), model=model),))
    cohort = rx.phantom.liver_cohort(3, 1, (32, 32), snr=50, protocol=protocol)
    train(cohort, loss="orthogonal", inputs=(0, 1, 3)).save(tmp_path / "t1.safetensors")
    assert rx.load(tmp_path / "t1.safetensors").net.protocol.contrasts[0].model == model
