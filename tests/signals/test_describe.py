"""Signal models as plain values: made anew, or compared with the one that is given."""

import pytest
import torch

import relaxnet as rx
from relaxnet.signals import describe_model, restore_model


class Own(rx.signals.SignalModel):
    """A model of a user."""

    def __init__(self, power: float = 1.0) -> None:
        self.power = power

    def basis(self, t, time):
        return torch.exp(-((time / t) ** self.power))


@pytest.mark.parametrize(
    "model", [rx.signals.MonoExponential(), rx.signals.VariableFlipAngle(tr_ms=5.0), rx.signals.Diffusion()]
)
def test_a_model_is_made_anew_and_a_given_one_is_taken(model):
    assert restore_model("x", describe_model(model)) == model
    assert restore_model("x", describe_model(model), model) is model


def test_a_model_of_a_user_has_to_be_given():
    described = describe_model(Own(0.5))
    given = Own(0.5)
    assert restore_model("x", described, given) is given
    with pytest.raises(ValueError, match="a signal model of its own, Own with"):
        restore_model("x", described)


@pytest.mark.parametrize("other", [Own(0.7), rx.signals.MonoExponential()])
def test_another_model_is_refused(other):
    with pytest.raises(ValueError, match=r"models\['x'\] is .*contrast 'x' has Own with"):
        restore_model("x", describe_model(Own(0.5)), other)


def test_an_unknown_model_is_told():
    with pytest.raises(ValueError, match="'Later', which this version does not know"):
        restore_model("x", {"name": "Later", "settings": {}, "own": False})
