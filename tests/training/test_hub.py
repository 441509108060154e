"""Trained networks in folders and on the Hub, of which the tests know nothing but its mixin."""

import pytest
import torch
from huggingface_hub import ModelHubMixin

import relaxnet as rx
from relaxnet.training import Spread, Trained

PROTOCOL = rx.protocols.LIVER_T1RHO_T2


@pytest.fixture
def trained():
    net = rx.nets.RelaxationNet(PROTOCOL, "middle", base=4, depth=2)
    spread = Spread(0.05, {"t1rho": {"any": 0.5}, "t2": {"any": 0.25}}, {"t1rho": {"any": 1.0}, "t2": {"any": 0.0}})
    return Trained(net, [{"epoch": 0, "val_residual": 0.5}], spread)


def test_a_folder_holds_the_network_its_configuration_and_a_card(trained, tmp_path):
    trained.save_pretrained(tmp_path / "liver", training_data="51 simulated livers")
    assert {path.name for path in (tmp_path / "liver").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    card = (tmp_path / "liver" / "README.md").read_text()
    for words in (
        "library_name: relaxnet",
        "t1rho (MonoExponential()) at 0, 10, 30, 50 ms; t2 (MonoExponential()) at 0, 18.2, 34.6, 51 ms, the first",
        "| 0, 2, 5 (channel",
        "t1rho 5 to 400 ms, t2 5 to 400 ms",
        "51 simulated livers",
        "not for clinical use",
    ):
        assert words in card
    again = Trained.from_pretrained(tmp_path / "liver")
    assert (again.history, again.calibration) == (trained.history, trained.calibration)
    images = torch.rand(1, 7, 32, 32)
    assert torch.equal(again.predict(images)["t2_std"], trained.predict(images)["t2_std"])


def test_publishing_is_left_to_the_mixin(trained, monkeypatch):
    pushed = {}

    def push(self, repo_id, **options):
        pushed.update(options, repo_id=repo_id, config=self.net_config)
        return "https://example.org/commit"

    monkeypatch.setattr(ModelHubMixin, "push_to_hub", push)
    assert trained.push_to_hub("me/liver", private=True, scanner="3 T, 400 Hz") == "https://example.org/commit"
    assert (pushed["repo_id"], pushed["private"], pushed["config"]) == ("me/liver", True, trained.net.config)
    assert pushed["model_card_kwargs"]["scanner"] == "3 T, 400 Hz"
