import json

import pytest
import torch
from torch import nn

import relaxnet as rx
from relaxnet.nets import RelaxationNet, as_backbone

PROTOCOL = rx.protocols.LIVER_T1RHO_T2


def remake(net, **options):
    again = RelaxationNet.from_config(json.loads(json.dumps(net.config)), **options).eval()
    again.load_state_dict(net.state_dict())
    return again


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"inputs": "middle"},
        {"inputs": (0, 3)},
        {"inputs": (6, 1, 0, 2)},
        {"inputs": "any"},
        {"base": 3, "depth": 1},
        {"dims": 3},
        {"norm": "group"},
        {"up": "bilinear"},
        {"bounds_ms": (1, 1000)},
        {"uncertainty": "heteroscedastic"},
        {"amplitude": True},
        {"inputs": "any", "dims": 3, "norm": "group", "amplitude": True, "uncertainty": "heteroscedastic"},
    ],
    ids=str,
)
def test_a_network_is_made_again(make_net, options):
    net = make_net(**options)
    again = remake(net)
    assert again.config == net.config
    assert again.input_channels == net.input_channels
    if options.get("inputs") != "any":
        assert net.input_channels == PROTOCOL.channels(options.get("inputs", "short"))
    images = torch.rand(1, len(net.input_channels), *[8] * net.dims)
    assert all(a is b or torch.equal(a, b) for a, b in zip(again(images), net(images), strict=True))


def test_configurations_of_before_are_read():
    old = {"protocol": PROTOCOL.to_dict(), "inputs": [0, 1, 4], "bounds_ms": [5.0, 400.0], "base": 4, "depth": 2}
    net = RelaxationNet.from_config(old)
    assert net.config == RelaxationNet(PROTOCOL, "short", base=4, depth=2).config
    assert old["inputs"] == [0, 1, 4]


def test_a_network_around_another_is_made_again_from_that(make_net):
    net = make_net(backbone=as_backbone(nn.Conv2d(3, 2, 3, padding=1), 3, 2))
    again = remake(net, backbone=as_backbone(nn.Conv2d(3, 2, 3, padding=1), 3, 2))
    assert again.config == net.config
    images = torch.rand(1, 3, 8, 8)
    assert torch.equal(again(images).maps_ms, net(images).maps_ms)


@pytest.mark.usefixtures("as_user")
def test_another_backbone_is_refused(make_net):
    foreign, other = as_backbone(nn.Conv2d(3, 2, 1), 3, 2), as_backbone(nn.Identity(), 3, 2)
    config = make_net(backbone=foreign).config
    for backbone in (None, other):
        with pytest.raises(ValueError, match="a network around Conv2d; make it, wrap it by as_backbone"):
            RelaxationNet.from_config(config, backbone=backbone)
    with pytest.raises(ValueError, match=r"backbone=Conv2d: .* relaxnet's own UNet"):
        RelaxationNet.from_config(make_net().config, backbone=foreign)
